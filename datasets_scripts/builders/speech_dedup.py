"""Speech-Dedup: speech units with each run of equal units written once, an answer to factor B.

shards of `id` and `units` -> runs collapsed -> content, "17 942 ...".
"""

import numpy as np
import pyarrow as pa

from ...models.speech_units.runs import run_starts
from .base import conditions, join_symbols, list_lengths
from .speech_units import SpeechUnits


class SpeechDedup(SpeechUnits):
    """The dataset of collapsed speech units (2412.17048, Section 2: reducing bit rates)."""

    BUILDER_CONFIGS = conditions("speech_dedup", voices=True)
    summary = "The speech units of each utterance, each run of equal units written once."

    @staticmethod
    def unit_contents(units: pa.ListArray) -> pa.Array:
        """Each run of units once."""
        values = units.flatten().to_numpy(zero_copy_only=False)
        rows = np.repeat(np.arange(len(units)), list_lengths(units))
        kept = run_starts(values) | run_starts(rows)
        return join_symbols(pa.array(values[kept]), np.bincount(rows[kept], minlength=len(units)))
