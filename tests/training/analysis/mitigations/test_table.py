"""`evoslm analyze --parts mitigations`: the whole table, of a run, of another and of further sizes of pieces."""

import json
import shutil
from pathlib import Path

import pytest
from tiny_recognizers import save_whisper
from tiny_study import TINY

from evoslm.training.analysis.mitigations.document import say_recovered
from evoslm.training.analysis.mitigations.figure import _find_room, _overlap, draw_trade_off
from evoslm.training.cli import main

pytestmark = pytest.mark.end_to_end
SIZE = "450"


@pytest.fixture(scope="module")
def other(finished_run, tmp_path_factory) -> Path:
    """A run on the same speech and pairs, whose units are normalised by speaker."""
    folder = tmp_path_factory.mktemp("other") / "normalised"
    ignored = shutil.ignore_patterns("models", "scores", "tokenizers", "units", "report", "study.json")
    shutil.copytree(finished_run, folder, ignore=ignored)
    flags = ["--modalities", "speech_units", "--unit_normalization", "speaker", "--precision", "fp32"]
    assert main(["study", *TINY, *flags, "--output_dir", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def asked(copied_run, other, tmp_path_factory) -> dict:
    """A finished analysis, and the command that made it."""
    joint = ["pretrain-joint", str(copied_run), "--models", "speech", "ast", "--epochs", "0.3", "--num_blocks", "0"]
    assert main([*joint, "--num_proc", "1"]) == 0
    whisper = save_whisper(tmp_path_factory.mktemp("recogniser") / "whisper-tiny")
    command = ["analyze", str(copied_run), "--parts", "mitigations", "--runs", str(other), "--num_heard", "2"]
    command += ["--unit_bpe_sizes", SIZE, "--transcriber", str(whisper), "--num_proc", "1"]
    assert main(command) == 0
    return {"run": copied_run, "command": command}


@pytest.fixture(scope="module")
def results(asked) -> dict:
    return json.loads((asked["run"] / "analysis" / "mitigations" / "results.json").read_text())


def test_there_is_a_row_for_every_model_of_units_and_for_the_anchors(results):
    rows = {row["key"]: row for row in results["rows"]}
    assert list(rows)[:5] == ["text_bpe", "text_raw", "phone_bpe", "phone_raw", "phone_repeat"]
    answers = {"speech_dedup", "speech_bpe", f"speech_bpe/{SIZE}", "speech_syllable", "speech_syllable_unsupervised"}
    answers |= {"speech_duration_penalized", "joint/speech", "joint/ast", "run-1:speech_units"}
    assert {key for key, row in rows.items() if row["recovered"]} == answers
    assert set(rows) == answers | set(list(rows)[:5]) | {"speech_units"}
    assert rows["run-1:speech_units"]["label"] == "Speech-MFCC, normalised by speaker"
    assert rows["joint/ast"]["reads_text"] and not rows["joint/speech"]["reads_text"]
    assert rows["speech_units"]["rates"]["tokens_per_second"] == pytest.approx(50)
    assert rows["speech_dedup"]["rates"]["tokens_per_second"] < 45
    sizes = [rows[key]["rates"]["tokens_per_second"] for key in ("speech_bpe", f"speech_bpe/{SIZE}")]
    assert sizes[1] < sizes[0] < rows["speech_dedup"]["rates"]["tokens_per_second"]  # more pieces are longer
    joint = rows["joint/speech"]["rates"]
    assert joint["tokens_per_second"] == pytest.approx(sizes[0], rel=0.2) and joint["bits_per_second"] > 10


def test_pieces_of_runs_sound_as_runs_do_and_each_sound_was_heard(results):
    rows = {row["key"]: row["sound"] for row in results["rows"]}
    assert rows["speech_bpe"] == rows["speech_dedup"] == rows["joint/ast"] == "runs"
    assert rows["run-1:speech_units"] == "run-1-frames" and rows["phone_raw"] is None
    kinds = {"recorded", "frames", "runs", "syllable", "syllable_unsupervised", "duration_penalized", "run-1-frames"}
    assert set(results["sounds"]) == kinds
    for name, sound in results["sounds"].items():
        assert sound["errors"]["utterances"] == 2 and sound["errors"]["wer"]["value"] > 0  # of random weights
        assert (sound["quality"] is None) == (name == "recorded")
    assert results["heard_by"] == {"kind": "recogniser", "name": "whisper-tiny"}


def test_one_training_shows_nothing(results):
    assert not results["shows"]
    verdicts = {found["verdict"] for row in results["rows"] for found in row["recovered"].values()}
    assert verdicts == {"one seed"}
    assert say_recovered(results)[0].startswith("One training seed: nothing is shown")


def test_the_page_has_the_table_and_the_figure(asked, results):
    report = asked["run"] / "report"
    page, html = ((report / f"analysis.{kind}").read_text() for kind in ("md", "html"))
    for row in results["rows"]:
        assert row["label"] in page
    assert "Heard by whisper-tiny" in page and "SQUIM are not on this machine" in page
    assert (report / "analysis_mitigations.png").stat().st_size > 20_000 and "What is heard" in html
    assert draw_trade_off(results).panels.keys() == {"What is heard", "sWUGGY", "sBLIMP", "Topic-SC"}


def test_what_is_finished_is_not_done_again(asked):
    stages = sorted((asked["run"] / "analysis" / "mitigations").rglob("stage.json"))
    before = [path.stat().st_mtime_ns for path in stages]
    assert len(stages) > 15 and main(asked["command"]) == 0
    assert [path.stat().st_mtime_ns for path in stages] == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--unit_bpe_sizes", "40"], "40 pieces are no more than the 50 units"),
        (["--unit_bpe_sizes", "400"], "has Speech-BPE of 400 pieces already"),
        (["--unit_bpe_sizes", "500", "500"], "has 500 twice"),
        (["--runs", "nowhere"], "nowhere is not the folder of a run"),
        (["--transcriber", "nowhere/whisper"], "nowhere/whisper"),
        (["--num_heard", "0"], "num_heard"),
        (["--modalities", "phone_raw"], "has no scores of speech_units"),
        (["--modalities", "speech_units"], "has no answer to what speech costs"),
    ],
)
def test_a_mistake_is_a_sentence(finished_run, capsys, monkeypatch, flags, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["analyze", str(finished_run), "--parts", "mitigations", *flags]) == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said
    assert not (finished_run / "analysis" / "mitigations").exists()


def test_labels_find_room():
    taken = [(0.5, 0.5, 0.52, 0.52)]
    boxes = []
    for _ in range(6):
        box = _find_room([*taken, *boxes], 0.51, 0.51, 0.3)
        assert not any(_overlap(box, other) for other in boxes)
        boxes.append(box)
    # The point's own height is taken, and below that it would stand beside another point.
    left, below, _, above = _find_room([(0.0, 0.47, 1.0, 0.68)], 0.51, 0.51, 0.4, [0.43])
    assert (below + above) / 2 > 0.68
    # Where there is room nowhere else, it does.
    left, below, _, above = _find_room([(0.0, 0.47, 1.0, 1.0)], 0.51, 0.51, 0.4, [0.43])
    assert (below + above) / 2 < 0.47
