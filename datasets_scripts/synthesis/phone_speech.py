"""Phones made audible: ARPAbet with stress -> espeak's mnemonics -> 16 kHz audio, so that a phone model can be heard.

phones -> phrases between SIL -> `[[...]]` -> espeak's samples and events -> the phones of these events, which are the
ones that were asked for -> [`Rendering`]. The inverse of the table in `models/phones.py`.
"""

from collections.abc import Sequence

import numpy as np

from ...models.audio import FRAME_SAMPLES, SAMPLE_RATE
from ...models.phones import ARPABET, CONSONANTS, SIL, SPN, VOWELS, espeak_to_arpabet
from .espeak import SAMPLE_RATE as ESPEAK_SAMPLE_RATE
from .phone_events import PhoneEvent, floor_to_frame
from .synthesizer import EDGE_SILENCE, Rendering, check_delivery, shared_synthesizer
from .voices import BASE_VOICE, FIXED_RATE

PAUSE = 0.2
"""Seconds of a SIL between sounds, and of an SPN."""

_MAX_PHRASE = 100  # espeak holds about 200 phonemes of a word
_NOISE = 300

_SYMBOLS = {
    **dict(zip(VOWELS, ["A:", "a", "V", "O:", "aU", "aI", "E", "3:", "eI", "I", "i:", "oU", "OI", "U", "u:"])),
    **{consonant: consonant.lower() for consonant in CONSONANTS},
    **{"CH": "tS", "DH": "D", "HH": "h", "JH": "dZ", "NG": "N", "SH": "S", "TH": "T", "Y": "j", "ZH": "Z"},
}
_STRESS = {"0": "", "1": "'", "2": ","}
_SEPARATOR = "|"  # else T and SH would be read as CH
_BOUNDARY = "||"
# Spoken after a phrase in which no vowel has primary stress, and cut off again: espeak would give it to one of them.
_CARRIER = " _:|t|'i:"
_NUM_CARRIER_SOUNDS = 2


def speak_phones(
    phones: Sequence[str], voice: str = BASE_VOICE.name, pitch: int = 50, rate: int = FIXED_RATE
) -> np.ndarray:
    """
    Speak phones.

    Args:
        phones (`Sequence[str]`): Symbols of [`ARPABET`], such as `["HH", "AH0", "L", "OW1"]`.
        voice (`str`, *optional*, defaults to `"base"`): Name of a voice in [`VOICES`].
        pitch (`int`, *optional*, defaults to 50): Base pitch, 0 to 99; 50 is the voice's own.
        rate (`int`, *optional*, defaults to 175): Words per minute, 80 to 400.

    Returns:
        `np.ndarray` of shape `(num_samples,)`: int16, 16 kHz; a whole number of 20 ms frames.

    Raises:
        `ValueError`: As [`render_phones`].
    """
    return render_phones(phones, voice, pitch, rate).audio


def render_phones(
    phones: Sequence[str], voice: str = BASE_VOICE.name, pitch: int = 50, rate: int = FIXED_RATE
) -> Rendering:
    """
    Speak phones, and say when each was spoken.

    Durations are espeak's own: repeats in a sequence of frames must be removed first. SIL is a pause of [`PAUSE`], or
    of [`EDGE_SILENCE`] at either end; SPN, which no synthesizer can say, is so long a hiss. An ER in front of a vowel
    is linked to it by an r, as Americans do, whether or not an R was asked for.

    Args:
        phones (`Sequence[str]`): Symbols of [`ARPABET`].
        voice (`str`, *optional*, defaults to `"base"`): As in [`speak_phones`].
        pitch (`int`, *optional*, defaults to 50): As in [`speak_phones`].
        rate (`int`, *optional*, defaults to 175): As in [`speak_phones`].

    Returns:
        [`Rendering`]: Audio and phones, as espeak reports them, with SIL only where one was asked for; a stop begins
        where it bursts, and a phone without a length of its own has 20 ms of a neighbour's. There are no words.

    Raises:
        `ValueError`: If there is no phone, one is unknown, or the voice, the pitch or the rate are.
        `RuntimeError`: If espeak says other phones than these.
    """
    check_delivery(voice, pitch, rate)
    phones = list(phones)
    if not phones:
        raise ValueError("There are no phones to speak; give at least one.")
    if unknown := [phone for phone in phones if phone not in ARPABET]:
        raise ValueError(
            f"{unknown[0]!r} is no phone; give symbols of ARPAbet in which vowels have their stress, such as AH0 or "
            f"OW1, or {SIL}, without repeats of frames."
        )
    audio, timed, position = [], [], 0
    for first, phrase in _phrases(phones):
        if phrase[0] in (SIL, SPN):
            at_edge = first == 0 or first + 1 == len(phones)
            seconds = EDGE_SILENCE if at_edge and phrase[0] == SIL else PAUSE
            samples = np.zeros(round(seconds * SAMPLE_RATE), np.int16)
            if phrase[0] == SPN:
                samples = np.random.default_rng(0).normal(0, _NOISE, len(samples)).astype(np.int16)
            starts = [0]
        else:
            samples, starts = _speak_phrase(phrase, voice, pitch, rate)
        ends = [*starts[1:], len(samples)]
        timed += [(phone, position + start, position + end) for phone, start, end in zip(phrase, starts, ends)]
        audio.append(samples)
        position += len(samples)
    return Rendering.from_samples(np.concatenate(audio), [], timed)


def phones_to_mnemonics(phones: Sequence[str]) -> str:
    """
    Write phones in espeak's mnemonics, such that espeak's rules for neighbouring sounds leave them as they are.

    Args:
        phones (`Sequence[str]`): Symbols of [`ARPABET`] other than SIL and SPN.

    Returns:
        `str`: What belongs between `[[` and `]]`.
    """
    text = ""
    for phone, following in zip(phones, [*phones[1:], None]):
        stress = _STRESS.get(phone[-1], "")
        name = phone[:-1] if phone[-1] in _STRESS else phone
        symbol = _SYMBOLS[name]
        if name == "IH" and following is None and stress != "'":
            symbol = "I#"  # at the end of a word I becomes i
        joined_by = _SEPARATOR
        if phone == "N" and following in ("K", "G", "NG"):
            joined_by = _BOUNDARY  # within a word n becomes N
        text += stress + symbol + (joined_by if following is not None else "")
    return text


def _phrases(phones: list[str]) -> list[tuple[int, list[str]]]:
    """Runs of sounds with the index of their first, not too long; each SIL and SPN by itself."""
    phrases: list[tuple[int, list[str]]] = []
    for i, phone in enumerate(phones):
        alone = phone in (SIL, SPN)
        if alone or not phrases or phrases[-1][1][0] in (SIL, SPN) or len(phrases[-1][1]) == _MAX_PHRASE:
            phrases.append((i, [phone]))
        else:
            phrases[-1][1].append(phone)
    return phrases


def _speak_phrase(phones: list[str], voice: str, pitch: int, rate: int) -> tuple[np.ndarray, list[int]]:
    """Samples at 16 kHz in whole frames, and where each phone starts in them."""
    import soxr

    has_primary = any(phone[-1] == "1" for phone in phones)
    text = phones_to_mnemonics(phones) + ("" if has_primary else _CARRIER)
    samples, events = shared_synthesizer().espeak.speak(text, voice, pitch, rate, mnemonics=True)
    sounds, end = _sounds(events, len(samples))
    if not has_primary:
        end = sounds[-_NUM_CARRIER_SOUNDS].sample
        pauses = [event.sample for event in events if event.symbol.startswith("_") and event.sample < end]
        end = pauses[-1] if pauses else end
        sounds = sounds[:-_NUM_CARRIER_SOUNDS]
    starts = _read_back(sounds, phones)
    if starts is None:
        said = " ".join(event.symbol for event in sounds)
        raise RuntimeError(f"espeak-ng was asked for {' '.join(phones)} and said {said}.")
    first = starts[0]
    speech = soxr.resample(samples[first:end].astype(np.float32), ESPEAK_SAMPLE_RATE, SAMPLE_RATE, quality="HQ")
    scale = SAMPLE_RATE / ESPEAK_SAMPLE_RATE
    audio = np.zeros(-(-max(1, round((end - first) * scale)) // FRAME_SAMPLES) * FRAME_SAMPLES, np.int16)
    speech = speech[: len(audio)]
    audio[: len(speech)] = np.clip(np.rint(speech), -32768, 32767)
    bounds = [round((start - first) * scale) for start in starts] + [len(audio)]
    return audio, floor_to_frame(bounds, FRAME_SAMPLES)[:-1]


def _sounds(events: Sequence[PhoneEvent], num_samples: int) -> tuple[list[PhoneEvent], int]:
    """The events that are sounds, and where the last of them ends."""
    indices = [i for i, event in enumerate(events) if espeak_to_arpabet(event.symbol) not in ((), (SIL,))]
    last = indices[-1]
    end = next((event.sample for event in events[last + 1 :] if event.symbol.startswith("_")), num_samples)
    return [events[i] for i in indices], end


def _read_back(sounds: Sequence[PhoneEvent], phones: Sequence[str]) -> list[int] | None:
    """Where each phone starts; `None` if espeak said others."""
    starts: list[int] = []
    for event in sounds:
        (said, *more) = espeak_to_arpabet(event.symbol)
        if not more and len(starts) < len(phones) and said == phones[len(starts)]:
            starts.append(event.sample)
        elif not (said == "R" and starts and phones[len(starts) - 1].startswith("ER")):  # a linking r
            return None
    return starts if len(starts) == len(phones) else None
