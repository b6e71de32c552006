"""Speech synthesis: text -> 16 kHz audio with word and phone times, in one voice or many.

text -> sentences -> espeak samples and phone events -> ARPAbet phones on 16 kHz samples -> [`Rendering`].
Each sentence is spoken by itself, starts and ends on a 20 ms frame and is followed by exactly [`SENTENCE_PAUSE`], so a
text rendered whole is, sample by sample, its sentences rendered one by one.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..models.phones import SIL, espeak_to_arpabet
from .espeak import SAMPLE_RATE as ESPEAK_SAMPLE_RATE
from .espeak import Espeak, PhoneEvent

SAMPLE_RATE = 16_000
FRAME = 320  # samples in 20 ms, the step of the units that are read off this audio
EDGE_SILENCE = 0.1
SENTENCE_PAUSE = 0.3
MIN_PAUSE = 0.05
FIXED_RATE = 175
RATE_RANGE = (140, 210)


@dataclass(frozen=True)
class Voice:
    """
    One speaker.

    Args:
        name (`str`): Name of the voice, the `speaker` column of utterances.
        formants (`int`): Formant frequencies in per cent of an adult man's; a shorter vocal tract has more.
        pitch (`tuple[int, int]`): Base pitch of low and high intonation in Hz.
        pitch_range (`tuple[int, int]`): Range of the pitch setting (50 leaves `pitch` as it is, 100 doubles it, 0
            halves it) that [`speaker_settings`] draws from.
        voicing (`int`): Loudness of voicing, 64 is normal.
        breath (`int`): Loudness of aspiration noise in voiced sounds.
        bandwidth (`int`): Width of the formants in per cent.
    """

    name: str
    formants: int = 100
    pitch: tuple[int, int] = (82, 118)
    pitch_range: tuple[int, int] = (50, 50)
    voicing: int = 64
    breath: int = 0
    bandwidth: int = 100

    @property
    def definition(self) -> str:
        """The voice as a variant file of espeak: a Klatt synthesizer, whose timing does not depend on the voice."""
        lines = ["language variant", f"name {self.name}", "klatt 6", "flutter 0", "roughness 0"]
        lines += [f"pitch {self.pitch[0]} {self.pitch[1]}", f"voicing {self.voicing}"]
        lines += [f"breath 0 {self.breath}"] if self.breath else []
        lines += [f"formant {i} {self.formants} 100 {self.bandwidth}" for i in range(1, 7)]
        return "\n".join(lines) + "\n"


def _many_voices() -> tuple[Voice, ...]:
    voices = []
    for i, formants in enumerate((88, 91, 94, 97, 100, 103, 106, 109)):
        low = 74 + 5 * ((3 * i) % 8)
        voices.append(Voice(f"male-{i + 1}", formants, (low, low * 3 // 2), (40, 60), bandwidth=(85, 100, 120)[i % 3]))
    for i, formants in enumerate((108, 111, 114, 117, 120, 123, 113, 118)):
        low = 140 + 8 * ((3 * i) % 8)
        voices.append(Voice(f"female-{i + 1}", formants, (low, low * 3 // 2), (40, 60), bandwidth=(100, 120, 85)[i % 3]))
    for i, formants in enumerate((122, 126, 130, 134)):
        low = 210 + 15 * ((3 * i) % 4)
        voices.append(Voice(f"child-{i + 1}", formants, (low, low * 3 // 2), (40, 60), bandwidth=(120, 100)[i % 2]))
    return tuple(voices)


VOICES = {"one": (Voice("base"),), "many": _many_voices()}
RATES = ("fixed", "random")
_VOICE_NAMES = {voice.name: voice for voices in VOICES.values() for voice in voices}


@dataclass
class Rendering:
    """
    A spoken text.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): int16, 16 kHz, mono; a whole number of 20 ms frames.
        words (`list[dict]`): `{"word", "start", "end"}` of each white-space word of the text, in seconds.
        phones (`list[dict]`): `{"phone", "start", "end"}`, from 0 to the duration without gaps.
    """

    audio: np.ndarray
    words: list[dict]
    phones: list[dict]

    @property
    def duration(self) -> float:
        """Length of the audio in seconds."""
        return len(self.audio) / SAMPLE_RATE


@dataclass(frozen=True)
class SpeakerSettings:
    """
    How one utterance is spoken.

    Args:
        voice (`str`): Name of a [`Voice`].
        pitch (`int`): Pitch setting, 0 to 99.
        rate (`int`): Words per minute.
    """

    voice: str
    pitch: int
    rate: int


def speaker_settings(utterance_id: str, voices: str = "one", rate: str = "fixed", seed: int = 0) -> SpeakerSettings:
    """
    Draw voice, pitch and rate of an utterance; they depend on the arguments and on nothing else.

    Args:
        utterance_id (`str`): Id of the utterance.
        voices (`str`, *optional*, defaults to `"one"`): `"one"` or `"many"`.
        rate (`str`, *optional*, defaults to `"fixed"`): `"fixed"` for 175 words per minute, `"random"` for a whole
            number from 140 to 210. The rate of an utterance is the same for `"one"` and `"many"` voices.
        seed (`int`, *optional*, defaults to 0): Seed.

    Raises:
        `ValueError`: If there is no such set of voices or no such rate.
    """
    if voices not in VOICES:
        raise ValueError(f"Unknown voices {voices!r}; choose from {', '.join(VOICES)}.")
    if rate not in RATES:
        raise ValueError(f"Unknown rate {rate!r}; choose from {', '.join(RATES)}.")
    words_per_minute = FIXED_RATE
    if rate == "random":
        words_per_minute = random.Random(f"rate-{seed}-{utterance_id}").randint(*RATE_RANGE)
    generator = random.Random(f"voice-{seed}-{utterance_id}")
    voice = generator.choice(VOICES[voices])
    return SpeakerSettings(voice.name, generator.randint(*voice.pitch_range), words_per_minute)


_ABBREVIATIONS = frozenset("mr mrs ms dr st prof rev capt col gen lieut lt sgt jr sr vs etc messrs mt no esq hon".split())
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)")


def split_sentences(text: str) -> list[str]:
    """
    Split a text where a sentence ends: at `.`, `!` or `?` (and closing quotes) in front of a word that does not begin
    in lower case, but not after an abbreviation such as "Mr." or an initial.
    """
    sentences, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        following = text[match.end() :].lstrip().lstrip("\"'“‘([")
        word = text[start : match.start()].rpartition(" ")[2].strip("\"'“‘([").lower()
        abbreviated = text[match.start()] == "." and (word in _ABBREVIATIONS or (len(word) == 1 and word not in "ai"))
        if not following or following[0].islower() or abbreviated:
            continue
        sentences.append(text[start : match.end()].strip())
        start = match.end()
    if rest := text[start:].strip():
        sentences.append(rest)
    return sentences


class EspeakSynthesizer:
    """
    Speaks and pronounces English. One object a process: espeak-ng is global.

    What it makes depends on its arguments only, not on what was spoken before.
    """

    def __init__(self):
        self._espeak = Espeak({voice.name: voice.definition for voice in _VOICE_NAMES.values()})

    def render(
        self,
        text: str | Sequence[str],
        voice: str = "base",
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
                Pitch setting from 0 to 99; changes no times.
            rate (`int`, *optional*, defaults to 175):
                Words per minute, from 80 to 450.
            leading_silence (`float`, *optional*, defaults to 0.1):
                Seconds of silence at the beginning, rounded to whole 20 ms frames.
            trailing_silence (`float`, *optional*, defaults to 0.1):
                The same for the end. With [`SENTENCE_PAUSE`], and no leading silence for what follows, two renderings
                put together equal the rendering of the texts put together.

        Returns:
            [`Rendering`]

        Raises:
            `ValueError`: If the voice is unknown, pitch or rate are out of range, the text has nothing to speak, or
                espeak speaks it with a sound that English lacks.
        """
        if voice not in _VOICE_NAMES:
            raise ValueError(f"Unknown voice {voice!r}; choose from {', '.join(_VOICE_NAMES)}.")
        if not 0 <= pitch <= 99 or not 80 <= rate <= 450:
            raise ValueError(f"Pitch {pitch} must be from 0 to 99 and rate {rate} from 80 to 450 words per minute.")
        given = [text] if isinstance(text, str) else list(text)
        sentences = [sentence for part in given for sentence in split_sentences(part)]
        if not sentences:
            raise ValueError("There is nothing to speak in an empty text.")
        self._espeak.set_voice(voice, pitch, rate)

        audio, words, phones = [], [], []
        position = _append_silence(audio, phones, 0, leading_silence)
        for i, sentence in enumerate(sentences):
            if i > 0:
                position = _append_silence(audio, phones, position, SENTENCE_PAUSE)
            samples, sentence_phones, sentence_words = self._speak_sentence(sentence)
            audio.append(samples)
            phones.extend((phone, position + start, position + end) for phone, start, end in sentence_phones)
            words.extend((word, position + start, position + end) for word, start, end in sentence_words)
            position += len(samples)
        _append_silence(audio, phones, position, trailing_silence)
        return Rendering(
            np.concatenate(audio),
            [{"word": word, "start": a / SAMPLE_RATE, "end": b / SAMPLE_RATE} for word, a, b in words],
            [{"phone": phone, "start": a / SAMPLE_RATE, "end": b / SAMPLE_RATE} for phone, a, b in phones],
        )

    def pronounce(self, words: Sequence[str]) -> list[tuple[str, ...]]:
        """
        Pronounce words one by one, without speaking them.

        Returns:
            `list[tuple[str, ...]]`: Phones of each word: what [`~EspeakSynthesizer.render`] gives for it, less SIL.
        """
        self._espeak.set_voice("base", 50, FIXED_RATE)
        return [
            tuple(
                phone
                for symbol in self._espeak.phonemes(_spoken_form(word))
                for phone in espeak_to_arpabet(symbol)
                if phone != SIL
            )
            for word in words
        ]

    def _speak_sentence(self, sentence: str) -> tuple[np.ndarray, list[tuple], list[tuple]]:
        """16 kHz samples in whole frames, and phones and words as (symbol, start, end) in samples."""
        import soxr

        samples, events = self._espeak.speak(_spoken_form(sentence))
        tokens = [(match.group(), match.start(), match.end()) for match in re.finditer(r"\S+", sentence)]
        phones = _events_to_phones(events, len(samples), tokens)
        while phones and phones[0][0] == SIL:
            phones.pop(0)
        while phones and phones[-1][0] == SIL:
            phones.pop()
        if not phones:
            raise ValueError(f"There is nothing to speak in {sentence!r}.")
        first, last = phones[0][1], phones[-1][2]
        audio = soxr.resample(samples[first:last], ESPEAK_SAMPLE_RATE, SAMPLE_RATE, quality="HQ")
        num_frames = -(-round((last - first) * SAMPLE_RATE / ESPEAK_SAMPLE_RATE) // FRAME)
        audio = np.pad(audio[: num_frames * FRAME], (0, max(0, num_frames * FRAME - len(audio))))

        bounds = [round((start - first) * SAMPLE_RATE / ESPEAK_SAMPLE_RATE) for _, start, _, _ in phones]
        bounds = _at_least_a_frame([*bounds, len(audio)])
        spans = list(zip(phones, bounds, bounds[1:]))
        return (
            audio,
            [(phone, start, end) for (phone, *_), start, end in spans],
            _word_times(tokens, [(token, start, end) for (phone, _, _, token), start, end in spans if phone != SIL]),
        )


def _append_silence(audio: list, phones: list, position: int, seconds: float) -> int:
    num_samples = round(seconds * SAMPLE_RATE / FRAME) * FRAME
    if num_samples > 0:
        audio.append(np.zeros(num_samples, np.int16))
        phones.append((SIL, position, position + num_samples))
    return position + num_samples


_QUOTES = str.maketrans({"“": " ", "”": " ", '"': " ", "„": " ", "‘": "'", "’": "'", "«": " ", "»": " "})


def _spoken_form(text: str) -> str:
    """The text as espeak reads it: without double quotes, at which it would pause; of the same length."""
    return text.translate(_QUOTES)


def _events_to_phones(events: list[PhoneEvent], num_samples: int, tokens: list[tuple]) -> list[tuple]:
    """
    ARPAbet phones as (phone, start, end, token) from espeak's events, in espeak's samples.

    A symbol without a sound of its own, and a pause under [`MIN_PAUSE`], leave their time to the phone before them.
    """
    phones, token = [], 0
    for event, end in zip(events, [*(event.sample for event in events[1:]), num_samples]):
        mapped = espeak_to_arpabet(event.symbol)
        if mapped and mapped[0] != SIL:
            while token + 1 < len(tokens) and event.text_position >= tokens[token + 1][1]:
                token += 1
        for i, phone in enumerate(mapped):
            start = event.sample + (end - event.sample) * i // len(mapped)
            phones.append((phone, start, token))
    merged = []
    for (phone, start, token), end in zip(phones, [*(start for _, start, _ in phones[1:]), num_samples]):
        if merged and phone == SIL and merged[-1][0] == SIL:
            merged[-1] = (SIL, merged[-1][1], end, token)
        else:
            merged.append((phone, start, end, token))
    kept = []
    for phone, start, end, token in merged:
        if phone == SIL and end - start < MIN_PAUSE * ESPEAK_SAMPLE_RATE and kept:
            kept[-1] = (kept[-1][0], kept[-1][1], end, kept[-1][3])
        else:
            kept.append((phone, start, end, token))
    return kept


def _at_least_a_frame(bounds: list[int]) -> list[int]:
    """Move inner bounds so that no span is shorter than a frame, as far as the total allows; ends stay."""
    shortest = min(FRAME, bounds[-1] // (len(bounds) - 1))
    lengths = [end - start for start, end in zip(bounds, bounds[1:])]
    for i, length in enumerate(lengths):
        neighbours = [j for j in (i - 1, i + 1) if 0 <= j < len(lengths)]
        for j in sorted(neighbours, key=lambda j: -lengths[j]):
            taken = max(0, min(shortest - lengths[i], lengths[j] - shortest))
            lengths[i] += taken
            lengths[j] -= taken
    moved = list(np.cumsum([0, *lengths]))
    for i in range(1, len(moved) - 1):  # what the neighbours could not give, phones further away do
        moved[i] = max(moved[i], moved[i - 1] + shortest)
    for i in range(len(moved) - 2, 0, -1):
        moved[i] = min(moved[i], moved[i + 1] - shortest)
    return [int(bound) for bound in moved]


def _word_times(tokens: list[tuple], phones: list[tuple]) -> list[tuple]:
    """
    Times of all white-space words, from the phones that espeak gave to some of them.

    espeak speaks function words as one ("on the") and gives their phones to the first: they are shared out by letters.
    A word without a sound, such as a dash, has no length.
    """
    spans: dict[int, list] = {}
    for token, start, end in phones:
        spans.setdefault(token, []).append((start, end))
    words, i, position = [], 0, phones[0][1]
    while i < len(tokens):
        group = [i]
        while group[-1] + 1 < len(tokens) and group[-1] + 1 not in spans:
            group.append(group[-1] + 1)
        own = spans.get(i, [])
        letters = [sum(character.isalnum() for character in tokens[j][0]) for j in group]
        given, total = 0, sum(letters)
        for j, count in zip(group, letters):
            first = round(given * len(own) / total) if total else 0
            given += count
            last = round(given * len(own) / total) if total else 0
            if first < last:
                words.append((tokens[j][0], own[first][0], own[last - 1][1]))
                position = own[last - 1][1]
            else:
                words.append((tokens[j][0], position, position))
        i = group[-1] + 1
    return words
