"""Every section of the benchmarks starts and ends on a fresh clone, without a variable that nobody names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_recognizers import save_whisper

ROOT = Path(__file__).resolve().parents[1]
SPEED = ("synthesis", "extraction", "unit-report", "training", "scoring")
BY_NAME = ("aligner", "continuations", "diagnosis", "first-sound", "generation", "layers", "segmentation", "soak")
SECTIONS = (*SPEED, *BY_NAME, "transcription", "units")


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


def test_a_mistake_in_a_flag_is_said_before_anything_is_measured(tmp_path):
    sections = ", ".join(SECTIONS).replace("-", "_")
    assert f"choose from {sections}" in run("nothing").stderr
    assert "holds no .jsonl files" in run("--blimp", tmp_path, "scoring").stderr
    assert "holds no metadata.csv" in run("--ljspeech", tmp_path, "aligner").stderr
    assert "is no encoder" in run("--whisper", tmp_path, "units").stderr
    assert "transcription needs a model to listen with; give --whisper" in run("transcription").stderr
    assert "soak needs a run whose page it serves; give --run" in run("soak").stderr
    assert "layers needs a run whose models score its pairs; give --run" in run("layers").stderr
    assert "continuations needs a run whose models go on from its prompts; give --run" in run("continuations").stderr
    assert "invalid choice: 'tpu'" in run("--device", "tpu", "generation").stderr
    assert "holds no models" in run("--run", tmp_path, "soak").stderr
