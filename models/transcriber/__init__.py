"""Transcribers: speech -> the words that a model for speech recognition hears in it, and none where nobody speaks.

In: waveforms of any lengths, or units or phones. Out: their texts, and how many words and characters are wrong.
Names are imported when they are asked for.
"""

from ..lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Hypothesis": ".recognizer",
        "Transcriber": ".transcriber",
        "UnitTranscriber": ".modeling_unit_transcriber",
        "UnitTranscriberConfig": ".configuration_unit_transcriber",
        "UnitTranscriberOutput": ".modeling_unit_transcriber",
        "error_intervals": ".word_errors",
        "recognition_errors": ".word_errors",
    },
)
