"""EvoSLM: the same utterances in ever more speech-like alphabets, one language model per alphabet."""

from pathlib import Path

from .auto_classes import register_auto_classes

__version__ = "0.1.0"

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
