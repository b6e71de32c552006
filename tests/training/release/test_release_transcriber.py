"""A transcriber of a run's units is released beside their quantizer and named by their models, or refused."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoConfig

from evoslm.models.speech_units import SpeechUnitModel
from evoslm.models.speech_units.identity import quantizer_hash
from evoslm.models.transcriber import UnitTranscriber
from evoslm.training.cli import main
from evoslm.training.release.models.units import find_transcribers
from evoslm.training.release.names import ReleaseNames
from evoslm.training.run.study_file import open_run

NAME = "user/evoslm-smoke-transcriber"
TRAINED = Path("transcribers", "speech_dedup")


@pytest.fixture
def run(complete_run, tmp_path):
    """A copy without joint models, whose files may be removed and replaced, but not written into."""
    folder = tmp_path / "run"
    shutil.copytree(complete_run, folder, copy_function=os.link)
    shutil.rmtree(folder / "joint")
    return folder


def rewrite(path: Path, **changes) -> None:
    content = json.loads(path.read_text()) | changes
    path.unlink()
    path.write_text(json.dumps(content))


def test_it_has_the_runs_weights_and_is_tied_to_the_quantizer(by_name, complete_run):
    released = UnitTranscriber.from_pretrained(by_name["transcriber"].folder)
    own = UnitTranscriber.from_pretrained(complete_run / TRAINED / "model")
    weights, expected = released.state_dict(), own.state_dict()
    assert weights.keys() == expected.keys() and all(torch.equal(weights[name], expected[name]) for name in expected)
    quantizer = by_name["units-mfcc"]
    assert released.config.unit_quantizer == quantizer.name
    assert released.config.unit_quantizer_hash == quantizer_hash(SpeechUnitModel.from_pretrained(quantizer.folder))
    assert released.transcribe([[17, 17, 4, 4, 4, 8]]) == own.transcribe([[17, 17, 4, 4, 4, 8]])


def test_models_of_its_units_name_it_and_no_others(by_name):
    named = {
        name: AutoConfig.from_pretrained(repository.folder).to_dict().get("unit_transcriber")
        for name, repository in by_name.items()
        if repository.kind == "model" and name.startswith(("speech-", "joint-")) and "sentiment" not in name
    }
    of_other_units = {name for name in named if name.startswith("speech-") and name.endswith(("voice", "ised"))}
    of_other_units |= {"speech-syllable", "speech-duration-penalized"}
    assert {"speech-units", "speech-dedup", "speech-bpe", "joint-cst-ast"} <= set(named) - of_other_units
    assert all(named[name] is None if name in of_other_units else named[name] == NAME for name in named)


def test_its_card_says_what_was_measured_and_what_it_can_write(by_name, complete_run):
    card = ModelCard.load(by_name["transcriber"].folder / "README.md")
    results = json.loads((complete_run / TRAINED / "results.json").read_text())
    for heard, found in results["transcripts"].items():
        rates = (found["wer"], found["cer"])
        cells = (f"{100 * e['value']:.1f} [{100 * e['low']:.1f}, {100 * e['high']:.1f}]" for e in rates)
        assert f"| {heard} | {' | '.join(cells)} |" in card.text.replace("\u00a0", " ")
    best, words = results["training"]["best"], AutoConfig.from_pretrained(by_name["transcriber"].folder).words
    assert f"{100 * best['wer']:.1f} of words and {100 * best['cer']:.1f} of characters" in card.text
    assert f"It writes the {len(words):,} words of its training and no others" in card.text
    assert card.data.pipeline_tag == "automatic-speech-recognition" and "ctc" in card.data.tags
    for mistake in ("None", "nan", "units of other"):
        assert mistake not in card.text


def test_a_second_one_of_the_same_units_has_a_name_of_its_own_and_one_of_phones_none(run):
    for other in ("speech_units", "phone_raw"):
        shutil.copytree(run / TRAINED, run / "transcribers" / other, copy_function=os.link)
    opened, names = open_run(run), ReleaseNames("user", "smoke")
    found = find_transcribers(opened, names, opened.units())
    assert [(source.parent.name, name) for source, name in found] == [
        ("speech_dedup", NAME),
        ("speech_units", f"{NAME}-speech-units"),
    ]
    assert find_transcribers(opened, names, opened.units_of("speech_syllable")) == []


def test_one_that_was_trained_on_other_units_or_measured_by_nobody_is_refused(run, capsys):
    command = ["release", str(run), "--namespace", "user", "--dry_run", "--modalities", "speech_dedup"]

    def refuse() -> str:
        assert main(command) == 2 and not (run / "release").exists()
        return capsys.readouterr().err

    stage, config = run / TRAINED / "model" / "stage.json", run / TRAINED / "model" / "config.json"
    right = json.loads(stage.read_text())["keys"]
    rewrite(stage, keys=right | {"inputs.quantizer": "0" * 16})
    assert "transcribers/speech_dedup/model was made with another quantizer than" in refuse()
    rewrite(stage, keys=right)
    rewrite(config, unit_quantizer_hash="0" * 16)
    assert f"is of the speech units {'0' * 16} and {run / 'units' / 'speech_units' / 'model'} of " in refuse()
    rewrite(config, unit_quantizer_hash=None)
    (run / TRAINED / "results.json").unlink()
    assert "speech_dedup/results.json is missing; run `evoslm train-transcriber` again." in refuse()
