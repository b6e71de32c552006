"""EvoSLM: the same utterances in ever more speech-like alphabets, one language model per alphabet."""

import multiprocessing
from pathlib import Path

__version__ = "0.1.0"


def register_auto_classes() -> None:
    """Make `AutoConfig` and `AutoModel` know the models that carry code of this package."""
    from transformers import AutoConfig, AutoModel

    from .models.speech_units import SpeechUnitConfig, SpeechUnitModel

    AutoConfig.register(SpeechUnitConfig.model_type, SpeechUnitConfig, exist_ok=True)
    AutoModel.register(SpeechUnitConfig, SpeechUnitModel, exist_ok=True)


# Most of the package's own worker processes only speak and count; without torch they start in a tenth of the time.
if multiprocessing.current_process().name == "MainProcess":
    register_auto_classes()


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
