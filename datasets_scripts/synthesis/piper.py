"""Speech in the natural voice of a Piper model, with the times that its own network gives.

sentence -> espeak's phonemes and words -> ids of its IPA ([`Layout`]) -> [`PiperVoice`] -> samples, and how long each
id lasts -> the events that espeak would have reported -> phones and words as of espeak (`phone_events.py`).
What espeak pronounces is thus said here, too: same text, same phones, natural timbre.

In front of each phoneme stands a blank, and in front of a word a space; a network learns to begin a sound in them, so
their time is that of the sound that follows. A pause is a mark of punctuation with the blanks around it.
"""

import random
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from .espeak import Espeak
from .phone_events import MIN_PAUSE, PhoneEvent, TimedPhone, phones_of
from .piper_voice import PiperVoice
from .synthesizer import Synthesizer, check_rate, on_frames, shared_synthesizer, spoken_form, tokens_of
from .voices import BASE_VOICE, FIXED_RATE, SpeakerSettings, draw_rate

_PITCH = 50
_BEGIN, _END, _BLANK = "^", "$", "_"
_MARKS = "',%="
_STRESS = {"'": "\u02c8", ",": "\u02cc"}
_STRESS_MARKS = "".join(_STRESS.values())
# The glide that espeak inserts between two vowels has no IPA in its version 1.52, and this one in later ones.
_GLIDES = {";": "\u02b2"}
_PUNCTUATION = ".,?!:;"
_PAUSE = "_:"
# Pronounced with every phoneme and both stress marks of espeak's American English, but for loan words and names.
_PROBE = (
    "That quick beige fox jumps over the lazy dog, which yawns: a boy bought five roses, butter and buttons in the "
    "thin azure air; how could she measure seeing good girls through another unhappy church?"
)


class Layout(NamedTuple):
    """
    A sentence as a voice reads it.

    Args:
        ids (`list[int]`): Of its phonemes with blanks and marks.
        events (`list[tuple[str, int, int]]`): espeak's mnemonic, or a pause; the first of its ids; and where its word
            starts in the sentence, in characters.
        end (`int`): The first id that is not part of the sentence's sounds.
    """

    ids: list[int]
    events: list[tuple[str, int, int]]
    end: int


class PiperSynthesizer(Synthesizer):
    """
    Speaks English as a Piper voice does.

    Args:
        voice ([`PiperVoice`]): The voice. Its first speaker, or its only one, is `"one"`; all of them are `"many"`.

    Raises:
        `ValueError`: If the voice lacks a phoneme of American English, or a mark.
    """

    def __init__(self, voice: PiperVoice):
        missing = sorted(english_symbols() - voice.phoneme_ids.keys())
        if missing:
            raise ValueError(
                f"The voice {voice.name} cannot speak English as espeak pronounces it: its phoneme_id_map lacks "
                f"{', '.join(map(repr, missing))}; choose another voice."
            )
        self.voice = voice

    def speakers(self, voices: str) -> tuple[str, ...]:
        """Names of the speakers."""
        names = tuple(self.voice.speakers)
        if voices == "one":
            return (self.voice.default_speaker,)
        if voices != "many":
            raise ValueError(f"Unknown voices {voices!r}; choose from one, many.")
        if len(names) == 1:
            raise ValueError(f"The voice {self.voice.name} has a single speaker; pass --voices one.")
        return names

    def speaker_settings(self, utterance_id: str, voices: str, rate: str, seed: int) -> SpeakerSettings:
        """Draw a speaker and the rate of an utterance; the pitch is the speaker's own."""
        generator = random.Random(f"voice-{seed}-{utterance_id}")
        return SpeakerSettings(generator.choice(self.speakers(voices)), _PITCH, draw_rate(utterance_id, rate, seed))

    def check_delivery(self, voice: str, pitch: int, rate: int) -> None:
        """Raise `ValueError` if there is no such speaker, or the pitch or the rate is out of range."""
        if voice not in self.voice.speakers:
            known = ", ".join(self.voice.speakers)
            raise ValueError(f"{self.voice.name} has no speaker {voice!r}; choose from {known}.")
        if pitch != _PITCH:
            raise ValueError(f"Pitch is {pitch}; a neural voice has only its own, {_PITCH}.")
        check_rate(rate)

    def speak_sentence(
        self, sentence: str, voice: str, pitch: int, rate: int
    ) -> tuple[np.ndarray, list[TimedPhone], list[tuple[str, int, int]]]:
        """
        As every synthesizer. At the fixed rate, drawn or not, durations are the likeliest of the text; at another they
        are stretched and drawn, as the voice's `noise_w` says.
        """
        layout = lay_out(sentence, shared_synthesizer().espeak, self.voice)
        slowness = FIXED_RATE / rate
        samples, lengths = self.voice.speak(layout.ids, voice, slowness, random_durations=rate != FIXED_RATE)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        events = [PhoneEvent(symbol, int(starts[first]), position) for symbol, first, position in layout.events]
        samples = samples[: starts[layout.end]] * 2**15
        tokens, min_pause = tokens_of(sentence), round(MIN_PAUSE * self.voice.sample_rate)
        phones = phones_of(events, samples, tokens, closures=(), min_pause=min_pause)
        return on_frames(sentence, samples, phones, tokens, self.voice.sample_rate)


@cache
def english_symbols() -> frozenset[str]:
    """What a voice has to know: characters of the IPA of English, and the marks of a sentence's layout."""
    clauses = shared_synthesizer().espeak.transcribe(_PROBE, BASE_VOICE.name)
    written = "".join(_with_stress(symbol, ipa) for clause in clauses for word in clause for symbol, ipa in word)
    return frozenset(f"{unicodedata.normalize('NFD', written)}{_BEGIN}{_END}{_BLANK}{_PUNCTUATION} ")


def lay_out(sentence: str, espeak: Espeak, voice: PiperVoice) -> Layout:
    """
    Write a sentence in the ids of a voice.

    Args:
        sentence (`str`): The sentence.
        espeak ([`Espeak`]): What pronounces it.
        voice ([`PiperVoice`]): The voice.

    Raises:
        `ValueError`: If there is nothing to speak, or a phoneme that the voice does not have.
    """
    spoken = spoken_form(sentence)
    _, events = espeak.speak(spoken, BASE_VOICE.name, _PITCH, FIXED_RATE)
    sounds = [event for event in events if not event.symbol.startswith("_")]
    clauses = espeak.transcribe(spoken, BASE_VOICE.name)
    _check_same(sentence, sounds, clauses)
    ids = [*voice.phoneme_ids[_BEGIN], *voice.phoneme_ids[_BLANK]]
    placed: list[tuple[str, int, int]] = []
    end, number = 0, 0
    for clause in clauses:
        for i, word in enumerate(clause):
            for j, (_, ipa) in enumerate(word):
                event, blank = sounds[number], len(ids) - 1
                number += 1
                _append(ids, (" " if i and not j else "") + _with_stress(event.symbol, ipa), voice)
                placed.append((event.symbol, blank, event.text_position))
        last_position = placed[-1][2]
        following = sounds[number].text_position if number < len(sounds) else len(spoken)
        mark = next((mark for mark in reversed(spoken[last_position:following]) if mark in _PUNCTUATION), None)
        if number == len(sounds):
            end = len(ids)
            _append(ids, mark or ".", voice)
        else:
            placed.append((_PAUSE, len(ids) - 1, last_position))
            _append(ids, f"{mark or ','} ", voice)
    return Layout([*ids, *voice.phoneme_ids[_END]], placed, end)


def _check_same(sentence: str, sounds: Sequence[PhoneEvent], clauses: list[list[list[tuple[str, str]]]]) -> None:
    """What is spoken and what is written are two answers of espeak, which differ in stress at most."""
    if not sounds:
        raise ValueError(f"There is nothing to speak in {sentence!r}.")
    written = [mnemonic for clause in clauses for word in clause for mnemonic, _ in word]
    if [mnemonic.lstrip(_MARKS) for mnemonic in written] != [event.symbol.lstrip(_MARKS) for event in sounds]:
        raise ValueError(f"espeak speaks {sentence!r} otherwise than it writes it; leave it out.")


def _with_stress(symbol: str, ipa: str) -> str:
    """The IPA of a mnemonic with the stress that it is spoken with."""
    marks = symbol[: len(symbol) - len(symbol.lstrip(_MARKS))]
    return "".join(_STRESS.get(mark, "") for mark in marks) + (ipa.strip(_STRESS_MARKS) or _GLIDES.get(symbol, ""))


def _append(ids: list[int], symbols: str, voice: PiperVoice) -> None:
    """Add ids of symbols, each with a blank behind it."""
    for symbol in unicodedata.normalize("NFD", symbols):
        if symbol not in voice.phoneme_ids:
            raise ValueError(f"The voice {voice.name} has no phoneme {symbol!r}; leave such text out.")
        ids += [*voice.phoneme_ids[symbol], *voice.phoneme_ids[_BLANK]]
