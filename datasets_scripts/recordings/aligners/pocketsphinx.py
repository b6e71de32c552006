"""Forced alignment with PocketSphinx, which brings its English acoustic model and dictionary with it.

transcript -> words of the dictionary, or espeak's pronunciation -> word pass -> phone pass -> does it match? (what the
phones found explain of the sound, against what any phones would) -> stress -> [`Alignment`].
The dictionary has no stress: that of espeak's reading of the whole text is laid over the phones that were found, so
that recorded and synthesized utterances stress their words by the same rule.
"""

import re
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from ....models.audio import to_int16
from ....models.phones import SIL, SPN
from ...phones.stress import restore_stress
from ...synthesis.phone_events import TimedPhone, Token
from ...synthesis.synthesizer import shared_synthesizer
from .acoustic_model import HOP, WINDOW, shared_acoustic_model
from .alignment import Alignment, AlignmentError, has_letters, phones_by_word, tokens_of
from .paths import forced_path, phone_loop

_STEP = HOP  # PocketSphinx counts in frames of 10 ms
# A frame describes a window that is longer than a step, so that the border of two frames is where the middles of their
# windows meet, not where the second of them begins.
_CENTRE = (WINDOW - HOP) // 2
# Noise as loud as the recording's quietest moments is put around it: without it a last phone keeps the silence after
# it, since a recording that ends with its last word has too little for a SIL of three states.
_EDGE = 20 * _STEP
# A transcript is refused if its phones explain the worst stretch of so many frames of speech worse than this, in nats
# a frame, than a free loop of phones does. A frame counts at most `_WORST`, or single ones that fit no phone, which
# synthetic voices have, would decide. Silence fits any transcript and does not count. Chosen on LJ001-0001 to -0016
# and every other synthetic voice, in the middle between the worst of 52 true transcripts (-2.43) and the best of 156
# of other clips (-2.73); `docs/recordings.md` has what it does on others.
_STRETCH = 150
_WORST = 6.0
MIN_SCORE = -2.6
# A few words fit somewhere into any short clip, and silence takes up the rest: a transcript is refused, too, if more
# than this share of the sound's energy is outside its words. LJ001-0001 to LJ001-0032 have less than 0.001, with noise
# 0.12 at most; with a sentence of one to six words that is not theirs, 0.02 to 0.99, and none such passes both bounds.
MAX_OUTSIDE = 0.2
_FILLERS = {"SIL": SIL, "+NSN+": SIL, "+SPN+": SPN}
# With `bestpath`, PocketSphinx's default, 11 of those clips cannot be aligned; without it all can. Wider beams cost
# time, so they are tried only where the text was lost on the way.
_BEAMS = (
    {},
    {"beam": 1e-80, "pbeam": 1e-80, "wbeam": 1e-60},
    {"beam": 1e-160, "pbeam": 1e-160, "wbeam": 1e-120},
)
_WORD = re.compile(r"[a-z0-9']*[a-z0-9][a-z0-9']*")


class PocketSphinxAligner:
    """
    Aligns English read aloud, at some 20 times real time on one core.

    What it finds depends on its arguments only, not on what was aligned before.

    Args:
        min_score (`float`, *optional*, defaults to -2.6): A transcript that fits worse than this is refused. The score
            is how much better the transcript's phones explain the sound than any others would, as a mean difference of
            log-densities per 10 ms over the 1.5 s of speech that fit worst: about 0 at best, -6 at worst.
    """

    def __init__(self, min_score: float = MIN_SCORE):
        self.min_score = min_score
        self._decoders: dict[int, object] = {}
        self._model = shared_acoustic_model()
        self._synthesizer = shared_synthesizer()

    def align(self, audio: np.ndarray, text: str, name: str = "") -> Alignment:
        """
        Find the phones of a transcript in a recording; see [`~alignment.Aligner`].

        Raises:
            `AlignmentError`: If the transcript does not fit the recording, is too long for it, or has a word that
                cannot be pronounced.
        """
        tokens = tokens_of(text)
        samples = _with_edges(to_int16(audio))
        failure = ""
        for attempt in range(len(_BEAMS)):
            decoder = self._decoder(attempt)
            words = self._words(decoder, tokens)
            try:
                entries = _entries(decoder, samples, [word for _, word in words])
            except RuntimeError as error:
                failure = str(error)
                continue
            score = self._score(samples, entries)
            if score < self.min_score:
                raise AlignmentError(
                    f"The transcript does not match the recording: where it fits worst its score is {score:.2f}, "
                    f"below {self.min_score:g}."
                )
            phones = self._phones(entries, words, text, len(audio))
            outside = _energy_outside(audio, phones)
            if outside > MAX_OUTSIDE:
                raise AlignmentError(
                    f"The transcript does not match the recording: {outside:.0%} of the sound is outside its words, "
                    f"more than {MAX_OUTSIDE:.0%}."
                )
            return Alignment(phones, score)
        raise AlignmentError(f"The transcript could not be aligned with the recording ({failure}).")

    def _score(self, samples: np.ndarray, entries: list[tuple[str, list[tuple[str, int, int, int]]]]) -> float:
        """See [`PocketSphinxAligner`]."""
        phones = [found[0] for _, own in entries for found in own]
        log_densities = self._model.log_densities(samples)
        path = forced_path(self._model, log_densities, phones)
        if path is None:
            return -_WORST
        positions, explained = path
        is_speech = np.array([phone not in _FILLERS for phone in phones])[positions]
        differences = np.maximum(explained - phone_loop(self._model, log_densities), -_WORST)
        return _worst_stretch(differences[is_speech])

    def _decoder(self, attempt: int):
        if attempt not in self._decoders:
            from pocketsphinx import Decoder

            # The mean of the features is taken over the utterance: the default one carries over from the last.
            self._decoders[attempt] = Decoder(
                lm=None, cmn="batch", bestpath=False, loglevel="FATAL", **_BEAMS[attempt]
            )
        return self._decoders[attempt]

    def _words(self, decoder, tokens: Sequence[Token]) -> list[tuple[int, str]]:
        """Words of the dictionary with the index of their token; those that it lacks are added to it."""
        words = []
        for index, token in enumerate(tokens):
            spelling = token.word.lower().strip(".,!?;:-")
            parts = [spelling] if decoder.lookup_word(spelling) else _WORD.findall(spelling)
            for part in parts:
                if not decoder.lookup_word(part):
                    part = part.strip("'")
                if not decoder.lookup_word(part):
                    decoder.add_word(part, " ".join(self._pronounce(part)), True)
                words.append((index, part))
            if not parts and has_letters(token.word):
                raise AlignmentError(f"{token.word!r} has letters that are not English.")
        return words

    def _pronounce(self, word: str) -> list[str]:
        try:
            phones = self._synthesizer.pronounce([word])[0]
        except ValueError as error:
            raise AlignmentError(str(error)) from error
        if not phones:
            raise AlignmentError(f"The word {word!r} has no pronunciation.")
        return [phone.rstrip("012") for phone in phones]

    def _phones(
        self,
        entries: list[tuple[str, list[tuple[str, int, int, int]]]],
        words: list[tuple[int, str]],
        text: str,
        num_samples: int,
    ) -> list[TimedPhone]:
        """Phones with stress, in samples of the recording."""
        phones: list[TimedPhone] = []
        owners = iter(index for index, _ in words)
        owner = 0
        for _, found in entries:
            if found[0][0] not in _FILLERS:
                owner = next(owners)
            for symbol, start, length, _ in found:
                symbol = _FILLERS.get(symbol, symbol)
                start = start * _STEP + _CENTRE - _EDGE
                cut = [min(max(0, bound), num_samples) for bound in (start, start + length * _STEP)]
                phones.append(TimedPhone(symbol, *cut, owner))
        phones[-1] = phones[-1]._replace(end=num_samples)
        return _stressed(phones, self._readings(text))

    def _readings(self, text: str) -> list[list[str]]:
        """espeak's phones of each token, with the stress that it has in its sentence."""
        try:
            rendering = self._synthesizer.render(text)
        except ValueError as error:
            raise AlignmentError(str(error)) from error
        return [[phone["phone"] for phone in phones] for phones in phones_by_word(rendering)]


def _stressed(phones: list[TimedPhone], readings: list[list[str]]) -> list[TimedPhone]:
    stressed: list[TimedPhone] = []
    spoken = [phone for phone in phones if phone.phone not in (SIL, SPN)]
    for token, group in groupby(spoken, key=lambda phone: phone.token):
        own = list(group)
        symbols = restore_stress([phone.phone for phone in own], readings[token])
        stressed += [phone._replace(phone=symbol) for phone, symbol in zip(own, symbols)]
    noises = [phone for phone in phones if phone.phone == SPN]
    return sorted(stressed + noises, key=lambda phone: phone.start)


def _worst_stretch(differences: np.ndarray) -> float:
    sums = np.cumsum([0.0, *differences])
    length = min(_STRETCH, len(differences))
    return float((sums[length:] - sums[:-length]).min() / length)


def _energy_outside(audio: np.ndarray, phones: Sequence[TimedPhone]) -> float:
    energy = np.cumsum(np.concatenate([[0.0], audio.astype(np.float64) ** 2]))
    inside = sum(energy[phone.end] - energy[phone.start] for phone in phones)
    return float(1 - inside / energy[-1]) if energy[-1] else 0.0


def _with_edges(samples: np.ndarray) -> np.ndarray:
    whole = samples[: len(samples) // _STEP * _STEP].reshape(-1, _STEP).astype(np.float32)
    levels = np.sort(np.sqrt((whole**2).mean(1)))
    quiet = levels[len(levels) // 20] if len(levels) else 0.0
    noise = np.random.default_rng(0).normal(0, max(2.0, float(quiet)), 2 * _EDGE)
    noise = np.clip(np.rint(noise), -32768, 32767).astype(np.int16)
    return np.concatenate([noise[:_EDGE], samples, noise[_EDGE:]])


def _entries(decoder, samples: np.ndarray, words: list[str]) -> list[tuple[str, list[tuple[str, int, int, int]]]]:
    """
    Word pass and phone pass: words and fillers with symbol, first frame, frames and score of each phone.

    Raises:
        `RuntimeError`: If a pass does not come to the end of the text.
    """
    decoder.set_align_text(" ".join(words))
    _decode(decoder, samples)
    hypothesis = decoder.hyp()
    if hypothesis is None or hypothesis.hypstr != " ".join(words):
        raise RuntimeError("the sound ends before the text")
    decoder.set_alignment()
    _decode(decoder, samples)
    alignment = decoder.get_alignment()
    entries = []
    for entry in alignment or ():
        entries.append((entry.name, [(phone.name, phone.start, phone.duration, phone.score) for phone in entry]))
    if sum(found[0][0] not in _FILLERS for _, found in entries) != len(words):
        raise RuntimeError("the phones end before the text")
    return entries


def _decode(decoder, samples: np.ndarray) -> None:
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), no_search=False, full_utt=True)
    decoder.end_utt()
