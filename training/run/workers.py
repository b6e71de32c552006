"""Worker processes for everything that needs torch: longest job first, gone when their parent is gone.

On a CPU, two one-thread trainings side by side are worth more than one of two threads, because small matrices leave a
second thread waiting. On a GPU the jobs run one after the other in this process.

Where processes can be forked, workers are forked from a server that has imported torch and transformers once: that
import takes as long as a short stage, and [`prepare_workers`] lets it happen while other stages speak and count.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tqdm.auto import tqdm

from ...datasets_scripts.shards.worker_pool import WorkerPool, WorkFailed
from .distributed import TrainingStopped, is_main

# What the forked workers find imported.
_PRELOADED = (
    "evoslm.models.speech_units",
    "evoslm.training.pretrain.pretraining",
    "evoslm.training.stages.scores",
    "evoslm.training.stages.tokenizers",
    "evoslm.training.stages.units.encoding",
    "transformers.models.llama.modeling_llama",
)
_SECONDS_BETWEEN_LINES = 30  # of a progress bar that nobody watches
_progress = None


@dataclass(frozen=True)
class Job:
    """
    One piece of work.

    Args:
        function (`Callable`): A function of a module, called with `report_progress` and the arguments.
        arguments (`dict[str, Any]`): Its keyword arguments.
        cost (`float`): How long it takes, in any unit; costlier jobs start first.
    """

    function: Callable
    arguments: dict[str, Any] = field(default_factory=dict)
    cost: float = 1.0


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_cores(costs: Sequence[float], cores: int, num_workers: int | None = None) -> list[int]:
    """
    Threads of each job, where jobs run side by side: one each while there are as many jobs as cores, because small
    matrices leave a second thread waiting; cores that would be left over go one by one to what takes longest.

    Args:
        costs (`Sequence[float]`): How long each job takes on one core, in any unit.
        cores (`int`): Cores to share out.
        num_workers (`int`, *optional*): Jobs that run at once; as many as there are cores when not given.

    Returns:
        `list[int]`: Threads of each job, in the order of the costs.
    """
    num_workers = min(num_workers or cores, cores)
    if len(costs) >= num_workers:
        return [cores // num_workers] * len(costs)
    threads = [1] * len(costs)
    for _ in range(cores - len(costs)):
        longest = max(range(len(costs)), key=lambda job: costs[job] / threads[job])
        threads[longest] += 1
    return threads


def resolve_device(device: str) -> str:
    """
    `"cpu"` or `"cuda"` for an argument that may be `"auto"`.

    Raises:
        `ValueError`: If CUDA is asked for and there is none.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda was asked for, but torch finds no CUDA device; use --device cpu.")
    return device


def prepare_workers() -> None:
    """Begin to import in the background what workers need, so that the first of them starts at once."""
    if _start_method() == "forkserver":
        from multiprocessing import forkserver

        multiprocessing.get_context("forkserver").set_forkserver_preload(list(_PRELOADED))
        forkserver.ensure_running()


def run_jobs(jobs: Sequence[Job], num_workers: int, description: str) -> None:
    """
    Run jobs, over several processes if there are several workers, with one progress bar for all.

    The costliest jobs start first, so that the workers end together, and [`share_cores`] says how many threads each
    has: a single job has all cores.

    Args:
        jobs (`Sequence[Job]`): The jobs; the first error of one ends the rest.
        num_workers (`int`): Processes; with 1, everything runs in this one.
        description (`str`): What the progress bar says.
    """
    if not jobs:
        return
    order = sorted(jobs, key=lambda job: -job.cost)
    form = {"bar_format": "{l_bar}{bar}| [{elapsed}<{remaining}]", "mininterval": 0.5}
    if not sys.stderr.isatty():
        form["mininterval"] = form["maxinterval"] = _SECONDS_BETWEEN_LINES
    with tqdm(total=100.0, desc=description, unit="%", disable=not is_main(), **form) as bar:
        if num_workers == 1:
            shares = [0.0] * len(order)
            for index, job in enumerate(order):
                job.function(report_progress=_Reporter(bar, order, shares, index), **job.arguments)
                _Reporter(bar, order, shares, index)(1.0)
            return
        _run_in_processes(order, min(num_workers, len(order)), bar)


class _Reporter:
    """Sets a job's share in this process and moves the bar."""

    def __init__(self, bar: tqdm, jobs: list[Job], shares: list[float], index: int):
        self.bar, self.jobs, self.shares, self.index = bar, jobs, shares, index

    def __call__(self, share: float) -> None:
        self.shares[self.index] = share
        _move(self.bar, self.jobs, self.shares)


def _start_method() -> str:
    return "forkserver" if sys.platform == "linux" else "spawn"


def _run_in_processes(jobs: list[Job], num_workers: int, bar: tqdm) -> None:
    prepare_workers()
    # Behind the share of each job that is done: whether no other is to begin, since the pool has some in hand already,
    # and whether a worker was killed.
    shares = multiprocessing.get_context(_start_method()).Array("d", len(jobs) + 2, lock=False)
    threads = share_cores([job.cost for job in jobs], count_cores(), num_workers)
    tasks = [(job.function, index, threads[index], job.arguments) for index, job in enumerate(jobs)]
    pool = WorkerPool(num_workers, _start_method(), _prepare_worker, (shares,))
    with pool, _passing_on_sigterm(pool, shares) as stopping:
        try:
            for _ in pool.run(_run_job, tasks, watch=lambda: _move(bar, jobs, shares)):
                pass
        except (WorkFailed, TrainingStopped) as error:
            _end(pool, shares, broken=isinstance(error, WorkFailed))
            pool.wait()  # trainings are being saved
            if not stopping:
                raise
            raise TrainingStopped("Trainings were saved; run the same command to go on.") from error
        except BaseException:
            _end(pool, shares)
            pool.wait()
            raise


def _end(pool: WorkerPool, shares, broken: bool = False) -> None:
    """Have trainings saved and let nothing else begin."""
    shares[-1] = float(broken)
    shares[-2] = 1.0
    pool.terminate()


@contextmanager
def _passing_on_sigterm(pool: WorkerPool, shares) -> Iterator[list]:
    """
    Tell the workers when this process is told to stop, so that trainings are saved before it does; what is yielded is
    empty until then.
    """
    stopping = []  # an event's lock would hold up a second signal that comes in the midst of the first

    def pass_on(number, frame) -> None:
        stopping.append(number)
        _end(pool, shares)

    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGTERM, before)


def _prepare_worker(shares) -> None:
    global _progress
    _progress = shares
    signal.signal(signal.SIGTERM, _between_jobs)

    import datasets
    from transformers.utils import logging as transformers_logging

    datasets.disable_progress_bars()
    transformers_logging.disable_progress_bar()
    # A tied output layer is no weight of its own in a checkpoint, which Trainer takes for a missing one.
    logging.getLogger("transformers.trainer").addFilter(lambda record: "missing keys" not in record.getMessage())


def _between_jobs(number, frame) -> None:
    """
    What SIGTERM does to a worker that has no job: nothing, because it may hold a lock of the pool's queues, for which
    the others would wait for ever. The flag keeps it from the next job, and the pool's own word ends it. Where another
    was killed, which may have held that lock, it ends at once.
    """
    if _progress[-1]:
        os._exit(1)


def _run_job(task: tuple[Callable, int, int, dict[str, Any]]) -> None:
    import torch

    function, index, threads, arguments = task

    def report_progress(share: float) -> None:
        _progress[index] = share

    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until the job listens itself; here no lock is held
    try:
        if _progress[-2]:
            raise TrainingStopped("It was not begun.")
        torch.set_num_threads(threads)
        function(report_progress=report_progress, **arguments)
    finally:
        signal.signal(signal.SIGTERM, _between_jobs)
        if _progress[-1]:
            os._exit(1)
    _progress[index] = 1.0


def _move(bar: tqdm, jobs: Sequence[Job], shares: Sequence[float]) -> None:
    total = sum(job.cost for job in jobs)
    bar.update(100.0 * sum(share * job.cost for share, job in zip(shares, jobs)) / total - bar.n)
