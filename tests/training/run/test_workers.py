"""Jobs run in this process or in several, costliest first, and the first error ends the rest."""

import signal

import pytest

from evoslm.training.run.distributed import TrainingStopped
from evoslm.training.run.workers import Job, run_jobs, share_cores


def append_line(path, line, report_progress):
    report_progress(0.5)
    with open(path, "a") as file:
        file.write(line)


def stop(report_progress):
    raise TrainingStopped("saved after update 3")


def test_the_costliest_job_comes_first(tmp_path):
    jobs = [Job(append_line, {"path": tmp_path / "lines", "line": str(cost)}, cost) for cost in (1, 3, 2)]
    run_jobs(jobs, 1, "jobs")
    assert (tmp_path / "lines").read_text() == "321"


def test_jobs_of_several_processes_leave_the_signals_of_this_one_as_they_were(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    run_jobs([Job(append_line, {"path": tmp_path / name, "line": name}) for name in "abc"], 2, "jobs")
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == ["a", "b", "c"]
    with pytest.raises(FileNotFoundError, match="missing"):
        run_jobs([Job(append_line, {"path": tmp_path / "missing" / "file", "line": ""})] * 2, 2, "jobs")
    with pytest.raises(TrainingStopped, match="saved after update 3"):
        run_jobs([Job(stop)] * 2, 2, "jobs")
    assert signal.getsignal(signal.SIGTERM) is before


TRAININGS = [cost for cost in (10, 10, 6, 2, 2, 1) for _ in range(3)]
"""Six modalities, three seeds each."""


@pytest.mark.parametrize(
    "cores, trainings, threads",
    [
        (2, TRAININGS, [1] * 18),
        (4, TRAININGS, [1] * 18),
        (8, TRAININGS, [1] * 18),
        (16, TRAININGS, [1] * 18),
        (2, TRAININGS[::3], [1] * 6),
        (4, TRAININGS[::3], [1] * 6),
        (8, TRAININGS[::3], [2, 2, 1, 1, 1, 1]),
        (16, TRAININGS[::3], [5, 5, 3, 1, 1, 1]),
        (16, [10, 10], [8, 8]),
        (16, [10], [16]),
    ],
)
def test_models_then_seeds_then_threads_take_the_cores(cores, trainings, threads):
    assert share_cores(trainings, cores) == threads
    # Longest first, each to the core that is free first: the cores end within one training of each other.
    ends = [0.0] * min(cores, len(trainings))
    for cost, of_job in sorted(zip(trainings, threads), reverse=True):
        ends[ends.index(min(ends))] += cost / of_job
    if len(trainings) >= cores:
        assert max(ends) <= sum(trainings) / cores + max(trainings)
    assert sum(sorted(threads)[-len(ends) :]) <= cores


def test_fewer_workers_than_cores_share_them_evenly():
    assert share_cores(TRAININGS, 16, num_workers=4) == [4] * 18
    assert share_cores([1], 16, num_workers=4) == [16]
