"""Configuration of a transcriber of units: which symbols it reads, which characters it writes, and its layers.

`UnitTranscriberConfig` -> [`UnitTranscriber`], and back through `config.json`.
"""

from collections.abc import Sequence
from typing import Any

from transformers import PretrainedConfig

CHARACTERS = " 'abcdefghijklmnopqrstuvwxyz"
"""What normalised English is written with, in small letters and without punctuation."""


class UnitTranscriberConfig(PretrainedConfig):
    """
    Configuration of a [`UnitTranscriber`].

    Args:
        num_units (`int`, *optional*, defaults to 500):
            Number of units K, or of `symbols`.
        symbols (`Sequence[str]`, *optional*, defaults to `()`):
            Names of the input symbols in the order of their ids, for phones. Empty for units, which are numbers.
        collapse (`bool`, *optional*, defaults to `True`):
            Whether a run of equal symbols is read once. Units at the frame rate and units whose runs were collapsed
            before then give the same text; durations are not heard.
        characters (`str`, *optional*, defaults to `" 'abcdefghijklmnopqrstuvwxyz"`):
            The characters that it writes, each once, the space among them.
        words (`Sequence[str]`, *optional*, defaults to `()`):
            The words of its training, which are all that a search writes.
        beam_width (`int`, *optional*, defaults to 1):
            Prefixes that the search for the likeliest text keeps; 1: no search, but the likeliest label of each step.
        upsampling (`int`, *optional*, defaults to 1):
            Labels that each symbol can give. CTC writes no more characters than there are labels, and needs a blank
            between two equal ones: phones, or units of syllables, are fewer than their letters.
        hidden_size (`int`, *optional*, defaults to 128):
            Width of the layers.
        num_hidden_layers (`int`, *optional*, defaults to 4):
            Layers.
        num_attention_heads (`int`, *optional*, defaults to 4):
            Heads of a layer.
        intermediate_size (`int`, *optional*, defaults to 256):
            Width of the feed-forward layers.
        conv_kernel_size (`int`, *optional*, defaults to 15):
            Symbols that a layer's convolution sees; odd. Order is told by convolutions alone.
        dropout (`float`, *optional*, defaults to 0.1):
            Dropout of what each part of a layer adds.
        unit_dropout (`float`, *optional*, defaults to 0.1):
            Share of symbols that are hidden in training.
        modality (`str`, *optional*):
            The modality whose contents it was trained on.
        fit (`dict`, *optional*):
            How it was trained; written by `train_transcriber`.
        kwargs (*optional*):
            Passed to [`~transformers.PretrainedConfig`].

    Raises:
        `ValueError`: If a value is outside its range.
    """

    model_type = "unit_transcriber"

    def __init__(
        self,
        num_units: int = 500,
        symbols: Sequence[str] = (),
        collapse: bool = True,
        characters: str = CHARACTERS,
        words: Sequence[str] = (),
        beam_width: int = 1,
        upsampling: int = 1,
        hidden_size: int = 128,
        num_hidden_layers: int = 4,
        num_attention_heads: int = 4,
        intermediate_size: int = 256,
        conv_kernel_size: int = 15,
        dropout: float = 0.1,
        unit_dropout: float = 0.1,
        modality: str | None = None,
        fit: dict[str, Any] | None = None,
        **kwargs,
    ):
        for name, value in (("num_units", num_units), ("upsampling", upsampling), ("beam_width", beam_width)):
            if value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1.")
        if symbols and (len(symbols) != num_units or len(set(symbols)) != num_units):
            raise ValueError(f"symbols names {len(set(symbols))} different symbols; give num_units ({num_units}).")
        if " " not in characters or len(set(characters)) != len(characters):
            raise ValueError(f"characters is {characters!r}; give each character once, and the space among them.")
        if hidden_size % num_attention_heads:
            raise ValueError(
                f"hidden_size is {hidden_size}; it must be a multiple of num_attention_heads ({num_attention_heads})."
            )
        if conv_kernel_size % 2 == 0:
            raise ValueError(f"conv_kernel_size is {conv_kernel_size}; it must be odd.")
        self.num_units = num_units
        self.symbols = list(symbols)
        self.collapse = collapse
        self.characters = characters
        self.words = list(words)
        self.beam_width = beam_width
        self.upsampling = upsampling
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.conv_kernel_size = conv_kernel_size
        self.dropout = dropout
        self.unit_dropout = unit_dropout
        self.modality = modality
        self.fit = fit
        super().__init__(**kwargs)

    @property
    def num_labels_of_ctc(self) -> int:
        """The characters, and the blank in front of them."""
        return 1 + len(self.characters)


UnitTranscriberConfig.register_for_auto_class()
