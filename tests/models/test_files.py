import pytest

from evoslm.models.files import (
    read_json,
    read_json_if_whole,
    read_json_lines,
    remove_partial,
    write_json,
    write_json_lines,
    written_whole,
)


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_gets_its_name_when_it_is_whole(tmp_path, durable):
    with written_whole(tmp_path / "file.txt", durable) as partial:
        partial.write_text("half")
        assert not (tmp_path / "file.txt").exists()
        partial.write_text("whole")
    assert (tmp_path / "file.txt").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(tmp_path, error):
    (tmp_path / "file.txt").write_text("old")
    with pytest.raises(error), written_whole(tmp_path / "file.txt") as partial:
        partial.write_text("half")
        raise error
    assert (tmp_path / "file.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    with written_whole(tmp_path / "file.txt") as first, written_whole(tmp_path / "file.txt") as second:
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "file.txt").read_text() == "first"


def test_what_a_kill_left_is_removed_and_nothing_else(tmp_path):
    for name in (".a.json.1f.tmp", ".b.json.2f.tmp", "a.json", "c.tmp"):
        (tmp_path / name).touch()
    remove_partial(tmp_path, "a.json")
    assert {path.name for path in tmp_path.iterdir()} == {".b.json.2f.tmp", "a.json", "c.tmp"}
    remove_partial(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "c.tmp"}


def test_json_comes_back_and_half_of_it_is_nothing(tmp_path):
    write_json(tmp_path / "a.json", {"word": "naïve"})
    assert read_json(tmp_path / "a.json") == read_json_if_whole(tmp_path / "a.json") == {"word": "naïve"}
    (tmp_path / "a.json").write_text('{"word": "na')
    assert read_json_if_whole(tmp_path / "a.json") is None
    assert read_json_if_whole(tmp_path / "missing.json") is None
    write_json_lines(tmp_path / "a.jsonl", ({"n": n} for n in range(2)))
    assert (tmp_path / "a.jsonl").read_text() == '{"n": 0}\n{"n": 1}\n'


def test_json_lines_may_hold_other_separators(tmp_path):
    values = ["a\u2028b", {"c": "d\u0085"}, "\n"]
    write_json_lines(tmp_path / "file.jsonl", values)
    assert read_json_lines(tmp_path / "file.jsonl") == values
