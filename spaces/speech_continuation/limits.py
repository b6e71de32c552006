"""What the page takes, and no more: checked before a model is loaded, and said in one sentence.

what a request holds -> [`read_prompt`], [`read_sentence`], [`check_drawing`] -> what a pipeline is given.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

MAX_TEXT = 400
"""Characters of a text."""
MAX_PROMPT_SECONDS = 30.0
MAX_SECONDS = 15.0
"""Of a continuation."""
MIN_SECONDS = 0.5
MAX_UPLOAD = "20mb"
MAX_MODELS = 3
"""Side by side."""
MAX_CONTINUATIONS = 4
MAX_TEMPERATURE = 2.0
MAX_UNIT_BYTES = 2_000_000
"""Of a file of units."""
MAX_UNIT_UTTERANCES = 200
MAX_SEED = 2**31 - 1
DESCRIPTION = (
    f"A prompt has at most {MAX_TEXT} characters or {MAX_PROMPT_SECONDS:g} seconds (a file of at most 20 MB: WAV, "
    f"FLAC, OGG or MP3), a continuation at most {MAX_SECONDS:g} seconds."
)


@dataclass(frozen=True)
class Drawing:
    """
    How continuations are drawn.

    Args:
        num_continuations (`int`): How many of each model.
        max_seconds (`float`): The longest, in seconds.
        temperature (`float`): Of the distribution; 0 takes the likeliest symbol.
        top_p (`float`): Only the likeliest symbols that have this probability together are drawn.
        seed (`int`): Of all draws.

    Raises:
        `ValueError`: If one of them is no number, or out of bounds.
    """

    num_continuations: int = 2
    max_seconds: float = 6.0
    temperature: float = 1.0
    top_p: float = 0.95
    seed: int = 0

    def __post_init__(self):
        for name, label, least, most, is_whole in (
            ("num_continuations", "The number of continuations", 1, MAX_CONTINUATIONS, True),
            ("max_seconds", "The length in seconds", MIN_SECONDS, MAX_SECONDS, False),
            ("temperature", "The temperature", 0, MAX_TEMPERATURE, False),
            ("top_p", "Top-p", 0.05, 1, False),
            ("seed", "The seed", 0, MAX_SEED, True),
        ):
            value = _read_number(label, getattr(self, name), least, most, is_whole)
            object.__setattr__(self, name, value)


def _read_number(label: str, value: Any, least: float, most: float, is_whole: bool) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # What is no number (NaN) lies between no bounds.
    if not is_number or not least <= value <= most or (is_whole and value != int(value)):
        kind = "a whole number" if is_whole else "a number"
        raise ValueError(f"{label} has to be {kind} from {least} to {most:g}.")
    return int(value) if is_whole else float(value)


def read_prompt(text: str | None, audio: str | None) -> str | Path:
    """
    The prompt of a request: a text, or a file that was uploaded or recorded.

    Args:
        text (`str`, *optional*): What was typed.
        audio (`str`, *optional*): Path of what was uploaded.

    Returns:
        `str` or `Path`: The text, or the file.

    Raises:
        `ValueError`: If there is neither or there are both, or it is too long, or no text or audio.
    """
    has_text = bool(text and text.strip())
    if has_text and audio:
        raise ValueError("There is a text and a sound; clear one of them.")
    if audio:
        return read_file(audio)
    if not has_text:
        raise ValueError("Type the beginning of a sentence, record one, or pick an example.")
    return read_sentence(text, "The text")


def read_sentence(text: Any, label: str) -> str:
    """
    A text that can be spoken.

    Raises:
        `ValueError`: If it is none, has no letter or digit, or is too long.
    """
    if not isinstance(text, str) or not any(character.isalnum() for character in text):
        raise ValueError(f"{label} has no words; type some.")
    if len(text) > MAX_TEXT:
        raise ValueError(f"{label} has {len(text):,} characters, more than {MAX_TEXT}; shorten it.")
    return " ".join(text.split())


def read_file(path: str) -> Path:
    """
    A file of audio, by what its head says of it: nothing is decoded.

    Raises:
        `ValueError`: If it is empty, no audio that libsndfile reads, or too long.
    """
    import soundfile

    file = Path(path)
    if not file.is_file():  # deleted: uploads are not kept
        raise ValueError("The sound is no longer here; upload or record it again.")
    if not file.stat().st_size:
        raise ValueError("The sound file is empty; record or upload another one.")
    try:
        seconds = soundfile.info(str(file)).duration
    except (soundfile.LibsndfileError, RuntimeError):
        raise ValueError("The file is no sound that can be read here; give a WAV, FLAC, OGG or MP3 file.") from None
    if not seconds <= MAX_PROMPT_SECONDS:
        raise ValueError(f"The sound takes {seconds:,.0f} s, longer than {MAX_PROMPT_SECONDS:g} s; cut it.")
    return file


def as_error(error: Exception) -> Any:
    """What is wrong with a request as the error that the page shows, in which what came from a user is text."""
    import gradio as gr

    return gr.Error(escape(str(error), quote=False), print_exception=False, duration=None)
