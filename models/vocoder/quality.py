"""How far re-synthesised speech is from what was said: spectrum, pitch and voicing, frame by frame.

pairs of waveforms with the same timing -> cepstra and pitch of both -> distances, pooled over all frames of all pairs.
Timing is kept by vocoders of frame-wise units, so nothing is aligned.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torchaudio.functional

from .pitch import track_pitch
from .spectrum import MelSpectrum

NUM_CEPSTRA = 13
_NUM_MEL_BINS = 40
_WINDOW_MS = 25.0
_LOG_FLOOR = 1e-4
_SILENCE_DB = 40.0
_CENTS = 1200.0


def mel_cepstral_distortion(
    reference: np.ndarray, resynthesis: np.ndarray, sampling_rate: int = 16_000, hop_length: int = 320
) -> np.ndarray:
    r"""
    Mel-cepstral distortion of each frame in dB (Kubichek, 1993), without the zeroth cepstrum, so without loudness.

    With c the orthonormal cosine transform of M = 40 log-mel power energies,
    MCD = 10 / ln 10 * sqrt(1 / M * sum over d = 1..13 of (c_d - c'_d)^2). In the usual definition,
    10 / ln 10 * sqrt(2 * sum (mc_d - mc'_d)^2), mc are coefficients of ln|H| = sum of mc_d cos(d w); as
    mc_d = c_d / sqrt(2 M), the two are the same: the root mean square over the mel axis of the difference in dB
    between the two smoothed spectra.

    Args:
        reference (`np.ndarray` of shape `(num_samples,)`): What was said: int16, or floating point in [-1, 1].
        resynthesis (`np.ndarray` of shape `(num_samples,)`): What came back; a longer one is cut.
        sampling_rate (`int`, *optional*, defaults to 16000): Samples per second.
        hop_length (`int`, *optional*, defaults to 320): Samples per frame.

    Returns:
        `np.ndarray` of shape `(num_frames,)`: `nan` where the reference is silent, 40 dB below its loudest frame.
    """
    spectrum = MelSpectrum(sampling_rate, hop_length, _WINDOW_MS, _NUM_MEL_BINS, _LOG_FLOOR)
    first, second = (spectrum.log_mel(torch.from_numpy(samples)) for samples in _matched(reference, resynthesis))
    transform = torchaudio.functional.create_dct(NUM_CEPSTRA + 1, _NUM_MEL_BINS, norm="ortho").double()[:, 1:]
    squares = ((first - second) @ transform).square().sum(1)
    distortion = 10 / np.log(10) * torch.sqrt(squares / _NUM_MEL_BINS).numpy()
    loudness = 10 * np.log10(first.exp().sum(1).numpy())
    distortion[loudness < loudness.max() - _SILENCE_DB] = np.nan
    return distortion


def resynthesis_quality(
    references: Sequence[np.ndarray],
    resyntheses: Sequence[np.ndarray],
    sampling_rate: int = 16_000,
    hop_length: int = 320,
) -> dict[str, float]:
    """
    Measure re-synthesised speech against the speech that its units were read off.

    Args:
        references (`Sequence[np.ndarray]`): What was said: int16, or floating point in [-1, 1].
        resyntheses (`Sequence[np.ndarray]`): What came back, sample by sample at the same times; what is longer on
            either side is cut.
        sampling_rate (`int`, *optional*, defaults to 16000): Samples per second.
        hop_length (`int`, *optional*, defaults to 320): Samples per frame.

    Returns:
        `dict[str, float]`:
        - **mcd** -- [`mel_cepstral_distortion`] in dB, mean over the frames in which the reference is not silent.
        - **f0_rmse_cents** -- root mean square of the difference in pitch, over the frames that are voiced in both
          ([`track_pitch`]); `nan` where there are none.
        - **f0_spread_cents** -- what a monotone at the geometric mean pitch of each reference would have over all its
          voiced frames.
        - **f0_correlation** -- correlation of the logarithms of pitch over the same frames as `f0_rmse_cents`.
        - **voicing_error** -- share of all frames of which one is voiced and the other is not.
        - **num_frames**, **num_voiced_frames** -- frames, and those that are voiced in both.

    Raises:
        `ValueError`: If there are no frames, or the two lists differ in length.
    """
    if len(references) != len(resyntheses):
        raise ValueError(f"There are {len(references)} references, but {len(resyntheses)} re-syntheses; give both.")
    distortions, pitches, spread = [], [], []
    for reference, resynthesis in zip(references, resyntheses):
        distortions.append(mel_cepstral_distortion(reference, resynthesis, sampling_rate, hop_length))
        pitch = np.stack(
            [track_pitch(samples, sampling_rate, hop_length) for samples in _matched(reference, resynthesis)]
        )
        pitches.append(pitch)
        cents = _CENTS * np.log2(pitch[0][pitch[0] > 0])
        spread.append(cents - cents.mean() if len(cents) else cents)
    if not sum(map(len, distortions)):
        raise ValueError("There are no frames to measure; give at least one utterance.")
    pitch = np.concatenate(pitches, axis=1)
    both = (pitch > 0).all(0)
    cents = _CENTS * np.log2(pitch[:, both])
    spread = np.concatenate(spread)
    varied = both.any() and (cents.std(1) > 1e-6).all()
    return {
        "mcd": float(np.nanmean(np.concatenate(distortions))),
        "f0_rmse_cents": float(np.sqrt(np.mean((cents[0] - cents[1]) ** 2))) if both.any() else float("nan"),
        "f0_spread_cents": float(np.sqrt(np.mean(spread**2))) if len(spread) else float("nan"),
        "f0_correlation": float(np.corrcoef(cents)[0, 1]) if varied else float("nan"),
        "voicing_error": float(np.mean((pitch[0] > 0) != (pitch[1] > 0))),
        "num_frames": int(pitch.shape[1]),
        "num_voiced_frames": int(both.sum()),
    }


def _matched(reference: np.ndarray, resynthesis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 of the same length."""
    length = min(len(reference), len(resynthesis))
    return tuple(
        samples[:length].astype(np.float64) / (2**15 if samples.dtype == np.int16 else 1)
        for samples in (reference, resynthesis)
    )
