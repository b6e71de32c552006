"""A quantizer with Whisper's encoder in it: its repository is whole, says whose weights they are, and loads."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from tiny_whisper import AUDIO, LAYER, save_whisper
from transformers import AutoModel, AutoProcessor

from evoslm.datasets_scripts.synthesis.utterances import render_utterances
from evoslm.datasets_scripts.text.passages import Passage
from evoslm.models.files import read_json, write_json
from evoslm.models.speech_units import SpeechUnitModel, SpeechUnitProcessor, fit_units
from evoslm.models.speech_units.identity import quantizer_hash
from evoslm.training.release import ReleaseNames
from evoslm.training.release.files import check_prepared
from evoslm.training.release.models.units import prepare_units
from evoslm.training.run.execution import Execution
from evoslm.training.run.folder import MODEL_FOLDER, Run
from evoslm.training.run.stage import Stage
from evoslm.training.stages.units.encoding import build_utterance_units

NAMES = ReleaseNames("user", "tiny")
SENTENCES = ("The old sailor sees a green garden.", "A bright stranger stretched the strings.")
REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of six utterances, and units of them by a tiny Whisper."""
    folder = tmp_path_factory.mktemp("whisper-run")
    run, whisper = Run(folder / "run"), save_whisper(folder / "whisper")
    splits = ("train", "validation", "test")
    passages = [Passage(f"p/{i}", f"d{i}", "t", splits[i % 3], (SENTENCES[i % 2],)) for i in range(6)]
    Stage(run.utterances(), 1, {}).run(
        lambda target: render_utterances(passages, target, voices="many", progress=False)
    )

    def fit(target):
        model = fit_units([(AUDIO, None)], num_units=12, encoder_id=str(whisper), encoder_layer=LAYER, seed=0)
        model.save_pretrained(target)
        SpeechUnitProcessor.from_config(model.config).save_pretrained(target)

    quantizer = run.units() / MODEL_FOLDER
    Stage(quantizer, 1, {}, {"utterances": run.utterances()}).run(fit)
    build_utterance_units(run.units() / "utterances", quantizer, run.utterances(), "fp32", Execution())
    return run


def prepare(run, folder, *license_ids):
    """The prepared quantizer of a run, and its card."""
    ties, made = prepare_units(run, NAMES, folder, ["speech_units"], *license_ids)
    check_prepared(made, run.folder)
    (quantizer,) = (repository for repository in made if repository.name == "user/evoslm-tiny-units-whisper")
    assert ties[run.units()].quantizer == quantizer.name
    return quantizer, ModelCard.load(quantizer.folder / "README.md")


@pytest.fixture(scope="module")
def prepared(run, tmp_path_factory):
    return prepare(run, tmp_path_factory.mktemp("release"), "apache-2.0")


def test_the_repository_has_the_encoder_up_to_its_layer_and_the_codebook(run, prepared):
    quantizer, _ = prepared
    there = load_file(quantizer.folder / "model.safetensors")
    own = load_file(run.units() / MODEL_FOLDER / "model.safetensors")
    assert there.keys() == own.keys() and all((there[name] == own[name]).all() for name in own)
    layers = {name.split("layers.")[1].split(".")[0] for name in there if ".layers." in name}
    assert layers == {str(layer) for layer in range(LAYER)} and not [name for name in there if "decoder" in name]
    config = read_json(quantizer.folder / "config.json")
    model = SpeechUnitModel.from_pretrained(run.units() / MODEL_FOLDER)
    assert config["unit_quantizer_hash"] == quantizer_hash(model)
    assert not list(quantizer.folder.rglob("*.bin")) and config["pretrained"]["source"] == "whisper"


def test_weights_from_elsewhere_have_no_licence_until_one_is_stated_and_are_credited(run, prepared, tmp_path):
    _, card = prepared
    assert card.data.license == "unknown" and "has stated no licence" in card.text
    assert f"The encoder is `whisper`: this repository holds its weights up to layer {LAYER}" in card.text
    assert card.data.base_model is None  # a folder's name is no repository of the Hub
    _, card = prepare(run, tmp_path / "stated", "mit", None, "mit")
    assert card.data.license == "mit"


def test_an_encoder_of_the_hub_is_linked_with_its_commit(run, tmp_path):
    path = run.units() / MODEL_FOLDER / "config.json"
    before = path.read_text()
    config = json.loads(before)
    config["pretrained"] |= {"source": "openai/whisper-tiny.en", "revision": REVISION}
    write_json(path, config)
    try:
        _, card = prepare(run, tmp_path / "hub", "apache-2.0")
    finally:
        path.write_text(before)
    assert card.data.base_model == ["openai/whisper-tiny.en"]
    link = "[openai/whisper-tiny.en](https://huggingface.co/openai/whisper-tiny.en)"
    assert f"The encoder is {link} at `{REVISION}`" in card.text
    assert "| encoder's weights | openai/whisper-tiny.en, layer 2 |" in card.text


def test_it_loads_as_it_was(run, prepared):
    quantizer, _ = prepared
    own, loaded = (
        SpeechUnitModel.from_pretrained(run.units() / MODEL_FOLDER),
        AutoModel.from_pretrained(quantizer.folder),
    )
    assert isinstance(loaded, SpeechUnitModel) and loaded.fingerprint() == own.fingerprint()
    processor = AutoProcessor.from_pretrained(quantizer.folder)
    for audio, expected in zip(AUDIO, own.units(AUDIO)):
        assert (processor.units(loaded(**processor(audio, sampling_rate=16_000)))[0] == expected).all()


def test_the_snippet_of_its_card_runs_where_the_package_is_not(run, prepared, tmp_path):
    quantizer, card = prepared
    snippet = (
        card.text.split("```python\n")[1].split("```")[0].replace(f'"{quantizer.name}"', repr(str(quantizer.folder)))
    )
    code = f"import sys; sys.modules['evoslm'] = None\n{snippet}\nprint(model(**inputs).units[0].tolist())"
    environment = os.environ | {"HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    waveform = 0.1 * np.sin(np.arange(16_000) / 10)
    (expected,) = SpeechUnitModel.from_pretrained(run.units() / MODEL_FOLDER).units([waveform])
    assert json.loads(done.stdout.splitlines()[-1]) == expected.tolist()
