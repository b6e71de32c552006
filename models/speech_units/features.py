"""Audio to frames: what a speech-unit quantizer measures before it normalises and clusters.

waveforms of any lengths -> [`check_audio`] -> encoder ([`MfccEncoder`], [`LogMelEncoder`], or one with weights, of
`ssl_encoder.py` or `whisper_encoder.py`) -> a matrix (frames, dimensions) each. An encoder is called with a list of
waveforms and gives a list of float64 matrices, or gives them piece by piece, and no waveform has an influence on
another's; nothing after it knows what it is.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torchaudio.functional

from .configuration_speech_units import SpeechUnitConfig

MIN_FREQUENCY = 20.0
_DELTA_OFFSETS = (-2, -1, 1, 2)
# Every block has the same shape, in which a frame is computed in the same way whatever else is in the batch: features
# are then equal to the last bit. Small blocks also stay in the processor's cache.
_BLOCK = 256
_LOUDEST = 8.0
_SAMPLE_TYPES = ("int16", "float16", "bfloat16", "float32", "float64")


def check_audio(audio: np.ndarray | torch.Tensor, min_samples: int = 1, name: str = "The audio") -> torch.Tensor:
    """
    Take a waveform of whatever type as float32 samples in [-1, 1].

    Args:
        audio (`np.ndarray` or `torch.Tensor` of shape `(num_samples,)`):
            int16 samples, or floating-point samples in [-1, 1].
        min_samples (`int`, *optional*, defaults to 1):
            Samples that there must be at least.
        name (`str`, *optional*, defaults to `"The audio"`):
            What an error calls it.

    Returns:
        `torch.FloatTensor` of shape `(num_samples,)`.

    Raises:
        `ValueError`: If it is not one channel of int16 or floating-point samples, is too short, or holds samples that
            are not finite or far outside [-1, 1].
    """
    if not isinstance(audio, torch.Tensor):
        audio = np.array(audio)  # a copy: torch takes no read-only memory
    if str(audio.dtype).removeprefix("torch.") not in _SAMPLE_TYPES:
        raise ValueError(f"{name} has samples of type {audio.dtype}; give int16, or floating point in [-1, 1].")
    if audio.ndim != 1:
        raise ValueError(f"{name} has shape {tuple(audio.shape)}; give one channel of shape (num_samples,).")
    waveform = torch.as_tensor(audio)
    if len(waveform) == 0:
        raise ValueError(f"{name} is empty; leave it out.")
    if len(waveform) < min_samples:
        raise ValueError(
            f"{name} has {len(waveform)} samples, less than the {min_samples} of one frame; leave it out or pad it."
        )
    if waveform.dtype == torch.int16:
        return waveform.float() / 2**15
    loudest = float(waveform.abs().max())
    if not loudest < float("inf"):
        raise ValueError(f"{name} holds NaN or infinite samples; read it again or leave it out.")
    if loudest > _LOUDEST:
        raise ValueError(f"{name} has a sample of {loudest:g}; scale it to [-1, 1] (int16 samples: divide by 32768).")
    return waveform.float()


class LogMelEncoder:
    """
    Logarithms of mel energies on the frames of [`SpeechUnitConfig`].

    The window of a frame is centred on it, with zeros beyond the edges of the audio. Everything is computed in
    float64: rounding is then too small to move a frame over the border between two units, so that units do not depend
    on the number of threads, the batch or the device (CPU or CUDA).

    Args:
        config ([`SpeechUnitConfig`]): The configuration.
    """

    def __init__(self, config: SpeechUnitConfig):
        self.config = config
        self._tables: dict[torch.device, tuple[torch.Tensor, ...]] = {}

    @property
    def _window_length(self) -> int:
        return round(self.config.window_ms * self.config.sampling_rate / 1000)

    def __call__(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """
        Compute the features of some waveforms.

        Args:
            waveforms (`Sequence[torch.Tensor]`): Samples of shape `(num_samples,)`, of any lengths, on one device.

        Returns:
            `list[torch.DoubleTensor]`: Features of shape `(config.num_frames(num_samples), config.feature_size)`.
        """
        if not waveforms:
            return []
        num_frames = [self.config.num_frames(len(waveform)) for waveform in waveforms]
        signal, starts = self._lay_out(waveforms, num_frames)
        static = self._static(signal)
        frames = torch.cat([static[start : start + length] for start, length in zip(starts, num_frames)])
        return list(self._with_context(frames, num_frames).split(num_frames))

    def pieces(self, waveforms: Sequence[torch.Tensor]) -> Iterator[tuple[int, int, torch.Tensor]]:
        """
        The same piece by piece.

        Args:
            waveforms (`Sequence[torch.Tensor]`): As when it is called.

        Yields:
            `tuple[int, int, torch.DoubleTensor]`: Index of a waveform, first frame, and features from there on.
        """
        for index, features in enumerate(self(waveforms)):
            yield index, 0, features

    def _with_context(self, static: torch.Tensor, num_frames: list[int]) -> torch.Tensor:
        """Features of waveforms behind one another from those of their frames, each seen by itself."""
        return static

    def _lay_out(self, waveforms: Sequence[torch.Tensor], num_frames: list[int]) -> tuple[torch.Tensor, list[int]]:
        """All waveforms in one signal, so that no window sees two of them; and the first frame of each."""
        hop, margin = self.config.hop_length, (self._window_length - self.config.hop_length) // 2
        gap = 2 + margin // hop
        starts = [0]
        for length in num_frames:
            starts.append(starts[-1] + length + gap)
        num_blocks = -(-starts[-1] // _BLOCK)
        signal = waveforms[0].new_zeros(num_blocks * _BLOCK * hop + self._window_length)
        for waveform, start in zip(waveforms, starts):
            signal[start * hop + margin :][: len(waveform)] = waveform
        return signal, starts

    def _static(self, signal: torch.Tensor) -> torch.Tensor:
        """What is seen of each frame of a signal by itself, of shape (frames, size)."""
        window, filters, transform = self._get_tables(signal.device)
        frames = signal.unfold(0, self._window_length, self.config.hop_length)
        blocks = []
        for block in frames[: len(frames) // _BLOCK * _BLOCK].split(_BLOCK):
            spectrum = torch.fft.rfft(block.double() * window, n=_power_of_two(self._window_length))
            energies = (spectrum.real**2 + spectrum.imag**2) @ filters
            blocks.append(self._of_log_energies(torch.log(energies + self.config.log_floor), transform))
        return torch.cat(blocks)

    def _of_log_energies(self, energies: torch.Tensor, transform: torch.Tensor) -> torch.Tensor:
        return energies

    def _get_tables(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Window, mel filters and cosine transform; made on first use, for a model may be built on the meta device."""
        if device not in self._tables:
            config = self.config
            num_bins = _power_of_two(self._window_length) // 2 + 1
            tables = (
                torch.hann_window(self._window_length, dtype=torch.float64),
                torchaudio.functional.melscale_fbanks(
                    num_bins, MIN_FREQUENCY, config.sampling_rate / 2, config.num_mel_bins, config.sampling_rate
                ).double(),
                torchaudio.functional.create_dct(config.num_cepstra, config.num_mel_bins, norm="ortho").double(),
            )
            self._tables[device] = tuple(table.to(device) for table in tables)
        return self._tables[device]


class MfccEncoder(LogMelEncoder):
    """
    Mel-frequency cepstra with deltas and delta-deltas, the features of HuBERT's first iteration (2106.07447, Section
    IV-B), on the frames of [`SpeechUnitConfig`], computed as [`LogMelEncoder`] does.

    Args:
        config ([`SpeechUnitConfig`]): The configuration.
    """

    def _of_log_energies(self, energies: torch.Tensor, transform: torch.Tensor) -> torch.Tensor:
        return energies @ transform

    def _with_context(self, static: torch.Tensor, num_frames: list[int]) -> torch.Tensor:
        around = _frames_around(num_frames, static.device)
        delta = _deltas(static, around)
        return torch.cat([static, delta, _deltas(delta, around)], dim=1)


def make_encoder(config: SpeechUnitConfig):
    """
    The encoder of a configuration; one that has weights is a module, with random ones.

    Args:
        config ([`SpeechUnitConfig`]): The configuration.
    """
    if config.encoder == "pretrained":
        from .ssl_encoder import SslEncoder
        from .whisper_encoder import WhisperFrameEncoder

        is_whisper = config.pretrained["model"]["model_type"] == "whisper"
        return WhisperFrameEncoder(config) if is_whisper else SslEncoder(config)
    return {"mfcc": MfccEncoder, "log_mel": LogMelEncoder}[config.encoder](config)


def _frames_around(num_frames: list[int], device: torch.device) -> list[torch.Tensor]:
    """Rows of the frames -2, -1, 1 and 2 from each; at the edges of its waveform the first or last frame stands in."""
    lengths = torch.tensor(num_frames, device=device)
    ends = lengths.cumsum(0)
    first, last = (ends - lengths).repeat_interleave(lengths), (ends - 1).repeat_interleave(lengths)
    rows = torch.arange(len(first), device=device)
    return [(rows + offset).clamp(first, last) for offset in _DELTA_OFFSETS]


def _deltas(frames: torch.Tensor, around: list[torch.Tensor]) -> torch.Tensor:
    """
    The slope of each dimension over five frames, 100 ms at 50 Hz.

    To the last bit what `torchaudio.functional.compute_deltas` gives for each waveform with a window of 5; a
    convolution for each waveform costs many times as much where waveforms are short, and threads wait for one another.
    """
    earliest, earlier, later, latest = (frames[rows] for rows in around)
    return (-2 * earliest - earlier + later + 2 * latest) / sum(offset**2 for offset in _DELTA_OFFSETS)


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()
