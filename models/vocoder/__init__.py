"""Vocoders: units -> waveform, so that what a language model of units says can be heard.

In: units of an utterance, and its voice. Out: samples, and how far they are from what was said.
Names are imported when they are asked for: the configurations alone do not need torch.
"""

from ..lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "CodebookVocoder": ".modeling_codebook_vocoder",
        "CodebookVocoderConfig": ".configuration_vocoder",
        "UnitHifiGan": ".modeling_unit_hifigan",
        "UnitHifiGanConfig": ".configuration_vocoder",
        "UnitVocoderOutput": ".modeling_vocoder",
        "VocoderStream": ".streaming",
        "resynthesis_quality": ".quality",
    },
)
