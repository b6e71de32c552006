"""Vocoders: units -> waveform, so that what a language model of units says can be heard.

Names are imported when they are asked for: the configurations alone do not need torch.
"""

from importlib import import_module

_MODULES = {
    "CodebookVocoder": ".modeling_codebook_vocoder",
    "CodebookVocoderConfig": ".configuration_vocoder",
    "UnitHifiGan": ".modeling_unit_hifigan",
    "UnitHifiGanConfig": ".configuration_vocoder",
    "UnitVocoderOutput": ".modeling_vocoder",
    "resynthesis_quality": ".quality",
}
__all__ = [
    "CodebookVocoder",
    "CodebookVocoderConfig",
    "UnitHifiGan",
    "UnitHifiGanConfig",
    "UnitVocoderOutput",
    "resynthesis_quality",
]


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)
