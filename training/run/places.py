"""What is said of where things lie: their names, and no folder of the user's machine.

settings, results, configurations -> [`without_places`] -> what may be shown to others.
"""

import re
from pathlib import Path
from typing import Any

# What says where something lies, whether that still lies there or not.
_PLACES = ("text_dir", "audio_dir", "output_dir", "manifest", "lexicon", "speech_dir", "units_dir")
_RELATIVE = re.compile(r"\w[\w./\\ -]*")
_PLACE = re.compile(r"(?:~|\.\.?|[A-Za-z]:)?[\\/]\w")


def without_places(value: Any) -> Any:
    """
    Replace the places of a machine in a JSON value by their last names; ids on the Hub stay.

    Args:
        value (`Any`): Of JSON.

    Returns:
        `Any`: The same, with `"/home/somebody/books"` as `"books"`.
    """
    if isinstance(value, dict):
        return {
            name: _last_name(part) if name in _PLACES and isinstance(part, str) else without_places(part)
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [without_places(part) for part in value]
    return _last_name(value) if isinstance(value, str) and _is_place(value) else value


def _is_place(text: str) -> bool:
    if _PLACE.match(text):
        return True
    # A relative one, unless it may be an id on the Hub that nothing here is called like.
    return re.search(r"[\\/]", text) is not None and _RELATIVE.fullmatch(text) is not None and Path(text).exists()


def _last_name(text: str) -> str:
    return re.split(r"[\\/]", text.rstrip("\\/"))[-1]


def describe_source(settings: dict[str, Any]) -> str:
    """
    Where a corpus comes from, for somebody who has never seen this machine.

    Args:
        settings (`dict[str, Any]`): The corpus of a run's configuration.

    Returns:
        `str`: A few words, in which a folder has its name and no place.
    """
    settings = without_places(settings)
    return {
        "stories": "stories that a grammar generates, without any downloaded text",
        "text": f"a folder of text files (`{settings.get('text_dir')}`)",
        "hub": f"the dataset `{settings.get('dataset')}`",
        "audio": f"recordings with transcripts (`{settings.get('audio_dir')}`)",
    }.get(settings["corpus"], settings["corpus"])
