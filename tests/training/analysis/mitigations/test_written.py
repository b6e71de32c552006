"""What symbols alone say of time: runs, syllables, and the frames that they stand for."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evoslm.training.analysis.mitigations.written import expected_frames, frames_of, mean_durations, read_written


@pytest.fixture
def frames(tmp_path):
    rows = [{"id": "a", "units": [3, 3, 3, 1]}, {"id": "b", "units": [1, 3, 0, 0]}]
    for split in ("train", "test"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{split}-00000-of-00001.parquet")
    return tmp_path


def test_runs_are_symbols_with_the_frames_that_they_last(frames):
    first, second = read_written(frames, "test")
    assert (first.symbols.tolist(), first.frames.tolist()) == ([3, 1], [3, 1])
    assert (second.symbols.tolist(), second.frames.tolist()) == ([1, 3, 0], [1, 1, 2])
    with pytest.raises(FileNotFoundError, match="no units of the validation split"):
        list(read_written(frames, "validation"))


def test_segments_say_how_long_they_last(tmp_path):
    rows = [{"id": "a", "units": [5, 5], "frames": [7, 2]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "test-00000-of-00001.parquet")
    (written,) = read_written(tmp_path, "test")
    assert (written.symbols.tolist(), written.frames.tolist()) == ([5, 5], [7, 2])  # two syllables, not one


def test_a_symbol_lasts_as_long_as_it_did_in_training(frames):
    durations = mean_durations(frames, 5)
    assert durations[[3, 1, 0]].tolist() == [2, 1, 2]
    assert durations[2] == durations[4] == 8 / 5  # of those that never occurred, the mean of all


def test_rounded_durations_add_up_to_the_means():
    durations = np.array([1.4, 2.6])
    symbols = np.array([0, 1] * 50)
    told = expected_frames(symbols, durations)
    assert told.min() >= 1 and told.sum() == round(durations[symbols].sum())
    assert expected_frames(np.zeros(10, int), np.array([0.2])).tolist() == [1] * 10


def test_a_syllable_has_parts_and_a_unit_of_frames_has_none():
    assert frames_of(np.array([2, 0]), np.array([2, 1]), 1).tolist() == [2, 2, 0]
    assert frames_of(np.array([1]), np.array([6]), 3).tolist() == [3, 3, 4, 4, 5, 5]
    assert frames_of(np.array([1, 0]), np.array([2, 1]), 3).tolist() == [3, 4, 0]
