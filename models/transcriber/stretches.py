"""Where in a recording somebody may be speaking, in stretches that a recogniser reads at once.

waveform -> cut at its quietest places into stretches of at most so many seconds -> those that are neither silent nor
steady. Silence, noise, tones and hum are the same from one tenth of a second to the next; a second of speech never is,
not even in noise as loud as itself. What is left may still be no speech: clicks, beeps, music. That the model says.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torchaudio.functional

SILENT_DB = -65.0
"""In dB of full scale, root mean square: what is nowhere louder is silence."""
STEADY_DB = 9.0
"""In dB: a sound none of whose bands changes more from one tenth of a second to another is steady, and no speech."""

_SECONDS_OF_LEVEL = 0.1
_CUT_AFTER = 2 / 3  # of the longest stretch; behind that, at the quietest place
_WINDOW_SECONDS, _HOP_SECONDS = 0.025, 0.01
_NUM_BANDS, _LOWEST_HZ, _HIGHEST_HZ = 12, 100.0, 7000.0
_HEARD_DB = 20.0  # bands so far below the loudest one hold what leaks into them
_FLOOR_DB = -110.0


def find_stretches(waveform: np.ndarray, sampling_rate: int, max_seconds: float) -> list[tuple[int, int]]:
    """
    Where somebody may be speaking.

    Args:
        waveform (`np.ndarray` of shape `(num_samples,)`): Samples in [-1, 1].
        sampling_rate (`int`): Samples per second.
        max_seconds (`float`): The longest stretch.

    Returns:
        `list[tuple[int, int]]`: First sample and the one behind the last of each stretch, in order.
    """
    bounds = _cut(waveform, sampling_rate, max_seconds)
    return [(start, end) for start, end in bounds if may_be_speech(waveform[start:end], sampling_rate)]


def may_be_speech(waveform: np.ndarray, sampling_rate: int) -> bool:
    """Whether a waveform is neither silent nor steady."""
    levels = _levels(waveform, sampling_rate)
    return bool(levels.max() > SILENT_DB) and change_of_bands(waveform, sampling_rate) > STEADY_DB


def change_of_bands(waveform: np.ndarray, sampling_rate: int) -> float:
    """
    By how much the level of a sound changes at most in one of its bands.

    Args:
        waveform (`np.ndarray` of shape `(num_samples,)`): Samples in [-1, 1].
        sampling_rate (`int`): Samples per second.

    Returns:
        `float`: In dB, between two tenths of a second; infinite where there are fewer than three of them, of which
        nobody can say.
    """
    window, hop = round(_WINDOW_SECONDS * sampling_rate), round(_HOP_SECONDS * sampling_rate)
    frames_of_level = round(_SECONDS_OF_LEVEL / _HOP_SECONDS)
    if len(waveform) < 3 * _SECONDS_OF_LEVEL * sampling_rate:
        return float("inf")
    size = 1 << (window - 1).bit_length()
    frames = torch.from_numpy(np.ascontiguousarray(waveform, np.float32)).unfold(0, window, hop)
    power = torch.fft.rfft(frames * torch.hann_window(window), n=size).abs().square()
    highest = min(_HIGHEST_HZ, sampling_rate / 2)
    bands = torchaudio.functional.melscale_fbanks(size // 2 + 1, _LOWEST_HZ, highest, _NUM_BANDS, sampling_rate)
    sums = torch.nn.functional.pad((power @ bands).double().cumsum(0), (0, 0, 1, 0))
    levels = 10 * torch.log10((sums[frames_of_level:] - sums[:-frames_of_level]).clamp(min=1e-20))
    loudest, quietest = levels.amax(0), levels.amin(0)
    heard = loudest > loudest.max() - _HEARD_DB
    return float((loudest - quietest)[heard].max())


def _cut(waveform: np.ndarray, sampling_rate: int, max_seconds: float) -> Iterator[tuple[int, int]]:
    """Stretches that follow one another, each cut where it is quietest in the last third of what is allowed."""
    most, start = int(max_seconds * sampling_rate), 0
    while len(waveform) - start > most:
        first = start + int(_CUT_AFTER * most)
        levels = _levels(waveform[first : start + most], sampling_rate)
        end = first + int((levels.argmin() + 0.5) * _SECONDS_OF_LEVEL * sampling_rate)
        yield start, end
        start = end
    yield start, len(waveform)


def _levels(waveform: np.ndarray, sampling_rate: int) -> np.ndarray:
    """Root mean square of each tenth of a second, in dB of full scale; what is left behind the last one is of it."""
    samples = round(_SECONDS_OF_LEVEL * sampling_rate)
    starts = np.arange(0, max(1, len(waveform) - samples + 1), samples)
    power = np.add.reduceat(waveform.astype(np.float64) ** 2, starts) / np.diff(starts, append=len(waveform))
    return np.maximum(_FLOOR_DB, 10 * np.log10(np.maximum(power, 1e-30)))
