"""Speech units: audio -> frames -> k-means clusters, as a model with `from_pretrained`."""

from .clustering import fit_units
from .configuration_speech_units import SpeechUnitConfig
from .modeling_speech_units import SpeechUnitModel, SpeechUnitOutput
from .quality import unit_quality

__all__ = ["SpeechUnitConfig", "SpeechUnitModel", "SpeechUnitOutput", "fit_units", "unit_quality"]
