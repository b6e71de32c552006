"""Transcripts as passages: as they are for training, and joined within a document where they wait for Topic-SC."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evoslm.datasets_scripts.text.passages import read_passages
from evoslm.training.run.execution import Execution
from evoslm.training.run.folder import HELD_OUT_FILE, PASSAGES_FILE
from evoslm.training.run.stage import Stage
from evoslm.training.stages.text import build_transcripts

SENTENCES = 6
"""A passage that waits for Topic-SC takes in what follows it until it has so many."""


def build(tmp_path, transcripts: dict[str, list[tuple[str, str]]]) -> tuple[list, list]:
    """The passages and the held-out ones of utterances, each a document and a text, by split."""

    def write(folder):
        for split, rows in transcripts.items():
            columns = [
                {"id": f"{split}-{i}", "document": document, "topic": document.upper(), "text": text}
                for i, (document, text) in enumerate(rows)
            ]
            # Two shards, so that a document may go on in the next.
            for number, part in enumerate((columns[: len(rows) // 2], columns[len(rows) // 2 :])):
                schema = pa.schema([(name, pa.string()) for name in ("id", "document", "topic", "text")])
                table = pa.Table.from_pylist(part, schema=schema)
                pq.write_table(table, folder / f"{split}-{number:05d}-of-00002.parquet")

    utterances, folder = tmp_path / "utterances", tmp_path / "text"
    Stage(utterances, 1, {}).run(write, False)
    build_transcripts(folder, utterances, Execution())
    return tuple(list(read_passages(folder / name)) for name in (PASSAGES_FILE, HELD_OUT_FILE))


def test_transcripts_are_passages_by_split_in_their_order(tmp_path):
    rows = {"test": [("c", "It rains.")], "train": [("a", "A fox runs. It is red!"), ("b", "Why?")]}
    passages, _ = build(tmp_path, rows)
    assert [(passage.id, passage.split) for passage in passages] == [
        ("train-0", "train"),
        ("train-1", "train"),
        ("test-0", "test"),
    ]
    assert passages[0].sentences == ("A fox runs.", "It is red!") and passages[0].topic == "A"


@pytest.mark.parametrize("count", [1, 5, 6, 7, 13])
def test_what_follows_each_other_is_joined_until_it_is_long_enough(tmp_path, count):
    rows = [("a", f"This is number {i}.") for i in range(count)]
    _, held_out = build(tmp_path, {"train": [("z", "Nothing.")], "test": rows})
    assert [len(passage.sentences) for passage in held_out] == [
        min(SENTENCES, count - start) for start in range(0, count, SENTENCES)
    ]
    assert [sentence for passage in held_out for sentence in passage.sentences] == [text for _, text in rows]
    assert [passage.id for passage in held_out] == [f"test-{start}" for start in range(0, count, SENTENCES)]


def test_documents_are_not_joined_and_training_is_not_held_out(tmp_path):
    rows = [("a", "One. Two."), ("a", "Three."), ("b", "Four."), ("a", "Five.")]
    _, held_out = build(tmp_path, {"train": [("z", "Nothing.")], "test": rows})
    assert [passage.sentences for passage in held_out] == [("One.", "Two.", "Three."), ("Four.",), ("Five.",)]
    assert [passage.document for passage in held_out] == ["a", "b", "a"]


def test_a_transcript_that_is_long_enough_by_itself_stays_alone(tmp_path):
    rows = [("a", "Ah. " * SENTENCES), ("a", "It ends.")]
    _, held_out = build(tmp_path, {"train": [("z", "Nothing.")], "test": rows})
    assert [len(passage.sentences) for passage in held_out] == [SENTENCES, 1]
