"""Transcribers: speech -> the words that a model for speech recognition hears in it, and none where nobody speaks.

In: waveforms of any lengths. Out: their texts, and how many words and characters of them are wrong.
Names are imported when they are asked for.
"""

from ..lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Hypothesis": ".recognizer",
        "Transcriber": ".transcriber",
        "recognition_errors": ".word_errors",
    },
)
