"""Stages are whole or absent, resumed where they stopped, and never taken for another configuration's."""

import json

import pytest

from evoslm.training.run.stage import Stage, read_fingerprint


def write_result(folder):
    (folder / "result.txt").write_text("done")


def test_a_finished_stage_is_not_built_again(tmp_path):
    stage = Stage(tmp_path / "a", 1, {"k": 1})
    assert stage.run(write_result)
    assert not stage.run(lambda folder: pytest.fail("built twice"))
    assert stage.is_finished()


def test_an_interrupted_stage_is_absent_and_finds_its_work_again(tmp_path):
    stage = Stage(tmp_path / "a", 1, {"k": 1})

    def stop_half_way(folder):
        (folder / "half.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage.run(stop_half_way)
    assert not (tmp_path / "a").exists()

    def go_on(folder):
        assert (folder / "half.txt").read_text() == "half"

    assert stage.run(go_on)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["half.txt", "stage.json"]


def test_interrupted_work_of_another_configuration_is_thrown_away(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        Stage(tmp_path / "a", 1, {"k": 1}).run(lambda folder: ((folder / "half.txt").write_text("x"), _stop()))
    Stage(tmp_path / "a", 1, {"k": 2}).run(lambda folder: None)
    assert not (tmp_path / "a" / "half.txt").exists()


def _stop():
    raise KeyboardInterrupt


def test_another_configuration_is_refused_by_name_and_redone_on_request(tmp_path):
    Stage(tmp_path / "a", 1, {"group": {"k": 1}, "same": 3}).run(write_result)
    other = Stage(tmp_path / "a", 1, {"group": {"k": 2}, "same": 3})
    with pytest.raises(ValueError, match=r"group\.k \(1 there, 2 now\)") as caught:
        other.run(write_result)
    assert "same" not in str(caught.value)
    assert other.run(write_result, overwrite=True)


def test_a_changed_input_changes_what_reads_it(tmp_path):
    first = Stage(tmp_path / "first", 1, {"k": 1})
    first.run(write_result)
    second = Stage(tmp_path / "second", 1, {}, {"first": first.folder})
    second.run(write_result)
    Stage(tmp_path / "first", 2, {"k": 1}).run(write_result, overwrite=True)
    assert not second.is_finished()
    with pytest.raises(ValueError, match="inputs.first"):
        second.run(write_result)


def test_a_stage_needs_its_inputs(tmp_path):
    with pytest.raises(FileNotFoundError, match="run the commands before"):
        Stage(tmp_path / "b", 1, {}, {"first": tmp_path / "none"}).run(write_result)


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match="not made by evoslm"):
        Stage(tmp_path / "a", 1, {}).run(write_result, overwrite=True)
    assert (tmp_path / "a" / "thesis.txt").read_text() == "precious"


def test_a_truncated_record_is_not_taken_for_a_finished_stage(tmp_path):
    stage = Stage(tmp_path / "a", 1, {"k": 1})
    stage.run(write_result)
    (tmp_path / "a" / "stage.json").write_text(json.dumps({"fingerprint": "x"})[:-3])
    assert not stage.is_finished()
    with pytest.raises(FileNotFoundError):
        read_fingerprint(tmp_path / "a")
