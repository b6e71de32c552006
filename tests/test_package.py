"""The installed package: what `import evoslm` gives, from a checkout and from a wheel, and that it is quick."""

import subprocess
import sys

import pytest

import evoslm

CODE = """
import sys
{first}
print("torch" in sys.modules)
from transformers import AutoConfig, AutoModel
from evoslm.models.speech_units import SpeechUnitConfig
config = AutoConfig.for_model("speech_units", num_units=7)
print(type(config).__name__, type(AutoModel.from_config(config)).__name__)
import transformers.models.auto.modeling_auto as module
print(type(module.__loader__).__name__)
"""


@pytest.mark.parametrize(
    ("first", "has_torch"),
    [("import evoslm", False), ("import transformers.models.auto.modeling_auto, evoslm", True)],
    ids=["evoslm first", "transformers first"],
)
def test_auto_classes_know_the_models_whatever_is_imported_first(first, has_torch):
    run = subprocess.run(
        [sys.executable, "-c", CODE.format(first=first)], capture_output=True, text=True, timeout=120, check=True
    )
    expected = [str(has_torch), "SpeechUnitConfig SpeechUnitModel", "SourceFileLoader"]
    assert run.stdout.split("\n")[:-1] == expected


def test_what_is_used_most_can_be_imported_from_the_package():
    from evoslm import SpeechUnitModel, SpeechUnitProcessor, metric_path, prepare, score_pairs  # noqa: F401

    for name in evoslm.__all__:
        assert getattr(evoslm, name) is not None and name in dir(evoslm)
    with pytest.raises(AttributeError, match="has no attribute 'speech_units_model'"):
        _ = evoslm.speech_units_model


def test_the_package_alone_imports_nothing_slow():
    code = "import sys, evoslm; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not {"torch", "transformers", "datasets", "pandas", "numpy"} & set(run.stdout.split())


def test_folders_of_metrics_are_found_and_unknown_ones_named():
    assert evoslm.metric_path("swuggy").endswith("swuggy")
    with pytest.raises(ValueError, match="choose from .*sblimp"):
        evoslm.metric_path("bleu")


@pytest.mark.parametrize("name", ["CodebookVocoder", "UnitHifiGan"])
def test_either_vocoder_can_be_imported_first(name):
    code = f"from evoslm.models.vocoder import {name}; print({name}.__name__)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == name, run.stderr
