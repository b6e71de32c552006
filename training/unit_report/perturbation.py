"""Unit edit distance: how many units change where only pitch, speed, noise, room or coding of a recording do.

recordings -> [`draw_recordings`] -> [`PERTURBATIONS`] -> units of the perturbed sound, by the report's quantizers ->
edits from the units of the recording as it is -> [`measure_perturbations`], a row a perturbation and normalisation.
"""

import io
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np

from ...models.audio import SAMPLE_RATE
from ...models.speech_units.runs import collapse_runs
from ...models.statistics import resampled_means
from .sources import MeasuredRecording

NUM_RESAMPLES = 2_000
MIN_SAMPLES = SAMPLE_RATE // 10
"""What is shorter is not perturbed: a window of the phase vocoder or a frame of a codec would be most of it."""
_WINDOW, _HOP = 512, 128  # of the phase vocoder: 32 and 8 ms
_ECHO_SECONDS = 0.4
_MAX_DELAY = SAMPLE_RATE // 10


@dataclass(frozen=True)
class Perturbation:
    """
    Something that changes how a recording sounds and not what is said.

    Args:
        label (`str`): What it does, as a table says it.
        perturb (`Callable`): From a recording (float32 in [-1, 1], 16 kHz, of shape `(num_samples,)` with at least
            [`MIN_SAMPLES`]) and a random generator to the perturbed one, float32 at 16 kHz, which begins where the
            recording does. Sums may pass 1: nothing is clipped.
        written_as (`tuple[str, str]`, *optional*): Format and subtype that libsndfile has to write for it.
    """

    label: str
    perturb: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    written_as: tuple[str, str] | None = None

    @property
    def obstacle(self) -> str | None:
        """Why it cannot be made on this machine; `None` where it can."""
        import soundfile

        if self.written_as is None or self.written_as[1] in soundfile.available_subtypes(self.written_as[0]):
            return None
        return f"libsndfile {soundfile.__libsndfile_version__} does not write {' '.join(self.written_as)}"


def shift_pitch(audio: np.ndarray, rng: np.random.Generator, semitones: float) -> np.ndarray:
    """
    Another pitch at the same duration and level: stretched by a phase vocoder, and played faster or slower. Formants
    move with the pitch: the speaker is of another size, too.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): A recording, float32.
        rng (`np.random.Generator`): Not read.
        semitones (`float`): Up, or down where it is negative.

    Returns:
        `np.ndarray` of shape `(num_samples,)`.
    """
    import soxr

    ratio = 2.0 ** (semitones / 12)
    # torchaudio's pitch_shift resamples by filters that take 5 GB where the ratio is not one of small numbers.
    shifted = soxr.resample(_stretch(audio, ratio), ratio, 1.0, quality="HQ")
    # The vocoder's phases do not add up, which costs some 3 dB.
    return _at_level_of(audio, _of_length(shifted, len(audio)))


def change_speed(audio: np.ndarray, rng: np.random.Generator, factor: float) -> np.ndarray:
    """
    Played faster or slower: resampled, so that duration, pitch and formants all change.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): A recording, float32.
        rng (`np.random.Generator`): Not read.
        factor (`float`): Above 1 it is faster.

    Returns:
        `np.ndarray` of about `num_samples / factor` samples.
    """
    import torch
    from torchaudio.functional import speed

    return speed(torch.from_numpy(audio), SAMPLE_RATE, factor)[0].numpy()


def add_white_noise(audio: np.ndarray, rng: np.random.Generator, snr: float) -> np.ndarray:
    """
    White noise on top.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): A recording, float32.
        rng (`np.random.Generator`): Of the noise.
        snr (`float`): Energy of the whole recording, pauses included, over that of the noise, in dB.

    Returns:
        `np.ndarray` of shape `(num_samples,)`.
    """
    import torch
    from torchaudio.functional import add_noise

    noise = torch.from_numpy(rng.standard_normal(len(audio), dtype=np.float32))
    return add_noise(torch.from_numpy(audio), noise, torch.tensor(float(snr))).numpy()


def reverberate(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """
    A room at the recording's level: echoes, together as strong as the direct sound, that fade by 60 dB in 0.4 s (noise
    that decays exponentially).

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): A recording, float32.
        rng (`np.random.Generator`): Of the room.

    Returns:
        `np.ndarray` of shape `(num_samples,)`.
    """
    from scipy.signal import fftconvolve

    length = round(_ECHO_SECONDS * SAMPLE_RATE)
    echoes = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    response = echoes / np.linalg.norm(echoes)
    response[0] = 1.0
    return _at_level_of(audio, fftconvolve(audio, response)[: len(audio)].astype(np.float32))


def encode_again(audio: np.ndarray, rng: np.random.Generator, container: str, subtype: str) -> np.ndarray:
    """
    Written by a codec at 16 kHz and its default quality, and read again, without the codec's delay.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): A recording, float32.
        rng (`np.random.Generator`): Not read.
        container (`str`): Format, as libsndfile calls it.
        subtype (`str`): Subtype, as libsndfile calls it.

    Returns:
        `np.ndarray` of shape `(num_samples,)`.
    """
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, audio, SAMPLE_RATE, format=container, subtype=subtype)
    buffer.seek(0)
    return align(soundfile.read(buffer, dtype="float32")[0], audio)


def _re_encoding(label: str, container: str, subtype: str) -> Perturbation:
    return Perturbation(label, partial(encode_again, container=container, subtype=subtype), (container, subtype))


PERTURBATIONS = {
    "pitch_up": Perturbation("pitch 2 semitones up", partial(shift_pitch, semitones=2)),
    "pitch_down": Perturbation("pitch 2 semitones down", partial(shift_pitch, semitones=-2)),
    "slow": Perturbation("speed 0.9", partial(change_speed, factor=0.9)),
    "fast": Perturbation("speed 1.1", partial(change_speed, factor=1.1)),
    "noise_20": Perturbation("white noise, SNR 20 dB", partial(add_white_noise, snr=20)),
    "noise_10": Perturbation("white noise, SNR 10 dB", partial(add_white_noise, snr=10)),
    "noise_0": Perturbation("white noise, SNR 0 dB", partial(add_white_noise, snr=0)),
    "reverberation": Perturbation("reverberation", reverberate),
    "mp3": _re_encoding("MP3", "MP3", "MPEG_LAYER_III"),
    "opus": _re_encoding("Opus", "OGG", "OPUS"),
}
"""By the name that a flag takes."""


def align(decoded: np.ndarray, audio: np.ndarray) -> np.ndarray:
    """
    Take a codec's delay out: what was decoded is moved to where it is most like what was coded, by up to 0.1 s.

    Args:
        decoded (`np.ndarray` of shape `(num_decoded,)`): What came out of a codec, with zeros or without before it.
        audio (`np.ndarray` of shape `(num_samples,)`): What went in.

    Returns:
        `np.ndarray` of shape `(num_samples,)`: Zeros where nothing was decoded.
    """
    from scipy.signal import correlate, correlation_lags

    likeness = correlate(decoded, audio, method="fft")
    lags = correlation_lags(len(decoded), len(audio))
    near = np.abs(lags) <= _MAX_DELAY
    delay = int(lags[near][likeness[near].argmax()])
    return _of_length(decoded[delay:] if delay > 0 else np.pad(decoded, (-delay, 0)), len(audio))


def unit_edit_distance(units: Sequence[int], perturbed: Sequence[int]) -> float:
    """
    Edits from the units of a recording to those of the same recording perturbed (2209.15483), over the number of the
    former, runs of equal units collapsed in both. It may pass 1.

    Gat et al. divide by the number of frames: their figures are lower by the mean length of a run.

    Args:
        units (`Sequence[int]`): A unit a frame, at least one.
        perturbed (`Sequence[int]`): The same of the perturbed recording, of any length.

    Returns:
        `float`: 0 for the same units.
    """
    from rapidfuzz.distance import Levenshtein

    units, perturbed = collapse_runs(units), collapse_runs(perturbed)
    return Levenshtein.distance(units, perturbed) / len(units)


def draw_recordings(
    batches: Iterable[list[MeasuredRecording]], total: int, number: int, seed: int = 0
) -> Iterator[MeasuredRecording]:
    """
    Some recordings by a seed, all where there are no more.

    Args:
        batches (`Iterable[list[MeasuredRecording]]`): All recordings.
        total (`int`): Their number.
        number (`int`): How many are drawn.
        seed (`int`, *optional*, defaults to 0): Seed.

    Yields:
        [`MeasuredRecording`]: In their order.
    """
    drawn = set(random.Random(seed).sample(range(total), min(number, total)))
    return (recording for index, recording in enumerate(chain.from_iterable(batches)) if index in drawn)


def measure_perturbations(
    recordings: Iterable[MeasuredRecording],
    encode: Callable[[list[MeasuredRecording]], Mapping[str, Sequence[np.ndarray]]] | None,
    perturbations: Mapping[str, Perturbation],
    seed: int = 0,
) -> dict:
    """
    Unit edit distance of each quantizer under each perturbation.

    Args:
        recordings (`Iterable[MeasuredRecording]`): What is perturbed; one shorter than [`MIN_SAMPLES`] is left out.
        encode (`Callable`, *optional*): From recordings to the units of each, by normalisation; `None` where units are
            looked up.
        perturbations (`Mapping[str, Perturbation]`): By name.
        seed (`int`, *optional*, defaults to 0): Of noise, echoes and the bootstrap. The noise of a recording is the
            same at each SNR.

    Returns:
        `dict`: `recordings`, the number of those that were perturbed; `rows`, for each perturbation and normalisation
        `perturbation`, `label`, `normalization`, and the mean over recordings as `value` with `low` and `high` (a 95 %
        bootstrap interval over documents); and `not_measured`, the `perturbation`, `label` and `reason` of each that
        cannot be made here.
    """
    looked_up = "a table of units has none of perturbed sound" if encode is None else None
    obstacles = {name: looked_up or perturbation.obstacle for name, perturbation in perturbations.items()}
    made = {name: perturbations[name] for name, obstacle in obstacles.items() if obstacle is None}
    distances: dict[tuple[str, str], list[float]] = {}
    documents = []
    for index, recording in enumerate(recordings):
        audio = recording.audio.astype(np.float32) / 2**15
        if len(audio) < MIN_SAMPLES or not made:
            continue
        documents.append(recording.document)
        changed = (each.perturb(audio, np.random.default_rng([seed, index])) for each in made.values())
        heard = [replace(recording, decode=lambda version=version: version) for version in (audio, *changed)]
        for normalization, (units, *perturbed) in encode(heard).items():
            for name, others in zip(made, perturbed):
                distances.setdefault((name, normalization), []).append(unit_edit_distance(units, others))
    return {
        "recordings": len(documents),
        "rows": [
            {"perturbation": name, "label": made[name].label, "normalization": normalization}
            | _mean_over_documents(values, documents, seed)
            for (name, normalization), values in distances.items()
        ],
        "not_measured": [
            {"perturbation": name, "label": perturbations[name].label, "reason": obstacle}
            for name, obstacle in obstacles.items()
            if obstacle is not None
        ],
    }


def _mean_over_documents(values: list[float], documents: list[str], seed: int) -> dict[str, float]:
    drawn = resampled_means(np.array(values)[:, None], seed, NUM_RESAMPLES, documents)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"value": float(np.mean(values)), "low": float(low), "high": float(high)}


def _stretch(audio: np.ndarray, ratio: float) -> np.ndarray:
    """A recording that lasts `ratio` times as long, at its own pitch."""
    import torch
    from torchaudio.functional import phase_vocoder

    window = torch.hann_window(_WINDOW)
    spectrum = torch.stft(torch.from_numpy(audio), _WINDOW, _HOP, window=window, return_complex=True)
    advance = torch.linspace(0, math.pi * _HOP, spectrum.shape[0])[:, None]
    stretched = phase_vocoder(spectrum, 1 / ratio, advance)
    return torch.istft(stretched, _WINDOW, _HOP, window=window, length=round(len(audio) * ratio)).numpy()


def _of_length(audio: np.ndarray, length: int) -> np.ndarray:
    return np.pad(audio[:length], (0, max(0, length - len(audio))))


def _at_level_of(audio: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """What was made of a recording, at its level."""
    energy = float(np.square(changed, dtype=np.float64).sum())
    gain = math.sqrt(float(np.square(audio, dtype=np.float64).sum()) / energy) if energy else 1.0
    return (gain * changed).astype(np.float32)
