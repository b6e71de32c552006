"""DeepSpeed's configurations, and checkpoints that go on with another number of processes.

`zero1`, `zero2`, `zero3` or a JSON file -> the dictionary for `TrainingArguments(deepspeed=...)`.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ...models.files import read_json
from ..run import distributed
from .checkpoints import MANIFEST

if TYPE_CHECKING:
    import torch

FOLDER = Path(__file__).parent / "deepspeed"


def read_deepspeed(name: str | None) -> dict | None:
    """
    Read a configuration.

    Args:
        name (`str` or `None`): `"zero1"`, `"zero2"`, `"zero3"` or the path of a JSON file.

    Returns:
        `dict` or `None`: The configuration; `None` without a name.

    Raises:
        `ValueError`: If there is no such configuration, it is not JSON, or DeepSpeed is not installed.
    """
    if name is None:
        return None
    path = Path(name) if name.endswith(".json") else FOLDER / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.json")))
        raise ValueError(f"There is no DeepSpeed configuration {name!r}; choose from {known}, or give a JSON file.")
    if find_spec("deepspeed") is None:
        raise ValueError("--deepspeed needs DeepSpeed: pip install 'evoslm[deepspeed]'.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON ({error}); correct it or choose another --deepspeed.") from error


def zero_stage(name: str | None) -> int:
    """The ZeRO stage of a configuration, 0 without one."""
    config = read_deepspeed(name)
    return int(config.get("zero_optimization", {}).get("stage", 0)) if config else 0


def refuse_sharing_alone(name: str | None, command: str) -> None:
    """
    Refuse a configuration that shares a training out where there is nobody to share it with.

    Args:
        name (`str` or `None`): As for [`read_deepspeed`].
        command (`str`): The command that was given it.

    Raises:
        `ValueError`: If no launcher started this process, or as [`read_deepspeed`].
    """
    if read_deepspeed(name) and not distributed.is_launched():
        raise ValueError(
            f"--deepspeed shares a training out among processes: start `evoslm {command}` with torchrun, "
            "accelerate launch or deepspeed (docs/training.md)."
        )


def sum_over_gloo() -> None:
    """
    Have DeepSpeed's processes on a CPU exchange their sums through torch's gloo.

    DeepSpeed would compile an exchange of its own, which takes minutes at first use, and guard it at every use by a
    file: where a process was killed while it had that file, all later ones would wait for ever.
    """
    import deepspeed

    deepspeed.ops.__compatible_ops__ = {}  # asked for that exchange alone, and found out by compiling probes


@contextmanager
def whole_weights(arguments) -> Iterator[None]:
    """
    Make a model as one process would, with every weight whole, which ZeRO-3 shares out when training begins.

    transformers would share the weights out while they are drawn, and each process would draw others.
    """
    stage_3 = getattr(arguments, "hf_deepspeed_config", None) is not None and arguments.hf_deepspeed_config.is_zero3()
    if not stage_3:
        yield
        return
    from transformers.integrations.deepspeed import set_hf_deepspeed_config, unset_hf_deepspeed_config

    unset_hf_deepspeed_config()
    try:
        yield
    finally:
        set_hf_deepspeed_config(arguments.hf_deepspeed_config)


def load_whole() -> None:
    """
    Let this process load whole models, by itself: after a training with ZeRO-3, transformers would share out any model
    between the processes, and wait for the others. The next training says anew how it is shared.
    """
    if distributed.world_size() > 1:
        from transformers.integrations.deepspeed import unset_hf_deepspeed_config

        unset_hf_deepspeed_config()


def gathered(weights: "Iterable[torch.nn.Parameter]") -> AbstractContextManager:
    """
    Make weights whole that ZeRO-3 has shared out, to be read; all processes have to ask.

    Args:
        weights (`Iterable[torch.nn.Parameter]`): The weights, shared out or not.
    """
    shared_out = [weight for weight in weights if hasattr(weight, "ds_id")]
    if not shared_out:
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters(shared_out)


def make_universal(checkpoint: Path, arguments) -> None:
    """
    Let a checkpoint of another number of processes be resumed from, through DeepSpeed's universal format.

    Args:
        checkpoint (`Path`): A whole checkpoint.
        arguments (`TrainingArguments`): Of the training, whose DeepSpeed configuration is told to load that format.
    """
    if read_json(checkpoint / MANIFEST).get("ranks") == arguments.world_size:
        return
    tag = (checkpoint / "latest").read_text(encoding="utf-8").strip()
    universal = checkpoint / f"{tag}_universal"
    if distributed.is_main() and not universal.is_dir():
        _convert(checkpoint / tag, universal)
        (checkpoint / "latest_universal").write_text(universal.name, encoding="utf-8")
    distributed.barrier()
    arguments.hf_deepspeed_config.config["checkpoint"] = {"load_universal": True}


def _convert(source: Path, target: Path) -> None:
    import argparse

    from deepspeed.checkpoint import ds_to_universal

    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    ds_to_universal.main(
        argparse.Namespace(
            input_folder=str(source),
            output_folder=str(temporary),
            num_extract_workers=1,
            num_merge_workers=1,
            keep_temp_folder=False,
            strict=True,
            inject_missing_state=True,
        )
    )
    temporary.rename(target)
