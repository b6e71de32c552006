"""Speech units: audio -> frames -> k-means clusters, as a model with `from_pretrained`.

Names are imported when they are asked for: the configuration alone does not need torch.
"""

from importlib import import_module

_MODULES = {
    "SpeechUnitConfig": ".configuration_speech_units",
    "SpeechUnitFeatureExtractor": ".processing_speech_units",
    "SpeechUnitModel": ".modeling_speech_units",
    "SpeechUnitOutput": ".modeling_speech_units",
    "SpeechUnitProcessor": ".processing_speech_units",
    "compare_units": ".quality",
    "fit_unit_seeds": ".clustering",
    "fit_units": ".clustering",
    "unit_quality": ".quality",
}
__all__ = list(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)
