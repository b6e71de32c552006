"""Spoken tasks are utterances as the corpus has them, in voices of their split, whatever the number of processes."""

import io
import json

import pyarrow.parquet as pq
import pytest
import soundfile

from evoslm.datasets_scripts.builders.utterances import Utterances
from evoslm.datasets_scripts.shards.utterance_rows import UTTERANCE_SCHEMA
from evoslm.datasets_scripts.slu import read_task, speak_task
from evoslm.datasets_scripts.slu.examples import SluExample, SluTask
from evoslm.datasets_scripts.synthesis.voices import VOICES, speaker_settings
from evoslm.datasets_scripts.text.passages import SPLITS


@pytest.fixture(scope="module")
def task():
    return read_task("stories_ner", limit=40)


@pytest.fixture(scope="module")
def spoken(task, tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoken")
    return folder, speak_task(task, folder, shard_size=8, progress=False)


def read_rows(folder, split="*"):
    return [row for path in sorted(folder.glob(f"{split}-*.parquet")) for row in pq.read_table(path).to_pylist()]


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_shards_have_the_columns_and_texts_of_utterances(task, spoken):
    folder, summary = spoken
    for path in folder.glob("*.parquet"):
        assert pq.read_schema(path).remove_metadata().equals(UTTERANCE_SCHEMA)
    for split in SPLITS:
        rows = read_rows(folder, split)
        assert [(row["id"], row["text"]) for row in rows] == [(e.id, e.text) for e in task.splits[split]]
        assert all([word["word"] for word in row["words"]] == row["text"].split() for row in rows)
        samples, rate = soundfile.read(io.BytesIO(rows[0]["audio"]["bytes"]))
        assert rate == 16_000 and len(samples) / rate == rows[0]["duration"]
    assert summary["examples"] == {split: len(task.splits[split]) for split in SPLITS}
    assert summary["utterances"] == 40 and summary["skipped"] == 0 and summary["stretch_factor"] > 1
    assert json.loads((folder / "summary.json").read_text()) == summary


def test_what_was_asked_about_each_lies_beside(task, spoken):
    rows = [json.loads(line) for line in (spoken[0] / "task.jsonl").read_text().splitlines()]
    assert [row["split"] for row in rows] == [split for split in SPLITS for _ in task.splits[split]]
    example, row = task.splits["test"][0], next(row for row in rows if row["split"] == "test")
    assert row == {
        "id": example.id,
        "split": "test",
        "text": example.text,
        "label": None,
        "entities": [list(entity) for entity in example.entities],
    }


def test_the_test_is_spoken_in_voices_that_no_corpus_has(spoken):
    speakers = {split: {row["speaker"] for row in read_rows(spoken[0], split)} for split in SPLITS}
    of_corpora = {voice.name for voices in ("one", "many") for voice in VOICES[voices]}
    assert speakers["test"] <= {voice.name for voice in VOICES["held_out"]}
    assert speakers["train"] | speakers["validation"] <= of_corpora and not speakers["test"] & of_corpora


def test_held_out_voices_are_none_of_the_others():
    sounds = {
        voices: {voice.definition.replace(f"name {voice.name}", "") for voice in VOICES[voices]} for voices in VOICES
    }
    assert len(sounds["held_out"]) == len(VOICES["held_out"]) >= 8
    assert not sounds["held_out"] & (sounds["one"] | sounds["many"])
    drawn = {speaker_settings(f"{number}", "held_out").voice for number in range(200)}
    assert drawn == {voice.name for voice in VOICES["held_out"]}


def test_processes_and_interruptions_change_nothing(task, spoken, tmp_path):
    speak_task(task, tmp_path / "two", shard_size=8, num_proc=2, progress=False)
    assert files_of(tmp_path / "two") == files_of(spoken[0])
    # Killed before the last shard, and the description, were written.
    kept = tmp_path / "two" / "train-00000-of-00004.parquet"
    for name in ("task.jsonl", "summary.json", "train-00001-of-00004.parquet"):
        (tmp_path / "two" / name).unlink()
    before = kept.stat().st_mtime_ns
    speak_task(task, tmp_path / "two", shard_size=8, progress=False)
    assert files_of(tmp_path / "two") == files_of(spoken[0]) and kept.stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="was made of other items or settings"):
        speak_task(task, tmp_path / "two", shard_size=8, seed=1, progress=False)


def test_the_builder_of_utterances_reads_them(spoken, tmp_path):
    builder = Utterances(cache_dir=tmp_path, config_name="many_fixed", data_dir=spoken[0])
    builder.download_and_prepare()
    assert len(builder.as_dataset("test")) == 5


def test_what_cannot_be_spoken_is_left_out_of_the_description(tmp_path):
    text = "The baker washes a kettle."
    splits = {split: [SluExample(f"{split}-{i}", f"{text} {i * text}", "a") for i in range(2)] for split in SPLITS}
    splits["train"].append(SluExample("long", " ".join([text] * 30), "b"))
    task = SluTask("kettles", "classification", ("a", "b"), splits, {"nothing to speak": 1})
    with pytest.raises(ValueError, match="1 of 7 items were skipped, .*longer than 30 s"):
        speak_task(task, tmp_path, progress=False)
    summary = speak_task(task, tmp_path, max_skipped_fraction=0.5, progress=False)
    assert (summary["skipped"], summary["dropped"]) == (1, {"nothing to speak": 1})
    assert "long" not in {json.loads(line)["id"] for line in (tmp_path / "task.jsonl").read_text().splitlines()}
    assert json.loads((tmp_path / "skipped.jsonl").read_text())["id"] == "long"


def test_splits_without_voices_and_voices_that_there_are_not_are_named(task, tmp_path):
    with pytest.raises(ValueError, match="The split test has no voices"):
        speak_task(task, tmp_path, voices={"train": "one", "validation": "one"})
    with pytest.raises(ValueError, match="Unknown voices 'new'; choose from one, many, held_out"):
        speak_task(task, tmp_path, voices=dict.fromkeys(SPLITS, "new"))
