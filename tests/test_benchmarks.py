"""Every section of the benchmarks starts and ends on a fresh clone, without a variable that nobody names."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_recognizers import save_whisper
from tiny_whisper import save_whisper as save_ears

ROOT = Path(__file__).resolve().parents[1]
SPEED = ("synthesis", "extraction", "unit-report", "training", "scoring")
BY_NAME = ("aligner", "continuations", "diagnosis", "first-sound", "generation", "layers", "segmentation", "soak")
SECTIONS = (*SPEED, *BY_NAME, "transcription", "units", "windows")


def run(*arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EVOSLM_")}
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.end_to_end
@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_runs_and_a_quick_one_writes_nothing(section, tmp_path, request):
    needed = ()
    if section == "transcription":
        needed = ("--whisper", save_whisper(tmp_path))
    elif section in ("continuations", "first-sound", "generation", "layers", "soak"):
        if section == "first-sound":
            request.getfixturevalue("browser")  # a Chromium, or a reason why there is none
        needed = ("--run", request.getfixturevalue("finished_run"))
    done = run("--quick", section, *needed)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count("\n## ") == 1 and "| ---: |" in done.stdout
    assert "written:" not in done.stdout


@pytest.mark.end_to_end
@pytest.mark.parametrize("flags", [["--shape", "large-v3"], ["--whisper"]])
def test_extraction_measures_whispers_encoder_alone_where_it_is_asked(tmp_path, flags):
    """Of a shape, or with somebody's weights, of which a script runs all layers."""
    given = [*flags, save_whisper(tmp_path)] if flags == ["--whisper"] else flags
    done = run("--quick", "extraction", *given)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count("\n## ") == 1 and "HuBERT" not in done.stdout
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith(("| ours", "| one"))]
    whole = "one file at a time, filled up to 30 s" + ", every layer" * (flags == ["--whisper"])
    assert rows == 2 * ["ours, one process", "one file at a time", whole]
    assert ("128 mel bins" in done.stdout) == (flags != ["--whisper"])


def test_windows_move_by_the_shift_and_their_edges_are_where_units_change(monkeypatch):
    """Of 80 s of noise in windows of 30 s."""
    from benchmarks.common import random_whisper
    from benchmarks.flags import QUICK
    from benchmarks.windows import SHIFT, changed_as_made, changed_by_distance

    monkeypatch.setenv(QUICK, "1")
    model = random_whisper(num_units=4)
    audio = [np.random.default_rng(0).integers(-3000, 3000, 40 * 16_000, dtype=np.int16) for _ in range(2)]
    nearest, changed = changed_by_distance(model, audio)
    assert len(nearest) == len(changed) == 50 * (80 - SHIFT)
    # Windows of 30 s end at 30 and 60 s; of what begins 5 s later, at 35 and 65 s.
    edges = [at for at in range(1, len(nearest)) if nearest[at] == 0 and nearest[at - 1] == 0]
    assert [round(at / 50 + SHIFT, 2) for at in edges] == [30, 35, 60, 65]
    own = model.encoder.margin_seconds
    inside, _ = changed_as_made(model, audio)
    assert own == model.encoder.margin_seconds == 3 and inside.min() >= own - 0.02 and len(inside) == 50 * (75 - 6)


def test_units_measures_each_layer_that_is_asked_for(tmp_path, monkeypatch):
    from benchmarks import flags
    from benchmarks.units import _encoders

    save_ears(tmp_path / "ear")
    monkeypatch.setenv(flags.WHISPER, str(tmp_path / "ear"))
    monkeypatch.setenv(flags.LAYERS, "1 2")
    encoders = _encoders()
    assert list(encoders) == ["MFCC", "log-mel", "ear, layer 1", "ear, layer 2"]
    assert [encoders[f"ear, layer {layer}"]().config.pretrained["layer"] for layer in (1, 2)] == [1, 2]


def test_a_mistake_in_a_flag_is_said_before_anything_is_measured(tmp_path):
    sections = ", ".join(SECTIONS).replace("-", "_")
    assert f"choose from {sections}" in run("nothing").stderr
    assert "holds no .jsonl files" in run("--blimp", tmp_path, "scoring").stderr
    assert "holds no metadata.csv" in run("--ljspeech", tmp_path, "aligner").stderr
    assert "holds no .onnx file of a Piper voice" in run("--piper", tmp_path, "units").stderr
    assert "is no encoder" in run("--whisper", tmp_path, "units").stderr
    assert "transcription needs a model to listen with; give --whisper" in run("transcription").stderr
    assert "soak needs a run whose page it serves; give --run" in run("soak").stderr
    assert "layers needs a run whose models score its pairs; give --run" in run("layers").stderr
    assert "continuations needs a run whose models go on from its prompts; give --run" in run("continuations").stderr
    assert "invalid choice: 'tpu'" in run("--device", "tpu", "generation").stderr
    assert "holds no models" in run("--run", tmp_path, "soak").stderr
    assert "invalid choice: 'huge' (choose from" in run("--shape", "huge", "extraction").stderr
    whisper = save_whisper(tmp_path / "whisper")
    assert "layer 9 is none of them" in run("units", "--whisper", whisper, "--layers", "1", "9").stderr
    assert "--layers are those of a Whisper; give --whisper" in run("units", "--layers", "1").stderr
    mistake = run("--shape", "tiny", "--whisper", whisper, "extraction").stderr
    assert "--whisper has a shape of its own; leave out --shape" in mistake
    if not torch.cuda.is_available():
        assert (
            "--device cuda was asked for, but torch finds no CUDA device"
            in run("--device", "cuda", "extraction").stderr
        )
