"""How a modality is written and read: a prompt that was heard -> symbols, ids -> symbols, symbols -> a voice.

[`HeardPrompt`] -> [`Alphabet.write`] -> [`Writing`], the symbols with their times; an id -> [`TokenReader.read`] ->
the symbols that it adds. One alphabet for text, one for phones and one for speech units; a joint model has two.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from ..modalities import SYLLABLES, Modality
from ..speech_units.modeling_speech_units import SpeechUnitModel
from ..speech_units.runs import run_starts
from ..tokenizers.joint import UNIT_MARK
from ..tokenizers.text import letters_of
from ..vocoder.modeling_vocoder import UnitVocoder
from .synthesis import SpeechSynthesizer, SpokenText
from .voices import PHONES_PER_SECOND, PhoneVoice, TextVoice, UnitVoice, Voice, character_starts

_SYMBOLS_PER_SECOND = 25
"""Of text and phones no more than this are read in a second."""


@dataclass(frozen=True)
class HeardPrompt:
    """
    A prompt as sound, and as text where that is known.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): int16 or float32, at `sampling_rate`.
        sampling_rate (`int`): Samples per second.
        spoken ([`SpokenText`], *optional*): Text, words and phones, of a text that was spoken.
        text (`str`, *optional*): What is said.
        speaker (`str`, *optional*): Who speaks, to a quantizer that tells speakers apart.
    """

    audio: np.ndarray
    sampling_rate: int
    spoken: SpokenText | None = None
    text: str | None = None
    speaker: str | None = None


@dataclass(frozen=True)
class Writing:
    """
    A prompt in an alphabet.

    Args:
        symbols (`list[str]`): Characters, phones or units.
        starts (`list[float]`): When each begins in the prompt's audio, in seconds.
        seconds_per_symbol (`float`): How long one lasts on average.
    """

    symbols: list[str]
    starts: list[float]
    seconds_per_symbol: float


class TokenReader(ABC):
    """Reads ids one after the other: the symbols that each adds to those before."""

    @abstractmethod
    def read(self, index: int) -> list[str]:
        """
        Read the next id.

        Args:
            index (`int`): The id.

        Returns:
            `list[str]`: Its symbols; none where it is but a part of one.
        """


class Alphabet(ABC):
    """
    How a modality is written and read.

    Attributes:
        separator (`str`): What stands between the symbols of a content.
    """

    separator = " "

    @abstractmethod
    def write(self, prompt: HeardPrompt) -> Writing:
        """
        Write a prompt.

        Args:
            prompt ([`HeardPrompt`]): The prompt.

        Returns:
            [`Writing`]

        Raises:
            `ValueError`: If it cannot be written in this alphabet.
        """

    @abstractmethod
    def reader(self, tokenizer: PreTrainedTokenizerBase, before: Sequence[int] = ()) -> TokenReader:
        """
        Read ids in this alphabet.

        Args:
            tokenizer (`PreTrainedTokenizerBase`): The model's.
            before (`Sequence[int]`, *optional*): Ids of the same alphabet that stand before them.
        """

    @abstractmethod
    def voice(self, seconds_per_symbol: float) -> Voice:
        """
        Something that speaks what is written.

        Args:
            seconds_per_symbol (`float`): How long a symbol lasts on average, where symbols do not say it.
        """

    @abstractmethod
    def max_symbols(self, seconds: float) -> int:
        """The most symbols that so many seconds have."""

    def join(self, symbols: Sequence[str]) -> str:
        """Symbols as a content."""
        return self.separator.join(symbols)


class TextAlphabet(Alphabet):
    """
    Text, a symbol a character.

    Args:
        synthesizer ([`SpeechSynthesizer`]): Speaks it.
        has_spaces (`bool`, *optional*, defaults to `True`): Whether there are spaces and punctuation.
    """

    separator = ""

    def __init__(self, synthesizer: SpeechSynthesizer, has_spaces: bool = True):
        self._synthesizer, self._has_spaces = synthesizer, has_spaces

    def write(self, prompt: HeardPrompt) -> Writing:
        """As in [`Alphabet`]."""
        if prompt.spoken is None:
            raise ValueError("The model reads text and the prompt is audio; give a transcriber, or a text.")
        symbols, starts = list(prompt.spoken.text), character_starts(prompt.spoken.text, prompt.spoken.words)
        if not self._has_spaces:
            kept = [i for i, symbol in enumerate(symbols) if letters_of(symbol)]
            symbols, starts = [symbols[i] for i in kept], [starts[i] for i in kept]
        return Writing(symbols, starts, _duration(prompt) / max(1, len(symbols)))

    def reader(self, tokenizer: PreTrainedTokenizerBase, before: Sequence[int] = ()) -> TokenReader:
        """As in [`Alphabet`]."""
        return _TextReader(tokenizer, before)

    def voice(self, seconds_per_symbol: float) -> Voice:
        """As in [`Alphabet`]."""
        return TextVoice(self._synthesizer, self._has_spaces)

    def max_symbols(self, seconds: float) -> int:
        """As in [`Alphabet`]."""
        return round(seconds * _SYMBOLS_PER_SECOND)


class PhoneAlphabet(Alphabet):
    """
    Phones: each once, each the same number of times, or each once a frame.

    Args:
        synthesizer ([`SpeechSynthesizer`]): Speaks them.
        repeats (`int`, *optional*, defaults to 1): How often each phone is written.
        frame_rate (`float`, *optional*): Where they are written once a frame: frames per second.
    """

    def __init__(self, synthesizer: SpeechSynthesizer, repeats: int = 1, frame_rate: float | None = None):
        self._synthesizer, self._repeats, self._frame_rate = synthesizer, repeats, frame_rate

    def write(self, prompt: HeardPrompt) -> Writing:
        """As in [`Alphabet`]."""
        if prompt.spoken is None:
            raise ValueError("The model reads phones and the prompt is audio; give a transcriber, or a text.")
        if self._frame_rate is not None:
            symbols = self._synthesizer.write_frames(prompt.spoken, self._frame_rate)
            return Writing(symbols, [i / self._frame_rate for i in range(len(symbols))], 1 / self._frame_rate)
        symbols, starts = [], []
        for phone in prompt.spoken.phones:
            length = (phone["end"] - phone["start"]) / self._repeats
            symbols += [phone["phone"]] * self._repeats
            starts += [phone["start"] + i * length for i in range(self._repeats)]
        return Writing(symbols, starts, 1 / (PHONES_PER_SECOND * self._repeats))

    def reader(self, tokenizer: PreTrainedTokenizerBase, before: Sequence[int] = ()) -> TokenReader:
        """As in [`Alphabet`]."""
        return _SymbolReader(tokenizer)

    def voice(self, seconds_per_symbol: float) -> Voice:
        """As in [`Alphabet`]."""
        return PhoneVoice(self._synthesizer, self._repeats, self._frame_rate)

    def max_symbols(self, seconds: float) -> int:
        """As in [`Alphabet`]."""
        return round(seconds * (self._frame_rate or _SYMBOLS_PER_SECOND * self._repeats))


class UnitAlphabet(Alphabet):
    """
    Speech units of frames or segments.

    Args:
        quantizer ([`SpeechUnitModel`]): Makes them.
        vocoder ([`UnitVocoder`], *optional*): Makes audio of them.
        collapse (`bool`, *optional*, defaults to `False`): Whether a run of equal units is written once.
        synthesizer ([`SpeechSynthesizer`], *optional*): Knows the syllables of a text, where units are of these.
        silent_units (`Sequence[int]`, *optional*): Units that stand for silence.
        speaker (`str`, *optional*): Who speaks, to quantizer and vocoder that tell speakers apart; the vocoder's first
            voice where it has several and this is none of them.
    """

    def __init__(
        self,
        quantizer: SpeechUnitModel,
        vocoder: UnitVocoder | None = None,
        collapse: bool = False,
        synthesizer: SpeechSynthesizer | None = None,
        silent_units: Sequence[int] = (),
        speaker: str | None = None,
    ):
        self._quantizer, self._vocoder, self._collapse = quantizer, vocoder, collapse
        self._synthesizer, self._speaker = synthesizer, speaker
        self._silent_units = frozenset(map(str, silent_units))
        self._is_framewise = not collapse and not quantizer.config.segment_parts

    def write(self, prompt: HeardPrompt) -> Writing:
        """As in [`Alphabet`]."""
        config = self._quantizer.config
        speakers = [prompt.speaker or self._speaker] if config.normalization == "speaker" else None
        segments = self._segments(prompt)
        counts = None if segments is None else [segments]
        (units,) = self._quantizer.units([prompt.audio], speakers, segments=counts)
        places = np.arange(len(units)) if segments is None else np.cumsum(segments) - segments
        if self._collapse:
            kept = run_starts(units)
            units, places = units[kept], places[kept]
        seconds = _duration(prompt) / len(units) if not self._is_framewise else 1 / config.frame_rate
        return Writing([str(unit) for unit in units], (places / config.frame_rate).tolist(), seconds)

    def reader(self, tokenizer: PreTrainedTokenizerBase, before: Sequence[int] = ()) -> TokenReader:
        """As in [`Alphabet`]."""
        return _SymbolReader(tokenizer)

    def voice(self, seconds_per_symbol: float) -> Voice:
        """As in [`Alphabet`]."""
        voices = [] if self._vocoder is None else self._vocoder.config.speakers
        # A vocoder may have several voices though its quantizer tells none apart: then the first one speaks.
        speaker = None if len(voices) < 2 else self._speaker if self._speaker in voices else voices[0]
        return UnitVoice(self._vocoder, 1 / seconds_per_symbol, self._silent_units, self._is_framewise, speaker)

    def max_symbols(self, seconds: float) -> int:
        """As in [`Alphabet`]."""
        return round(seconds * self._quantizer.config.frame_rate)

    def _segments(self, prompt: HeardPrompt) -> np.ndarray | None:
        config = self._quantizer.config
        if not config.segment_parts:
            return None
        if config.segmentation is not None:
            return self._quantizer.find_segments([prompt.audio])[0]
        if prompt.spoken is None or self._synthesizer is None:
            raise ValueError(
                "The model's units are of aligned syllables, which a recording by itself does not tell; give a text."
            )
        return self._synthesizer.syllable_frames(prompt.spoken, config.frame_rate)


def make_alphabet(
    modality: Modality,
    synthesizer: SpeechSynthesizer,
    quantizer: SpeechUnitModel | None = None,
    vocoder: UnitVocoder | None = None,
    frame_rate: float | None = None,
    repeats: int = 1,
    silent_units: Sequence[int] = (),
    speaker: str | None = None,
) -> Alphabet:
    """
    The alphabet of a modality.

    Args:
        modality ([`Modality`]): The modality; not a joint one.
        synthesizer ([`SpeechSynthesizer`]): Speaks text and phones.
        quantizer ([`SpeechUnitModel`], *optional*): Of a modality of units.
        vocoder ([`UnitVocoder`], *optional*): Of a modality of units.
        frame_rate (`float`, *optional*): Frames per second, where phones are written once a frame.
        repeats (`int`, *optional*, defaults to 1): How often each phone is written otherwise.
        silent_units (`Sequence[int]`, *optional*): Units that stand for silence.
        speaker (`str`, *optional*): Who speaks, where that matters.

    Returns:
        [`Alphabet`]
    """
    if modality.column == "text":
        return TextAlphabet(synthesizer, modality.tokenizer != "text_raw_no_space")
    if not modality.is_speech:
        rate = (frame_rate or modality.frame_rate) if modality.frame_rate is not None else None
        return PhoneAlphabet(synthesizer, repeats, rate)
    collapse = modality.frame_rate is None and modality.unit_of not in SYLLABLES
    return UnitAlphabet(quantizer, vocoder, collapse, synthesizer, silent_units, speaker)


class _TextReader(TokenReader):
    """A piece of text may be less than a character, and its space depends on what stands before it."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, before: Sequence[int]):
        self._tokenizer, self._ids = tokenizer, list(before)
        self._length = len(self._decode())

    def read(self, index: int) -> list[str]:
        """As in [`TokenReader`]."""
        self._ids.append(index)
        text = self._decode()
        if text.endswith("\N{REPLACEMENT CHARACTER}"):  # bytes of a character that is not yet whole
            return []
        symbols, self._length = list(text[self._length :]), len(text)
        return symbols

    def _decode(self) -> str:
        return self._tokenizer.decode(self._ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


class _SymbolReader(TokenReader):
    """Phones and units are the same wherever they stand."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self._tokenizer = tokenizer

    def read(self, index: int) -> list[str]:
        """As in [`TokenReader`]."""
        return self._tokenizer.decode([index], skip_special_tokens=True).replace(UNIT_MARK, " ").split()


def _duration(prompt: HeardPrompt) -> float:
    return len(prompt.audio) / prompt.sampling_rate
