"""Frames of a self-supervised encoder: HuBERT, wav2vec 2.0, WavLM and others of their shape, up to one layer.

waveforms -> as the encoder was trained to hear them -> windows of long ones -> batches of like length -> features of
one layer, a frame every `hop_length` samples. What else is in a batch changes no frame by more than rounding does: the
normalisation over time that the first convolution of some encoders has counts the samples of each waveform alone, and
convolutions between frames see zeros beyond each waveform's last.
"""

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PretrainedConfig

from .configuration_speech_units import SpeechUnitConfig
from .windows import Piece, WindowedEncoder

_STATISTICS_BLOCK = 2**20
_EPSILON = 1e-7
_NOT_OF_THE_SHAPE = {"_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype"}


def check_shape(config: PretrainedConfig, name: str) -> None:
    """
    Whether a model has a frame of every stretch of a waveform at each of its layers.

    Raises:
        `ValueError`: If not; the sentence names the model by `name`.
    """
    if not hasattr(config, "conv_stride") or not hasattr(config, "inputs_to_logits_ratio"):
        raise ValueError(
            f"{name} ({config.model_type}) does not turn waveforms into frames by convolutions; give a HuBERT, "
            "wav2vec 2.0, WavLM, Whisper or similar encoder."
        )
    if getattr(config, "squeeze_factor", 1) > 1:
        raise ValueError(
            f"{name} ({config.model_type}) pools frames before its layers, so that a layer has no features of each; "
            "give a HuBERT, wav2vec 2.0, WavLM or similar encoder."
        )


def default_layer(layers: int) -> int:
    """The layer that is taken where none is asked for: the last."""
    return layers


def describe(config: PretrainedConfig, preprocessing: dict[str, Any], name: str, layer: int) -> dict[str, Any]:
    """`model`, `hop_length`, `sampling_rate` and `normalize` of [`describe_encoder`]."""
    config.num_hidden_layers = layer
    model = {key: value for key, value in config.to_diff_dict().items() if key not in _NOT_OF_THE_SHAPE}
    return {
        "model": json.loads(json.dumps(model | {"model_type": config.model_type})),
        "hop_length": math.prod(config.conv_stride),
        "normalize": bool(preprocessing.get("do_normalize", getattr(config, "feat_extract_norm", "layer") == "layer")),
        "sampling_rate": int(preprocessing.get("sampling_rate", 16_000)),
    }


def cut_at_layer(model: torch.nn.Module, layer: int) -> torch.nn.Module:
    """The part of a whole model that [`SslEncoder`] has."""
    model.encoder.layers = model.encoder.layers[:layer]
    return model


class SslEncoder(WindowedEncoder):
    """
    A layer of a self-supervised encoder.

    A frame's window is centred on it, as in the other encoders, with zeros beyond the edges of the audio. The features
    are what the layer gives to the next one (before the normalisation that some encoders have behind their last).

    Args:
        config ([`SpeechUnitConfig`]): The configuration; its `ssl` says which encoder it is.
    """

    def __init__(self, config: SpeechUnitConfig):
        super().__init__(config)
        shape = dict(config.pretrained["model"])
        self.model = AutoModel.from_config(AutoConfig.for_model(shape.pop("model_type"), **shape))
        if not hasattr(getattr(self.model, "encoder", None), "layers"):
            source = config.pretrained["source"]
            raise ValueError(f"The layers of {source} ({self.model.config.model_type}) are not known.")
        kernels, strides = self.model.config.conv_kernel, self.model.config.conv_stride
        span = 1
        for kernel, stride in zip(reversed(kernels), reversed(strides)):
            span = (span - 1) * stride + kernel
        self.span = span
        """Samples that one frame sees."""
        self._features: torch.Tensor | None = None
        self.model.encoder.layers[-1].register_forward_hook(self._keep)
        if isinstance(getattr(self.first, "layer_norm", None), torch.nn.GroupNorm):
            self.first.layer_norm = _NormOverTime(self.first.layer_norm)
        self._frames: torch.Tensor | None = None
        for module in self.model.encoder.modules():
            if isinstance(module, torch.nn.Conv1d) and module.kernel_size[0] > 1:
                module.register_forward_pre_hook(self._silence_padding)

    @property
    def first(self) -> torch.nn.Module:
        """The first convolution with what follows it."""
        return self.model.feature_extractor.conv_layers[0]

    @property
    def _norms_over_time(self) -> bool:
        return isinstance(getattr(self.first, "layer_norm", None), _NormOverTime)

    def _keep(self, module, inputs, output) -> None:
        self._features = output[0] if isinstance(output, tuple) else output

    def _silence_padding(self, module, inputs):
        """
        Zeros beyond each row's last frame, as a convolution sees them where a waveform is alone.

        The model sets padding to zero before its first convolution only, and what stands between that and the next one
        (a batch normalisation, as in `slprl/mhubert-base-25hz`; the layers of data2vec's) makes other values of it.
        """
        if self._frames is None:
            return None
        beyond = torch.arange(inputs[0].shape[2], device=inputs[0].device) >= self._frames[:, None]
        return inputs[0].masked_fill(beyond[:, None], 0.0)

    def hear(self, waveforms: Sequence[torch.Tensor], is_cut: Sequence[bool]) -> list[tuple[torch.Tensor, Any]]:
        """Each waveform as the encoder was trained to hear it; of one that is cut, statistics over all of it, too."""
        heard = [self._as_heard(waveform) for waveform in waveforms]
        return [(waveform, self._statistics(waveform) if cut else None) for waveform, cut in zip(heard, is_cut)]

    def _as_heard(self, waveform: torch.Tensor) -> torch.Tensor:
        if not self.config.pretrained["normalize"]:
            return waveform.float()
        mean, variance = waveform.double().mean(), waveform.double().var(correction=0)
        return ((waveform - mean) / (variance + _EPSILON).sqrt()).float()

    def _samples(self, waveform: torch.Tensor, start: int, end: int) -> torch.Tensor:
        """The samples that frames `start` to `end` see, with zeros beyond the edges."""
        hop = self.config.hop_length
        before = (self.span - hop) // 2
        left, right = start * hop - before, (end - 1) * hop - before + self.span
        inside = waveform[max(0, left) : min(len(waveform), right)]
        return torch.nn.functional.pad(inside, (max(0, -left), max(0, right - len(waveform))))

    def encode(self, batch: list[Piece], heard: list[tuple[torch.Tensor, Any]]) -> Iterable[torch.Tensor]:
        """As [`WindowedEncoder`] says."""
        rows = [self._samples(heard[piece.waveform][0], piece.start, piece.end) for piece in batch]
        lengths = torch.tensor([len(row) for row in rows], device=rows[0].device)
        values = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        inputs = {"input_values": values.to(self.model.dtype)}
        self._frames = None
        if int(lengths.min()) < values.shape[1]:
            self._frames = torch.tensor([len(piece) for piece in batch], device=values.device)
            inputs["attention_mask"] = (torch.arange(values.shape[1], device=values.device) < lengths[:, None]).long()
        if self._norms_over_time:
            convolution = self.first.conv
            self.first.layer_norm.lengths = (lengths - convolution.kernel_size[0]) // convolution.stride[0] + 1
            self.first.layer_norm.statistics = [heard[piece.waveform][1] for piece in batch]
        self.model(**inputs)
        features, self._features = self._features, None
        return features

    def _statistics(self, waveform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Mean and variance over a whole long waveform of what the first convolution makes of it, block by block."""
        if not self._norms_over_time:
            return None
        convolution, hop = self.first.conv, self.config.hop_length
        samples = self._samples(waveform, 0, self.config.num_frames(len(waveform)))
        kernel, stride = convolution.kernel_size[0], convolution.stride[0]
        block = _STATISTICS_BLOCK // hop * hop
        total, square, count = 0.0, 0.0, 0
        for start in range(0, len(samples) - kernel + 1, block // stride * stride):
            part = samples[start : start + block // stride * stride + kernel - stride]
            made = convolution(part.to(self.model.dtype)[None, None])[0].double()
            total, square, count = total + made.sum(1), square + made.square().sum(1), count + made.shape[1]
        mean = total / count
        return mean, square / count - mean**2


class _NormOverTime(torch.nn.GroupNorm):
    """
    A normalisation of each channel over time that leaves padding out, or takes statistics of more than it sees.

    Args:
        norm (`torch.nn.GroupNorm`): What it stands in for, with a group for each channel.
    """

    def __init__(self, norm: torch.nn.GroupNorm):
        super().__init__(
            norm.num_groups, norm.num_channels, norm.eps, device=norm.weight.device, dtype=norm.weight.dtype
        )
        self.lengths: torch.Tensor | None = None
        self.statistics: list = []

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """`(rows, channels, time)` -> the same shape."""
        if self.lengths is None or not (any(self.statistics) or int(self.lengths.min()) < hidden.shape[2]):
            return super().forward(hidden)
        if hidden.device.type == "cpu":
            return self._row_by_row(hidden)
        inside = (torch.arange(hidden.shape[2], device=hidden.device) < self.lengths[:, None])[:, None]
        values = torch.where(inside, hidden, 0).float()
        mean = values.sum(2) / self.lengths[:, None]
        variance = (torch.where(inside, values - mean[..., None], 0) ** 2).sum(2) / self.lengths[:, None]
        for row, known in enumerate(self.statistics):
            if known is not None:
                mean[row], variance[row] = known
        scale = self.weight / (variance + self.eps).sqrt()
        return (hidden * scale[..., None] + (self.bias - mean * scale)[..., None]).to(hidden.dtype)

    def _row_by_row(self, hidden: torch.Tensor) -> torch.Tensor:
        """The same with fewer passes over memory, which is what a CPU waits for."""
        for row, length, known in zip(hidden, self.lengths.tolist(), self.statistics):
            if known is None:
                row[:, :length] = super().forward(row[None, :, :length])[0]
            else:
                mean, variance = (values.float() for values in known)
                scale = self.weight / (variance + self.eps).sqrt()
                row.copy_(row * scale[:, None] + (self.bias - mean * scale)[:, None])
        return hidden
