"""Configurations of the vocoders: which units they read and which audio they make of them.

`CodebookVocoderConfig` -> [`CodebookVocoder`], `UnitHifiGanConfig` -> [`UnitHifiGan`], and back through `config.json`.
What both have in common, the units and the audio, is checked here once.
"""

from collections.abc import Sequence
from typing import Any

from transformers import PretrainedConfig

TABLES = ("cepstra", "log_mel")


class CodebookVocoderConfig(PretrainedConfig):
    """
    Configuration of a [`CodebookVocoder`].

    Args:
        num_units (`int`, *optional*, defaults to 500):
            Number of units K.
        table (`str`, *optional*, defaults to `"cepstra"`):
            What the table holds for each unit: `"cepstra"` (the quantizer's own centroids) or `"log_mel"` (means of
            audio).
        num_coefficients (`int`, *optional*, defaults to 13):
            Cepstra, or mel bins, of a row.
        sampling_rate (`int`, *optional*, defaults to 16000):
            Samples per second of the audio.
        hop_length (`int`, *optional*, defaults to 320):
            Samples per unit.
        window_ms (`float`, *optional*, defaults to 25.0):
            Length of the Hann window in milliseconds.
        num_mel_bins (`int`, *optional*, defaults to 40):
            Number of mel filters from 20 Hz to half the sampling rate.
        log_floor (`float`, *optional*, defaults to 1e-4):
            What was added to mel energies before the logarithm, and is taken off again.
        num_iterations (`int`, *optional*, defaults to 0):
            Iterations of Griffin-Lim after the excitation has got its spectrum.
        speakers (`Sequence[str]`, *optional*, defaults to `()`):
            Names of the speakers, one a row of their statistics. Empty where the quantizer does not tell them apart:
            there is then one voice.
        fit (`dict`, *optional*):
            Where the table comes from; written by [`~CodebookVocoder.from_quantizer`].
        kwargs (*optional*):
            Passed to [`~transformers.PretrainedConfig`].

    Raises:
        `ValueError`: If a value is outside its range.
    """

    model_type = "codebook_vocoder"

    def __init__(
        self,
        num_units: int = 500,
        table: str = "cepstra",
        num_coefficients: int = 13,
        sampling_rate: int = 16_000,
        hop_length: int = 320,
        window_ms: float = 25.0,
        num_mel_bins: int = 40,
        log_floor: float = 1e-4,
        num_iterations: int = 0,
        speakers: Sequence[str] = (),
        fit: dict[str, Any] | None = None,
        **kwargs,
    ):
        _check(num_units, sampling_rate, hop_length)
        if table not in TABLES:
            raise ValueError(f"Unknown table {table!r}; choose from {', '.join(TABLES)}.")
        if not 1 <= num_coefficients <= num_mel_bins:
            raise ValueError(
                f"num_coefficients is {num_coefficients}; it must be from 1 to num_mel_bins ({num_mel_bins})."
            )
        if table == "log_mel" and num_coefficients != num_mel_bins:
            raise ValueError(
                f"A table of log-mel energies has num_mel_bins ({num_mel_bins}) coefficients, not {num_coefficients}."
            )
        if log_floor <= 0:
            raise ValueError(f"log_floor is {log_floor}; it must be above 0.")
        if num_iterations < 0:
            raise ValueError(f"num_iterations is {num_iterations}; it must be 0 or more.")
        self.num_units = num_units
        self.table = table
        self.num_coefficients = num_coefficients
        self.sampling_rate = sampling_rate
        self.hop_length = hop_length
        self.window_ms = window_ms
        self.num_mel_bins = num_mel_bins
        self.log_floor = log_floor
        self.num_iterations = num_iterations
        self.speakers = list(speakers)
        self.fit = fit
        super().__init__(**kwargs)


class UnitHifiGanConfig(PretrainedConfig):
    """
    Configuration of a [`UnitHifiGan`].

    Args:
        num_units (`int`, *optional*, defaults to 500):
            Number of units K.
        sampling_rate (`int`, *optional*, defaults to 16000):
            Samples per second of the audio.
        hop_length (`int`, *optional*, defaults to 320):
            Samples per unit.
        unit_embed_size (`int`, *optional*, defaults to 128):
            Size of a unit's embedding.
        speaker_embed_size (`int`, *optional*, defaults to 32):
            Size of a speaker's embedding; there is none where there is one voice.
        speakers (`Sequence[str]`, *optional*, defaults to `()`):
            Names of the speakers that it can speak as; with fewer than two there is one voice.
        channels (`int`, *optional*, defaults to 512):
            Channels in front of the first upsampling layer; each layer halves them.
        upsample_rates (`Sequence[int]`, *optional*):
            Stride of each upsampling layer. Their product must be `hop_length`; by default they are its prime factors
            in descending order, with each pair of twos as a four (320: 5, 4, 4, 4).
        resblock_kernel_sizes (`Sequence[int]`, *optional*, defaults to `(3, 7, 11)`):
            Kernel sizes of the residual blocks behind each upsampling layer.
        resblock_dilation_sizes (`Sequence[Sequence[int]]`, *optional*, defaults to `((1, 3, 5),) * 3`):
            Dilations of each of them.
        fit (`dict`, *optional*):
            How it was trained; written by `train_vocoder`.
        kwargs (*optional*):
            Passed to [`~transformers.PretrainedConfig`].

    Raises:
        `ValueError`: If a value is outside its range.
    """

    model_type = "unit_hifigan"

    def __init__(
        self,
        num_units: int = 500,
        sampling_rate: int = 16_000,
        hop_length: int = 320,
        unit_embed_size: int = 128,
        speaker_embed_size: int = 32,
        speakers: Sequence[str] = (),
        channels: int = 512,
        upsample_rates: Sequence[int] | None = None,
        resblock_kernel_sizes: Sequence[int] = (3, 7, 11),
        resblock_dilation_sizes: Sequence[Sequence[int]] = ((1, 3, 5), (1, 3, 5), (1, 3, 5)),
        fit: dict[str, Any] | None = None,
        **kwargs,
    ):
        _check(num_units, sampling_rate, hop_length)
        upsample_rates = list(upsample_rates or _strides(hop_length))
        product = 1
        for rate in upsample_rates:
            product *= rate
        if product != hop_length:
            raise ValueError(
                f"upsample_rates {upsample_rates} make {product} samples of a unit, not {hop_length}; choose rates "
                "whose product is hop_length."
            )
        if channels % 2 ** len(upsample_rates):
            raise ValueError(
                f"{channels} channels cannot be halved {len(upsample_rates)} times; choose a multiple of "
                f"{2 ** len(upsample_rates)}."
            )
        if len(resblock_kernel_sizes) != len(resblock_dilation_sizes) or not resblock_kernel_sizes:
            raise ValueError(
                f"There are {len(resblock_kernel_sizes)} resblock_kernel_sizes and {len(resblock_dilation_sizes)} "
                "resblock_dilation_sizes; give as many of each, and at least one."
            )
        self.num_units = num_units
        self.sampling_rate = sampling_rate
        self.hop_length = hop_length
        self.unit_embed_size = unit_embed_size
        self.speaker_embed_size = speaker_embed_size
        self.speakers = list(speakers)
        self.channels = channels
        self.upsample_rates = upsample_rates
        self.resblock_kernel_sizes = list(resblock_kernel_sizes)
        self.resblock_dilation_sizes = [list(sizes) for sizes in resblock_dilation_sizes]
        self.fit = fit
        super().__init__(**kwargs)

    @property
    def has_speaker_embedding(self) -> bool:
        """Whether there is more than one voice."""
        return len(self.speakers) > 1


def _check(num_units: int, sampling_rate: int, hop_length: int) -> None:
    if num_units < 1:
        raise ValueError(f"num_units is {num_units}; it must be at least 1.")
    if not 1 <= hop_length <= sampling_rate:
        raise ValueError(f"hop_length is {hop_length}; it must be from 1 to the sampling rate of {sampling_rate}.")


def _strides(hop_length: int) -> list[int]:
    """Prime factors in descending order, with each pair of twos as a four."""
    factors, rest = [], hop_length
    for divisor in (4, *range(2, hop_length + 1)):
        while rest % divisor == 0:
            factors.append(divisor)
            rest //= divisor
    return sorted(factors, reverse=True) or [1]


CodebookVocoderConfig.register_for_auto_class()
UnitHifiGanConfig.register_for_auto_class()
