"""The acoustic model that PocketSphinx brings, in NumPy: samples -> log-densities of every phone's states.

16 kHz samples -> cepstra as the model was trained on -> mixtures of Gaussians -> one matrix for a recording, from
which paths through it are found and compared (`paths.py`). The scores of PocketSphinx itself cannot be: it sets the
best of what a search holds active in a frame to 0, so that two searches, or two places in one, have different zeros.

Only context-independent phones are read: three states a phone, each a mixture of its phone's 128 Gaussians in each of
three streams (cepstra, their differences, and those of the differences). Formats are those of the CMU Sphinx files
(`means`, `variances`, `sendump`, `mdef`, `transition_matrices`) in little-endian byte order.
"""

from functools import cache, cached_property
from pathlib import Path

import numpy as np

HOP = 160
"""Samples from one frame to the next, at 16 kHz."""
WINDOW = 410
"""Samples of a frame: frame i covers samples i * HOP to i * HOP + WINDOW."""
STATES = 3
"""States of a phone."""

_FFT, _FILTERS, _CEPSTRA, _STREAMS = 512, 25, 13, 3
_LOWEST, _HIGHEST = 130.0, 6800.0
# Mixture weights are bytes: -log(weight) in steps of this.
_WEIGHT_STEP = 1024 * np.log(1.0001)
_TINY = np.float32(1e-30)


class AcousticModel:
    """
    Phones, and how well their states fit each frame of a recording.

    Args:
        folder (`str` or `Path`): Where the model's files are.

    Attributes:
        phones (`list[str]`): ARPAbet without stress, SIL, and the fillers `+NSN+` and `+SPN+`.
        stay (`np.ndarray` of shape `(phones, 3)`): Log-probability that a state stays.
        leave (`np.ndarray` of shape `(phones, 3)`): Log-probability that it goes on to the next, or out of the phone.
    """

    def __init__(self, folder: str | Path):
        folder = Path(folder)
        self.phones = _phone_names((folder / "mdef").read_bytes())
        transitions = _transitions((folder / "transition_matrices").read_bytes())
        states = np.arange(STATES)
        with np.errstate(divide="ignore"):
            self.stay = np.log(transitions[:, states, states])
            self.leave = np.log(transitions[:, states, states + 1])
        means, variances = (_gaussians((folder / name).read_bytes()) for name in ("means", "variances"))
        self._densities = _as_products(means, np.maximum(variances, 1e-4))
        self._weights = _mixture_weights((folder / "sendump").read_bytes(), len(self.phones))

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of each phone."""
        return {phone: row for row, phone in enumerate(self.phones)}

    def log_densities(self, samples: np.ndarray) -> np.ndarray:
        """
        How well each state fits each frame.

        Args:
            samples (`np.ndarray` of shape `(num_samples,)`): int16, 16 kHz.

        Returns:
            `np.ndarray` of shape `(frames, phones, 3)`: Natural log-densities.
        """
        streams = [np.hstack([x * x, x, np.ones_like(x[:, :1])]) for x in with_differences(cepstra(samples))]
        result = np.zeros((len(streams[0]), len(self.phones), STATES), np.float32)
        # One phone at a time: what belongs to it stays in the processor's cache.
        for phone in range(len(self.phones)):
            for stream, densities, weights in zip(streams, self._densities, self._weights):
                each = stream @ densities[phone]
                best = each.max(-1, keepdims=True)
                np.exp(np.subtract(each, best, out=each), out=each)
                result[:, phone] += np.log(each @ weights[phone] + _TINY) + best
        return result


@cache
def shared_acoustic_model() -> AcousticModel:
    """PocketSphinx's own English model, once a process."""
    from pocketsphinx import get_model_path

    return AcousticModel(get_model_path("en-us/en-us"))


def cepstra(samples: np.ndarray) -> np.ndarray:
    """
    Mel cepstra as the model was trained on: noise taken out, liftered.

    Args:
        samples (`np.ndarray` of shape `(num_samples,)`): int16, 16 kHz.

    Returns:
        `np.ndarray` of shape `(frames, 13)`
    """
    emphasised = samples.astype(np.float32)
    emphasised[1:] -= np.float32(0.97) * samples[:-1]
    num_frames = max(1, 2 + (len(samples) - WINDOW) // HOP)  # the last may be a part of one
    padded = np.pad(emphasised, (0, max(0, (num_frames - 1) * HOP + WINDOW - len(emphasised))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:num_frames]
    power = np.abs(np.fft.rfft(frames * np.hamming(WINDOW).astype(np.float32), _FFT)) ** 2
    denoised = _without_noise(power @ _mel_filters().T)
    return (np.log(denoised + 1e-4) @ _cosines().T).astype(np.float32)


def with_differences(cepstra: np.ndarray) -> list[np.ndarray]:
    """
    Cepstra less their mean, how they change over two frames to either side, and how that changes.

    Args:
        cepstra (`np.ndarray` of shape `(frames, 13)`): From [`cepstra`].
    """
    centred = cepstra - cepstra.mean(0)
    padded = np.pad(centred, ((3, 3), (0, 0)), mode="edge")

    def shifted(by: int) -> np.ndarray:
        return padded[3 + by : 3 + by + len(centred)]

    return [centred, shifted(2) - shifted(-2), (shifted(3) - shifted(-1)) - (shifted(1) - shifted(-3))]


def _without_noise(power: np.ndarray) -> np.ndarray:
    """
    Powers of shape `(frames, filters)`, less what is there all the time.

    The steps are those of power-normalized cepstra (Kim and Stern, 2016): an asymmetric lower envelope is the noise;
    what falls fast after a peak is masked by it; the gains are smoothed over filters.
    """
    smoothed, noise, floor = power[0], power[0] / 20, power[0] / 20
    peak = np.zeros_like(smoothed)
    gains = np.empty_like(power)
    for frame, current in enumerate(power):
        smoothed = 0.7 * smoothed + 0.3 * current
        noise = _lower_envelope(noise, smoothed)
        signal = np.maximum(smoothed - noise, 1.0)
        floor = _lower_envelope(floor, signal)
        peak = 0.85 * peak
        masked = np.where(signal < 0.85 * peak, 0.2 * peak, signal)
        peak = np.maximum(peak, signal)
        gains[frame] = np.maximum(masked, floor) / np.maximum(smoothed, 1e-30)
    near = np.abs(np.subtract.outer(np.arange(_FILTERS), np.arange(_FILTERS))) <= 4
    return power * (np.clip(gains, 0.05, 20) @ (near / near.sum(1, keepdims=True)).T)


def _lower_envelope(envelope: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Rises slowly and falls fast."""
    rate = np.where(power >= envelope, 0.005, 0.5)
    return envelope + rate * (power - envelope)


@cache
def _mel_filters() -> np.ndarray:
    """Triangles of unit area between bins, of shape `(filters, bins)`."""
    mels = np.linspace(*(2595 * np.log10(1 + hertz / 700) for hertz in (_LOWEST, _HIGHEST)), _FILTERS + 2)
    spacing = 16000 / _FFT
    edges = np.floor(700 * (10 ** (mels / 2595) - 1) / spacing + 0.5) * spacing
    bins = np.arange(_FFT // 2 + 1) * spacing
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    return np.maximum(0, triangles) * 2 / (right - left)


@cache
def _cosines() -> np.ndarray:
    """An orthonormal cosine transform with its lifter, of shape `(cepstra, filters)`."""
    order = np.arange(_CEPSTRA)[:, None]
    cosines = np.cos(np.pi / _FILTERS * order * (np.arange(_FILTERS) + 0.5)) * np.sqrt(2 / _FILTERS)
    cosines[0] /= np.sqrt(2)
    return cosines * (1 + 11 * np.sin(np.pi * order / 22))


def _as_products(means: np.ndarray, variances: np.ndarray) -> list[np.ndarray]:
    """For each stream what squares, values and a one are multiplied by: log-densities, `(phones, 27, Gaussians)`."""
    precisions = 1 / variances
    constants = -0.5 * (means**2 * precisions + np.log(2 * np.pi * variances)).sum(-1, keepdims=True)
    products = np.concatenate([-0.5 * precisions, means * precisions, constants], -1)
    return [np.ascontiguousarray(products[:, stream].swapaxes(-1, -2)) for stream in range(products.shape[1])]


def _gaussians(data: bytes) -> np.ndarray:
    """Means or variances, of shape `(phones, streams, Gaussians, 13)`."""
    data = _after_header(data)
    phones, streams, gaussians = np.frombuffer(data, "<i4", 3)
    values = np.frombuffer(data, "<f4", phones * streams * gaussians * _CEPSTRA, 4 * (3 + streams + 1))
    return values.reshape(phones, streams, gaussians, _CEPSTRA)


def _transitions(data: bytes) -> np.ndarray:
    """Probabilities of shape `(phones, 3, 4)`; the last column leaves the phone."""
    data = _after_header(data)
    phones, states, following, count = np.frombuffer(data, "<i4", 4)
    counts = np.frombuffer(data, "<f4", count, 16).reshape(phones, states, following)
    return counts / counts.sum(-1, keepdims=True)


def _after_header(data: bytes) -> bytes:
    """What follows the text header and the mark of the byte order."""
    return data[data.index(b"endhdr\n") + len(b"endhdr\n") + 4 :]


def _phone_names(data: bytes) -> list[str]:
    """Names of the context-independent phones, which the file has first."""
    start = 12 + int(np.frombuffer(data, "<i4", 3)[2])
    number = int(np.frombuffer(data, "<i4", 1, start)[0])
    return [name.decode() for name in data[start + 40 :].split(b"\0", number)[:number]]


def _mixture_weights(data: bytes, num_phones: int) -> list[np.ndarray]:
    """Weights of each stream, of shape `(phones, Gaussians, 3)`; those of phones in context come after these."""
    position, length = 0, -1
    while length:
        length = int(np.frombuffer(data, "<i4", 1, position)[0])
        position += 4 + length
    gaussians, states = (int(number) for number in np.frombuffer(data, "<i4", 2, position))
    quantized = np.frombuffer(data, np.uint8, _STREAMS * gaussians * states, position + 8)
    own = quantized.reshape(_STREAMS, gaussians, states)[:, :, : num_phones * STATES]
    weights = np.exp(-_WEIGHT_STEP * own).astype(np.float32).reshape(_STREAMS, gaussians, num_phones, STATES)
    return [np.ascontiguousarray(stream.swapaxes(0, 1)) for stream in weights]
