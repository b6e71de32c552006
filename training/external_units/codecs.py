"""An adapter: the first codebook of a neural codec of transformers, such as EnCodec or Mimi.

`--units codec --units_model facebook/encodec_24khz` -> [`CodecUnits`], called with a waveform and its rate -> ids. An
adapter of another package has the same few lines: it is made of a model's name and called, and it may say its
`frame_rate`, `num_units` and `label`, and be moved by `to`.
"""

import math

import numpy as np

_LABELS = {"encodec": "EnCodec", "mimi": "Mimi"}


class CodecUnits:
    """
    The first codebook of a codec.

    Args:
        model_id (`str`): Folder or Hub id of an `EncodecModel` or a `MimiModel` of one channel.

    Raises:
        `ValueError`: If it is another kind of model.
    """

    def __init__(self, model_id: str):
        from transformers import AutoConfig, AutoModel

        config = AutoConfig.from_pretrained(model_id)
        if config.model_type not in _LABELS or getattr(config, "audio_channels", 1) != 1:
            raise ValueError(
                f"{model_id} ({config.model_type}) is no EnCodec or Mimi of one channel, such as "
                "facebook/encodec_24khz or kyutai/mimi"
            )
        self.model = AutoModel.from_pretrained(model_id, use_safetensors=True).eval()
        self.label = _LABELS[config.model_type]
        self.num_units = config.codebook_size
        self.frame_rate = (
            config.sampling_rate / math.prod(config.upsampling_ratios)
            if config.model_type == "encodec"
            else config.frame_rate
        )

    def to(self, device: str) -> "CodecUnits":
        """Move the model."""
        self.model.to(device)
        return self

    def __call__(self, waveform: np.ndarray, rate: int) -> np.ndarray:
        """
        The ids of a waveform.

        Args:
            waveform (`np.ndarray` of shape `(num_samples,)`): float32 in [-1, 1].
            rate (`int`): Samples per second.

        Returns:
            `np.ndarray` of shape `(num_frames,)`: Ids of the first codebook.
        """
        import soxr
        import torch

        samples = soxr.resample(waveform, rate, self.model.config.sampling_rate, quality="HQ")
        values = torch.from_numpy(np.ascontiguousarray(samples))[None, None].to(self.model.device)
        fewest = (
            {"bandwidth": min(self.model.config.target_bandwidths)}
            if self.label == "EnCodec"
            else {"num_quantizers": 1}
        )
        with torch.inference_mode():
            codes = self.model.encode(values, **fewest).audio_codes
        if codes.ndim == 4:  # EnCodec's windows, one where it encodes audio as a whole
            codes = torch.cat(list(codes), dim=-1)
        return codes[0, 0].cpu().numpy()
