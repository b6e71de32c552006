"""Jobs run in this process or in several, costliest first, and the first error ends the rest."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from evoslm.datasets_scripts.shards.worker_pool import WorkFailed
from evoslm.training.run.distributed import TrainingStopped
from evoslm.training.run.workers import Job, run_jobs, share_cores


def append_line(path, line, report_progress):
    report_progress(0.5)
    with open(path, "a") as file:
        file.write(line)


def stop(report_progress):
    raise TrainingStopped("saved after update 3")


def train_until_stopped(folder, name, report_progress):
    """As a training does: it ends soon after a SIGTERM, saved."""
    asked = []  # no event: a handler that waits for its lock while this thread has it never ends
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    (folder / f".{name}").write_text(str(os.getpid()))
    (folder / f".{name}").rename(folder / name)
    deadline = time.monotonic() + 30
    while not asked:
        if time.monotonic() > deadline:
            raise AssertionError("Nobody asked it to stop.")
        time.sleep(0.01)
    raise TrainingStopped("saved")


def fail_beside(folder, other, report_progress):
    while not (folder / other).exists():
        time.sleep(0.01)
    Path("missing/file").read_text()


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


def test_nothing_begins_once_trainings_are_asked_to_stop(tmp_path):
    """The pool has jobs in hand that no worker has begun."""
    names = [str(number) for number in range(6)]

    def ask():
        while len(list(tmp_path.glob("[0-9]"))) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=ask, daemon=True).start()
    jobs = [Job(train_until_stopped, {"folder": tmp_path, "name": name}) for name in names]
    with pytest.raises(TrainingStopped, match="Trainings were saved; run the same command to go on"):
        run_jobs(jobs, 2, "jobs")
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1"}


def test_nothing_begins_once_a_job_has_failed(tmp_path):
    jobs = [Job(train_until_stopped, {"folder": tmp_path, "name": str(number)}) for number in range(5)]
    jobs.insert(1, Job(fail_beside, {"folder": tmp_path, "other": "0"}))
    with pytest.raises(FileNotFoundError, match="missing"):
        run_jobs(jobs, 2, "jobs")
    begun = {path.name for path in tmp_path.iterdir()}
    assert begun <= {"0", "1"}, begun  # the failed worker may have begun the next before the failure was known


def test_nothing_begins_once_one_training_was_stopped(tmp_path):
    """By whomever: here its own process gets the signal, and not the one that started it."""

    def ask():
        while len(list(tmp_path.glob("[0-9]"))) < 2:
            time.sleep(0.01)
        os.kill(int((tmp_path / "0").read_text()), signal.SIGTERM)

    threading.Thread(target=ask, daemon=True).start()
    jobs = [Job(train_until_stopped, {"folder": tmp_path, "name": str(number)}) for number in range(6)]
    with pytest.raises(TrainingStopped, match="saved"):
        run_jobs(jobs, 2, "jobs")
    begun = {path.name for path in tmp_path.iterdir()}
    assert begun <= {"0", "1", "2"}, begun  # its worker may have begun the next before that was known


def write_pid(folder, name, report_progress):
    (folder / f".{name}").write_text(str(os.getpid()))
    (folder / f".{name}").rename(folder / name)


def test_a_worker_that_is_killed_while_it_waits_for_work_holds_up_no_other(tmp_path):
    """It has the lock of the queue, for which the other would wait once its training is saved."""

    def kill():
        while len(list(tmp_path.glob("[0-9]"))) < 2:
            time.sleep(0.01)
        time.sleep(1)  # the one without work waits for some
        os.kill(int((tmp_path / "1").read_text()), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    jobs = [Job(job, {"folder": tmp_path, "name": name}) for name, job in zip("01", (train_until_stopped, write_pid))]
    with pytest.raises(WorkFailed, match="A worker process was killed"):
        run_jobs(jobs, 2, "jobs")


def test_a_worker_without_work_stays_when_it_is_told_to_stop(tmp_path):
    """As when a scheduler tells all processes of a group: it may hold the lock of the queue."""

    def tell():
        while len(list(tmp_path.glob("[0-9]"))) < 2:
            time.sleep(0.01)
        time.sleep(0.5)
        os.kill(int((tmp_path / "1").read_text()), signal.SIGTERM)
        time.sleep(0.5)
        os.kill(int((tmp_path / "0").read_text()), signal.SIGTERM)

    threading.Thread(target=tell, daemon=True).start()
    jobs = [Job(job, {"folder": tmp_path, "name": name}) for name, job in zip("01", (train_until_stopped, write_pid))]
    with pytest.raises(TrainingStopped, match="saved"):
        run_jobs(jobs, 2, "jobs")


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
