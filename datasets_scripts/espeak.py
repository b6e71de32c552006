"""The espeak-ng library through ctypes: text in, 22,050 Hz samples with phone events out, in voices of our own.

clause of text -> `espeak_Synth` -> callback (samples, events) -> `(samples, [PhoneEvent])`; words -> `espeak_TextToPhonemes`.
espeak-ng is one global object: one [`Espeak`] a process, never used from two threads.
"""

import ctypes
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

LANGUAGE = "en-us"
SAMPLE_RATE = 22_050

_RETRIEVAL_SYNCHRONOUS = 2
_PHONEME_EVENTS = 1
_BUFFER_MS = 2_000
_CHARS_UTF8 = 1
_RATE, _PITCH, _PITCH_RANGE = 1, 3, 4
_EVENT_END, _EVENT_PHONEME = 0, 7
_SEPARATOR = "\x01"
_MAX_PATH = 120
# What English needs of espeak's data folder of 19 MB.
_DATA_FILES = ("phontab", "phonindex", "phondata", "intonations", "en_dict", "lang/gmw/en", "lang/gmw/en-US")


class PhoneEvent(NamedTuple):
    """
    One phoneme as espeak spoke it.

    Args:
        symbol (`str`): espeak's mnemonic with stress marks, e.g. `"'oU"`.
        sample (`int`): Where it starts, in samples at 22,050 Hz.
        text_position (`int`): Where the word that it belongs to starts, in characters from 0.
    """

    symbol: str
    sample: int
    text_position: int


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """
    The library, initialised with the given voice files.

    Args:
        voices (`Mapping[str, str]`):
            Text of a voice variant file (espeak's own format) by its name.

    Raises:
        `RuntimeError`: If the library or its data cannot be loaded.
    """

    def __init__(self, voices: Mapping[str, str]):
        import espeakng_loader

        self._library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        data_path = _data_folder(Path(espeakng_loader.get_data_path()), voices)
        rate = self._library.espeak_Initialize(
            _RETRIEVAL_SYNCHRONOUS, _BUFFER_MS, os.fsencode(data_path), _PHONEME_EVENTS
        )
        if rate != SAMPLE_RATE:
            raise RuntimeError(f"espeak-ng could not be initialised from {data_path} (it answered {rate}).")
        self._samples: list[np.ndarray] = []
        self._events: list[PhoneEvent] = []
        self._callback = _Callback(self._receive)  # espeak keeps the pointer: it must live as long as the object
        self._library.espeak_SetSynthCallback(self._callback)
        self._settings = None

    def set_voice(self, voice: str, pitch: int, rate: int) -> None:
        """
        Choose a voice file by its name, the base pitch (0 to 99, 50 is the voice's own) and the words per minute.

        Raises:
            `RuntimeError`: If espeak refuses one of them.
        """
        settings = (voice, pitch, rate)
        if settings == self._settings:
            return
        self._settings = None
        status = self._library.espeak_SetVoiceByName(f"{LANGUAGE}+{voice}".encode())
        for parameter, value in ((_RATE, rate), (_PITCH, pitch)):
            status = status or self._library.espeak_SetParameter(parameter, value, 0)
        if status:
            raise RuntimeError(f"espeak-ng refused voice {voice!r} at pitch {pitch} and rate {rate} (status {status}).")
        self._settings = settings

    def speak(self, text: str) -> tuple[np.ndarray, list[PhoneEvent]]:
        """
        Speak a text in the voice that was set.

        Returns:
            `tuple[np.ndarray, list[PhoneEvent]]`: int16 samples at 22,050 Hz and the phonemes in order, pauses
            (`"_:"`) among them.

        Raises:
            `RuntimeError`: If espeak reports an error.
        """
        self._samples.clear()
        self._events.clear()
        encoded = text.encode()
        status = self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _CHARS_UTF8, None, None)
        if status:
            raise RuntimeError(f"espeak-ng could not speak {text!r} (status {status}).")
        samples = np.concatenate(self._samples) if self._samples else np.zeros(0, np.int16)
        return samples, list(self._events)

    def phonemes(self, text: str) -> list[str]:
        """
        The phonemes of a text, without speaking it: about a hundred times faster than [`speak`].

        Returns:
            `list[str]`: espeak's mnemonics with stress marks.
        """
        pointer = ctypes.c_char_p(text.encode())
        symbols = []
        while pointer.value is not None:
            clause = self._library.espeak_TextToPhonemes(ctypes.byref(pointer), _CHARS_UTF8, ord(_SEPARATOR) << 8)
            for word in (clause or b"").decode().split():
                symbols.extend(symbol for symbol in word.split(_SEPARATOR) if symbol)
        return symbols

    def _receive(self, samples, num_samples, events) -> int:
        if samples and num_samples > 0:
            self._samples.append(np.ctypeslib.as_array(samples, (num_samples,)).copy())
        i = 0
        while (event := events[i]).type != _EVENT_END:
            if event.type == _EVENT_PHONEME:
                symbol = event.id.string.decode()
                self._events.append(PhoneEvent(symbol, event.sample, event.text_position - 1))
            i += 1
        return 0


def _data_folder(source: Path, voices: Mapping[str, str]) -> Path:
    """A folder with espeak's English data and our voice files, made once and shared by all processes."""
    digest = hashlib.sha256(repr((str(source), sorted(voices.items()))).encode())
    for name in _DATA_FILES:
        digest.update(str((source / name).stat().st_size).encode())
    cache = Path(os.environ.get("EVOSLM_CACHE") or Path.home() / ".cache" / "evoslm")
    if len(os.fsencode(cache)) > _MAX_PATH:
        cache = Path(tempfile.gettempdir()) / "evoslm"
    folder = cache / f"espeak-{digest.hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=cache, prefix="espeak-building-"))
    except OSError:
        building = folder = Path(tempfile.mkdtemp(prefix="evoslm-espeak-"))
    for name in _DATA_FILES:
        (building / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, building / name)
    variants = building / "voices" / "!v"
    variants.mkdir(parents=True)
    for name, text in voices.items():
        (variants / name).write_text(text, encoding="utf-8")
    if building != folder:
        try:
            building.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(building, ignore_errors=True)
    return folder
