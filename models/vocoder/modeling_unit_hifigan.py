"""A neural vocoder of units: HiFi-GAN on embeddings of units, as in unit-based speech resynthesis.

units -> embeddings (with the speaker's, where there are several) -> the generator of transformers' SeamlessM4T code
vocoder -> `num_units * hop_length` samples. Trained by `training/vocoder/training.py`.
"""

import math

import torch

from .configuration_vocoder import UnitHifiGanConfig
from .modeling_vocoder import UnitVocoder


class UnitHifiGan(UnitVocoder):
    """
    The unit vocoder of 2104.00355: a HiFi-GAN generator (2010.05646) on embeddings of units.

    The generator is that of `SeamlessM4TCodeHifiGan`. Its language embeddings and its duration predictor are left out:
    there is one language, and each unit lasts one frame unless durations are given.

    Args:
        config ([`UnitHifiGanConfig`]): The configuration.

    Examples:

    ```python
    >>> from evoslm.models.vocoder import UnitHifiGan, UnitHifiGanConfig

    >>> vocoder = UnitHifiGan(UnitHifiGanConfig(num_units=10, channels=32))
    >>> [len(waveform) for waveform in vocoder.waveforms([[0, 1, 2], [3]])]
    [960, 320]
    ```
    """

    config_class = UnitHifiGanConfig
    base_model_prefix = "unit_hifigan"

    def __init__(self, config: UnitHifiGanConfig):
        # Imported here: half a second that those who only want another class registered need not wait for.
        from transformers import SeamlessM4TConfig
        from transformers.models.seamless_m4t.modeling_seamless_m4t import SeamlessM4THifiGan

        super().__init__(config)
        speaker_size = config.speaker_embed_size if config.has_speaker_embedding else 0
        self.unit_embedding = torch.nn.Embedding(config.num_units, config.unit_embed_size)
        self.speaker_embedding = torch.nn.Embedding(len(config.speakers), speaker_size) if speaker_size else None
        self.generator = SeamlessM4THifiGan(
            SeamlessM4TConfig(
                unit_embed_dim=config.unit_embed_size,
                spkr_embed_dim=speaker_size,
                lang_embed_dim=0,
                upsample_initial_channel=config.channels,
                upsample_rates=config.upsample_rates,
                # The padding (kernel - rate) / 2 has to be whole, so that a unit gives exactly `rate` steps.
                upsample_kernel_sizes=[2 * rate + rate % 2 for rate in config.upsample_rates],
                resblock_kernel_sizes=config.resblock_kernel_sizes,
                resblock_dilation_sizes=config.resblock_dilation_sizes,
            )
        )
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        # Gains near 1 through each layer: with the usual 0.02 nothing is left of a unit after four upsampling layers.
        if isinstance(module, torch.nn.Embedding):
            torch.nn.init.normal_(module.weight)
        elif isinstance(module, (torch.nn.Conv1d, torch.nn.ConvTranspose1d)):
            fan_in = module.weight[0].numel()
            if isinstance(module, torch.nn.ConvTranspose1d):
                fan_in = module.in_channels * module.kernel_size[0] / module.stride[0]
            torch.nn.init.normal_(module.weight, std=1 / math.sqrt(fan_in))
            torch.nn.init.zeros_(module.bias)

    def generate_waveforms(self, units: torch.LongTensor, voices: torch.LongTensor | None = None) -> torch.Tensor:
        """
        Make audio of a batch without padding, with gradients.

        Args:
            units (`torch.LongTensor` of shape `(batch_size, num_frames)`): Units.
            voices (`torch.LongTensor` of shape `(batch_size,)`, *optional*): Row of each utterance's speaker in
                `config.speakers`, where there are several.

        Returns:
            `torch.FloatTensor` of shape `(batch_size, num_frames * config.hop_length)`.
        """
        inputs = self.unit_embedding(units)
        if self.speaker_embedding is not None:
            inputs = torch.cat([inputs, self.speaker_embedding(voices)[:, None].expand(-1, units.shape[1], -1)], dim=2)
        return self.generator(inputs.transpose(1, 2))

    @property
    def context_frames(self) -> int:
        """Frames before and after a frame that its samples depend on, through all kernels of the generator."""
        config = self.config
        # (kernel - 1) / 2 steps on each side; in a residual block each dilated convolution is followed by a plain one.
        blocks = [
            sum((kernel - 1) * (dilation + 1) / 2 for dilation in dilations)
            for kernel, dilations in zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes)
        ]
        frames, steps = 3.0, 1  # the convolution in front has 7 taps
        for rate in config.upsample_rates:
            frames += (2 * rate + rate % 2) / rate / steps / 2 + max(blocks) / (steps * rate)
            steps *= rate
        return math.ceil(frames + 3 / steps)  # and so has the one behind

    def _synthesize(self, units: torch.LongTensor, voice: int, first_frame: int = 0) -> torch.Tensor:
        return self.generate_waveforms(units[None], torch.tensor([voice], device=units.device))[0]


UnitHifiGan.register_for_auto_class()
