"""A corpus of recordings: aligned utterances first, then everything that a synthesized corpus has."""

import json
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest

from evoslm.datasets_scripts.text.passages import read_passages
from evoslm.training.arguments.parsing import parse_arguments
from evoslm.training.cli import main
from evoslm.training.stages.recordings import RecordingSource, read_recordings
from evoslm.training.study import Study

FLAGS = ["--preset", "smoke", "--corpus", "audio", "--num_proc", "1"]


@pytest.fixture(scope="module")
def audio_dir(shared_data, tmp_path_factory):
    """Seven recordings, one of which is broken, with transcripts of three more."""
    source, folder = shared_data / "ljspeech", tmp_path_factory.mktemp("recordings") / "audio"
    (folder / "wavs").mkdir(parents=True)
    lines = (source / "metadata.csv").read_text(encoding="utf-8").splitlines()[:10]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for line in lines[:7]:
        name = f"{line.split('|')[0]}.flac"
        shutil.copy(source / "flac" / name, folder / "wavs" / name)
    broken = folder / "wavs" / "LJ001-0003.flac"
    broken.write_bytes(broken.read_bytes()[:2000])
    return folder


def read_arguments(audio_dir, output_dir, *more):
    flags = [*FLAGS, "--audio_dir", str(audio_dir), "--output_dir", str(output_dir), *more]
    return parse_arguments(flags, "build-dataset")


@pytest.fixture(scope="module")
def run(audio_dir, tmp_path_factory):
    arguments = read_arguments(audio_dir, tmp_path_factory.mktemp("run"), "--max_skipped_fraction", "0.2")
    study = Study(arguments)
    study.build_recordings()
    study.build_text()
    return study.run


def test_recordings_become_utterances_and_what_cannot_be_used_is_listed(run):
    rows = pd.concat(pq.read_table(path).to_pandas() for path in sorted(run.utterances().glob("*.parquet")))
    assert sorted(rows["id"]) == [f"LJ001-{number:04d}" for number in (1, 2, 4, 5, 6, 7)]
    for row in rows.to_dict("records"):
        phones = list(row["phones"])
        assert phones[0]["start"] == 0 and phones[-1]["end"] == pytest.approx(row["duration"])
        assert all(one["end"] == two["start"] for one, two in zip(phones, phones[1:]))
    skipped = [json.loads(line) for line in (run.utterances() / "skipped.jsonl").read_text().splitlines()]
    assert [row["id"] for row in skipped] == ["LJ001-0003", "LJ001-0008", "LJ001-0009", "LJ001-0010"]
    assert "missing" in skipped[1]["reason"]
    summary = json.loads((run.utterances() / "summary.json").read_text())
    assert summary["skipped"] == 1 and summary["transcripts_without_audio"] == 3


def test_passages_are_the_transcripts_of_the_utterances(run):
    passages = list(read_passages(run.passages / "passages.parquet"))
    rows = {}
    for path in run.utterances().glob("*.parquet"):
        table = pq.read_table(path, columns=["id", "text"]).to_pylist()
        rows |= {row["id"]: (path.name.split("-")[0], row["text"]) for row in table}
    assert {passage.id: (passage.split, passage.text) for passage in passages} == rows
    held_out = list(read_passages(run.passages / "held_out.parquet"))
    assert {passage.split for passage in held_out} == {"test"}


def test_a_document_is_read_until_there_are_enough_words(audio_dir):
    few = read_recordings(RecordingSource(audio_dir=str(audio_dir)), max_words=40, seed=0)
    assert [recording.id for recording in few[0]] == ["LJ001-0001", "LJ001-0002"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--corpus", "audio"], "--corpus audio needs --audio_dir"),
        (["--corpus", "libriheavy", "--audio_dir", "x"], "needs --manifest"),
        (["--corpus", "audio", "--audio_dir", "x", "--unit_normalization", "speaker"], "spoken by synthetic ones"),
        (["--encoder", "hubert"], "--encoder is 'hubert'; choose from mfcc, log_mel, or give"),
        (["--encoder_layer", "3"], "--encoder mfcc has no layers"),
    ],
)
def test_what_cannot_work_is_said_before_any_work(flags, message):
    with pytest.raises(ValueError, match=message):
        parse_arguments(["--preset", "smoke", *flags], "study")


def test_a_folder_without_recordings_is_named(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    code = main(["study", *FLAGS, "--audio_dir", str(tmp_path / "empty"), "--output_dir", str(tmp_path / "run")])
    assert code == 2 and "No transcripts are in" in capsys.readouterr().err


@pytest.mark.end_to_end
def test_a_study_of_recordings_runs_all_modalities(shared_data, tmp_path):
    flags = ["--preset", "smoke", "--corpus", "audio", "--audio_dir", str(shared_data / "ljspeech")]
    assert main(["study", *flags, "--modalities", "all", "--output_dir", str(tmp_path)]) == 0
    report = (tmp_path / "report" / "report.md").read_text()
    assert "of recorded speech in one voice" in report and "shows that every stage runs" in report
    assert "spoken by synthetic voices" in report and "No items of sBLIMP: " in report
    repeat, units = (
        json.loads((tmp_path / "tokenizers" / name / "summary.json").read_text())
        for name in ("phone_repeat", "speech_units")
    )
    assert repeat["train_tokens"] == units["train_tokens"]
    assert not (tmp_path / "models" / "speech_units_one_voice").exists()
