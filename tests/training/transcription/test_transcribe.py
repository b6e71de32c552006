"""`evoslm transcribe` of recordings, of shards and of a run's units, on tiny random models and with a real one."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from speech_like import speak
from tiny_recognizers import save_ctc, save_whisper

from evoslm.models.transcriber import Transcriber
from evoslm.training.cli import main


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return save_whisper(tmp_path_factory.mktemp("whisper") / "tiny")


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number, rate in enumerate((16_000, 22_050, 8_000)):
        soundfile.write(folder / f"clip-{number}.wav", speak(number, 1.0), rate)
    soundfile.write(folder / "clip-3.wav", np.zeros(16_000), 16_000)
    return folder


def transcribe(*flags) -> int:
    return main(["transcribe", *map(str, flags), "--device", "cpu"])


def read_rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_recordings_without_texts_are_transcribed(recordings, whisper, tmp_path, capsys):
    flags = ["--source", recordings, "--model_id", whisper, "--output_dir", tmp_path / "out"]
    assert transcribe(*flags) == 0
    rows = read_rows(tmp_path / "out" / "transcripts.jsonl")
    assert [row["id"] for row in rows] == [f"clip-{number}.wav" for number in range(4)]
    assert all(row["transcript"] for row in rows[:3]) and rows[3]["transcript"] == ""
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    found = summary["sounds"]["as recorded"]
    assert (found["utterances"], found["empty"], found["skipped"]) == (4, 1, 0) and "wer" not in found
    assert summary["transcriber"]["model"] == "tiny"
    assert "as recorded: 4 utterances of 0.1 min, 1 empty" in capsys.readouterr().out


def test_recordings_that_are_not_there_are_said_before_any_is_heard(recordings, whisper, tmp_path, capsys):
    lines = [f"clip-{number}|red cats" for number in range(9)]
    (recordings / "metadata.csv").write_text("\n".join(lines) + "\n")
    flags = ["--source", recordings, "--model_id", tmp_path / "no-model", "--output_dir", tmp_path / "out"]
    assert transcribe(*flags) == 2
    error = capsys.readouterr().err
    assert (
        "5 of 9 recordings cannot be read" in error and "clip-4, for instance: There is no recording clip-4." in error
    )
    few = [*flags, "--max_utterances", "4"]
    few[few.index(tmp_path / "no-model")] = whisper
    assert transcribe(*few) == 0 and len(read_rows(tmp_path / "out" / "transcripts.jsonl")) == 4


def test_recordings_with_texts_are_compared_and_unreadable_ones_skipped(recordings, whisper, tmp_path, capsys):
    lines = [f"clip-{number}|{text}" for number, text in enumerate(("red cats", "dogs", "birds", "fish"))]
    (recordings / "metadata.csv").write_text("\n".join([*lines, "clip-4|mice"]) + "\n")
    (recordings / "clip-4.wav").write_bytes(b"no sound")
    flags = ["--source", recordings, "--model_id", whisper, "--output_dir", tmp_path / "out"]
    assert transcribe(*flags) == 2
    assert "1 of 5 recordings cannot be read, more than --max_skipped_fraction 0.05; clip-4" in capsys.readouterr().err
    assert transcribe(*flags, "--max_skipped_fraction", 0.2) == 0
    (lost,) = read_rows(tmp_path / "out" / "skipped.jsonl")
    assert lost["id"] == "clip-4" and "cannot be read" in lost["reason"]
    found = json.loads((tmp_path / "out" / "summary.json").read_text())["sounds"]["as recorded"]
    assert (found["words"], found["utterances"], found["compared"]) == (5, 4, 4) and found["wer"] > 0.5
    assert "WER" in capsys.readouterr().out


def test_a_command_that_is_killed_goes_on_and_another_model_is_named(
    recordings, whisper, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("evoslm.training.transcription.transcribing._CHUNK_SIZE", 1)
    heard, own = [], Transcriber.transcribe

    def stop_at_the_third(self, *arguments):
        heard.append(arguments)
        if len(heard) == 3:
            raise KeyboardInterrupt
        return own(self, *arguments)

    monkeypatch.setattr(Transcriber, "transcribe", stop_at_the_third)
    flags = ["--source", recordings, "--model_id", whisper, "--output_dir", tmp_path / "out"]
    assert transcribe(*flags) == 130 and not (tmp_path / "out").exists()
    assert transcribe(*flags) == 0 and len(heard) == 3 + 2
    assert len(read_rows(tmp_path / "out" / "transcripts.jsonl")) == 4
    assert not (tmp_path / "out" / "chunks").exists()
    assert transcribe(*flags) == 0 and len(heard) == 5
    assert transcribe(*flags, "--num_beams", 2) == 2
    assert "num_beams" in capsys.readouterr().err


def test_beams_of_a_model_without_a_search_are_refused_before_it_is_asked(recordings, tmp_path, capsys):
    model = save_ctc(tmp_path / "ctc")
    flags = ["--source", recordings, "--model_id", model, "--output_dir", tmp_path / "out", "--num_beams", 2]
    assert transcribe(*flags) == 2 and not list(tmp_path.glob("*out*"))
    assert "ctc takes the likeliest label of each frame and has no search" in capsys.readouterr().err


def test_a_runs_utterances_and_what_vocoders_make_of_its_units(finished_run, whisper, tmp_path):
    run = shutil.copytree(finished_run, tmp_path / "run", ignore=shutil.ignore_patterns("models", "scores", "pairs"))
    flags = [run, "--model_id", whisper, "--max_utterances", 3]
    assert transcribe(*flags) == 0
    rows = read_rows(run / "transcripts" / "transcripts.jsonl")
    assert [row["sound"] for row in rows] == ["as recorded"] * 3 + ["codebook"] * 3
    for said, resynthesized in zip(rows[:3], rows[3:]):
        assert said["id"] == resynthesized["id"] and said["text"] == resynthesized["text"] != ""
        assert abs(said["seconds"] - resynthesized["seconds"]) < 0.05
    sounds = json.loads((run / "transcripts" / "summary.json").read_text())["sounds"]
    assert sounds["as recorded"]["words"] == sounds["codebook"]["words"] > 0
    shards = ["--source", run / "corpus" / "utterances", "--output_dir", tmp_path / "out", "--split", "test"]
    assert transcribe("--model_id", whisper, *shards) == 0
    assert read_rows(tmp_path / "out" / "transcripts.jsonl")[0]["id"] not in {row["id"] for row in rows}


def test_units_from_elsewhere_are_left_to_vocoders(table_run, whisper, tmp_path, capsys):
    flags = [table_run, "--model_id", whisper, "--max_utterances", 1]
    assert transcribe(*flags, "--output_dir", tmp_path / "out") == 0
    assert [row["sound"] for row in read_rows(tmp_path / "out" / "transcripts.jsonl")] == ["as recorded"]
    assert transcribe(*flags, "--output_dir", tmp_path / "other", "--vocoders", "codebook") == 2
    assert "give the folder of a vocoder that was trained on them" in capsys.readouterr().err
    assert not list(tmp_path.glob("*other*"))


def test_a_line_separator_in_a_name_ends_no_row(recordings, whisper, tmp_path):
    (recordings / "clip-0.wav").rename(recordings / "clip\u2028\u0085.wav")
    assert transcribe("--source", recordings, "--model_id", whisper, "--output_dir", tmp_path / "out") == 0
    rows = (tmp_path / "out" / "transcripts.jsonl").read_text(encoding="utf-8").split("\n")
    assert "clip\u2028\u0085.wav" in {json.loads(row)["id"] for row in rows if row}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Give a finished run (`evoslm transcribe RUN`), or both --source and --output_dir."),
        (["--source", "nowhere", "--output_dir", "out"], "There is no folder nowhere"),
        (["--source", "{tmp}", "--output_dir", "out"], "There are no recordings in {tmp}"),
        (["{run}", "--vocoders", "nowhere"], "There is no vocoder in nowhere; `evoslm train-vocoder` makes one"),
        (["{run}", "--vocoders", "codebook", "x/codebook"], "Two vocoders are called codebook"),
        (["{run}", "--source", "{tmp}"], "Give either a run or --source, not both"),
        (["{run}", "--model_id", "{tmp}"], "is no model that can be loaded"),
        (["{run}", "--num_beams", "0"], "--num_beams is 0; it must be at least 1"),
    ],
)
def test_mistakes_are_one_sentence(finished_run, tmp_path, flags, message, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = {"tmp": tmp_path, "run": finished_run}
    assert transcribe(*(flag.format(**places) for flag in flags)) == 2
    error = capsys.readouterr().err
    assert message.format(**places) in error and len(error.splitlines()) == 1
