"""Synthesizers by the name that a command gives them: `espeak`, or `piper:VOICE`.

name -> [`locate_synthesizer`], once, in the main process -> a name of what lies on this machine ->
[`load_synthesizer`] in each process that speaks.
"""

import hashlib
from functools import cache
from typing import Any

from .espeak import digest_data
from .piper import PiperSynthesizer
from .piper_voice import PACKAGES as PIPER_PACKAGES
from .piper_voice import PiperVoice, VoiceFiles, find_voice
from .synthesizer import Synthesizer, shared_synthesizer
from .voices import VOICES

ESPEAK = "espeak"
_PIPER = "piper:"

# Part of what a shard is made of: raise one when the same text sounds, or is timed, differently.
VERSION = 1
PIPER_VERSION = 1


def load_synthesizer(name: str = ESPEAK) -> Synthesizer:
    """
    The synthesizer of this process with a name.

    Args:
        name (`str`, *optional*, defaults to `"espeak"`): `espeak`, or `piper:VOICE` with what [`find_voice`] takes.

    Raises:
        `ValueError`, `FileNotFoundError`: If there is no such synthesizer, or its voice cannot speak.
    """
    return shared_synthesizer() if name == ESPEAK else PiperSynthesizer(_load_voice(_find(name)))


def is_synthesizer(name: str) -> bool:
    """Whether a name is meant as one: what neither folder nor file is called."""
    return name == ESPEAK or name.startswith(_PIPER)


def has_many_voices(name: str) -> bool:
    """
    Whether a synthesizer speaks in more than one voice.

    Raises:
        `ValueError`, `FileNotFoundError`: As [`load_synthesizer`].
    """
    return name == ESPEAK or len(_load_voice(_find(name)).speakers) > 1


def locate_synthesizer(name: str) -> str:
    """
    The same synthesizer by the name of what lies on this machine: other processes then ask no Hub.

    Raises:
        `ValueError`, `FileNotFoundError`: As [`load_synthesizer`].
    """
    return ESPEAK if name == ESPEAK else f"{_PIPER}{_find(name).network}"


def describe_synthesis(voices: str, name: str = ESPEAK) -> dict[str, Any]:
    """
    What makes speech, beside a text and how it is to be spoken: part of a stage's fingerprint.

    Args:
        voices (`str`): `"one"` or `"many"`.
        name (`str`, *optional*, defaults to `"espeak"`): As of [`load_synthesizer`].

    Returns:
        `dict[str, Any]`: The synthesis's `version`, a digest of `espeak`'s data, which pronounces in any case, and
        digests of the definitions of espeak's `voices`, or the `voice` of Piper's with what its `files` hold.

    Raises:
        `ValueError`, `FileNotFoundError`: As [`load_synthesizer`].
    """
    if name != ESPEAK:
        voice = _load_voice(_find(name)).describe()
        return {"synthesizer": "piper", "version": PIPER_VERSION, "espeak": digest_data()} | voice
    definitions = repr([(voice.name, voice.definition, voice.pitch_settings) for voice in VOICES[voices]])
    digest = hashlib.sha256(definitions.encode()).hexdigest()[:16]
    return {"version": VERSION, "voices": digest, "espeak": digest_data()}


def label_synthesizer(name: str) -> str:
    """What a report calls a synthesizer: `espeak`, or the name of its voice."""
    return ESPEAK if name == ESPEAK else _find(name).network.stem


def synthesis_packages(name: str) -> tuple[str, ...]:
    """Packages whose versions shape what a synthesizer makes."""
    return ("espeakng-loader", "soxr", *(() if name == ESPEAK else PIPER_PACKAGES))


def _find(name: str) -> VoiceFiles:
    if not name.startswith(_PIPER) or name == _PIPER:
        raise ValueError(f"Unknown synthesizer {name!r}; choose from {ESPEAK}, {_PIPER}VOICE.")
    return find_voice(name.removeprefix(_PIPER))


@cache
def _load_voice(files: VoiceFiles) -> PiperVoice:
    return PiperVoice(files)
