"""What is being written, made audible piece by piece: each piece is spoken as soon as it is complete.

symbols -> [`Voice.write`] -> [`Voice.hear`], the samples that became certain, and when each symbol begins in them.
Text is spoken in clauses and phones between pauses, by a synthesizer; units by a vocoder, frame by frame.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from itertools import groupby

import numpy as np

from ..audio import SAMPLE_RATE
from ..phones import SIL
from ..vocoder.modeling_vocoder import UnitVocoder
from ..vocoder.streaming import VocoderStream
from .stopping import is_looping_in_frames, trailing_loop
from .synthesis import SpeechSynthesizer

CHARACTERS_PER_SECOND, PHONES_PER_SECOND = 15.0, 12.5
"""Of English as it is read aloud, 175 words a minute: what is written and not yet spoken will take about so long."""
_PAUSES = {"sentence": 0.3, "clause": 0.1}
_PHONE_PAUSE = 0.2
_SENTENCE_END = re.compile(r"[.!?]+[\"')\]]*(?=\s)")
_CLAUSE_END = re.compile(r"[,;:]+[\"')\]]*(?=\s)")
_MIN_CLAUSE, _MAX_CLAUSE = 4, 12  # words
_MAX_LETTERS = 30  # of text without spaces
_MAX_PHRASE = 30  # phones


class Voice(ABC):
    """
    Speaks symbols while they are being written.

    Args:
        sampling_rate (`int`): Samples per second of the audio.

    Attributes:
        symbols (`list[str]`): All that was written.
        starts (`list[float]`): When each symbol that was spoken begins, in seconds; fewer than there are symbols
            where some are not yet complete.
    """

    def __init__(self, sampling_rate: int = SAMPLE_RATE):
        self.sampling_rate = sampling_rate
        self.symbols: list[str] = []
        self.starts: list[float] = []
        self._num_samples = 0

    def write(self, symbols: Sequence[str]) -> None:
        """
        Take symbols that come next.

        Args:
            symbols (`Sequence[str]`): Characters, phones or units.
        """
        self.symbols += symbols

    @abstractmethod
    def hear(self, is_last: bool = False) -> np.ndarray:
        """
        Speak what is complete and was not yet spoken.

        Args:
            is_last (`bool`, *optional*, defaults to `False`): Whether no more symbols come.

        Returns:
            `np.ndarray` of shape `(num_samples,)`: float32 in [-1, 1], often nothing.
        """

    @property
    def spoken_seconds(self) -> float:
        """Length of the audio so far."""
        return self._num_samples / self.sampling_rate

    @property
    @abstractmethod
    def seconds(self) -> float:
        """How long all symbols take, those that are not yet spoken by estimation."""

    @property
    @abstractmethod
    def silence(self) -> float:
        """Seconds of silence that the symbols end with."""

    @property
    @abstractmethod
    def is_looping(self) -> bool:
        """Whether the symbols end with a loop."""


class _PieceVoice(Voice):
    """Speaks pieces one after the other, each by itself."""

    def hear(self, is_last: bool = False) -> np.ndarray:
        """As in [`Voice`]."""
        pieces = []
        while (end := self._complete(is_last)) > len(self.starts):
            audio, starts = self._speak(len(self.starts), end)
            self.starts += [self._num_samples / self.sampling_rate + start for start in starts]
            self._num_samples += len(audio)
            pieces.append(audio)
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    @abstractmethod
    def _complete(self, is_last: bool) -> int:
        """The number behind the last symbol of the next piece; `len(starts)` or less if none can be spoken yet."""

    @abstractmethod
    def _speak(self, start: int, end: int) -> tuple[np.ndarray, list[float]]:
        """The audio of a piece, float32, and when each of its symbols begins in it, in seconds."""


class TextVoice(_PieceVoice):
    """
    Speaks text in clauses.

    Args:
        synthesizer ([`SpeechSynthesizer`]): Speaks them. What it cannot speak stays silent.
        has_spaces (`bool`, *optional*, defaults to `True`): Whether words are apart; else what begins with a capital
            letter is spoken together.
    """

    def __init__(self, synthesizer: SpeechSynthesizer, has_spaces: bool = True):
        super().__init__()
        self._synthesizer, self._has_spaces = synthesizer, has_spaces

    @property
    def seconds(self) -> float:
        """As in [`Voice`]."""
        return self.spoken_seconds + (len(self.symbols) - len(self.starts)) / CHARACTERS_PER_SECOND

    @property
    def silence(self) -> float:
        """Text has none."""
        return 0.0

    @property
    def is_looping(self) -> bool:
        """As in [`Voice`]."""
        return trailing_loop(self.symbols, min_symbols=16) is not None

    def _complete(self, is_last: bool) -> int:
        start, text = len(self.starts), "".join(self.symbols[len(self.starts) :])
        if not self._has_spaces:
            return start + self._complete_letters(text, is_last)
        if end := _SENTENCE_END.search(text):
            return start + end.end()
        for end in _CLAUSE_END.finditer(text):
            if len(text[: end.end()].split()) >= _MIN_CLAUSE:
                return start + end.end()
        if is_last:
            return start + len(text)
        words = list(re.finditer(r"\S+(?=\s)", text))
        return start + (words[_MAX_CLAUSE - 1].end() if len(words) >= _MAX_CLAUSE else 0)

    def _complete_letters(self, text: str, is_last: bool) -> int:
        capital = next((i for i, letter in enumerate(text) if i and letter.isupper()), None)
        if capital is not None:
            return min(capital, _MAX_LETTERS)
        return len(text) if is_last and len(text) <= _MAX_LETTERS else _MAX_LETTERS if len(text) > _MAX_LETTERS else 0

    def _speak(self, start: int, end: int) -> tuple[np.ndarray, list[float]]:
        text = "".join(self.symbols[start:end])
        nothing = np.zeros(0, np.float32), [0.0] * len(text)
        if not any(character.isalnum() for character in text):  # it would be spoken by name, as "dot"
            return nothing
        try:
            spoken = self._synthesizer.speak_text(text, is_prompt=False)
        except ValueError:  # a sound that English lacks
            return nothing
        last = text.rstrip("\"')]")[-1:]
        pause = _PAUSES["sentence" if last in tuple(".!?") else "clause"] if self._has_spaces else 0.0
        silence = np.zeros(round(pause * self.sampling_rate), np.float32)
        return np.concatenate([to_float(spoken.audio), silence]), character_starts(text, spoken.words)


class PhoneVoice(_PieceVoice):
    """
    Speaks phones, what lies between two pauses at a time.

    Args:
        synthesizer ([`SpeechSynthesizer`]): Speaks them, in durations of its own.
        repeats (`int`, *optional*, defaults to 1): How often each phone is written.
        frame_rate (`float`, *optional*): Where phones are written once a frame: frames per second. A pause is as long
            as its frames.
    """

    def __init__(self, synthesizer: SpeechSynthesizer, repeats: int = 1, frame_rate: float | None = None):
        super().__init__()
        self._synthesizer, self._repeats, self._frame_rate = synthesizer, repeats, frame_rate

    @property
    def seconds(self) -> float:
        """As in [`Voice`]."""
        rate = self._frame_rate or PHONES_PER_SECOND * self._repeats
        return self.spoken_seconds + (len(self.symbols) - len(self.starts)) / rate

    @property
    def silence(self) -> float:
        """As in [`Voice`]."""
        length = 0
        while length < len(self.symbols) and self.symbols[-1 - length] == SIL:
            length += 1
        return self._pause(length)

    @property
    def is_looping(self) -> bool:
        """As in [`Voice`]."""
        if self._frame_rate is not None:
            return is_looping_in_frames(self.symbols, self._frame_rate)
        symbols = self.symbols[-1 :: -self._repeats][::-1]
        return trailing_loop(symbols, min_symbols=12) is not None

    def _complete(self, is_last: bool) -> int:
        end, num_phones = len(self.starts), 0
        runs = [(phone, len(list(run))) for phone, run in groupby(self.symbols[end:])]
        for phone, length in runs if is_last else runs[:-1]:
            if phone == SIL:
                return end if num_phones else end + length
            if num_phones >= _MAX_PHRASE:
                return end
            num_phones += self._count(length)
            end += length
        return end if is_last or num_phones >= _MAX_PHRASE or (runs and runs[-1][0] == SIL) else len(self.starts)

    def _speak(self, start: int, end: int) -> tuple[np.ndarray, list[float]]:
        runs = [(phone, len(list(run))) for phone, run in groupby(self.symbols[start:end])]
        if runs[0][0] == SIL:
            seconds, length = self._pause(runs[0][1]), runs[0][1]
            return np.zeros(round(seconds * self.sampling_rate), np.float32), _spread(0.0, seconds, length)
        counts = [self._count(length) for _, length in runs]
        spoken = self._synthesizer.speak_phones([phone for (phone, _), n in zip(runs, counts) for _ in range(n)])
        starts, first = [], 0
        for (_, length), count in zip(runs, counts):
            phones = spoken.phones[first : first + count]
            starts += _spread(phones[0]["start"], phones[-1]["end"], length)
            first += count
        return to_float(spoken.audio), starts

    def _count(self, length: int) -> int:
        """How many phones a run of one symbol stands for."""
        return 1 if self._frame_rate is not None else max(1, round(length / self._repeats))

    def _pause(self, length: int) -> float:
        return length / (self._frame_rate or self._repeats / _PHONE_PAUSE)


class UnitVoice(Voice):
    """
    Speaks speech units.

    Args:
        vocoder ([`UnitVocoder`], *optional*): Makes the audio; without one there is none.
        unit_rate (`float`): Units per second: of frames that of frames, else about how many are spoken.
        silent_units (`Collection[str]`, *optional*): Those that stand for silence.
        is_framewise (`bool`, *optional*, defaults to `True`): Whether there is a unit a frame.
        speaker (`str`, *optional*): Whose voice, where the vocoder has several.
    """

    def __init__(
        self,
        vocoder: UnitVocoder | None,
        unit_rate: float,
        silent_units: Collection[str] = (),
        is_framewise: bool = True,
        speaker: str | None = None,
    ):
        super().__init__(SAMPLE_RATE if vocoder is None else vocoder.config.sampling_rate)
        self._stream = None if vocoder is None else VocoderStream(vocoder, speaker)
        self._hop = None if vocoder is None else vocoder.config.hop_length
        self._unit_rate, self._silent_units, self._is_framewise = unit_rate, silent_units, is_framewise
        self._num_pushed, self._is_last = 0, False

    @property
    def seconds(self) -> float:
        """As in [`Voice`]."""
        return len(self.symbols) / self._unit_rate

    @property
    def silence(self) -> float:
        """As in [`Voice`]."""
        length = 0
        while length < len(self.symbols) and self.symbols[-1 - length] in self._silent_units:
            length += 1
        return length / self._unit_rate

    @property
    def is_looping(self) -> bool:
        """As in [`Voice`]."""
        if self._is_framewise:
            return is_looping_in_frames(self.symbols, self._unit_rate)
        return trailing_loop(self.symbols, min_symbols=16) is not None

    def hear(self, is_last: bool = False) -> np.ndarray:
        """As in [`Voice`]; a symbol is spoken when its last sample is."""
        audio = np.zeros(0, np.float32)
        if self._stream is not None:
            new = range(self._num_pushed, len(self.symbols))
            frames = [int(self.symbols[i]) for i in new for _ in range(self._frame(i + 1) - self._frame(i))]
            self._num_pushed = len(self.symbols)
            audio = self._stream.push(frames)
            if is_last:
                audio = np.concatenate([audio, self._stream.finish()])
            self._num_samples += len(audio)
        spoken = len(self.starts)
        while spoken < len(self.symbols) and (is_last or self._is_spoken(spoken)):
            self.starts.append(spoken / self._unit_rate)
            spoken += 1
        return audio

    def _is_spoken(self, number: int) -> bool:
        return self._stream is None or self._frame(number + 1) * self._hop <= self._num_samples

    def _frame(self, number: int) -> int:
        """The vocoder's frame with which a symbol begins."""
        return round(number * self.sampling_rate / self._hop / self._unit_rate)


def to_float(audio: np.ndarray) -> np.ndarray:
    """int16 samples as float32 in [-1, 1]."""
    return audio.astype(np.float32) / 2**15


def character_starts(text: str, words: Sequence[dict]) -> list[float]:
    """
    When each character of a text is spoken, if those of a word take equally long.

    Args:
        text (`str`): The text.
        words (`Sequence[dict]`): `{"start", "end"}` of its white-space words, in seconds.

    Returns:
        `list[float]`: Seconds; white space begins where the word before it ends.
    """
    starts, now = [], 0.0
    for word, part in zip(words, re.finditer(r"\s*\S+", text)):
        length = len(part[0].lstrip())
        starts += [now] * (len(part[0]) - length) + _spread(word["start"], word["end"], length)
        now = word["end"]
    return starts + [now] * (len(text) - len(starts))


def _spread(start: float, end: float, count: int) -> list[float]:
    """Where so many equal parts of a stretch begin."""
    return [start + (end - start) * i / count for i in range(count)]
