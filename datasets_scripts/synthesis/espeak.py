"""The espeak-ng library through ctypes: text in, 22,050 Hz samples with phone events out, in voices of our own.

text -> `espeak_Synth` -> callback -> samples and [`PhoneEvent`]s; words -> `espeak_TextToPhonemes` -> mnemonics.
The library is one global object in a process: parallel work needs processes.
"""

import atexit
import ctypes
import getpass
import hashlib
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from ...models.cache import default_cache_dir
from .phone_events import PhoneEvent

LANGUAGE = "en-us"
SAMPLE_RATE = 22_050

_RETRIEVAL_SYNCHRONOUS = 2
_PHONEME_EVENTS = 1
# Short: espeak looks ahead in a queue that it refills only between buffers, and fades a sound out at an empty one.
_BUFFER_MS = 200
_CHARS_UTF8 = 1
_IPA = 2
_PHONEMES = 0x100  # read what stands in [[ ]] as mnemonics
_RATE, _PITCH = 1, 3
_EVENT_END, _EVENT_PHONEME = 0, 7
_SEPARATOR = "\x01"
_PAUSE = re.compile("_[:!|]*")
_LEADING_PAUSE = re.compile("^_[:!|]*")
_MAX_PATH = 120
# What English needs of espeak's data folder of 19 MB.
_DATA_FILES = ("phontab", "phonindex", "phondata", "intonations", "en_dict", "lang/gmw/en", "lang/gmw/en-US")

_lock = threading.Lock()
_selected: tuple[str, int, int] | None = None


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
    The library with voice files of our own.

    All objects of a process share the library, and a lock.

    Args:
        voices (`Mapping[str, str]`):
            Text of a variant file, in espeak's own format, by the name of the voice.

    Raises:
        `RuntimeError`: If the library or its data cannot be loaded.
    """

    def __init__(self, voices: Mapping[str, str]):
        self._library = _load_library(tuple(sorted(voices.items())))
        self._c_library = ctypes.cdll.ucrtbase if sys.platform == "win32" else ctypes.CDLL(None)
        self._samples: list[bytes] = []
        self._events: list[PhoneEvent] = []
        self._callback = _Callback(self._receive)  # espeak keeps the pointer: it must live as long as the object

    def speak(
        self, text: str, voice: str, pitch: int, rate: int, mnemonics: bool = False
    ) -> tuple[np.ndarray, list[PhoneEvent]]:
        """
        Speak a text.

        Args:
            text (`str`): The text.
            voice (`str`): Name of one of the voices.
            pitch (`int`): Base pitch, 0 to 99; 50 is the voice's own.
            rate (`int`): Words per minute.
            mnemonics (`bool`, *optional*, defaults to `False`): Whether the text is in espeak's own alphabet.

        Returns:
            `tuple[np.ndarray, list[PhoneEvent]]`: int16 samples at 22,050 Hz, and the phonemes in order with pauses
            (`"_:"`) among them.

        Raises:
            `RuntimeError`: If espeak refuses the voice, the pitch, the rate or the text.
        """
        with _lock:
            self._samples.clear()
            self._events.clear()
            # Even if it is set: speaking leaves traces in the settings.
            self._set_voice(voice, pitch, rate)
            self._library.espeak_SetSynthCallback(self._callback)
            # Aspiration is drawn from the C library's generator: unless seeded, it depends on what was spoken before.
            self._c_library.srand(0)
            encoded = (f"[[{text}]]" if mnemonics else text).encode()
            flags = _CHARS_UTF8 | (_PHONEMES if mnemonics else 0)
            status = self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, flags, None, None)
            if status:
                raise RuntimeError(f"espeak-ng could not speak {text!r} (status {status}).")
            return np.frombuffer(b"".join(self._samples), np.int16), list(self._events)

    def phonemes(self, texts: Sequence[str], voice: str) -> list[list[str]]:
        """
        The phonemes of texts without speaking them, about a hundred times faster.

        Args:
            texts (`Sequence[str]`): The texts.
            voice (`str`): Name of one of the voices; the language's pronunciation is the same in all.

        Returns:
            `list[list[str]]`: Mnemonics of each text with stress marks, without pauses.

        Raises:
            `RuntimeError`: If espeak refuses the voice.
        """
        with _lock:
            if _selected != (voice, 50, 175):
                self._set_voice(voice, 50, 175)
            return [self._phonemes(text) for text in texts]

    def transcribe(self, text: str, voice: str) -> list[list[list[tuple[str, str]]]]:
        """
        The phonemes of a text in both of espeak's alphabets, without speaking them.

        Args:
            text (`str`): The text.
            voice (`str`): As for [`~Espeak.phonemes`].

        Returns:
            `list[list[list[tuple[str, str]]]]`: Clauses of words, as espeak joins them ("on the" is one), of mnemonic
            and IPA of each phoneme; pauses are left out, and a phoneme that the IPA does not write has `""`.

        Raises:
            `RuntimeError`: If espeak refuses the voice.
        """
        with _lock:
            self._set_voice(voice, 50, 175)
            alphabets = [self._clauses(text, flag) for flag in (0, _IPA)]
        clauses = []
        for mnemonics, ipa in zip(*alphabets):
            words = [zip(*(word.split(_SEPARATOR) for word in pair)) for pair in zip(mnemonics.split(), ipa.split())]
            sounds = [[(_LEADING_PAUSE.sub("", symbol), written) for symbol, written in word] for word in words]
            clauses.append([pairs for word in sounds if (pairs := [pair for pair in word if pair[0]])])
        return [clause for clause in clauses if clause]

    def _phonemes(self, text: str) -> list[str]:
        clauses = self._clauses(text)
        # No separator stands between a pause and the sound after it.
        symbols = re.split(rf"[\s{_SEPARATOR}]+", _PAUSE.sub(_SEPARATOR, " ".join(clauses)))
        return [symbol for symbol in symbols if symbol]

    def _clauses(self, text: str, alphabet: int = 0) -> list[str]:
        """What espeak writes for each clause of a text, in its mnemonics or in IPA."""
        pointer, mode = ctypes.c_char_p(text.encode()), ord(_SEPARATOR) << 8 | alphabet
        clauses = []
        while pointer.value is not None:
            clause = self._library.espeak_TextToPhonemes(ctypes.byref(pointer), _CHARS_UTF8, mode)
            clauses.append((clause or b"").decode())
        return clauses

    def _set_voice(self, voice: str, pitch: int, rate: int) -> None:
        global _selected
        _selected = None
        status = self._library.espeak_SetVoiceByName(f"{LANGUAGE}+{voice}".encode())
        for parameter, value in ((_RATE, rate), (_PITCH, pitch)):
            status = status or self._library.espeak_SetParameter(parameter, value, 0)
        if status:
            raise RuntimeError(f"espeak-ng refused voice {voice!r}, pitch {pitch}, rate {rate} (status {status}).")
        _selected = (voice, pitch, rate)

    def _receive(self, samples, num_samples, events) -> int:
        if samples and num_samples > 0:
            self._samples.append(ctypes.string_at(samples, 2 * num_samples))
        i = 0
        while (event := events[i]).type != _EVENT_END:
            if event.type == _EVENT_PHONEME:
                self._events.append(PhoneEvent(event.id.string.decode(), event.sample, event.text_position - 1))
            i += 1
        return 0


def digest_data(source: Path | None = None) -> str:
    """
    Sixteen hexadecimal digits for what espeak knows of English: its sounds and its dictionary.

    Args:
        source (`Path`, *optional*): espeak's data folder; that of the installed package when not given.
    """
    import espeakng_loader

    source = source or Path(espeakng_loader.get_data_path())
    digest = hashlib.sha256()
    for name in _DATA_FILES:
        digest.update(name.encode() + b"\0" + (source / name).read_bytes())
    return digest.hexdigest()[:16]


@cache
def _load_library(voices: tuple[tuple[str, str], ...]) -> ctypes.CDLL:
    import espeakng_loader

    library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    folder = _data_folder(Path(espeakng_loader.get_data_path()), voices)
    rate = library.espeak_Initialize(_RETRIEVAL_SYNCHRONOUS, _BUFFER_MS, os.fsencode(folder), _PHONEME_EVENTS)
    if rate != SAMPLE_RATE:
        raise RuntimeError(
            f"espeak-ng could not be initialised from {folder} (it answered {rate}); remove that folder."
        )
    return library


def _data_folder(source: Path, voices: tuple[tuple[str, str], ...]) -> Path:
    """
    A folder with espeak's English data and our voice files, made once and shared by all processes.

    espeak reads voices only from its data folder, and a path that it can hold is shorter than many virtual
    environments' are.
    """
    digest = hashlib.sha256(repr(voices).encode())
    digest.update(digest_data(source).encode())
    cache = default_cache_dir().absolute()
    if len(os.fsencode(cache)) > _MAX_PATH:
        cache = Path(tempfile.gettempdir()) / f"evoslm-{getpass.getuser()}"
    folder = cache / f"espeak-{digest.hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=cache, prefix=".espeak-"))
    except OSError:  # nothing can be kept: this process has a folder of its own
        building = folder = Path(tempfile.mkdtemp(prefix="evoslm-espeak-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in _DATA_FILES:
        (building / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, building / name)
    variants = building / "voices" / "!v"
    variants.mkdir(parents=True)
    for name, definition in voices:
        (variants / name).write_text(definition, encoding="utf-8")
    if building != folder:
        try:
            building.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(building, ignore_errors=True)
    return folder
