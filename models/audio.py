"""Audio as the project keeps it: 16 kHz, one channel, int16, in FLAC files; and the grid of its frames.

samples of any rate -> [`to_speech`] -> int16 -> [`encode_flac`] -> bytes in a row -> [`decode_flac`] -> int16.
"""

import io
from fractions import Fraction
from functools import lru_cache

import numpy as np

SAMPLE_RATE = 16_000
"""Samples per second of all speech."""
FRAME_SAMPLES = 320
"""Samples of a frame, 20 ms: from one to the next, and what it describes; unless an encoder says otherwise."""
FRAME_RATE = SAMPLE_RATE / FRAME_SAMPLES
"""Such frames per second."""
_LARGEST_DENOMINATOR = 100_000


def frame_samples_at(frame_rate: float) -> float:
    """
    Samples from one frame to the next at a frame rate: a whole number where it divides 16,000 (320 at 50 Hz), else a
    float, which [`count_frames`] takes for the fraction that it is (640/3 at 75 Hz).
    """
    samples = SAMPLE_RATE / frame_rate
    return int(samples) if samples.is_integer() else samples


def count_frames(num_samples: int, frame_samples: float) -> int:
    """
    Whole frames of audio: frame i has the samples from `i * frame_samples` to `(i + 1) * frame_samples`.

    Args:
        num_samples (`int`): Samples at 16 kHz.
        frame_samples (`float`): As [`frame_samples_at`] gives it.

    Returns:
        `int`: Without rounding errors, 75 for a second at 75 Hz.
    """
    if isinstance(frame_samples, int):
        return num_samples // frame_samples
    return int(num_samples / _as_fraction(frame_samples))


@lru_cache(maxsize=8)
def _as_fraction(frame_samples: float) -> Fraction:
    return Fraction(frame_samples).limit_denominator(_LARGEST_DENOMINATOR)


def to_speech(samples: np.ndarray, rate: int) -> np.ndarray:
    """
    Samples of any rate and number of channels as the project stores speech; 16-bit mono at 16 kHz stays as it is.

    Args:
        samples (`np.ndarray` of shape `(num_samples, num_channels)`): Floating point, full scale 1, or int16.
        rate (`int`): Samples per second.

    Returns:
        `np.ndarray` of shape `(num_samples,)`: int16, 16 kHz, the mean of all channels.
    """
    if samples.dtype == np.int16:
        samples = samples / np.float32(2**15)
    mono = samples.mean(axis=1)
    if rate != SAMPLE_RATE:
        import soxr

        mono = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
    return to_int16(mono)


def to_int16(audio: np.ndarray) -> np.ndarray:
    """Floats with full scale 1 as int16 samples; int16 as it is."""
    if audio.dtype == np.int16:
        return audio
    return np.clip(np.rint(audio * 2**15), -(2**15), 2**15 - 1).astype(np.int16)


def encode_flac(audio: np.ndarray) -> bytes:
    """int16 samples at 16 kHz as the bytes of a FLAC file."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, audio, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def decode_flac(data: bytes) -> np.ndarray:
    """The int16 samples of a FLAC file."""
    import soundfile

    return soundfile.read(io.BytesIO(data), dtype="int16")[0]
