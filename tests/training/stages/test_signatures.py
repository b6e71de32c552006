"""What makes a stage's result is what its signature says: values that are fingerprinted, and folders that are read."""

import dataclasses
import inspect
import typing
from importlib import import_module
from pathlib import Path

import pytest

from evoslm.training import stages
from evoslm.training.arguments.study import PretrainArguments
from evoslm.training.run.stage import Stage
from evoslm.training.stages.models import ModelSettings, model_stage
from evoslm.training.stages.pair_texts import PairTextSettings
from evoslm.training.stages.recordings import RecordingSettings
from evoslm.training.stages.units.encoders import EncoderSettings
from evoslm.training.stages.units.quantizer import QuantizerSettings

ROOT = Path(stages.__path__[0])
MODULES = [
    import_module(".".join([stages.__name__, *path.relative_to(ROOT).with_suffix("").parts]))
    for path in sorted(ROOT.rglob("*.py"))
    if path.stem != "__init__"
]
FUNCTIONS = [
    function
    for module in MODULES
    for _, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__
]
SETTINGS = [
    RecordingSettings("pocketsphinx", 0, 100, 0.05),
    PairTextSettings(40, 0, 300, blimp="user/blimp"),
    QuantizerSettings(EncoderSettings("mfcc"), 50, 0, "none", 1000, "minibatch", 0),
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__qualname__)
def test_no_stage_is_given_all_arguments_or_the_whole_run(function):
    hints = inspect.get_annotations(function)
    assert not {"arguments", "run"} & set(inspect.signature(function).parameters)
    named = {getattr(hint, "__name__", str(hint)) for hint in hints.values()}
    assert not named & {"Arguments", "Run", "RunArguments", "CorpusArguments"}


def other(value, hint):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if dataclasses.is_dataclass(value):
        return EncoderSettings("log_mel")
    options = [option for option in typing.get_args(hint) if isinstance(option, type(value))]  # of a Literal
    return next(option for option in options if option != value) if options else f"another {value}"


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: type(settings).__name__)
def test_every_setting_is_in_the_fingerprint(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("evoslm.training.stages.pair_texts.find_commit", lambda name: "0" * 40)  # of the Hub's BLiMP
    keys = Stage(tmp_path, 1, settings.describe()).keys()
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        changed = dataclasses.replace(settings, **{field.name: other(value, field.type)})
        assert Stage(tmp_path, 1, changed.describe()).keys() != keys, field.name


def test_the_whole_training_protocol_is_in_a_models_fingerprint(tmp_path):
    tokenizer = tmp_path / "tokenizer"
    Stage(tokenizer, 1, {}).run(lambda folder: None)

    def keys(**protocol):
        settings = ModelSettings("phone_raw", 0, {"hidden_size": 8}, PretrainArguments(**protocol))
        return model_stage(tmp_path / "model", tokenizer, settings).keys()

    hints = typing.get_type_hints(PretrainArguments)
    for field in dataclasses.fields(PretrainArguments):
        value = getattr(PretrainArguments(), field.name)
        changed = [*value, 9.0] if isinstance(value, list) else other(value, hints[field.name])
        assert keys(**{field.name: changed}) != keys(), field.name
