"""Speech synthesis: text -> 16 kHz audio with word and phone times, in one voice or many.

text -> sentences -> espeak's samples and events -> [`EspeakSynthesizer.render`] -> [`Rendering`].
Each sentence is spoken by itself, starts and ends on a 20 ms frame and is followed by exactly [`SENTENCE_PAUSE`], so a
text rendered whole is, sample by sample, its sentences rendered one by one.
"""

import re
import unicodedata
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
from .voices import BASE_VOICE, FIXED_RATE, VOICES_BY_NAME

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


class EspeakSynthesizer:
    """
    Speaks and pronounces English.

    What it makes depends on its arguments only, not on what was spoken before. All objects of a process share one
    library and take turns: parallel work needs processes.

    Attributes:
        espeak (`Espeak`): The library with all voices, for what is given in its own alphabet.
    """

    def __init__(self):
        self.espeak = Espeak({voice.name: voice.definition for voice in VOICES_BY_NAME.values()})
        self._closures: dict[int, list[int]] = {}

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
                Name of a voice in [`VOICES`].
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
        check_delivery(voice, pitch, rate)
        sentences = [part for given in ([text] if isinstance(text, str) else text) for part in split_sentences(given)]
        if not sentences:
            raise ValueError("There is nothing to speak in an empty text.")
        closures = self._closures_at(rate)

        audio, words, phones, position = [], [], [], 0
        silences = [leading_silence] + [SENTENCE_PAUSE] * (len(sentences) - 1)
        for silence, sentence in zip(silences, sentences):
            position = _append_silence(audio, phones, position, silence)
            samples, sentence_phones, sentence_words = self._speak_sentence(sentence, voice, pitch, rate, closures)
            audio.append(samples)
            phones += [(phone.phone, position + phone.start, position + phone.end) for phone in sentence_phones]
            words += [(word, position + start, position + end) for word, start, end in sentence_words]
            position += len(samples)
        _append_silence(audio, phones, position, trailing_silence)
        return Rendering.from_samples(np.concatenate(audio), words, phones)

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
        symbols = self.espeak.phonemes([_spoken_form(word) for word in words], BASE_VOICE.name)
        return [
            _stressed([phone for phones in espeak_word_to_arpabet(word) for phone in phones if phone != SIL])
            for word in symbols
        ]

    def _speak_sentence(
        self, sentence: str, voice: str, pitch: int, rate: int, closures: Sequence[int]
    ) -> tuple[np.ndarray, list[TimedPhone], list[tuple[str, int, int]]]:
        """16 kHz samples in whole frames, with phones and words in them."""
        import soxr

        tokens = [Token(match.group(), match.start()) for match in re.finditer(r"\S+", sentence)]
        samples, events = self.espeak.speak(_spoken_form(sentence), voice, pitch, rate)
        phones = phones_of(events, samples, tokens, closures, round(MIN_PAUSE * ESPEAK_SAMPLE_RATE))
        while phones and phones[-1].phone == SIL:
            phones.pop()
        while phones and phones[0].phone == SIL:
            phones.pop(0)
        if not phones:
            raise ValueError(f"There is nothing to speak in {sentence!r}.")
        first, last = phones[0].start, phones[-1].end

        # In float32: soxr dithers int16 output, with other noise every time, in silence too.
        speech = soxr.resample(samples[first:last].astype(np.float32), ESPEAK_SAMPLE_RATE, SAMPLE_RATE, quality="HQ")
        scale = SAMPLE_RATE / ESPEAK_SAMPLE_RATE
        num_samples = -(-round((last - first) * scale) // FRAME_SAMPLES) * FRAME_SAMPLES
        audio = np.zeros(num_samples, np.int16)
        audio[: len(speech)] = np.clip(np.rint(speech[:num_samples]), -32768, 32767)

        bounds = [round((phone.start - first) * scale) for phone in phones] + [num_samples]
        bounds = floor_to_frame(bounds, FRAME_SAMPLES)
        phones = [phone._replace(start=a, end=b) for phone, a, b in zip(phones, bounds, bounds[1:])]
        return audio, phones, word_times(tokens, phones)

    def _closures_at(self, rate: int) -> list[int]:
        """Lengths of closures that espeak makes at a rate, read off the base voice, whose sounds end clearly."""
        if rate not in self._closures:
            samples, events = self.espeak.speak(_CLOSURES, BASE_VOICE.name, 50, rate)
            self._closures[rate] = closure_lengths(events, samples, ESPEAK_SAMPLE_RATE)
        return self._closures[rate]


@cache
def shared_synthesizer() -> EspeakSynthesizer:
    """The synthesizer of this process, for functions that worker processes call."""
    return EspeakSynthesizer()


def check_delivery(voice: str, pitch: int, rate: int) -> None:
    """Raise `ValueError` if there is no such voice, or the pitch or the rate is out of range."""
    if voice not in VOICES_BY_NAME:
        raise ValueError(f"Unknown voice {voice!r}; choose from {', '.join(VOICES_BY_NAME)}.")
    if not 0 <= pitch <= 99:
        raise ValueError(f"Pitch is {pitch}; it must be from 0 to 99.")
    if not 80 <= rate <= 400:
        raise ValueError(f"Rate is {rate} words per minute; it must be from 80 to 400.")


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


def _spoken_form(text: str) -> str:
    """The text as espeak reads it: without double quotes, at which it would pause; characters keep their places."""
    if not text.isascii():
        for character in text:
            # espeak would go on in the language of that letter, with sounds that are not English.
            if character.isalpha() and not unicodedata.name(character, "").startswith("LATIN"):
                raise ValueError(f"{character!r} in {text!r} is no letter of the Latin alphabet; leave such text out.")
    return text.translate(_QUOTES)
