"""Speech synthesis: text -> 16 kHz audio with word and phone times, in one voice or many.

text -> sentences -> a synthesizer's samples and timed phones -> [`Synthesizer.render`] -> [`Rendering`].
[`EspeakSynthesizer`] is the one that pronounces words, too; `piper.py` has a neural one.
Each sentence is spoken by itself, starts and ends on a 20 ms frame and is followed by exactly [`SENTENCE_PAUSE`], so a
text rendered whole is, sample by sample, its sentences rendered one by one.
"""

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ...models.audio import FRAME_SAMPLES, SAMPLE_RATE
from ...models.phones import SIL, espeak_word_to_arpabet
from ..text.sentences import split_sentences
from .espeak import SAMPLE_RATE as ESPEAK_SAMPLE_RATE
from .espeak import Espeak
from .phone_events import MIN_PAUSE, TimedPhone, Token, closure_lengths, floor_to_frame, phones_of, word_times
from .voices import BASE_VOICE, FIXED_RATE, VOICES, VOICES_BY_NAME, SpeakerSettings, speaker_settings

EDGE_SILENCE = 0.1
SENTENCE_PAUSE = 0.3

# Stops in all positions, for the closures that espeak makes at a rate.
_CLOSURES = (
    "A top cup, a black pack, the big dog and the good egg kept eight bad cats at that gate, but each judge asked"
    " Jack, Pat, Kate, Bob and Dick to catch the speckled duck, the old goat and the blue jay by the back of the bed"
)


@dataclass
class Rendering:
    """
    A spoken text.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): int16, 16 kHz, mono; a whole number of 20 ms frames.
        words (`list[dict]`): `{"word", "start", "end"}` of each white-space word of the text, in seconds.
        phones (`list[dict]`): `{"phone", "start", "end"}` in seconds, from 0 to the duration without gaps. Each has at
            least 20 ms, and no two SIL follow each other.
    """

    audio: np.ndarray
    words: list[dict]
    phones: list[dict]

    @property
    def duration(self) -> float:
        """Length of the audio in seconds."""
        return len(self.audio) / SAMPLE_RATE

    @classmethod
    def from_samples(
        cls, audio: np.ndarray, words: Iterable[tuple[str, int, int]], phones: Iterable[tuple[str, int, int]]
    ) -> "Rendering":
        """
        A rendering whose words and phones are given with their first sample and the one after their last.

        Args:
            audio (`np.ndarray` of shape `(num_samples,)`): As above.
            words (`Iterable[tuple[str, int, int]]`): Word, start and end in samples.
            phones (`Iterable[tuple[str, int, int]]`): Phone, start and end in samples.
        """
        return cls(audio, _in_seconds("word", words), _in_seconds("phone", phones))


class Synthesizer(ABC):
    """
    Speaks English. What it makes depends on its arguments only, not on what was spoken before.

    A synthesizer says who its speakers are, how an utterance is spoken, and speaks a sentence; sentences become a text
    here.
    """

    @abstractmethod
    def speakers(self, voices: str) -> tuple[str, ...]:
        """
        Names of the voices that speak.

        Args:
            voices (`str`): `"one"` or `"many"`.

        Raises:
            `ValueError`: If there are no such voices.
        """

    @abstractmethod
    def speaker_settings(self, utterance_id: str, voices: str, rate: str, seed: int) -> SpeakerSettings:
        """Draw voice, pitch and rate of an utterance, as the function [`speaker_settings`] does for espeak."""

    @abstractmethod
    def check_delivery(self, voice: str, pitch: int, rate: int) -> None:
        """Raise `ValueError` if there is no such voice, or the pitch or the rate is out of range."""

    @abstractmethod
    def speak_sentence(
        self, sentence: str, voice: str, pitch: int, rate: int
    ) -> tuple[np.ndarray, list[TimedPhone], list[tuple[str, int, int]]]:
        """
        Speak one sentence.

        Returns:
            `tuple`: 16 kHz int16 samples in whole frames, from its first sound to its last; phones and words in them.

        Raises:
            `ValueError`: If it has nothing to speak or a sound that English lacks.
        """

    def render(
        self,
        text: str | Sequence[str],
        voice: str = BASE_VOICE.name,
        pitch: int = 50,
        rate: int = FIXED_RATE,
        leading_silence: float = EDGE_SILENCE,
        trailing_silence: float = EDGE_SILENCE,
    ) -> Rendering:
        """
        Speak a text.

        Args:
            text (`str` or `Sequence[str]`):
                The text, or its sentences; each is split further by [`split_sentences`].
            voice (`str`, *optional*, defaults to `"base"`):
                Name of one of the synthesizer's voices; espeak's are in [`VOICES`].
            pitch (`int`, *optional*, defaults to 50):
                Base pitch, 0 to 99; 50 is the voice's own. It changes no times.
            rate (`int`, *optional*, defaults to 175):
                Words per minute, 80 to 400.
            leading_silence (`float`, *optional*, defaults to 0.1):
                Seconds of silence at the beginning, rounded to whole 20 ms frames.
            trailing_silence (`float`, *optional*, defaults to 0.1):
                The same for the end. A context rendered with [`SENTENCE_PAUSE`] here, followed by its continuation
                rendered with a `leading_silence` of 0, is the whole text's rendering.

        Returns:
            [`Rendering`]

        Raises:
            `ValueError`: If the voice is unknown, the pitch or the rate out of range, or if a sentence has nothing to
                speak or a sound that English lacks.
        """
        self.check_delivery(voice, pitch, rate)
        sentences = [part for given in ([text] if isinstance(text, str) else text) for part in split_sentences(given)]
        if not sentences:
            raise ValueError("There is nothing to speak in an empty text.")

        audio, words, phones, position = [], [], [], 0
        silences = [leading_silence] + [SENTENCE_PAUSE] * (len(sentences) - 1)
        for silence, sentence in zip(silences, sentences):
            position = _append_silence(audio, phones, position, silence)
            samples, sentence_phones, sentence_words = self.speak_sentence(sentence, voice, pitch, rate)
            audio.append(samples)
            phones += [(phone.phone, position + phone.start, position + phone.end) for phone in sentence_phones]
            words += [(word, position + start, position + end) for word, start, end in sentence_words]
            position += len(samples)
        _append_silence(audio, phones, position, trailing_silence)
        return Rendering.from_samples(np.concatenate(audio), words, phones)


class EspeakSynthesizer(Synthesizer):
    """
    Speaks and pronounces English with espeak-ng's Klatt synthesizer.

    All objects of a process share one library and take turns: parallel work needs processes.

    Attributes:
        espeak (`Espeak`): The library with all voices, for what is given in its own alphabet.
    """

    def __init__(self):
        self.espeak = Espeak({voice.name: voice.definition for voice in VOICES_BY_NAME.values()})
        self._closures: dict[int, list[int]] = {}

    def speakers(self, voices: str) -> tuple[str, ...]:
        """Names of the voices of [`VOICES`]."""
        if voices not in VOICES:
            raise ValueError(f"Unknown voices {voices!r}; choose from {', '.join(VOICES)}.")
        return tuple(voice.name for voice in VOICES[voices])

    def speaker_settings(self, utterance_id: str, voices: str, rate: str, seed: int) -> SpeakerSettings:
        """As the function [`speaker_settings`]."""
        return speaker_settings(utterance_id, voices, rate, seed)

    def check_delivery(self, voice: str, pitch: int, rate: int) -> None:
        """As the function [`check_delivery`]."""
        check_delivery(voice, pitch, rate)

    def speak_sentence(
        self, sentence: str, voice: str, pitch: int, rate: int
    ) -> tuple[np.ndarray, list[TimedPhone], list[tuple[str, int, int]]]:
        """As every synthesizer; a stop begins with its closure."""
        tokens = tokens_of(sentence)
        samples, events = self.espeak.speak(spoken_form(sentence), voice, pitch, rate)
        closures = self._closures_at(rate)
        phones = phones_of(events, samples, tokens, closures, round(MIN_PAUSE * ESPEAK_SAMPLE_RATE))
        return on_frames(sentence, samples.astype(np.float32), phones, tokens, ESPEAK_SAMPLE_RATE)

    def pronounce(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """
        Pronounce words one by one, without speaking them.

        Args:
            words (`Sequence[str]`): The words.

        Returns:
            `list[tuple[str, ...]]`: Phones of each word: those that [`~EspeakSynthesizer.render`] gives for it by
            itself, less SIL.

        Raises:
            `ValueError`: If a word has a sound that English lacks.
        """
        symbols = self.espeak.phonemes([spoken_form(word) for word in words], BASE_VOICE.name)
        return [
            _stressed([phone for phones in espeak_word_to_arpabet(word) for phone in phones if phone != SIL])
            for word in symbols
        ]

    def _closures_at(self, rate: int) -> list[int]:
        """Lengths of closures that espeak makes at a rate, read off the base voice, whose sounds end clearly."""
        if rate not in self._closures:
            samples, events = self.espeak.speak(_CLOSURES, BASE_VOICE.name, 50, rate)
            self._closures[rate] = closure_lengths(events, samples, ESPEAK_SAMPLE_RATE)
        return self._closures[rate]


def on_frames(
    sentence: str, samples: np.ndarray, phones: list[TimedPhone], tokens: Sequence[Token], sample_rate: int
) -> tuple[np.ndarray, list[TimedPhone], list[tuple[str, int, int]]]:
    """
    Bring a sentence to 16 kHz and whole frames, from its first sound to its last.

    Args:
        sentence (`str`): The sentence, for the message.
        samples (`np.ndarray`): What was spoken, float32 in the range of int16.
        phones (`list[TimedPhone]`): Its phones, SIL among them, with times in these samples.
        tokens (`Sequence[Token]`): Its words.
        sample_rate (`int`): Of the samples.

    Returns:
        `tuple`: As [`~Synthesizer.speak_sentence`]; each phone has at least a frame.

    Raises:
        `ValueError`: If there is nothing but silence.
    """
    import soxr

    while phones and phones[-1].phone == SIL:
        phones.pop()
    while phones and phones[0].phone == SIL:
        phones.pop(0)
    if not phones:
        raise ValueError(f"There is nothing to speak in {sentence!r}.")
    first, last = phones[0].start, phones[-1].end

    # In float32: soxr dithers int16 output, with other noise every time, in silence too.
    speech = soxr.resample(samples[first:last], sample_rate, SAMPLE_RATE, quality="HQ")
    scale = SAMPLE_RATE / sample_rate
    num_samples = -(-round((last - first) * scale) // FRAME_SAMPLES) * FRAME_SAMPLES
    audio = np.zeros(num_samples, np.int16)
    audio[: len(speech)] = np.clip(np.rint(speech[:num_samples]), -32768, 32767)

    bounds = [round((phone.start - first) * scale) for phone in phones] + [num_samples]
    bounds = floor_to_frame(bounds, FRAME_SAMPLES)
    phones = [phone._replace(start=a, end=b) for phone, a, b in zip(phones, bounds, bounds[1:])]
    return audio, phones, word_times(tokens, phones)


@cache
def shared_synthesizer() -> EspeakSynthesizer:
    """The espeak of this process, for functions that worker processes call."""
    return EspeakSynthesizer()


def check_delivery(voice: str, pitch: int, rate: int) -> None:
    """Raise `ValueError` if there is no such voice, or the pitch or the rate is out of range."""
    if voice not in VOICES_BY_NAME:
        raise ValueError(f"Unknown voice {voice!r}; choose from {', '.join(VOICES_BY_NAME)}.")
    if not 0 <= pitch <= 99:
        raise ValueError(f"Pitch is {pitch}; it must be from 0 to 99.")
    check_rate(rate)


def check_rate(rate: int) -> None:
    """Raise `ValueError` if the rate is out of range."""
    if not 80 <= rate <= 400:
        raise ValueError(f"Rate is {rate} words per minute; it must be from 80 to 400.")


def tokens_of(sentence: str) -> list[Token]:
    """The white-space words of a sentence."""
    return [Token(match.group(), match.start()) for match in re.finditer(r"\S+", sentence)]


def _stressed(phones: list[str]) -> tuple[str, ...]:
    """What becomes of a word that is a sentence by itself: one that has no primary stress ("but", "of") gets it."""
    vowels = [i for i, phone in enumerate(phones) if phone[-1].isdigit()]
    if vowels and not any(phones[i][-1] == "1" for i in vowels):
        nucleus = max(vowels, key=lambda i: (phones[i][-1] == "2", i))
        phones[nucleus] = phones[nucleus][:-1] + "1"
    return tuple(phones)


def _in_seconds(key: str, intervals: Iterable[tuple[str, int, int]]) -> list[dict]:
    return [{key: symbol, "start": start / SAMPLE_RATE, "end": end / SAMPLE_RATE} for symbol, start, end in intervals]


def _append_silence(audio: list, phones: list, position: int, seconds: float) -> int:
    num_samples = round(seconds * SAMPLE_RATE / FRAME_SAMPLES) * FRAME_SAMPLES
    if num_samples > 0:
        audio.append(np.zeros(num_samples, np.int16))
        phones.append((SIL, position, position + num_samples))
    return position + num_samples


_QUOTES = str.maketrans({"“": " ", "”": " ", "„": " ", '"': " ", "«": " ", "»": " ", "‘": "'", "’": "'"})


def spoken_form(text: str) -> str:
    """The text as espeak reads it: without double quotes, at which it would pause; characters keep their places."""
    if not text.isascii():
        for character in text:
            # espeak would go on in the language of that letter, with sounds that are not English.
            if character.isalpha() and not unicodedata.name(character, "").startswith("LATIN"):
                raise ValueError(f"{character!r} in {text!r} is no letter of the Latin alphabet; leave such text out.")
    return text.translate(_QUOTES)
