"""Frames of Whisper's encoder (2212.04356) up to one layer: 50 a second, as MFCC has them.

waveforms -> log-mel frames as Whisper's feature extractor makes them -> windows of long ones -> batches of like length
-> features of one layer. Whisper fills everything up to 30 s with silence; here a window is as long as its audio, and
takes as many of the positions, so that a second of audio costs a second's work.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from transformers import AutoConfig, PretrainedConfig, WhisperFeatureExtractor
from transformers.audio_utils import mel_filter_bank
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from .configuration_speech_units import SpeechUnitConfig
from .windows import Piece, WindowedEncoder

# What of its configuration shapes the encoder.
_SHAPE = (
    "d_model",
    "encoder_layers",
    "encoder_attention_heads",
    "encoder_ffn_dim",
    "num_mel_bins",
    "max_source_positions",
    "activation_function",
)
_MEL = ("feature_size", "n_fft", "hop_length")
_MEL_FRAMES = 2
"""Log-mel frames of one frame: the second convolution takes every other one."""
_MAX_FREQUENCY = 8000.0
_QUIETEST = 1e-10
_RANGE = 8.0  # below the loudest, as a power of ten
_BLOCK = 6000  # log-mel frames of a long waveform at a time


def check_shape(config: PretrainedConfig, name: str) -> None:
    """Every Whisper has frames at each of its layers."""


def default_layer(layers: int) -> int:
    """The layer that is taken where none is asked for: three quarters of the way up, rounded up."""
    return math.ceil(0.75 * layers)


def describe(config: PretrainedConfig, preprocessing: dict[str, Any], name: str, layer: int) -> dict[str, Any]:
    """
    `model`, `hop_length`, `sampling_rate` and `mel` of [`describe_encoder`].

    Raises:
        `ValueError`: If there is no feature extractor, or one of another number of bins.
    """
    if not preprocessing:
        raise ValueError(
            f"{name} has no feature extractor (preprocessor_config.json), which says what Whisper hears; give a "
            "folder or a revision that has one."
        )
    extractor = WhisperFeatureExtractor.from_dict(preprocessing)
    if extractor.feature_size != config.num_mel_bins:
        raise ValueError(
            f"The encoder of {name} reads {config.num_mel_bins} mel bins, and the feature extractor beside it makes "
            f"{extractor.feature_size}; give a folder or a revision with its own."
        )
    config.encoder_layers = layer
    return {
        "model": {"model_type": "whisper"} | {key: getattr(config, key) for key in _SHAPE},
        "hop_length": _MEL_FRAMES * extractor.hop_length,
        "mel": {key: getattr(extractor, key) for key in _MEL},
        "sampling_rate": extractor.sampling_rate,
    }


def cut_at_layer(model: torch.nn.Module, layer: int) -> torch.nn.Module:
    """The part of a whole model that [`WhisperFrameEncoder`] has."""
    encoder = model.encoder
    encoder.layers, encoder.layer_norm = encoder.layers[:layer], torch.nn.Identity()
    return encoder


class WhisperFrameEncoder(WindowedEncoder):
    """
    A layer of Whisper's encoder.

    The features are what the layer gives to the next one, before the normalisation behind the last. Frame i is
    centred on its samples, as in the other encoders: Whisper's own are centred 10 ms earlier, so that one log-mel
    frame is left out in front. The range of the logarithms follows from the loudest sound of the whole recording.

    Args:
        config ([`SpeechUnitConfig`]): The configuration; its `pretrained` says which encoder it is.
    """

    # Units of frames nearer to an edge change more often when windows begin elsewhere; of the others more context
    # changes nothing (docs/encoders.md).
    margin_seconds = 3.0

    def __init__(self, config: SpeechUnitConfig):
        super().__init__(config)
        shape = dict(config.pretrained["model"])
        self.model = WhisperEncoder(AutoConfig.for_model(shape.pop("model_type"), **shape))
        self.model.layer_norm = torch.nn.Identity()
        self.window_seconds = self.model.max_source_positions / config.frame_rate
        self.margin_seconds = min(type(self).margin_seconds, self.window_seconds / 4)
        self._tables: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}

    def hear(
        self, waveforms: Sequence[torch.Tensor], is_cut: Sequence[bool]
    ) -> list[tuple[torch.Tensor, torch.Tensor | None]]:
        """Each waveform, and of one that is cut the loudest of all of its log-mel frames."""
        return [(waveform, self._loudest(waveform) if cut else None) for waveform, cut in zip(waveforms, is_cut)]

    def encode(
        self, batch: list[Piece], heard: list[tuple[torch.Tensor, torch.Tensor | None]]
    ) -> Iterable[torch.Tensor]:
        """As [`WindowedEncoder`] says."""
        rows = [self.log_mel(*heard[piece.waveform], piece.start, piece.end) for piece in batch]
        mel = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(self.model.dtype)
        hidden = torch.nn.functional.gelu(self.model.conv1(mel.transpose(1, 2)))
        hidden = torch.nn.functional.gelu(self.model.conv2(hidden)).transpose(1, 2)
        hidden = hidden + self.model.embed_positions.weight[: hidden.shape[1]]
        mask = _attention_mask(batch, hidden)
        for layer in self.model.layers:
            hidden = layer(hidden, mask)
        return hidden

    def log_mel(
        self, waveform: torch.Tensor, loudest: torch.Tensor | None = None, start: int = 0, end: int | None = None
    ) -> torch.Tensor:
        """
        What the encoder reads of some frames: two log-mel frames of each, from the second one that Whisper's feature
        extractor makes.

        Args:
            waveform (`torch.Tensor` of shape `(num_samples,)`): A whole recording.
            loudest (`torch.Tensor`, *optional*): The largest logarithm of the recording; that of these frames when not
                given.
            start (`int`, *optional*, defaults to 0): The first frame.
            end (`int`, *optional*): The frame behind the last one; all frames when not given.

        Returns:
            `torch.FloatTensor` of shape `(2 * (end - start), num_mel_bins)`.
        """
        end = self.config.num_frames(len(waveform)) if end is None else end
        logarithms = self._logarithms(waveform, _MEL_FRAMES * start, _MEL_FRAMES * end + 1)
        floor = (logarithms.max() if loudest is None else loudest) - _RANGE
        return (torch.maximum(logarithms[1:], floor) + 4) / 4

    def _loudest(self, waveform: torch.Tensor) -> torch.Tensor:
        frames = _MEL_FRAMES * self.config.num_frames(len(waveform)) + 1
        blocks = range(0, frames, _BLOCK)
        return torch.stack([self._logarithms(waveform, at, min(at + _BLOCK, frames)).max() for at in blocks]).max()

    def _logarithms(self, waveform: torch.Tensor, start: int, end: int) -> torch.Tensor:
        """Logarithms of the mel energies of some log-mel frames, each centred on its first sample."""
        window, filters = self._get_tables(waveform.device)
        hop, margin = self.config.pretrained["mel"]["hop_length"], len(window) // 2
        left, right = start * hop - margin, (end - 1) * hop + margin
        inside = waveform[max(0, left) : min(len(waveform), right)].float()
        if left < 0:  # as in a mirror before the first sample, and silence behind the last
            inside = torch.cat([waveform[1 : 1 - left].float().flip(0), inside])
        inside = torch.nn.functional.pad(inside, (0, right - left - len(inside)))
        spectrum = torch.fft.rfft(inside.unfold(0, len(window), hop) * window)
        energies = (spectrum.real**2 + spectrum.imag**2) @ filters
        return energies.clamp_min(_QUIETEST).log10()

    def _get_tables(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Window and mel filters; made on first use, for a model may be built on the meta device."""
        if device not in self._tables:
            mel = self.config.pretrained["mel"]
            filters = mel_filter_bank(
                num_frequency_bins=mel["n_fft"] // 2 + 1,
                num_mel_filters=mel["feature_size"],
                min_frequency=0.0,
                max_frequency=_MAX_FREQUENCY,
                sampling_rate=self.config.sampling_rate,
                norm="slaney",
                mel_scale="slaney",
            )
            tables = torch.hann_window(mel["n_fft"]), torch.from_numpy(filters).float()
            self._tables[device] = tuple(table.to(device) for table in tables)
        return self._tables[device]


def _attention_mask(batch: list[Piece], hidden: torch.Tensor) -> torch.Tensor | None:
    """Nothing attends to what is behind a piece's last frame; `None` where all pieces are as long."""
    lengths = torch.tensor([len(piece) for piece in batch], device=hidden.device)
    if int(lengths.min()) == hidden.shape[1]:
        return None
    beyond = torch.arange(hidden.shape[1], device=hidden.device) >= lengths[:, None]
    mask = torch.zeros(beyond.shape, dtype=hidden.dtype, device=hidden.device)
    return mask.masked_fill(beyond, torch.finfo(hidden.dtype).min)[:, None, None]
