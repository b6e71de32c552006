"""Passages in a file: written as they come, and read a few at a time however often they are gone through."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from evoslm.datasets_scripts.text import passages as module
from evoslm.datasets_scripts.text.passages import SPLITS, Passage, PassageFile, read_passages, write_passages

PASSAGES = [
    Passage(f"book/{i:04d}/000", f"book/{i:04d}", "book", SPLITS[i % 3], tuple(f"Number {j}." for j in range(i % 4)))
    for i in range(25)
]


def test_what_is_written_is_read_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ROWS_AT_A_TIME", 4)
    assert write_passages(iter(PASSAGES), tmp_path / "passages.parquet") == len(PASSAGES)
    passages = read_passages(tmp_path / "passages.parquet")
    assert isinstance(passages, PassageFile)
    assert list(passages) == list(passages) == PASSAGES
    assert list(zip(passages, passages)) == list(zip(PASSAGES, PASSAGES))


def test_one_split_keeps_its_order(tmp_path):
    write_passages(PASSAGES, tmp_path / "passages.parquet")
    for split in SPLITS:
        expected = [passage for passage in PASSAGES if passage.split == split]
        assert list(read_passages(tmp_path / "passages.parquet", split)) == expected


def test_no_passages_are_a_file_too(tmp_path):
    assert write_passages([], tmp_path / "passages.parquet") == 0
    assert list(read_passages(tmp_path / "passages.parquet")) == []


def test_passages_are_asked_for_and_written_a_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ROWS_AT_A_TIME", 10)
    asked, written_by_then = [], []
    write_table = pq.ParquetWriter.write_table

    def write(self, table: pa.Table, *arguments, **options) -> None:
        written_by_then.append(len(asked))
        write_table(self, table, *arguments, **options)

    def tell() -> Iterator[Passage]:
        for passage in PASSAGES:
            asked.append(passage.id)
            yield passage

    monkeypatch.setattr(pq.ParquetWriter, "write_table", write)
    write_passages(tell(), tmp_path / "passages.parquet")
    assert written_by_then == [10, 20, 25]
