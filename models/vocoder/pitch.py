"""A small pitch tracker: the fundamental frequency of each frame, 0 where speech is not voiced.

samples -> frames of 40 ms -> autocorrelation, divided by that of the window -> best lag from 60 to 400 Hz -> median
over three frames. For measures of re-synthesis; it follows clean speech and knows nothing of noise.
"""

import numpy as np

MIN_PITCH, MAX_PITCH = 60.0, 400.0
DEFAULT_PITCH = 100.0
"""Hz of a voice whose pitch is not known."""
_WINDOW_SECONDS = 0.04
_VOICED = 0.5
_SILENCE = 0.03
_OCTAVE_COST = 0.03


def track_pitch(samples: np.ndarray, sampling_rate: int = 16_000, hop_length: int = 320) -> np.ndarray:
    """
    Track the fundamental frequency.

    The normalised autocorrelation of Boersma (1993), without his search for a path: a frame is voiced if its best
    lag's correlation is above 0.5 and it is not 30 dB below the loudest sample; short lags are slightly favoured
    against their multiples. A voiced or unvoiced frame between two of the other kind is taken for one of them.

    Args:
        samples (`np.ndarray` of shape `(num_samples,)`): Samples as floating point.
        sampling_rate (`int`, *optional*, defaults to 16000): Samples per second.
        hop_length (`int`, *optional*, defaults to 320): Samples per frame; windows are centred on them.

    Returns:
        `np.ndarray` of shape `(num_samples // hop_length,)`: Hz, 0 where a frame is not voiced.
    """
    num_frames = len(samples) // hop_length
    if num_frames == 0:
        return np.zeros(0)
    size = round(_WINDOW_SECONDS * sampling_rate)
    left = max(0, (size - hop_length) // 2)
    padded = np.pad(np.asarray(samples, np.float64), (left, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop_length][:num_frames]
    frames = frames - frames.mean(1, keepdims=True)
    loud = np.abs(frames).max(1)
    window = np.hanning(size + 2)[1:-1]
    fft_size = 1 << (2 * size - 1).bit_length()
    power = np.abs(np.fft.rfft(frames * window, fft_size)) ** 2
    correlation = np.fft.irfft(power)[:, :size]
    reference = np.fft.irfft(np.abs(np.fft.rfft(window, fft_size)) ** 2)[:size]
    correlation = correlation / (correlation[:, :1] + 1e-9) / (reference / reference[0])

    first, last = int(sampling_rate / MAX_PITCH), int(np.ceil(sampling_rate / MIN_PITCH))
    lags = np.arange(first, last + 1)
    inner = correlation[:, first : last + 1]
    is_peak = (inner >= correlation[:, first - 1 : last]) & (inner > correlation[:, first + 1 : last + 2])
    scores = np.where(is_peak, inner - _OCTAVE_COST * np.log2(lags / first), -1.0)
    best = scores.argmax(1)
    rows = np.arange(num_frames)
    lag = lags[best] + _parabola(*(correlation[rows, lags[best] + shift] for shift in (-1, 0, 1)))
    voiced = is_peak[rows, best] & (inner[rows, best] > _VOICED) & (loud > _SILENCE * max(loud.max(), 1e-9))
    return _median(np.where(voiced, sampling_rate / lag, 0.0))


def _parabola(before: np.ndarray, peak: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where between samples the peak is, from -0.5 to 0.5."""
    curvature = 2 * peak - before - after
    return np.where(curvature > 1e-12, (after - before) / (2 * np.maximum(curvature, 1e-12)), 0.0).clip(-0.5, 0.5)


def _median(values: np.ndarray) -> np.ndarray:
    """Median over three frames; at the edges a frame counts twice."""
    padded = np.pad(values, 1, mode="edge")
    return np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
