"""Speech-Units: what an encoder and its codebook make of the audio, one unit a frame.

shards of `id` and `units` -> content, "17 17 942 ...". In one voice it shows the acoustic variability of speech alone,
in many voices that of speakers too (factor C).
"""

import pyarrow as pa

from .base import VERSION, ModalityBuilder, ModalityConfig, conditions, join_symbols, list_lengths


class SpeechUnits(ModalityBuilder):
    """The dataset of speech units (2412.17048, Section 3.1), named after the encoder where it is shown."""

    BUILDER_CONFIGS = [
        *conditions("speech_units", voices=True),
        # The transcripts of recordings, spoken by the synthetic voices.
        ModalityConfig(name="speech_units_synthetic", version=VERSION, voices="many"),
    ]
    columns = ("id", "units")
    summary = "The speech units of each utterance: cluster indices of an encoder's frames, one a frame."

    def contents(self, batch: pa.RecordBatch) -> pa.Array:
        """The units of each row, written by [`~SpeechUnits.unit_contents`]."""
        return self.unit_contents(batch["units"])

    @staticmethod
    def unit_contents(units: pa.ListArray) -> pa.Array:
        """Each unit as it is."""
        return join_symbols(units.flatten(), list_lengths(units))
