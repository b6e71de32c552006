"""Processes that work for this one, in a bounded queue, and die with it.

tasks -> [`run_tasks`] -> results, in the order in which they are finished.
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
from typing import Any


def run_tasks(function: Callable[[Any], Any], tasks: Iterable[Any], num_proc: int) -> Iterator[Any]:
    """
    Call a function on every task and yield what it returns.

    Tasks are drawn as they are needed, so neither they nor the results pile up. Workers are spawned: libraries with a
    global state start afresh in each.

    Args:
        function (`Callable`): A function of a module; what it takes and returns is pickled.
        tasks (`Iterable`): Its arguments.
        num_proc (`int`): How many processes work; with 1 it is the calling one.

    Raises:
        `RuntimeError`: If a worker was killed, as happens when memory runs out.
    """
    if num_proc <= 1:
        yield from map(function, tasks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_proc, context, initializer=start_worker)
    pending: set[Future] = set()
    try:
        for task in tasks:
            pending.add(pool.submit(function, task))
            if len(pending) > 2 * num_proc:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    except BrokenProcessPool as error:
        raise RuntimeError("A worker process was killed, perhaps for want of memory; use fewer processes.") from error
    finally:
        pool.shutdown(cancel_futures=True)


def start_worker() -> None:
    """Initializer of a worker process: it dies when its parent does, and leaves Ctrl-C to it."""
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


def _die_with_parent() -> None:
    process = multiprocessing.parent_process()
    if process is not None:
        process.join()
        os._exit(1)
