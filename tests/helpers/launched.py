"""Commands that a launcher runs in several processes, none of which is left behind."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

SECONDS_TO_END = 60
"""A launcher kills what does not end by its signal after half of it."""


def torchrun(processes: int) -> tuple[str, ...]:
    """The module that starts a program in several processes, and its flags."""
    return ("torch.distributed.run", "--standalone", "--nproc_per_node", str(processes))


def run_launched(arguments: Sequence, timeout: float, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """
    Run `python -m` with arguments on the CPU, a thread a process; where that takes too long, all processes end and the
    test fails.
    """
    command = [sys.executable, "-m", *map(str, arguments)]
    environment = os.environ | {"DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, cwd=cwd, **pipes) as launcher:
        try:
            output, errors = launcher.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            launcher.terminate()
            output, errors = launcher.communicate(timeout=SECONDS_TO_END)
            pytest.fail(f"Not done in {timeout:g} s.\n{output[-3000:]}\n{errors[-6000:]}")
    return subprocess.CompletedProcess(command, launcher.returncode, output, errors)
