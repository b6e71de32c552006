"""Workers give results as they are finished, draw tasks as they are needed, and say so when they are killed."""

import os
import signal
import time

import pytest

from evoslm.datasets_scripts.shards.worker_pool import WorkerPool, WorkFailed, run_tasks


def square(number: int) -> int:
    return number**2


def fail(number: int) -> None:
    raise ValueError(f"{number} is no good.")


def die(_) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def set_variable(value: str) -> None:
    os.environ["EVOSLM_TEST_PREPARED"] = value


def read_variable(_) -> str:
    return os.environ["EVOSLM_TEST_PREPARED"]


@pytest.mark.parametrize("num_proc", [1, 2])
def test_every_task_has_its_result(num_proc):
    assert sorted(run_tasks(square, range(12), num_proc)) == [number**2 for number in range(12)]


@pytest.mark.parametrize("num_proc", [1, 2])
def test_the_error_of_a_task_is_raised_here(num_proc):
    with pytest.raises(ValueError, match="7 is no good"):
        list(run_tasks(fail, [7], num_proc))


def test_a_killed_worker_is_one_sentence():
    with pytest.raises(WorkFailed, match="A worker process was killed, perhaps for want of memory; run the same"):
        list(run_tasks(die, range(3), num_proc=2))


def test_tasks_are_drawn_as_they_are_needed():
    drawn = []
    with WorkerPool(1) as pool:
        results = pool.run(square, (drawn.append(number) or number for number in range(100)))
        assert next(results) == 0
        assert len(drawn) == 3


def test_results_of_one_worker_have_the_order_of_the_tasks():
    with WorkerPool(1) as pool:
        results = pool.run(square, range(100))
        # Several end between two looks.
        assert [next(results), *(time.sleep(0.001) or result for result in results)] == [n**2 for n in range(100)]


def test_workers_are_prepared_and_watched():
    looks = []
    with WorkerPool(1, prepare=set_variable, arguments=("yes",)) as pool:
        assert list(pool.run(read_variable, range(2), watch=lambda: looks.append(1))) == ["yes"] * 2
    assert looks
