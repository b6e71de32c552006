"""Pipelines by the name of their task: a model and all that it needs, in one call.

task + id or folder -> [`pipeline`] -> a [`SpeechContinuationPipeline`]. Models know nothing of speech synthesis, which
is handed to them here.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .models.pipelines import SpeechContinuationPipeline
    from .models.pipelines.loading import Components

SPEECH_CONTINUATION = "speech-continuation"


def pipeline(
    task: str,
    model: str | Path,
    *,
    quantizer: Any = None,
    vocoder: Any = None,
    transcriber: Any = None,
    revision: str | None = None,
    device: str = "cpu",
    synthesizer: str = "espeak",
) -> "SpeechContinuationPipeline":
    """
    Load a model, and what stands between it and sound.

    Args:
        task (`str`): `"speech-continuation"`.
        model (`str` or `Path`): A language model of any modality, or a joint one: an id on the Hub, or a folder, such
            as `runs/laptop/models/phone_raw/seed-0`.
        quantizer (`str`, `Path` or [`SpeechUnitModel`], *optional*): Audio to units. When not given, that of the
            model: what its `config.json` names, or what lies in its run.
        vocoder (`str`, `Path` or [`UnitVocoder`], *optional*): Units to audio; likewise, and else read off the
            quantizer.
        transcriber (`str`, `Path`, [`Transcriber`] or [`UnitTranscriber`], *optional*): What writes down what is said;
            likewise. With a recogniser, models of text and phones take audio.
        revision (`str`, *optional*): Commit, branch or tag of the model on the Hub.
        device (`str`, *optional*, defaults to `"cpu"`): Where models run.
        synthesizer (`str`, *optional*, defaults to `"espeak"`): Who speaks texts: `"espeak"`, or `"piper:VOICE"`.

    Returns:
        [`SpeechContinuationPipeline`]

    Raises:
        `FileNotFoundError`: If there is no such model, or one that it needs is missing.
        `ValueError`: If there is no such task, a folder is none of a model, or two are of different quantizers.

    Examples:

    ```python
    >>> import evoslm

    >>> pipe = evoslm.pipeline("speech-continuation", model="runs/laptop/models/phone_raw/seed-0")
    >>> pipe("The old man")[0].content.split()[:3]
    ['W', 'AO1', 'K']
    ```
    """
    if task != SPEECH_CONTINUATION:
        raise ValueError(f"There is no task {task!r}; the one that there is is {SPEECH_CONTINUATION!r}.")
    from .models.pipelines import load_components

    return make_pipeline(load_components(model, quantizer, vocoder, transcriber, revision, device), synthesizer)


def make_pipeline(components: "Components", synthesizer: str = "espeak") -> "SpeechContinuationPipeline":
    """
    A pipeline of models that are loaded.

    Args:
        components ([`Components`]): The models.
        synthesizer (`str`, *optional*, defaults to `"espeak"`): As in [`pipeline`].

    Returns:
        [`SpeechContinuationPipeline`]

    Raises:
        `ValueError`, `FileNotFoundError`: If there is no such synthesizer.
    """
    from .datasets_scripts.synthesis.prompt_speech import PromptSynthesizer
    from .models.pipelines import SpeechContinuationPipeline

    speakers = [] if components.quantizer is None else components.quantizer.config.speakers
    return SpeechContinuationPipeline(components, PromptSynthesizer(synthesizer, next(iter(speakers), None)))
