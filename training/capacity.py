"""Whether this machine has what a command needs: said before anything long starts.

[`Study`] + command -> cores, and the memory that `--dry_run` reckons -> [`check_capacity`] -> a line or two, or an
error where it cannot work.
"""

import sys
from collections.abc import Iterator

from ..models.audio import FRAME_RATE
from .preparation import SECONDS_PER_WORD, reckon_memory, reckon_sample
from .run.memory import Memory, read_memory
from .run.workers import count_cores
from .study import Study

_GIB = 2**30


def check_capacity(study: Study, command: str, memory: Memory | None = None) -> None:
    """
    Say where a command asks for more than this machine has.

    Args:
        study ([`Study`]): With its arguments.
        command (`str`): One of a study's commands.
        memory ([`Memory`], *optional*): What there is; looked up when not given.

    Raises:
        `ValueError`: If something that is in memory in one piece is larger than all of it.
    """
    for sentence in _complaints(study, command, memory or read_memory()):
        print(f"evoslm: {sentence}", file=sys.stderr, flush=True)


def _complaints(study: Study, command: str, memory: Memory | None) -> Iterator[str]:
    asked, cores = study.execution.num_proc, count_cores()
    if asked > cores:
        yield f"--num_proc {asked} is more than the {cores} cores there are; it works, but is no faster than {cores}."
    if memory is None:
        return
    _refuse_what_cannot_work(study, command, memory)
    needed = _needed(study, command, asked)
    if needed > memory.free:
        fits = (number for number in range(asked - 1, 0, -1) if _needed(study, command, number) <= memory.free)
        fewer = next(fits, None)
        way_out = f"--num_proc {fewer} needs less" if fewer else "close other programs, or take a larger machine"
        yield (
            f"about {needed / _GIB:.1f} GiB of memory are needed with --num_proc {asked} and {memory.free / _GIB:.1f} "
            f"are free, so that it may be killed on the way; {way_out}."
        )


def _refuse_what_cannot_work(study: Study, command: str, memory: Memory) -> None:
    """By what is certain: a text that was not read may be short, and passes can be made smaller."""
    corpus, units, most = study.arguments.corpus, study.arguments.units, f"{memory.most / _GIB:.1f} GiB"
    if corpus.corpus == "stories":
        frames = min(1.0, corpus.max_words * SECONDS_PER_WORD * FRAME_RATE / units.fit_frames)
        if (sample := frames * reckon_sample(study, command)) > memory.most:
            raise ValueError(
                f"The frames that k-means sees take {sample / _GIB:.1f} GiB, more than the {most} of this machine; "
                f"lower --fit_frames {units.fit_frames}."
            )
    if _trains_here(study, command) and (states := _largest_training(study, activations=False)) > memory.most:
        raise ValueError(
            f"Weights, gradients and AdamW's states of the largest model take {states / _GIB:.1f} GiB, more than the "
            f"{most} of this machine; choose a smaller --hidden_size or --num_hidden_layers."
        )


def _needed(study: Study, command: str, num_proc: int) -> float:
    """Bytes of all processes, at the stage that needs most."""
    needed = reckon_memory(study, command, num_proc)
    if _trains_here(study, command):
        at_once = min(num_proc, len(study.models))
        needed = max(needed, reckon_memory(study, "build-dataset", at_once) + at_once * _largest_training(study))
    return needed


def _trains_here(study: Study, command: str) -> bool:
    """Whether language models are trained in this machine's memory, not in a GPU's."""
    return command in ("pretrain", "evaluate") and study.execution.device == "cpu"


def _largest_training(study: Study, activations: bool = True) -> float:
    """Bytes of the training that needs most, with or without what grows with a pass."""
    from .pretrain.dry_run import reckon_training_memory

    needs = [reckon_training_memory(study.arguments, name) for name in study.arguments.modalities]
    return max(need.total - (0 if activations else need.activations) for need in needs)
