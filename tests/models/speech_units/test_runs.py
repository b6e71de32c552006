import numpy as np

from evoslm.models.speech_units.runs import collapse_runs, run_starts


def test_the_first_of_each_run_is_marked():
    assert run_starts(np.array([4, 4, 7, 4])).tolist() == [True, False, True, True]
    assert run_starts([]).tolist() == []


def test_collapsing_keeps_what_comes_back():
    assert collapse_runs(["S", "S", "AH0", "S"]) == ["S", "AH0", "S"]
    assert collapse_runs([]) == []
    assert collapse_runs(np.array([3, 3, 3, 1], np.uint16)) == [3, 1]
