"""`evoslm study --study joint --preset smoke`: from text to the report with everything that joint models are asked."""

import json

import numpy as np
import pandas as pd
import pytest
import soundfile

from evoslm.datasets_scripts.slu import read_task
from evoslm.models.scoring.retrieval import DIRECTIONS
from evoslm.training.arguments.study import CorpusArguments
from evoslm.training.cli import main
from evoslm.training.joint.command import MIXTURES
from evoslm.training.joint.study import speak, task_voices
from evoslm.training.joint.study_report import slu_lines
from evoslm.training.run.execution import Execution


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint-study") / "run"
    command = ["study", "--study", "joint", "--preset", "smoke", "--output_dir", str(folder), "--training_seeds", "0"]
    assert main([*command, "--paired_shares", "0.6", "--snr", "10"]) == 0
    return {"folder": folder, "command": [*command, "--paired_shares", "0.6", "--snr", "10"]}


@pytest.mark.end_to_end
def test_everything_is_asked_and_reported(study):
    joint = study["folder"] / "joint"
    results = json.loads((joint / "results.json").read_text())
    assert set(results["models"]) == set(MIXTURES) == set(results["pelm"]) | {"unpaired"}
    assert set(results["inside"]) == {"cst", "ast", "cst_ast"}
    for model in ("cst", "ast", "cst_ast"):
        assert set(results["pelm"][model]["0"]["directions"]) == set(DIRECTIONS)
        attention = results["inside"][model]["0"]["attention"]
        assert all(0 <= share <= 1 for name in ("best_head", "same_place", "any_token") for share in attention[name])
    assert set(results["pelm"]["text"]["0"]["directions"]) == set(results["pelm_estimates"]["text"]) == {"t2t"}
    assert (
        results["pelm"]["cst"]["0"]["made_with"]["external"] and results["pelm"]["cst"]["0"]["made_with"]["versions"]
    )
    for task in ("stories_sa", "stories_ner"):
        models = results["slu"][task]["models"]
        assert set(models) == set(results["pelm"])
        assert all(set(models[name]["speech"]) >= {"speech", "text"} for name in models)
        assert any("noise at 10 dB" in name for name in models["ast"]["speech"])
    assert results["variants"]["paired 0.6"]["bits"]["text"]["mean"] > 0
    report = (joint / "report.md").read_text()
    for heading in (
        "## Inside the models",
        "## Continuations: PELM",
        "understanding: stories_sa",
        "## Other mixtures",
    ):
        assert report.count(heading) == 1
    rows = pd.read_parquet(joint / "continuations" / "cst" / "seed-0" / "continuations.parquet")
    assert set(rows["direction"]) == set(DIRECTIONS) and len(rows) == 6 * 4


@pytest.mark.end_to_end
def test_the_same_study_does_nothing_again(study):
    made = [*study["folder"].rglob("*.safetensors"), *study["folder"].rglob("*.parquet")]
    before = {path: path.stat().st_mtime_ns for path in made}
    report = (study["folder"] / "joint" / "report.md").read_text()
    assert main(study["command"]) == 0
    assert {path: path.stat().st_mtime_ns for path in made} == before
    assert (study["folder"] / "joint" / "report.md").read_text() == report


@pytest.mark.end_to_end
def test_a_listening_sheet_says_nothing_of_who_continued_what(study, tmp_path, capsys):
    folder = tmp_path / "listening"
    command = ["listening-sheet", str(study["folder"]), "--output_dir", str(folder), "--models", "speech", "cst"]
    assert main([*command, "--num_passages", "3"]) == 0
    key = json.loads((folder / "key.json").read_text())["items"]
    systems = ("true", "shuffled", "speech", "cst")
    assert sorted(item["system"] for item in key.values()) == sorted(systems * 3)
    assert [item["system"] for item in key.values()] != sorted(item["system"] for item in key.values())
    form = (folder / "sheet" / "listen.html").read_text()
    assert all(f'src="audio/{item}.wav"' in form for item in key)
    assert not any(word in form for word in ("shuffled", "cst", *(item["passage"] for item in key.values())))
    for item in key:
        samples, rate = soundfile.read(folder / "sheet" / "audio" / f"{item}.wav")
        assert rate == 16_000 and len(samples) > rate and np.abs(samples).max() > 0.01
    # Rated by who hears the true ones: what is left out counts nowhere.
    rows = [f"{item},{5 if made['system'] == 'true' else 2}," for item, made in key.items()]
    (tmp_path / "ratings.csv").write_text("\n".join(["item,meaning,words", *rows]) + "\n")
    assert main([*command, "--ratings", str(tmp_path / "ratings.csv")]) == 0
    rated = json.loads((folder / "ratings.json").read_text())["systems"]
    assert rated["true"]["meaning"] == {"mean": 5.0, "low": 5.0, "high": 5.0, "n": 3, "n_passages": 3}
    assert rated["cst"]["meaning"]["mean"] == 2 and "words" not in rated["cst"]
    assert "| CST | 2.00 [2.00, 2.00] |  |" in (folder / "report.md").read_text()
    (tmp_path / "ratings.csv").write_text("item,meaning,words\nitem-001,6,\n")
    assert main([*command, "--ratings", str(tmp_path / "ratings.csv")]) == 2
    assert "ratings are from 1 to 5" in capsys.readouterr().err
    assert main([*command, "--training_seed", "7"]) == 2
    assert "no continuations of speech of seed 7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--modalities", "text_bpe"], "needs units of speech"),
        (["--paired_shares", "1.0"], "below 1"),
        (["--slu_examples", "3"], "at least 10"),
    ],
)
def test_what_cannot_be_studied_is_said(tmp_path, flags, named, capsys):
    assert main(["study", "--study", "joint", "--preset", "smoke", "--output_dir", str(tmp_path / "run"), *flags]) == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    ("synthesizer", "told"),
    [("espeak", "in voices that nothing else was said in"), ("piper:voice", "in the voices of training")],
)
def test_the_voices_of_a_test_are_those_that_there_are(synthesizer, told):
    voices = task_voices(CorpusArguments(synthesizer=synthesizer))["test"]
    found = {"task": {"kind": "classification", "sizes": {"train": 2, "test": 2}}, "models": {}}
    found["rules"] = {
        "speech": {"units": {"macro_f1": {"mean": 0.41}}},
        "text": {"words": {"macro_f1": {"mean": 0.7}}},
    }
    for method, trained in (("full", "all weights of the models"), ("lora", "LoRA on the models")):
        lines = slu_lines("moods", found, 0, voices, method)
        assert any(f"2 to test, {told}; {trained} of training seed 0." in line for line in lines)
        assert lines[-2:] == ["| *units* | 41.0 |  |  |  |", "| *words* |  |  | 70.0 |  |"]


def test_a_task_that_was_spoken_otherwise_is_spoken_anew_with_overwrite_alone(tmp_path):
    corpus, folder = CorpusArguments(), tmp_path / "spoken"
    tasks = [read_task("stories_sa", limit=limit) for limit in (12, 20)]
    speak(tasks[0], folder, corpus, Execution(1))
    with pytest.raises(ValueError, match="with --overwrite"):
        speak(tasks[1], folder, corpus, Execution(1))
    assert len((folder / "task.jsonl").read_text().splitlines()) == 12
    speak(tasks[1], folder, corpus, Execution(1, overwrite=True))
    assert len((folder / "task.jsonl").read_text().splitlines()) == 20
