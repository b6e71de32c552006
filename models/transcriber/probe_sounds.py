"""What a transcriber is tried with: sounds in which nobody speaks, other levels, and the babble of others.

On these the two rules were chosen and measured that keep a transcriber from making up what nobody said: `STEADY_DB`
in `stretches.py`, which [`STEADY_SOUNDS`] stay below, and `NO_SPEECH` in `transcriber.py` for all others.
"""

from collections.abc import Callable, Sequence

import numpy as np

from ..audio import SAMPLE_RATE

NUM_BABBLING = 8
"""Voices in a babble."""
_LOWEST_HZ = 20.0  # below, the power of coloured noise no longer grows or falls
_CLICK_SAMPLES, _CLICK_DECAY = 80, 15
_VOICE_DB = -20.0

Maker = Callable[[int, np.random.Generator], np.ndarray]
"""From a number of samples and a random generator to samples at 16 kHz, float64, of any level."""


def level_of(samples: np.ndarray) -> float:
    """The root mean square of samples in [-1, 1], in dB of full scale; minus infinity for silence."""
    power = np.mean(np.square(samples, dtype=np.float64))
    return 10 * np.log10(power) if power else -np.inf


def at_level(samples: np.ndarray, decibels: float) -> np.ndarray:
    """
    The same sound at another level.

    Args:
        samples (`np.ndarray` of shape `(num_samples,)`): Floating point; silence stays silence.
        decibels (`float`): Root mean square, in dB of full scale.

    Returns:
        `np.ndarray` of shape `(num_samples,)`: float32, clipped to [-1, 1].
    """
    level = level_of(samples)
    gain = 10 ** ((decibels - level) / 20) if np.isfinite(level) else 1.0
    return np.clip(gain * np.asarray(samples, np.float64), -1, 1).astype(np.float32)


def add_babble(audio: np.ndarray, others: Sequence[np.ndarray], rng: np.random.Generator, snr: float) -> np.ndarray:
    """
    Others who speak at the same time: [`NUM_BABBLING`] recordings, each as loud as the next, that begin anywhere and
    go on from their beginning.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): A recording, floating point in [-1, 1].
        others (`Sequence[np.ndarray]`): What the babble is drawn of, at least one; some speak twice if there are too
            few.
        rng (`np.random.Generator`): Of the draw and of where they begin.
        snr (`float`): Energy of the whole recording, pauses included, over that of the babble, in dB.

    Returns:
        `np.ndarray` of shape `(num_samples,)`: float32; sums may pass 1.
    """
    chosen = rng.choice(len(others), NUM_BABBLING, replace=len(others) < NUM_BABBLING)
    babble = np.zeros(len(audio))
    for index in chosen:
        voice = np.resize(at_level(others[index], _VOICE_DB), len(audio))
        babble += np.roll(voice, rng.integers(len(audio)))
    return (audio + at_level(babble, level_of(audio) - snr)).astype(np.float32)


def colored_noise(num_samples: int, rng: np.random.Generator, exponent: float) -> np.ndarray:
    """
    Noise whose power falls with a power of the frequency.

    Args:
        num_samples (`int`): Its length.
        rng (`np.random.Generator`): Of the noise.
        exponent (`float`): 0 is white, 1 pink, 2 brown, -1 blue.

    Returns:
        `np.ndarray` of shape `(num_samples,)`.
    """
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequencies = np.maximum(np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE), _LOWEST_HZ)
    return np.fft.irfft(spectrum * frequencies ** (-exponent / 2), num_samples)


def tones(num_samples: int, frequencies: Sequence[float]) -> np.ndarray:
    """Tones in Hz at once, the second half as strong as the first, the third a third as strong, and so on."""
    return sum(_tone(num_samples, frequency) / number for number, frequency in enumerate(frequencies, start=1))


def clicks(num_samples: int, rng: np.random.Generator, starts: Sequence[int]) -> np.ndarray:
    """Clicks of noise, 5 ms each, that begin at these samples."""
    audio = np.zeros(num_samples + _CLICK_SAMPLES)
    decay = np.exp(-np.arange(_CLICK_SAMPLES) / _CLICK_DECAY)
    for start in starts:
        audio[start : start + _CLICK_SAMPLES] += decay * rng.standard_normal(_CLICK_SAMPLES)
    return audio[:num_samples]


def _tone(num_samples: int, frequency: float | np.ndarray) -> np.ndarray:
    """A sine at one frequency, or at one that changes from sample to sample."""
    return np.sin(2 * np.pi * np.cumsum(np.broadcast_to(frequency, num_samples)) / SAMPLE_RATE)


def _is_on(num_samples: int, period: float, seconds: float) -> np.ndarray:
    """For each sample whether it is within so many seconds from the beginning of a period."""
    return np.arange(num_samples) / SAMPLE_RATE % period < seconds


def _hum_in_noise(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    return tones(num_samples, range(60, 900, 60)) + 0.1 * rng.standard_normal(num_samples)


def _regular_clicks(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    return clicks(num_samples, rng, range(0, num_samples, SAMPLE_RATE // rng.choice([1, 2, 4, 8])))


def _irregular_clicks(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    return clicks(num_samples, rng, rng.integers(0, num_samples, num_samples // (SAMPLE_RATE // 4) + 1))


def _melody(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    notes = rng.choice([262, 294, 330, 349, 392, 440], 4 * num_samples // SAMPLE_RATE + 1)
    return _tone(num_samples, np.repeat(notes, SAMPLE_RATE // 4)[:num_samples])


STEADY_SOUNDS: dict[str, Maker] = {
    "white noise": lambda n, rng: colored_noise(n, rng, 0),
    "pink noise": lambda n, rng: colored_noise(n, rng, 1),
    "brown noise": lambda n, rng: colored_noise(n, rng, 2),
    "blue noise": lambda n, rng: colored_noise(n, rng, -1),
    "tone": lambda n, rng: _tone(n, rng.uniform(80, 4000)),
    "chord": lambda n, rng: tones(n, [262, 330, 392]),
    "hum of 50 Hz": lambda n, rng: tones(n, range(50, 600, 50)),
    "hum of 60 Hz in noise": _hum_in_noise,
    "buzz": lambda n, rng: np.sign(_tone(n, 120)),
}
"""The same from one tenth of a second to the next."""
CHANGING_SOUNDS: dict[str, Maker] = {
    "regular clicks": _regular_clicks,
    "irregular clicks": _irregular_clicks,
    "one click": lambda n, rng: clicks(n, rng, [n // 3]),
    "sweep": lambda n, rng: _tone(n, np.linspace(200, 3000, n)),
    "beeps": lambda n, rng: _tone(n, 1000) * _is_on(n, 1.0, 0.3),
    "touch tones": lambda n, rng: (_tone(n, 770) + _tone(n, 1336)) * _is_on(n, 0.4, 0.2),
    "noise at 4 Hz": lambda n, rng: colored_noise(n, rng, 1) * (1 + _tone(n, 4)),
    "bursts of noise": lambda n, rng: colored_noise(n, rng, 1) * _is_on(n, 1.3, 0.5),
    "melody": _melody,
    "rumble": lambda n, rng: colored_noise(n, rng, 2) * (1 + 0.5 * _tone(n, 0.3)),
}
"""Without speech, too, but not the same throughout."""
QUIET_SOUNDS: dict[str, Maker] = {
    "silence": lambda n, rng: np.zeros(n),
    "dither": lambda n, rng: rng.integers(-1, 2, n) / 2**15,
}
"""What is below any level at which somebody may be heard."""
CHOSEN_ON = ("silence", "dither", "white noise", "pink noise", "tone", "hum of 50 Hz", "regular clicks")
"""The sounds that both rules were chosen on; on the others they were measured alone."""
