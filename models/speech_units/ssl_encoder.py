"""Frames of a self-supervised encoder: HuBERT, wav2vec 2.0, WavLM and others of their shape, up to one layer.

waveforms -> as the encoder was trained to hear them -> windows of long ones -> batches of like length -> features of
one layer, a frame every `hop_length` samples. What else is in a batch changes no frame by more than rounding does: the
normalisation over time that the first convolution of some encoders has counts the samples of each waveform alone, and
convolutions between frames see zeros beyond each waveform's last.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, PretrainedConfig

from .configuration_speech_units import SpeechUnitConfig
from .safetensors_revision import find_safetensors_revision

WINDOW_SECONDS = 30.0
MARGIN_SECONDS = 4.0
"""A longer waveform is cut into windows of so many seconds; of each, so many at either end are context only."""

# A CPU is filled by one file of a few seconds, and slower where a batch's activations leave its cache.
_BATCH_SECONDS = {"cpu": 4.0, "cuda": 640.0}
_STATISTICS_BLOCK = 2**20
_EPSILON = 1e-7
_NOT_OF_THE_SHAPE = {"_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype"}


def describe_ssl_encoder(model_id: str, layer: int | None = None, revision: str | None = None) -> dict:
    """
    What a [`SpeechUnitConfig`] has to know of an encoder: its shape up to a layer, and where it comes from.

    Args:
        model_id (`str`): A folder or an id on the Hub.
        layer (`int`, *optional*): The layer whose output is clustered, from 1; the last one when not given.
        revision (`str`, *optional*): Commit, branch or tag on the Hub. If it has no weights in safetensors, the
            Hub's own conversion of them is described, with its commit; see [`find_safetensors_revision`].

    Returns:
        `dict`: `model` (the encoder's configuration with `layer` layers), `normalize` (whether each waveform gets mean
        0 and variance 1), `sampling_rate`, `layer`, `source` (the id, or the folder's name) and `revision` (the
        commit that the weights are read from, where known).

    Raises:
        `ValueError`: If there is no such encoder, it reads no waveforms, it has fewer layers, or its weights are not
            to be had in safetensors.
    """
    is_folder = Path(model_id).is_dir()
    name = Path(model_id).name if is_folder else model_id
    try:
        config = AutoConfig.from_pretrained(model_id, revision=revision)
    except (OSError, ValueError) as error:
        raise ValueError(f"{model_id!r} is no encoder: {str(error).splitlines()[0]}") from error
    if not hasattr(config, "conv_stride") or not hasattr(config, "inputs_to_logits_ratio"):
        raise ValueError(
            f"{name} ({config.model_type}) does not turn waveforms into frames by convolutions; give a HuBERT, "
            "wav2vec 2.0, WavLM or similar encoder."
        )
    if not is_folder and (readable := find_safetensors_revision(model_id, revision)) != revision:
        # Configuration and weights come from one commit, so that the pin says all that was read.
        revision = readable
        config = AutoConfig.from_pretrained(model_id, revision=revision)
    if getattr(config, "squeeze_factor", 1) > 1:
        raise ValueError(
            f"{name} ({config.model_type}) pools frames before its layers, so that a layer has no features of each; "
            "give a HuBERT, wav2vec 2.0, WavLM or similar encoder."
        )
    layers = config.num_hidden_layers
    layer = layers if layer is None else layer
    if not 1 <= layer <= layers:
        raise ValueError(f"{name} has {layers} layers; layer {layer} is none of them.")
    config.num_hidden_layers = layer
    model = {key: value for key, value in config.to_diff_dict().items() if key not in _NOT_OF_THE_SHAPE}
    model |= {"model_type": config.model_type, "hidden_size": config.hidden_size, "conv_stride": config.conv_stride}
    preprocessing = _read_preprocessing(model_id, revision)
    return {
        "model": json.loads(json.dumps(model)),
        "normalize": bool(preprocessing.get("do_normalize", getattr(config, "feat_extract_norm", "layer") == "layer")),
        "sampling_rate": int(preprocessing.get("sampling_rate", 16_000)),
        "layer": layer,
        "source": name,
        "revision": _find_commit(model_id, revision) or revision,
    }


def ssl_model_config(ssl: dict) -> PretrainedConfig:
    """The encoder's own configuration, from what [`describe_ssl_encoder`] says of it."""
    values = dict(ssl["model"])
    return AutoConfig.for_model(values.pop("model_type"), **values)


def load_ssl_weights(model_id: str, ssl: dict, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """
    Weights of an encoder up to the layer that is used; safetensors only.

    Args:
        model_id (`str`): A folder or an id on the Hub.
        ssl (`dict`): As [`describe_ssl_encoder`] gives it.
        dtype (`torch.dtype`, *optional*, defaults to `torch.float32`): Their precision.

    Returns:
        `dict[str, torch.Tensor]`: Weights by name.

    Raises:
        `ValueError`: If the encoder has no weights in safetensors.
    """
    try:
        model = AutoModel.from_pretrained(model_id, revision=ssl["revision"], dtype=dtype, use_safetensors=True)
    except OSError as error:
        raise ValueError(f"{ssl['source']} has no weights in safetensors that can be read: {error}") from error
    model.encoder.layers = model.encoder.layers[: ssl["layer"]]
    return model.state_dict()


@dataclass(frozen=True)
class _Piece:
    """Frames `start` to `end` of a waveform, of which those from `first` to `last` are kept."""

    waveform: int
    start: int
    end: int
    first: int
    last: int


class SslEncoder(torch.nn.Module):
    """
    An encoder of [`SpeechUnitModel`] with weights of its own, which are saved with the model.

    A frame's window is centred on it, as in the other encoders, with zeros beyond the edges of the audio. The features
    are what the layer gives to the next one (before the normalisation that some encoders have behind their last).

    Args:
        config ([`SpeechUnitConfig`]): The configuration; its `ssl` says which encoder it is.
    """

    def __init__(self, config: SpeechUnitConfig):
        super().__init__()
        self.config = config
        self.model = AutoModel.from_config(ssl_model_config(config.ssl))
        if not hasattr(getattr(self.model, "encoder", None), "layers"):
            raise ValueError(f"The layers of {config.ssl['source']} ({self.model.config.model_type}) are not known.")
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

    def forward(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """
        Compute the features of some waveforms.

        Args:
            waveforms (`Sequence[torch.Tensor]`): Samples of shape `(num_samples,)`, of any lengths, on one device.

        Returns:
            `list[torch.DoubleTensor]`: Features of shape `(config.num_frames(num_samples), config.feature_size)`.
        """
        features = [
            waveform.new_zeros((self.config.num_frames(len(waveform)), self.config.feature_size), dtype=torch.float64)
            for waveform in waveforms
        ]
        for index, first, part in self.pieces(waveforms):
            features[index][first : first + len(part)] = part
        return features

    @torch.no_grad()
    def pieces(self, waveforms: Sequence[torch.Tensor]) -> Iterator[tuple[int, int, torch.Tensor]]:
        """
        The same piece by piece, so that the features of a long waveform are never held at once.

        Args:
            waveforms (`Sequence[torch.Tensor]`): As in [`~SslEncoder.forward`].

        Yields:
            `tuple[int, int, torch.DoubleTensor]`: Index of a waveform, first frame, and features from there on.
        """
        self.model.eval()
        heard = [self._as_heard(waveform) for waveform in waveforms]
        pieces = [piece for index, waveform in enumerate(waveforms) for piece in self._cut(index, len(waveform))]
        pieces.sort(key=lambda piece: piece.start - piece.end)
        counts = np.bincount([piece.waveform for piece in pieces], minlength=len(waveforms))
        whole = {index: self._statistics(heard[index]) for index in np.flatnonzero(counts > 1)}
        limit = _BATCH_SECONDS["cpu" if self.model.device.type == "cpu" else "cuda"] * self.config.frame_rate
        batch: list[_Piece] = []
        for piece in pieces:
            if batch and (len(batch) + 1) * (batch[0].end - batch[0].start) > limit:
                yield from self._encode(batch, heard, whole)
                batch = []
            batch.append(piece)
        if batch:
            yield from self._encode(batch, heard, whole)

    def _as_heard(self, waveform: torch.Tensor) -> torch.Tensor:
        if not self.config.ssl["normalize"]:
            return waveform.float()
        mean, variance = waveform.double().mean(), waveform.double().var(correction=0)
        return ((waveform - mean) / (variance + _EPSILON).sqrt()).float()

    def _cut(self, index: int, samples: int) -> Iterator[_Piece]:
        frames, rate = self.config.num_frames(samples), self.config.frame_rate
        window, margin = round(WINDOW_SECONDS * rate), round(MARGIN_SECONDS * rate)
        if frames <= window:
            yield _Piece(index, 0, frames, 0, frames)
            return
        for first in range(0, frames, window - 2 * margin):
            last = min(frames, first + window - 2 * margin)
            yield _Piece(index, max(0, first - margin), min(frames, last + margin), first, last)

    def _samples(self, waveform: torch.Tensor, start: int, end: int) -> torch.Tensor:
        """The samples that frames `start` to `end` see, with zeros beyond the edges."""
        hop = self.config.hop_length
        before = (self.span - hop) // 2
        left, right = start * hop - before, (end - 1) * hop - before + self.span
        inside = waveform[max(0, left) : min(len(waveform), right)]
        return torch.nn.functional.pad(inside, (max(0, -left), max(0, right - len(waveform))))

    def _encode(self, batch: list[_Piece], heard: list[torch.Tensor], whole: dict):
        rows = [self._samples(heard[piece.waveform], piece.start, piece.end) for piece in batch]
        lengths = torch.tensor([len(row) for row in rows], device=rows[0].device)
        values = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        inputs = {"input_values": values.to(self.model.dtype)}
        self._frames = None
        if int(lengths.min()) < values.shape[1]:
            self._frames = torch.tensor([piece.end - piece.start for piece in batch], device=values.device)
            inputs["attention_mask"] = (torch.arange(values.shape[1], device=values.device) < lengths[:, None]).long()
        if self._norms_over_time:
            convolution = self.first.conv
            self.first.layer_norm.lengths = (lengths - convolution.kernel_size[0]) // convolution.stride[0] + 1
            self.first.layer_norm.statistics = [whole.get(piece.waveform) for piece in batch]
        self.model(**inputs)
        features, self._features = self._features, None
        for piece, row in zip(batch, features):
            yield piece.waveform, piece.first, row[piece.first - piece.start : piece.last - piece.start].double()

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


def _find_commit(model_id: str, revision: str | None) -> str | None:
    """The commit that a revision of a repository on the Hub is; `None` for a folder."""
    from transformers.utils import cached_file
    from transformers.utils.hub import extract_commit_hash

    return extract_commit_hash(cached_file(model_id, "config.json", revision=revision), None)


def _read_preprocessing(model_id: str, revision: str | None) -> dict:
    """What the encoder's feature extractor does, if it says so."""
    from transformers.utils import cached_file

    path = cached_file(
        model_id,
        "preprocessor_config.json",
        revision=revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else {}


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
