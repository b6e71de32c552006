"""Programs as `torchrun` would start them, in processes that are forked from one that has imported torch already.

A launcher starts each of its processes anew, which costs 6 to 10 s of processor time before anything is trained. What
is tested is what the processes do together; that launchers start them is tested with [`~launched.run_launched`].
"""

import multiprocessing
import os
import runpy
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from evoslm.training.run.workers import prepare_workers

_SECONDS_TO_END = 30
"""What a process has for it after SIGTERM, as with torchrun."""


@dataclass(frozen=True)
class Ended:
    """
    What became of processes.

    Args:
        statuses (`list[int]`): Exit status of each rank; the negative number of the signal that killed it.
        stdout (`str`): What they wrote, rank by rank.
        stderr (`str`): The same.
    """

    statuses: list[int]
    stdout: str
    stderr: str


def run_forked(
    arguments: Sequence, folder: Path, processes: int | None = None, timeout: float = 300, cwd: Path | None = None
) -> Ended:
    """
    Run what `python ARGUMENTS` runs, a script or `-m module`, in one process or in several that know each other.

    As soon as one fails, the others get SIGTERM; where it takes too long, all are killed and the test fails.

    Args:
        arguments (`Sequence`): The program and its arguments.
        folder (`Path`): Gets what the processes write.
        processes (`int`, *optional*): How many ranks; one process that no launcher started when not given.
        timeout (`float`, *optional*, defaults to 300): Seconds for all of it.
        cwd (`Path`, *optional*): Where they run.
    """
    prepare_workers()
    context = multiprocessing.get_context("forkserver")
    program = [str(argument) for argument in arguments]
    environment = os.environ | {"DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
    ranks, outputs = [], []
    for rank, known in enumerate(_ranks(processes)):
        outputs.append([folder / f"{name}-{rank}" for name in ("stdout", "stderr")])
        for path in outputs[-1]:
            path.write_bytes(b"")
        place = (environment | known, str(cwd or Path.cwd()), *map(str, outputs[-1]))
        ranks.append(context.Process(target=_run_program, args=(program, *place)))
    for each in ranks:
        each.start()
    try:
        late = not _wait(ranks, timeout)
    finally:
        for each in ranks:
            if each.pid is not None:
                each.kill()
                each.join()
    said = [[path.read_text(encoding="utf-8") for path in paths] for paths in outputs]
    ended = Ended([each.exitcode for each in ranks], *("".join(texts) for texts in zip(*said)))
    if late:
        pytest.fail(f"Not done in {timeout:g} s.\n{ended.stdout[-3000:]}\n{ended.stderr[-6000:]}")
    return ended


def _ranks(processes: int | None) -> list[dict[str, str]]:
    """What a launcher tells each of its processes."""
    if processes is None:
        return [{}]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    shared |= {name: str(processes) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")}
    return [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]


def _wait(ranks: Sequence[multiprocessing.Process], timeout: float) -> bool:
    """Wait until all have ended, and end the others if one fails; whether that was in time."""
    end = time.monotonic() + timeout
    while any(each.exitcode is None for each in ranks):
        if time.monotonic() > end:
            return False
        if any(each.exitcode for each in ranks):
            for each in ranks:
                each.terminate()
            end = min(end, time.monotonic() + _SECONDS_TO_END)
            while any(each.exitcode is None for each in ranks) and time.monotonic() < end:
                time.sleep(0.02)
            return True
        time.sleep(0.02)
    return True


def _run_program(program: list[str], environment: dict[str, str], cwd: str, stdout: str, stderr: str) -> None:
    """Be a Python that was started with these arguments, this environment and these files."""
    for number, path in ((1, stdout), (2, stderr)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    if program[0] == "-m":
        sys.argv = program[1:]
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = program
        runpy.run_path(program[0], run_name="__main__")
