"""Phone-Raw: the phones of each utterance, one symbol a phone.

utterance shards -> column `phones` -> content, "SIL DH AH0 ... SIL".
"""

import pyarrow as pa

from .base import ModalityBuilder, conditions, join_symbols, list_lengths


class PhoneRaw(ModalityBuilder):
    """The dataset of Phone-Raw (2412.17048, Section 3.1)."""

    BUILDER_CONFIGS = conditions("phone_raw", rates=False)
    columns = ("id", "phones")
    summary = "The ARPAbet phones of each utterance with stress, silences (SIL) among them, each written once."

    def contents(self, batch: pa.RecordBatch) -> pa.Array:
        """Each phone once."""
        phones = batch["phones"]
        return join_symbols(phones.flatten().field("phone"), list_lengths(phones))
