"""What trainings without `Trainer` have in common: an update, and checkpoints that a kill cannot spoil.

loss -> [`update_weights`]; model + optimizer + history -> [`save_training`] -> `checkpoint-<step>`, sealed ->
[`resume_training`] -> the same. Everything is in safetensors and JSON. What a step draws has to follow from the seed
and the step; a training that goes on then ends with the same weights.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ...models.files import read_json
from .checkpoints import list_checkpoints, newest_checkpoint, seal

_MODEL_FILE = "model.safetensors"
_OPTIMIZER_FILE = "optimizer.safetensors"
_STATE_FILE = "state.json"
# AdamW's of each weight.
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
_KEPT_CHECKPOINTS = 2
_MAX_GRADIENT_NORM = 10.0


def learning_rate_share(step: int, warmup_steps: int, max_steps: int) -> float:
    """Share of the highest learning rate at a step, from 0: a linear rise and a linear fall."""
    rise = (step + 1) / max(1, warmup_steps)
    fall = (max_steps - step) / max(1, max_steps - warmup_steps)
    return min(1.0, rise, fall)


def update_weights(
    model: torch.nn.Module, optimizer: torch.optim.AdamW, loss: torch.Tensor, step: int, learning_rate: float
) -> None:
    """
    Make one update from the gradients of a loss, which are cut to a norm of 10.

    Args:
        model (`torch.nn.Module`): The model.
        optimizer (`torch.optim.AdamW`): Its optimizer.
        loss (`torch.Tensor`): A scalar.
        step (`int`): Which step it is, for the error.
        learning_rate (`float`): That of this step.

    Raises:
        `ValueError`: If the loss is not finite.
    """
    if not torch.isfinite(loss):
        raise ValueError(f"The loss of step {step} is not finite; lower --learning_rate.")
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), _MAX_GRADIENT_NORM)
    optimizer.step()


def save_training(folder: Path, model: torch.nn.Module, optimizer: torch.optim.AdamW, history: dict[str, Any]) -> None:
    """
    Write a checkpoint under another name, list its files in a manifest, rename it; then remove older ones.

    Args:
        folder (`Path`): Where checkpoints lie.
        model (`torch.nn.Module`): The model.
        optimizer (`torch.optim.AdamW`): Its optimizer.
        history (`dict[str, Any]`): What is to be known when the training goes on, JSON values; `steps` are those made.
    """
    target = folder / f"checkpoint-{history['steps']}"
    partial = folder / f".{target.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    save_file({name: value.cpu().contiguous() for name, value in model.state_dict().items()}, partial / _MODEL_FILE)
    moments = {
        f"{name}.{key}": optimizer.state[parameter][key].detach().cpu().contiguous()
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
        for key in _MOMENTS
    }
    save_file(moments, partial / _OPTIMIZER_FILE)
    (partial / _STATE_FILE).write_text(json.dumps(history), encoding="utf-8")
    seal(partial)
    os.replace(partial, target)
    for old in list_checkpoints(folder)[_KEPT_CHECKPOINTS:]:
        shutil.rmtree(old)


def resume_training(
    folder: Path, model: torch.nn.Module, optimizer: torch.optim.AdamW, beginning: dict[str, Any]
) -> dict[str, Any]:
    """
    Load the newest whole checkpoint, if there is one.

    Args:
        folder (`Path`): Where checkpoints lie.
        model (`torch.nn.Module`): The model, which gets the weights.
        optimizer (`torch.optim.AdamW`): Its optimizer, which gets its state.
        beginning (`dict[str, Any]`): The history of a training that begins.

    Returns:
        `dict[str, Any]`: The history up to the checkpoint, or `beginning`.
    """
    checkpoint = newest_checkpoint(folder)
    if checkpoint is None:
        return beginning
    model.load_state_dict(load_file(checkpoint / _MODEL_FILE))
    moments = load_file(checkpoint / _OPTIMIZER_FILE)
    for name, parameter in model.named_parameters():
        if f"{name}.step" in moments:
            state = {key: moments[f"{name}.{key}"] for key in _MOMENTS}
            # The number of steps stays on the CPU, as the optimizer itself has it.
            optimizer.state[parameter] = {
                key: value if key == "step" else value.to(parameter.device) for key, value in state.items()
            }
    return read_json(checkpoint / _STATE_FILE)
