"""Speech-Syllable, unsupervised: one unit a syllable whose boundaries were found in the sound.

shards of `id` and `units`, which are clusters of the pooled frames between boundaries -> content, "17 942 ...". Beside
Speech-Syllable it shows what knowing the boundaries is worth.
"""

from .base import conditions
from .speech_units import SpeechUnits


class SpeechSyllableUnsupervised(SpeechUnits):
    """The dataset of units of syllables that nobody aligned (2412.17048, Section 2: reducing bit rates)."""

    BUILDER_CONFIGS = conditions("speech_syllable_unsupervised", voices=True)
    summary = "The speech units of each utterance: cluster indices of the syllables and pauses found in its sound."
