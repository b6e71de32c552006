"""Speech-Syllable: one unit a syllable, an answer to factor B that keeps what was said in a syllable together.

shards of `id` and `units`, which are clusters of syllables' pooled frames -> content, "17 942 ...". Where syllables
begin is known from the aligned phones; a tokenizer that has to find them itself can at best do as well.
"""

from .base import conditions
from .speech_units import SpeechUnits


class SpeechSyllable(SpeechUnits):
    """The dataset of syllable units (2412.17048, Section 2: reducing bit rates)."""

    BUILDER_CONFIGS = conditions("speech_syllable", voices=True)
    summary = "The speech units of each utterance: cluster indices of its syllables and pauses, one each."
