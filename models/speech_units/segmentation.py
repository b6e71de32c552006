"""Segments that nobody has aligned: syllables found in the sound, and runs of one unit that cost a penalty each.

waveform -> level of its band in dB, smoothed -> peaks are nuclei, valleys between them boundaries ([`find_syllables`])
-> frames of each segment. Distances of frames to the codebook -> the cheapest path ([`penalized_units`]) -> units.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

_HOP_SECONDS, _WINDOW_SECONDS = 0.01, 0.025
_WINDOWS_AT_A_TIME = 1_000


@dataclass(frozen=True)
class SyllableSegmentation:
    """
    What makes a syllable of a sound.

    Args:
        smoothing_ms (`float`, *optional*, defaults to 20.0): Standard deviation of the Gaussian that smooths the
            level.
        prominence_db (`float`, *optional*, defaults to 2.0): By how much a nucleus is louder than the louder of the
            two valleys around it.
        min_frequency (`float`, *optional*, defaults to 300.0): Hz from which energy counts: vowels have theirs at
            their formants, the murmur of voiced closures lies below.
        range_db (`float`, *optional*, defaults to 60.0): The level is never further below the loudest window.
        pause_db (`float`, *optional*, defaults to 45.0): What is further below the loudest is a pause, which is a
            segment by itself.
        min_pause_ms (`float`, *optional*, defaults to 60.0): The shortest pause between two nuclei.
        lead_ms (`float`, *optional*, defaults to 10.0): How long before a valley its boundary is: a consonant is
            quietest behind its beginning, which begins the later syllable.

    Raises:
        `ValueError`: If a value is negative, or a pause is below the range.
    """

    smoothing_ms: float = 20.0
    prominence_db: float = 2.0
    min_frequency: float = 300.0
    range_db: float = 60.0
    pause_db: float = 45.0
    min_pause_ms: float = 60.0
    lead_ms: float = 10.0

    def __post_init__(self):
        for field in fields(self):
            if not getattr(self, field.name) >= 0:
                raise ValueError(f"{field.name} is {getattr(self, field.name)}; it must be 0 or above.")
        if not 0 < self.pause_db < self.range_db:
            raise ValueError(
                f"pause_db is {self.pause_db:g}; it must be above 0 and below range_db ({self.range_db:g})."
            )


def find_syllables(
    waveform: np.ndarray, sampling_rate: int, frame_rate: float, num_frames: int, settings: SyllableSegmentation
) -> np.ndarray:
    """
    Find the syllables and pauses of an utterance in its sound alone, as peaks of a smoothed envelope.

    The level of a window is compared with those of the same utterance only, so that loudness changes nothing.

    Args:
        waveform (`np.ndarray` of shape `(num_samples,)`): Samples in [-1, 1].
        sampling_rate (`int`): Samples per second.
        frame_rate (`float`): Frames per second of the encoder.
        num_frames (`int`): Frames of the utterance, at least 1.
        settings ([`SyllableSegmentation`]): What makes a syllable.

    Returns:
        `np.ndarray`: Frames of each syllable or pause, int64: each at least 1, together `num_frames`.
    """
    level = _smooth_level(np.asarray(waveform, np.float64), sampling_rate, settings)
    loud = level > level.max() - settings.pause_db
    nuclei = [peak for peak in _find_peaks(level, settings.prominence_db) if loud[peak]]
    windows = np.array(_find_boundaries(level, loud, nuclei, settings), np.float64)
    seconds = (windows + 0.5) * round(_HOP_SECONDS * sampling_rate) / sampling_rate - settings.lead_ms / 1000
    frames = np.unique(np.floor(seconds * frame_rate + 1e-6).astype(np.int64))
    inside = frames[(frames > 0) & (frames < num_frames)]
    return np.diff(inside, prepend=0, append=num_frames)


def penalized_units(distances: Iterable[np.ndarray], penalty: float) -> np.ndarray:
    """
    Find the units that minimise the distances of all frames to theirs, plus a penalty for each run of equal units.

    This is duration-penalised dynamic programming (2012.07551, 2202.11929), whose penalty for the length of a segment
    is one for each segment and a constant. As a change costs the same whatever the two units are, a frame's best
    predecessor is either the same unit or the best of all: the exact minimum takes a few operations on the codebook a
    frame. Without a penalty, units are the nearest.

    Args:
        distances (`Iterable[np.ndarray]`): Squared distances to all centroids, of shape `(num_frames, num_units)`, of
            the frames of one utterance in blocks of any length.
        penalty (`float`): What a run costs, in squared distance.

    Returns:
        `np.ndarray`: A unit for each frame, int64 of shape `(num_frames,)`.
    """
    cost: np.ndarray | None = None  # of the best path that ends in each unit, above the best of all
    changed, best = [], []
    for block in distances:
        cost = np.zeros(block.shape[1]) if cost is None else cost
        changes = np.empty(block.shape, bool)
        for row, change in zip(block, changes):
            unit = int(cost.argmin())
            cost -= cost[unit]
            np.greater(cost, penalty, out=change)
            np.minimum(cost, penalty, out=cost)
            cost += row
            best.append(unit)
        changed.append(np.packbits(changes, axis=1))
    units = np.empty(len(best), np.int64)
    if cost is None:
        return units
    unit, frame = int(cost.argmin()), len(best)
    for block in reversed(changed):
        for row in reversed(block):
            frame -= 1
            units[frame] = unit
            if row[unit >> 3] >> (7 - (unit & 7)) & 1:
                unit = best[frame]
    return units


def _smooth_level(waveform: np.ndarray, sampling_rate: int, settings: SyllableSegmentation) -> np.ndarray:
    """The level of every 10 ms in dB, of windows that are centred on them, smoothed."""
    from scipy.ndimage import gaussian_filter1d

    hop, length = round(_HOP_SECONDS * sampling_rate), round(_WINDOW_SECONDS * sampling_rate)
    margin = (length - hop) // 2
    padded = np.pad(waveform, (margin, length + hop))
    windows = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop][: -(-len(waveform) // hop)]
    frequencies, hann = np.fft.rfftfreq(length, 1 / sampling_rate), np.hanning(length)
    counted = frequencies >= settings.min_frequency
    energies = np.concatenate(
        [
            np.square(np.abs(np.fft.rfft(windows[start : start + _WINDOWS_AT_A_TIME] * hann)[:, counted])).sum(1)
            for start in range(0, len(windows), _WINDOWS_AT_A_TIME)
        ]
    )
    level = 10 * np.log10(np.maximum(energies, np.finfo(np.float64).tiny))
    level = np.maximum(level, level.max() - settings.range_db)
    deviation = settings.smoothing_ms / 1000 / _HOP_SECONDS
    return gaussian_filter1d(level, deviation, mode="nearest") if deviation else level


def _find_peaks(level: np.ndarray, prominence: float) -> list[int]:
    """Peaks of so much prominence; beyond both edges it is quieter than anywhere."""
    from scipy.signal import find_peaks

    quiet = level.min() - max(prominence, 1.0)
    peaks, _ = find_peaks(np.concatenate([[quiet], level, [quiet]]), prominence=prominence)
    return (peaks - 1).tolist()


def _find_boundaries(
    level: np.ndarray, loud: np.ndarray, nuclei: list[int], settings: SyllableSegmentation
) -> list[int]:
    """Windows that begin a segment: behind a pause at the beginning, between nuclei, and at a pause at the end."""
    if not nuclei:
        return []
    quiet = np.flatnonzero(~loud)
    before, behind = quiet[quiet < nuclei[0]], quiet[quiet > nuclei[-1]]
    found = [int(before[-1]) + 1] if len(before) else []
    for left, right in zip(nuclei, nuclei[1:]):
        pause = quiet[(quiet > left) & (quiet < right)]
        if len(pause) and (pause[-1] + 1 - pause[0]) * _HOP_SECONDS * 1000 >= settings.min_pause_ms:
            found += [int(pause[0]), int(pause[-1]) + 1]
        else:
            found.append(left + int(level[left:right].argmin()))
    return found + ([int(behind[0])] if len(behind) else [])
