"""Makes transformers know what carries code of this package: models for the Auto classes, a task for its pipelines.

transformers and torch take seconds to import, and much of the package needs neither. So nothing is imported here: each
Auto class, and the registry of pipelines, learns of ours when it is itself imported.
"""

import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.util import find_spec


def register_auto_classes() -> None:
    """Register with the Auto classes that are imported, and with the others as soon as they are."""
    waiting = {}
    for module, register in _REGISTER.items():
        if module in sys.modules:
            register()
        else:
            waiting[module] = register
    if waiting:
        sys.meta_path.insert(0, _AfterImport(waiting))


def _register_configs() -> None:
    from transformers import AutoConfig

    from .models.speech_units.configuration_speech_units import SpeechUnitConfig
    from .models.transcriber.configuration_unit_transcriber import UnitTranscriberConfig
    from .models.vocoder.configuration_vocoder import CodebookVocoderConfig, UnitHifiGanConfig

    for config in (SpeechUnitConfig, CodebookVocoderConfig, UnitHifiGanConfig, UnitTranscriberConfig):
        AutoConfig.register(config.model_type, config, exist_ok=True)


def _register_models() -> None:
    from transformers import AutoModel

    from .models.released_files import checking_files
    from .models.speech_units import SpeechUnitModel
    from .models.transcriber import UnitTranscriber
    from .models.vocoder import CodebookVocoder, UnitHifiGan

    for model in (SpeechUnitModel, CodebookVocoder, UnitHifiGan, UnitTranscriber):
        # Not in the classes: their sources travel with the models, and this package does not.
        model.from_pretrained = checking_files(model.from_pretrained)
        AutoModel.register(model.config_class, model, exist_ok=True)


def _register_processors() -> None:
    from transformers import AutoProcessor

    from .models.speech_units import SpeechUnitConfig, SpeechUnitProcessor

    AutoProcessor.register(SpeechUnitConfig, SpeechUnitProcessor, exist_ok=True)


def _register_feature_extractors() -> None:
    from transformers import AutoFeatureExtractor

    from .models.speech_units import SpeechUnitConfig, SpeechUnitFeatureExtractor

    AutoFeatureExtractor.register(SpeechUnitConfig, SpeechUnitFeatureExtractor, exist_ok=True)


def _register_pipelines() -> None:
    from transformers import AutoModelForCausalLM
    from transformers.pipelines import PIPELINE_REGISTRY

    from .pipelines import SPEECH_CONTINUATION
    from .transformers_pipeline import TransformersSpeechContinuation

    PIPELINE_REGISTRY.register_pipeline(
        SPEECH_CONTINUATION,
        pipeline_class=TransformersSpeechContinuation,
        pt_model=AutoModelForCausalLM,
        type="multimodal",
    )


_REGISTER = {
    "transformers.models.auto.configuration_auto": _register_configs,
    "transformers.models.auto.modeling_auto": _register_models,
    "transformers.models.auto.feature_extraction_auto": _register_feature_extractors,
    "transformers.models.auto.processing_auto": _register_processors,
    "transformers.pipelines": _register_pipelines,
}


class _AfterImport(MetaPathFinder):
    """Calls a function after the first import of each of some modules."""

    def __init__(self, waiting: dict[str, Callable[[], None]]):
        self.waiting = waiting

    def find_spec(self, fullname, path=None, target=None):
        """The module's spec as others find it, with a loader that calls the function."""
        register = self.waiting.pop(fullname, None)
        spec = find_spec(fullname) if register else None
        if spec is not None and spec.loader is not None:
            spec.loader = _CallsAfterwards(spec.loader, register)
        return spec


class _CallsAfterwards(Loader):
    """A loader that calls a function when the module is executed."""

    def __init__(self, loader: Loader, register: Callable[[], None]):
        self.loader, self.register = loader, register

    def create_module(self, spec):
        """As the wrapped loader does."""
        return self.loader.create_module(spec)

    def exec_module(self, module) -> None:
        """As the wrapped loader does, and then the function."""
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.register()
