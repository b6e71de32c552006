"""Several processes that train one model together: who is who, and how they wait and agree.

Nothing here starts a process: `torchrun`, `accelerate launch` and `deepspeed` do, and tell each its rank.
"""

import os
import time
from collections.abc import Callable, Sequence

PREEMPTED = 75
"""Exit status of a command that a signal stopped after its trainings were saved (`EX_TEMPFAIL`: run it again)."""

_POLL_SECONDS = 0.5


class TrainingStopped(Exception):
    """A signal asked the training to stop; it was saved, and the same command goes on from there."""


def world_size() -> int:
    """How many processes train together: 1 unless a launcher started this one."""
    return int(os.environ.get("WORLD_SIZE", 1)) if is_launched() else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return int(os.environ.get("RANK", 0)) if is_launched() else 0


def own_device(device: str) -> str:
    """The device of this process: one GPU each, where a launcher started several processes."""
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if device == "cuda" and is_launched() else device


def is_main() -> bool:
    """Whether this process writes and speaks for all."""
    return rank() == 0


def is_launched() -> bool:
    """Whether a launcher started this process."""
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"))


def say(message: str) -> None:
    """Print a line of the main process's."""
    if is_main():
        print(message, flush=True)


def wait_until(condition: Callable[[], bool]) -> None:
    """
    Wait for what the main process does alone, such as preparing data.

    If that fails, the launcher ends all processes: there is no time limit, because a corpus may take hours.
    """
    while not condition():
        time.sleep(_POLL_SECONDS)


def barrier() -> None:
    """Wait until all processes are here; they must have been connected, which `TrainingArguments` does."""
    if world_size() > 1:
        import torch.distributed as dist

        dist.barrier()


def leave() -> None:
    """
    Disconnect from the others, once all are here: the end of a command that every process reached.

    A process that ends while another still reads from it can make that one abort, and the launcher then reports the
    abort in place of the exit status.
    """
    if world_size() > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.barrier()
            dist.destroy_process_group()


def any_rank(flag: bool, device) -> bool:
    """Whether the flag is set in any process; all have to ask."""
    return sum_over_ranks([float(flag)], device)[0] > 0


def sum_over_ranks(values: Sequence[float], device) -> list[float]:
    """The sums of some numbers over the processes, in float64; all have to ask."""
    if world_size() == 1:
        return list(values)
    import torch
    import torch.distributed as dist

    total = torch.tensor(values, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return total.tolist()
