"""Jobs run in this process or in several, costliest first, and the first error ends the rest."""

import signal

import pytest

from evoslm.training.run.distributed import TrainingStopped
from evoslm.training.run.workers import Job, run_jobs


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
