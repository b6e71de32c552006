"""Masked prediction of units: what a HuBERT encoder learns from (2106.07447), around transformers' `HubertModel`.

waveforms and the units of their frames -> spans of frames hidden ([`mask_spans`]) -> encoder -> cosine similarities to
an embedding of each unit -> cross-entropy. What is kept is the encoder alone ([`save_encoder`]), which needs no code
of this package.
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy, normalize, pad
from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

from ...models.audio import SAMPLE_RATE


def mask_spans(shape: tuple[int, int], mask_prob: float, mask_length: int, rng: np.random.Generator) -> np.ndarray:
    """
    Draw the frames that are hidden: spans of one length, whose starts are drawn without replacement and may overlap.

    A row of T frames gets `mask_prob * T / mask_length` spans, rounded up or down at random so that this is their
    mean, and at least one. Because they overlap, about `1 - exp(-mask_prob)` of the frames are hidden: 55 to 58 % for
    the 0.8 of 2106.07447, which is 8 % of the frames as starts of spans of 10.

    Args:
        shape (`tuple[int, int]`): Rows and frames.
        mask_prob (`float`): Share of the frames that the spans would hide if none overlapped.
        mask_length (`int`): Frames of a span.
        rng (`np.random.Generator`): Source of the draw.

    Returns:
        `np.ndarray` of shape `(rows, frames)`: `True` where a frame is hidden.

    Raises:
        `ValueError`: If a row is not longer than a span.
    """
    rows, frames = shape
    if frames <= mask_length:
        raise ValueError(f"A row of {frames} frames is not longer than a masked span of {mask_length}.")
    mask = np.zeros(shape, bool)
    starts = frames - mask_length + 1
    for row in mask:
        count = min(starts, max(1, int(mask_prob * frames / mask_length + rng.random())))
        chosen = rng.choice(starts, count, replace=False)
        row[(chosen[:, None] + np.arange(mask_length)).ravel()] = True
    return mask


def crop_frames(waveform: torch.Tensor, start: int, frames: int, hop: int, span: int) -> torch.Tensor:
    """
    The samples from which an encoder makes frames `start` to `start + frames`, and no others.

    Frame i is centred on the samples from `hop * i` to `hop * (i + 1)`, as in `SslEncoder`: it sees
    `(span - hop) / 2` samples on either side of them, with zeros beyond the edges of the waveform.

    Args:
        waveform (`torch.Tensor` of shape `(num_samples,)`): A whole waveform.
        start (`int`): First frame.
        frames (`int`): Number of frames.
        hop (`int`): Samples from a frame to the next.
        span (`int`): Samples that one frame sees.

    Returns:
        `torch.Tensor` of shape `((frames - 1) * hop + span,)`.
    """
    left = start * hop - (span - hop) // 2
    right = left + (frames - 1) * hop + span
    inside = waveform[max(0, left) : min(len(waveform), right)]
    return pad(inside, (max(0, -left), max(0, right - len(waveform))))


def frame_geometry(config: HubertConfig) -> tuple[int, int]:
    """
    Samples from a frame to the next, and samples that one frame sees: 320 and 400 for the usual convolutions.

    Args:
        config ([`~transformers.HubertConfig`]): The encoder.

    Returns:
        `tuple[int, int]`: Hop and span.
    """
    hop, span = 1, 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride)):
        hop, span = hop * stride, (span - 1) * stride + kernel
    return hop, span


class HubertPretraining(torch.nn.Module):
    """
    An encoder, and what predicts the units of its hidden frames.

    Args:
        config ([`~transformers.HubertConfig`]): The encoder; its own masking is left to fine-tuning.
        num_units (`int`): Number of units K.
        projection_size (`int`, *optional*, defaults to 256): Size in which frames and units are compared.
        temperature (`float`, *optional*, defaults to 0.1): What cosine similarities are divided by.
        unmasked_weight (`float`, *optional*, defaults to 0.0): Weight of the loss on frames that were not hidden.
    """

    def __init__(
        self,
        config: HubertConfig,
        num_units: int,
        projection_size: int = 256,
        temperature: float = 0.1,
        unmasked_weight: float = 0.0,
    ):
        super().__init__()
        self.encoder = HubertModel(config)
        self.projection = torch.nn.Linear(config.hidden_size, projection_size)
        self.unit_embeddings = torch.nn.Parameter(torch.empty(num_units, projection_size).normal_())
        self.temperature = temperature
        self.unmasked_weight = unmasked_weight

    def forward(self, waveforms: torch.Tensor, units: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """
        Predict the units of frames that the encoder cannot see.

        Args:
            waveforms (`torch.FloatTensor` of shape `(batch, num_samples)`): As [`crop_frames`] gives them.
            units (`torch.LongTensor` of shape `(batch, frames)`): The unit of each frame.
            mask (`torch.BoolTensor` of shape `(batch, frames)`): The frames to hide.

        Returns:
            `dict[str, torch.Tensor]`: `loss` (nats a frame, on hidden frames, plus the weighted loss on the others),
            `masked_loss` and `masked_accuracy`; scalars.

        Raises:
            `ValueError`: If the waveforms do not make as many frames as there are units.
        """
        hidden = self.encoder(waveforms, mask_time_indices=mask).last_hidden_state
        if hidden.shape[1] != units.shape[1]:
            raise ValueError(f"The waveforms make {hidden.shape[1]} frames; there are {units.shape[1]} units.")
        loss, accuracy = self._predict(hidden[mask], units[mask])
        result = {"loss": loss, "masked_loss": loss.detach(), "masked_accuracy": accuracy}
        if self.unmasked_weight and not bool(mask.all()):
            result["loss"] = loss + self.unmasked_weight * self._predict(hidden[~mask], units[~mask])[0]
        return result

    def _predict(self, hidden: torch.Tensor, units: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        frames = normalize(self.projection(hidden).float(), dim=-1)
        embeddings = normalize(self.unit_embeddings.float(), dim=-1)
        with torch.autocast(frames.device.type, enabled=False):  # a hundredth of a cosine is a tenth of a nat
            logits = frames @ embeddings.T / self.temperature
        return cross_entropy(logits, units), (logits.argmax(-1) == units).float().mean()


def save_encoder(encoder: HubertModel, folder: str | Path) -> None:
    """
    Save an encoder as `AutoModel` and a quantizer read it: configuration, safetensors, `preprocessor_config.json`.

    Args:
        encoder ([`~transformers.HubertModel`]): Trained on waveforms of mean 0 and variance 1 at 16 kHz.
        folder (`str` or `Path`): Where to.
    """
    encoder.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(
        sampling_rate=SAMPLE_RATE,
        do_normalize=True,
        return_attention_mask=encoder.config.feat_extract_norm == "layer",
    ).save_pretrained(folder)


def count_flops(config: HubertConfig, frames: int) -> float:
    """
    Floating-point operations of one pass of an encoder over one crop; a training step takes three times as many.

    Matrix products and convolutions are counted, two operations a multiplication, and nothing else.

    Args:
        config ([`~transformers.HubertConfig`]): The encoder.
        frames (`int`): Frames of the crop.

    Returns:
        `float`: Operations.
    """
    hop, span = frame_geometry(config)
    length, channels, products = (frames - 1) * hop + span, 1, 0
    for size, kernel, stride in zip(config.conv_dim, config.conv_kernel, config.conv_stride):
        length = (length - kernel) // stride + 1
        products += length * channels * size * kernel
        channels = size
    width = config.hidden_size
    kernel = config.num_conv_pos_embeddings
    positions = frames + 1 - kernel % 2
    products += positions * kernel * width * width // config.num_conv_pos_embedding_groups
    layer = 4 * width**2 + 2 * width * config.intermediate_size + 2 * frames * width
    return 2.0 * (products + frames * (channels * width + config.num_hidden_layers * layer))
