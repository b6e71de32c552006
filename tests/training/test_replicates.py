"""`evoslm study --replicates`: whole studies with seeds of their own, in one folder that goes on after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import pytest
from tiny_study import TINY

from evoslm.training.arguments.parsing import parse_arguments
from evoslm.training.cli import main
from evoslm.training.replicates import plan_replicates, say_plan

FLAGS = (*TINY, "--modalities", "text_raw", "--epochs", "0.2", "--replicates", "2")


def plan(*flags: str) -> list:
    return plan_replicates(parse_arguments(["--preset", "smoke", "--replicates", "3", *flags]))


def test_replicates_differ_in_their_seeds_and_folders_alone():
    found = plan("--corpus_seed", "5", "--training_seeds", "0", "2", "--output_dir", "runs/x")
    assert [str(each.output_dir) for each in found] == [f"runs/x/replicate-{seed}" for seed in (5, 6, 7)]
    assert [each.corpus.corpus_seed for each in found] == [5, 6, 7]
    assert [each.run.training_seeds for each in found] == [[0, 2], [3, 5], [6, 8]]
    first, *others = (asdict(each) for each in found)
    for other in others:
        other["run"] |= {name: first["run"][name] for name in ("output_dir", "training_seeds")}
        other["corpus"] |= {"corpus_seed": 5}
        assert other == first


def test_the_first_replicate_is_the_study_without_the_flag():
    alone, first = parse_arguments(["--preset", "smoke", "--output_dir", "runs/y"]), plan()[0]
    assert alone.corpus == first.corpus and alone.run.training_seeds == first.run.training_seeds
    assert str(parse_arguments(["--preset", "smoke", "--replicates", "2"]).output_dir) == "runs/smoke-replicates"


def test_what_is_drawn_anew_is_said_for_each_kind_of_corpus(tmp_path):
    assert "Each draws its stories; who says what, the minimal pairs and k-means" in say_plan(plan())
    text = say_plan(plan("--corpus", "text", "--text_dir", str(tmp_path)))
    assert "which sections of the text are taken" in text and "the text and the voices to choose from" in text
    recorded = say_plan(plan("--corpus", "audio", "--audio_dir", str(tmp_path)))
    assert "the recordings and their readers are the same" in recorded and "who speaks the pairs" in recorded


def test_a_dry_run_reckons_with_all_of_them(tmp_path, capsys):
    assert main(["study", *FLAGS, "--dry_run", "--output_dir", str(tmp_path / "run")]) == 0
    assert "Each of the 2 replicates needs that: 2 times the hours and the disk." in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_a_run_by_itself_and_replicates_do_not_mix(tmp_path, capsys):
    alone, several = tmp_path / "alone", tmp_path / "several"
    for folder, file in ((alone, "study.json"), (several, "replicates.json")):
        folder.mkdir()
        (folder / file).write_text("{}")
    assert main(["study", *FLAGS, "--output_dir", str(alone)]) == 2
    assert "is a run by itself" in capsys.readouterr().err
    assert main(["study", *TINY, "--output_dir", str(several)]) == 2
    assert "holds replicates of a study" in capsys.readouterr().err
    assert main(["score", str(several), "--modality", "text_raw"]) == 2
    assert "holds replicates of a study; give the folder of one of them" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["study", "--replicates", "0"], "--replicates is 0; it must be at least 1"),
        (["evaluate", "--replicates", "2"], "--replicates is a flag of study, not of evaluate"),
    ],
)
def test_only_a_study_has_replicates(flags, message, capsys):
    assert main(flags) == 2
    assert message in capsys.readouterr().err


@pytest.mark.end_to_end
def test_a_study_of_replicates_goes_on_after_a_kill(tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "evoslm.training.cli", "study", *FLAGS, "--output_dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None and not (folder / "replicate-1" / "study.json").exists():
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    first = {path: path.stat().st_mtime_ns for path in folder.glob("replicate-0/**/stage.json")}
    assert first and not (folder / "report").exists()
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert first == {path: path.stat().st_mtime_ns for path in folder.glob("replicate-0/**/stage.json")}
    results = json.loads((folder / "report" / "results.json").read_text())
    assert results["are_replicates"] and not any(results["shared"].values()) and results["shared_text"] < 0.1
    assert set(results["shared"]) == {"the text", "which voice says what", "the pairs"}
    assert [run["training_seeds"] for run in results["runs"]] == [[0], [1]]
