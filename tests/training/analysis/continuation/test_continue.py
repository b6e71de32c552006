"""`evoslm continue`: a text, phones or a recording and what a model makes of it, printed, heard and written down."""

import json

import numpy as np
import pytest
import soundfile

from evoslm.training.cli import main


def run_command(*words) -> int:
    return main(["continue", *map(str, words), "--max_seconds", "1", "--device", "cpu"])


def test_a_text_is_continued_by_seed_and_written_with_sounds(finished_run, tmp_path, capsys):
    asked = [finished_run, "--modality", "phone_raw", "--prompt", "The old man", "--seeds", "0", "1"]
    assert run_command(*asked, "--num_continuations", "2", "--output_dir", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("The old man ...") and printed.count("seed 0") == printed.count("seed 1") == 2
    saved = json.loads((tmp_path / "out" / "continuations.json").read_text())
    rows = saved["continuations"]
    assert [row["seed"] for row in rows] == [0, 0, 1, 1] and saved["prompt"]["content"].startswith(
        "SIL DH IH0 OW1 L D"
    )
    assert saved["made_with"]["modality"] == "phone_raw" and saved["made_with"]["versions"]["torch"]
    for number, row in enumerate(rows):
        samples, rate = soundfile.read(tmp_path / "out" / row["audio"])
        assert row["audio"] == f"{number:03d}.wav" and rate == 16_000 and len(samples)
    # The same seed gives the same, alone or not.
    assert run_command(*asked[:5], "--seeds", "1", "--output_dir", tmp_path / "again") == 0
    again = json.loads((tmp_path / "again" / "continuations.json").read_text())["continuations"]
    assert [row["content"] for row in again] == [rows[2]["content"]]


def test_phones_are_continued_by_models_of_phones_frames_and_units(finished_run, capsys):
    for modality in ("phone_raw", "phone_repeat", "speech_units"):
        asked = [finished_run, "--modality", modality, "--phones", "SIL DH AH0 G ER1 L", "--max_new_tokens", "4"]
        assert run_command(*asked) == 0
        prompt, continued = capsys.readouterr().out.strip().splitlines()
        assert prompt.endswith("...") and "seed 0" in continued
        written = continued.partition("): ")[2].rpartition("[")[2].strip(" ]")
        assert len(written.split()) <= 4
    assert run_command(finished_run, "--modality", "text_bpe", "--phones", "DH AH0") == 2
    assert "A model of Text-BPE reads no phones; give --prompt" in capsys.readouterr().err


def test_a_recording_is_continued_by_units(finished_run, tmp_path, capsys):
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "noise.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    model = finished_run / "models" / "speech_units" / "seed-0"
    assert run_command(model, "--audio", tmp_path / "noise.wav", "--output_dir", tmp_path / "out") == 0
    saved = json.loads((tmp_path / "out" / "continuations.json").read_text())
    assert all(unit.isdigit() for unit in saved["continuations"][0]["content"].split())
    assert (tmp_path / "out" / "000.wav").is_file()
    assert run_command(finished_run, "--modality", "text_bpe", "--audio", tmp_path / "noise.wav") == 2
    assert "hears no sound" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--modality", "phone_raw"], "Give one prompt"),
        (["--modality", "phone_raw", "--prompt", "a", "--phones", "AH0"], "Give one prompt"),
        (["--prompt", "a"], "is a run; give --modality, one of text_bpe"),
        (["--modality", "phone_raw", "--phones", "DH QQ"], "'QQ' is no phone; give ARPAbet"),
        (["--modality", "phone_raw", "--phones", " "], "There are no phones"),
        (["--modality", "phone_raw", "--audio", "nowhere.wav"], "There is no recording nowhere.wav"),
        (["--modality", "phone_raw", "--training_seed", "7", "--prompt", "a"], "no model of phone_raw with seed 7"),
        (["--modality", "morse", "--prompt", "a"], "Unknown modality 'morse'"),
        (["--modality", "phone_raw", "--prompt", "a", "--temperature", "-1"], "temperature"),
    ],
)
def test_what_cannot_be_continued_is_named(finished_run, words, named, capsys):
    assert run_command(finished_run, *words) == 2
    assert named in capsys.readouterr().err
    model = finished_run / "models" / "phone_raw" / "seed-0"
    assert run_command(model, "--modality", "phone_raw", "--prompt", "a") == 2
    assert "choose a model of a run" in capsys.readouterr().err
