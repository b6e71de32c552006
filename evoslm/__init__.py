"""EvoSLM: the same utterances in ever more speech-like alphabets, one language model per alphabet.

What is used most can be imported from here: `from evoslm import SpeechUnitModel, prepare, score_pairs`. Names are
looked up when they are asked for, so that `import evoslm` takes no time: it imports neither torch nor transformers.
"""

from pathlib import Path

from .auto_classes import register_auto_classes
from .models.lazy import lazy_names

__version__ = "0.1.0"

__getattr__, _, __all__ = lazy_names(
    __name__,
    {
        "CodebookVocoder": ".models.vocoder",
        "CodebookVocoderConfig": ".models.vocoder",
        "EspeakSynthesizer": ".datasets_scripts.synthesis.synthesizer",
        "MODALITIES": ".models.modalities",
        "Modality": ".models.modalities",
        "NGramModel": ".models.ngram",
        "SluPipeline": ".models.slu",
        "SpeechContinuationPipeline": ".models.pipelines",
        "SpeechUnitConfig": ".models.speech_units",
        "SpeechUnitFeatureExtractor": ".models.speech_units",
        "SpeechUnitModel": ".models.speech_units",
        "SpeechUnitProcessor": ".models.speech_units",
        "TASKS": ".metrics.tasks",
        "Task": ".metrics.tasks",
        "Transcriber": ".models.transcriber",
        "UnitHifiGan": ".models.vocoder",
        "UnitHifiGanConfig": ".models.vocoder",
        "UnitTranscriber": ".models.transcriber",
        "UnitTranscriberConfig": ".models.transcriber",
        "encode_contents": ".models.tokenizers",
        "encode_pairs": ".models.scoring",
        "fit_units": ".models.speech_units",
        "get_builder": ".datasets_scripts.builders",
        "get_modality": ".models.modalities",
        "paired_effect": ".models.statistics",
        "pipeline": ".pipelines",
        "prepare": ".datasets_scripts.builders",
        "recognition_errors": ".models.transcriber",
        "resynthesis_quality": ".models.vocoder",
        "score_pairs": ".models.scoring",
        "sequence_log_likelihoods": ".models.scoring",
        "train_tokenizer": ".models.tokenizers",
        "unit_contents": ".datasets_scripts.builders",
        "unit_quality": ".models.unit_quality",
    },
)
__all__ += ["__version__", "metric_path"]

register_auto_classes()


def __dir__() -> list[str]:
    return sorted({*__all__, *globals()})


def metric_path(name: str) -> str:
    """
    Where a metric is installed, for `evaluate.load(evoslm.metric_path("swuggy"))` from anywhere.

    Args:
        name (`str`): The metric's name, such as `"swuggy"`.

    Returns:
        `str`: Its folder.

    Raises:
        `ValueError`: If there is none of that name.
    """
    from . import metrics

    root = Path(metrics.__file__).parent
    names = sorted(folder.name for folder in root.iterdir() if (folder / f"{folder.name}.py").is_file())
    if name not in names:
        raise ValueError(f"Unknown metric {name!r}; choose from {', '.join(names)}.")
    return str(root / name)
