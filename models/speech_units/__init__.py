"""Speech units: audio -> frames -> k-means clusters, as a model with `from_pretrained`.

In: waveforms. Out: the index of the nearest centroid of each frame or segment, and what these say about phones.
Names are imported when they are asked for: the configuration alone does not need torch.
"""

from ..lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "SpeechUnitConfig": ".configuration_speech_units",
        "SpeechUnitFeatureExtractor": ".processing_speech_units",
        "SpeechUnitModel": ".modeling_speech_units",
        "SpeechUnitOutput": ".modeling_speech_units",
        "SpeechUnitProcessor": ".processing_speech_units",
        "fit_unit_normalizations": ".clustering",
        "fit_unit_seeds": ".clustering",
        "fit_units": ".clustering",
        "SyllableSegmentation": ".segmentation",
    },
)
