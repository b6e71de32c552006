"""Phone-Stretch: each phone repeated the same number of times, so that it has the length of speech but no durations.

utterance shards -> column `phones` -> each phone `stretch_factor` times -> content. Between Phone-Raw and Phone-Repeat
it splits the paper's factor B into length and duration.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ..phones.stretch import measure_stretch_factor
from .base import ModalityBuilder, ModalityConfig, conditions, join_symbols, list_lengths


@dataclass
class PhoneStretchConfig(ModalityConfig):
    """
    One condition of Phone-Stretch.

    Args:
        stretch_factor (`int`, *optional*): How often each phone is written. By default the builder measures it, see
            [`measure_stretch_factor`].
    """

    stretch_factor: int | None = None


class PhoneStretch(ModalityBuilder):
    """The dataset of Phone-Stretch. Its factor is in `builder.config.stretch_factor`."""

    BUILDER_CONFIG_CLASS = PhoneStretchConfig
    BUILDER_CONFIGS = conditions("phone_stretch", config=PhoneStretchConfig)
    columns = ("id", "phones")
    summary = "The ARPAbet phones of each utterance, each written the same number of times whatever its duration."

    def __init__(self, cache_dir: str | None = None, *, data_dir: str | None = None, **kwargs):
        # Before the rest, because the name of the prepared rows' folder depends on it.
        if data_dir is not None and kwargs.get("stretch_factor") is None:
            kwargs["stretch_factor"] = measure_stretch_factor(data_dir)
        super().__init__(cache_dir, data_dir=data_dir, **kwargs)
        if self.config.stretch_factor is not None and self.config.stretch_factor < 1:
            raise ValueError(f"stretch_factor has to be 1 or more, not {self.config.stretch_factor}.")

    def contents(self, batch: pa.RecordBatch) -> pa.Array:
        """Each phone `stretch_factor` times."""
        phones = batch["phones"]
        symbols, factor = phones.flatten().field("phone"), self.config.stretch_factor
        return join_symbols(symbols.take(np.repeat(np.arange(len(symbols)), factor)), list_lengths(phones) * factor)
