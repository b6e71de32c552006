"""Rows that are read anew whenever they are gone through."""

import pytest

from evoslm.datasets_scripts.shards.reading import ReadAnew


def test_rows_are_read_each_time_and_none_before_they_are_asked_for(tmp_path):
    path, openings = tmp_path / "rows", []
    path.write_text("a\nb\n")

    def read():
        openings.append(path)
        with path.open() as file:
            yield from map(str.strip, file)

    rows = ReadAnew(read)
    assert not openings
    assert list(rows) == list(rows) == ["a", "b"] and len(openings) == 2
    assert list(zip(rows, rows)) == [("a", "a"), ("b", "b")]  # two readers, each with a place of its own
    path.write_text("c\n")
    assert list(rows) == ["c"]


def test_a_reader_that_cannot_read_says_so_each_time(tmp_path):
    rows = ReadAnew(lambda: iter((tmp_path / "nowhere").open()))
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            list(rows)
