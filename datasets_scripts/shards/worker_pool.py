"""Processes that work for this one, in a bounded queue, and die with it.

tasks -> [`run_tasks`], or a [`WorkerPool`] that is watched -> results, in the order in which they are finished.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any

_SECONDS_BETWEEN_LOOKS = 0.5


class WorkFailed(RuntimeError):
    """Processes that did a part of the work were killed or failed; what they finished is kept."""


def run_tasks(function: Callable[[Any], Any], tasks: Iterable[Any], num_proc: int) -> Iterator[Any]:
    """
    Call a function on every task and yield what it returns.

    Workers are spawned: libraries with a global state start afresh in each.

    Args:
        function (`Callable`): A function of a module; what it takes and returns is pickled.
        tasks (`Iterable`): Its arguments.
        num_proc (`int`): How many processes work; with 1 it is the calling one.

    Raises:
        [`WorkFailed`]: If a worker was killed, as happens when memory runs out.
    """
    if num_proc <= 1:
        yield from map(function, tasks)
        return
    with WorkerPool(num_proc) as pool:
        yield from pool.run(function, tasks)


class WorkerPool:
    """
    Worker processes, which leave Ctrl-C to this process and die when it does. Leaving the context waits for what has
    begun and gives up the rest.

    Args:
        num_proc (`int`): How many processes work.
        start_method (`str`, *optional*, defaults to `"spawn"`): How they are started, as in `multiprocessing`.
        prepare (`Callable`, *optional*): A function of a module that each of them calls first.
        arguments (`tuple`, *optional*): Its arguments.
    """

    def __init__(self, num_proc: int, start_method: str = "spawn", prepare: Callable | None = None, arguments=()):
        context = multiprocessing.get_context(start_method)
        self._num_proc = num_proc
        self._executor = ProcessPoolExecutor(num_proc, context, _start_worker, (prepare, arguments))

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *error) -> None:
        self.wait()

    def run(
        self, function: Callable[[Any], Any], tasks: Iterable[Any], watch: Callable[[], None] | None = None
    ) -> Iterator[Any]:
        """
        Call a function on every task and yield what it returns, or raise what it raised. With one process the
        results have the order of the tasks.

        Tasks are drawn as they are needed, so neither they nor the results pile up.

        Args:
            function (`Callable`): A function of a module; what it takes and returns is pickled.
            tasks (`Iterable`): Its arguments.
            watch (`Callable`, *optional*): Called without arguments twice a second or more often.

        Raises:
            [`WorkFailed`]: If a worker was killed, as happens when memory runs out.
        """
        tasks, pending = iter(tasks), list[Future]()
        try:
            while True:
                wanted = 2 * self._num_proc + 1 - len(pending)
                pending.extend(self._executor.submit(function, task) for task in islice(tasks, wanted))
                if not pending:
                    return
                done, _ = wait(pending, _SECONDS_BETWEEN_LOOKS if watch else None, FIRST_COMPLETED)
                # Several may have ended since the last look, and a set has no order.
                finished = [future for future in pending if future in done]
                pending = [future for future in pending if future not in done]
                yield from (future.result() for future in finished)
                if watch:
                    watch()
        except BrokenProcessPool as error:
            raise WorkFailed(
                "A worker process was killed, perhaps for want of memory; run the same command to go on, with fewer "
                "processes if it was memory. (A script that calls this has to do so under `if __name__ == "
                '"__main__":`, or its workers end as they begin.)'
            ) from error

    def wait(self) -> None:
        """Wait for what has begun and give up the rest."""
        self._executor.shutdown(cancel_futures=True)

    def terminate(self) -> None:
        """Send the workers SIGTERM; what they make of it is their own affair."""
        for process in list((self._executor._processes or {}).values()):
            process.terminate()


def _start_worker(prepare: Callable | None, arguments: tuple) -> None:
    # Ctrl-C reaches the whole group: the parent alone decides what is given up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if sys.platform == "linux":
        # Works where the thread cannot: in a library that holds the interpreter.
        death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(death_signal, signal.SIGKILL)
        process = multiprocessing.parent_process()  # a forked worker's is not the server that forked it
        if process is not None and not process.is_alive():
            os._exit(1)
    if prepare is not None:
        prepare(*arguments)


def _die_with_parent() -> None:
    process = multiprocessing.parent_process()
    if process is not None:
        process.join()
        os._exit(1)
