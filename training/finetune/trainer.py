"""`Trainer` for fine-tuning, which a kill costs an epoch at most: only what is trained is saved, whole or not at all.

end of an epoch -> trained weights, the best so far, optimizer and generators -> a sealed checkpoint -> the same
training goes on from it with the same bits.
"""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, Trainer, TrainerCallback

from ...models.files import read_json, write_json
from ..pretrain.checkpoints import newest_checkpoint, seal
from ..pretrain.deepspeed_config import gathered
from ..run import distributed

_TRAINED_FILE, _BEST_FILE, _LOSSES_FILE = "trained.safetensors", "best.safetensors", "losses.json"


class KeepBest(TrainerCallback):
    """
    Keeps what was trained after the epoch with the lowest validation loss, or at the end where there is none.

    Args:
        model (`PreTrainedModel`): The model.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of updates that are done.
    """

    def __init__(self, model: PreTrainedModel, report_progress: Callable[[float], None] | None = None):
        self._weights = trained_weights(model)
        self._best: dict[str, torch.Tensor] = {}
        self._report_progress = report_progress
        self.losses: list[float] = []
        self.best_epoch: int | None = None
        self._start, self._before = time.perf_counter(), 0.0

    @property
    def seconds(self) -> float:
        """Of training so far, with what was trained before a kill, up to the checkpoint that was gone on from."""
        return self._before + time.perf_counter() - self._start

    def on_step_end(self, args, state, control, **kwargs):
        """Say how far it is."""
        if self._report_progress is not None:
            self._report_progress(state.global_step / state.max_steps)

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        """Keep a copy of the best weights."""
        loss = metrics["eval_loss"]
        if not self.losses or loss < min(self.losses):
            self._keep()
            self.best_epoch = round(state.epoch)
        self.losses.append(loss)

    def on_train_end(self, args, state, control, **kwargs):
        """Keep the last weights where none were chosen."""
        if not self.losses:
            self._keep()

    @torch.no_grad()
    def restore(self, model: PreTrainedModel) -> None:
        """
        Give a model the best weights.

        Args:
            model (`PreTrainedModel`): The one that was trained, or one like it.
        """
        weights = dict(model.named_parameters())
        for name, weight in self._best.items():
            weights[name].copy_(weight)

    def save(self, checkpoint: Path) -> None:
        """
        Write what is to be known of the epochs so far.

        Args:
            checkpoint (`Path`): Where to.
        """
        if self._best:
            save_file(_plain(self._best), checkpoint / _BEST_FILE)
        known = {"losses": self.losses, "best_epoch": self.best_epoch, "seconds": self.seconds}
        write_json(checkpoint / _LOSSES_FILE, known)

    def load(self, checkpoint: Path) -> None:
        """
        Know again what was known.

        Args:
            checkpoint (`Path`): A whole one.
        """
        known = read_json(checkpoint / _LOSSES_FILE)
        self.losses, self.best_epoch = known["losses"], known["best_epoch"]
        self._before = known.get("seconds", 0.0)  # checkpoints of earlier versions do not say
        if (checkpoint / _BEST_FILE).is_file():
            self._best = load_file(checkpoint / _BEST_FILE)

    def _keep(self) -> None:
        with gathered(self._weights.values()):
            if distributed.is_main():
                self._best = {name: weight.detach().clone() for name, weight in self._weights.items()}


class FinetuneTrainer(Trainer):
    """
    `Trainer` of one process whose checkpoints have what is trained alone, and are sealed when all of it is written.

    Args:
        keep ([`KeepBest`]): What is known of the epochs so far.
        kwargs (additional keyword arguments): Arguments of `Trainer`.
    """

    def __init__(self, *args, keep: KeepBest, **kwargs):
        super().__init__(*args, callbacks=[keep], **kwargs)
        self._keep_best = keep

    def find_checkpoint(self) -> Path | None:
        """
        The newest whole checkpoint, whose epochs are known again.

        Returns:
            `Path` or `None`: `None` if the training has to begin, as one that several processes share always does.
        """
        if self.args.save_strategy == "no":
            return None
        checkpoint = newest_checkpoint(Path(self.args.output_dir))
        if checkpoint is not None:
            self._keep_best.load(checkpoint)
        return checkpoint

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the trained weights."""
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(_plain(trained_weights(self.model)), folder / _TRAINED_FILE)

    @torch.no_grad()
    def _load_from_checkpoint(self, resume_from_checkpoint: str, model=None) -> None:
        weights = trained_weights(model or self.model)
        for name, weight in load_file(Path(resume_from_checkpoint) / _TRAINED_FILE).items():
            weights[name].copy_(weight)

    def _save_checkpoint(self, model, trial) -> None:
        super()._save_checkpoint(model, trial)
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        self._keep_best.save(folder)
        seal(folder)


def trained_weights(model: PreTrainedModel) -> dict[str, torch.nn.Parameter]:
    """Those of a model's weights that are trained, by name."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def _plain(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
