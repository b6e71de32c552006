"""`Trainer` for packed utterances: the same batches on one process or many, and training that is hard to kill.

batches of whole utterances -> each rank's share of them -> loss over all their tokens -> checkpoints that are sealed
when every rank has written its part.
"""

import errno
import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader
from transformers import LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import TrainOutput

from ...models.packed_attention import PACKED_ATTENTION
from ...models.packed_training import Layout, add_gradients, can_compute, packed_loss
from ..run import distributed
from .checkpoints import seal
from .data import TokenizedUtterances, UtteranceBatchSampler, collate_packed

# What transformers calls gradient checkpointing: the new name where it has one.
CHECKPOINTING = next(
    name
    for name in ("activation_checkpointing", "gradient_checkpointing")
    if name in TrainingArguments.__dataclass_fields__
)
EXPLODED = 3.0
"""A loss above so many times that of guessing (the logarithm of the vocabulary's size) ends a training."""


class UtteranceLoader(DataLoader):
    """A loader of packed batches whose sampler knows the epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration goes through."""
        self.batch_sampler.set_epoch(epoch)


class PackedTrainer(Trainer):
    """
    `Trainer` with batches of whole utterances in a fixed order, and an exact validation loss.

    Args:
        sampler ([`UtteranceBatchSampler`]): Of the training split, with this process's share of each batch.
        learning_rate_share (`Callable[[int], float]`, *optional*): The share of the peak learning rate after so many
            updates, instead of a schedule of transformers.
        seconds_before (`float`, *optional*, defaults to 0.0): Seconds that the checkpoint took that it goes on from.
        kwargs (additional keyword arguments): Arguments of `Trainer`.
    """

    def __init__(
        self,
        *args,
        sampler: UtteranceBatchSampler,
        learning_rate_share: Callable[[int], float] | None = None,
        seconds_before: float = 0.0,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self._seconds_before, self._begun = seconds_before, time.perf_counter()
        self.sampler, self.learning_rate_share = sampler, learning_rate_share
        self.guessing = math.log(self.model.config.vocab_size)
        self.meter: Throughput | None = None
        self.computes_loss = self._can_compute_loss()
        self._weights = list(self.model.parameters())
        if self.computes_loss:
            # In place of the module's own, which looks for the weights in all of its parts in every update.
            self.model.zero_grad = partial(_forget_gradients, self._weights)

    def train(self, *args, **kwargs) -> TrainOutput:
        """Train, and begin to count [`~PackedTrainer.seconds`]."""
        self._begun = time.perf_counter()
        return super().train(*args, **kwargs)

    @property
    def seconds(self) -> float:
        """Seconds of the training until now, with those until the checkpoint that it goes on from."""
        return round(self._seconds_before + time.perf_counter() - self._begun, 4)

    def get_train_dataloader(self) -> DataLoader:
        """Batches of the same utterances in the same order whatever the modality and the number of processes."""
        # Not prepared by accelerate: the sampler has already taken this process's share.
        return UtteranceLoader(self.train_dataset, batch_sampler=self.sampler, collate_fn=collate_packed)

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LRScheduler:
        """The schedule of our own where there is one; its state is the number of updates alone."""
        if self.learning_rate_share is None:
            return super().create_scheduler(num_training_steps, optimizer)
        if self.lr_scheduler is None:
            # A plain function: of other callables LambdaLR saves the attributes.
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, lambda update: self.learning_rate_share(update))
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def training_step(self, model, inputs, num_items_in_batch=None) -> torch.Tensor:
        """
        One forward and backward pass.

        Raises:
            `ValueError`: If the loss is not a number, or exploded; the message says where.
        """
        own = int((inputs["labels"][..., 1:] != -100).sum())
        if self.meter is not None:
            self.meter.count(inputs, is_empty=own == 0)
        if self.computes_loss:
            # Without what transformers and accelerate look up in every update for devices and optimizers of all kinds.
            loss = add_gradients(self.model, **inputs, divisor=num_items_in_batch)
        else:
            loss = super().training_step(model, inputs, num_items_in_batch)
        # The loss is a share of the mean over the whole batch, times the number of processes: see what it is a token.
        per_token = float(loss) * float(num_items_in_batch) / self.args.world_size / max(1, own)
        if not per_token <= EXPLODED * self.guessing:
            self._refuse(per_token)
        return loss

    def floating_point_ops(self, inputs) -> float:
        """Nothing: operations are counted from the lengths of utterances, attention included."""
        return 0

    def _clip_grad_norm(self, model) -> torch.Tensor:
        if not self.computes_loss:
            return super()._clip_grad_norm(model)
        return torch.nn.utils.clip_grad_norm_(self._weights, self.args.max_grad_norm)

    def _can_compute_loss(self) -> bool:
        """Whether loss and gradients are our own: on a CPU, in fp32, in a process that trains alone."""
        return (
            self.args.device.type == "cpu"
            and self.args.world_size == 1
            and not (self.args.bf16 or self.args.fp16 or self.is_deepspeed_enabled)
            and not any(
                getattr(self.args, name, False) for name in ("activation_checkpointing", "gradient_checkpointing")
            )
            and self.model.config._attn_implementation == PACKED_ATTENTION
            and can_compute(self.model.config)
        )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with the throughput since the last loss beside a loss."""
        if "loss" in logs and self.meter is not None:
            logs |= self.meter.read()
        super().log(logs, start_time)

    def _refuse(self, loss: float) -> None:
        update = self.state.global_step + 1
        checkpoint = Path(self.args.output_dir)
        utterances = self.sampler.batch_of_update(update)
        shown = ", ".join(map(str, utterances[:8])) + (", ..." if len(utterances) > 8 else "")
        kind = "exploded" if math.isfinite(loss) else "is not a number"
        raise ValueError(
            f"The loss {kind} ({loss:.3g}) in update {update}, whose batch is the training utterances {shown} (rows "
            f"of the train split, from 0); the last checkpoint is kept in {checkpoint}. A lower --learning_rate, "
            "more --warmup_fraction or --precision fp32 may help."
        )

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix: str = "eval") -> dict[str, float]:
        """The validation loss in nats a token: the sum over all tokens by their number, not a mean over batches."""
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        size, device = self.args.per_device_eval_batch_size, self.accelerator.device
        loss = validation_loss(self.model, dataset, size, device, self.computes_loss)
        metrics = {f"{metric_key_prefix}_loss": loss}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def gather_weights(self) -> dict[str, torch.Tensor] | None:
        """All weights, for the main process to save; every process has to ask, because ZeRO-3 shares them out."""
        if not self.is_deepspeed_enabled:
            return None
        return self.accelerator.get_state_dict(self.model_wrapped)

    def _load_best_model(self) -> None:
        """Nothing to do where the best weights are taken from their checkpoint anyway."""
        if not self.is_deepspeed_enabled:
            super()._load_best_model()

    def _save_checkpoint(self, model, trial) -> None:
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
        except Exception as error:  # safetensors and torch have their own words for it
            if _is_full(error, folder.parent):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
            raise
        distributed.barrier()
        if self.is_world_process_zero():
            facts = {"ranks": self.args.world_size, "deepspeed": self.is_deepspeed_enabled}
            seal(folder, **facts, seconds=self.seconds)
        distributed.barrier()


def _forget_gradients(weights: list[torch.nn.Parameter]) -> None:
    for weight in weights:
        weight.grad = None


def _is_full(error: Exception, folder: Path) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return "No space left" in str(error) or shutil.disk_usage(folder).free < 2**20


def validation_loss(
    model: LlamaForCausalLM,
    dataset: TokenizedUtterances,
    batch_size: int,
    device: torch.device | str = "cpu",
    computes_loss: bool = False,
) -> float:
    """
    Mean negative log-likelihood of a split in nats a token, `</s>` included and `<s>` not.

    Args:
        model (`LlamaForCausalLM`): With packed attention.
        dataset ([`TokenizedUtterances`]): The split; where several processes train, each takes a share of it.
        batch_size (`int`): Utterances packed into one row.
        device (`torch.device` or `str`, *optional*, defaults to `"cpu"`): Where the model is.
        computes_loss (`bool`, *optional*, defaults to `False`): Compute it by [`~models.packed_training.packed_loss`].

    Returns:
        `float`: The loss.
    """
    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    order = dataset.lengths.argsort(kind="stable")  # equal lengths side by side leave little padding to attend
    starts = range(0, len(dataset), batch_size)
    rounds = -(-len(starts) // distributed.world_size())
    with torch.inference_mode():
        for index in range(rounds):  # as many in every process: ZeRO-3 fetches weights in step
            turn = index * distributed.world_size() + distributed.rank()
            start = starts[turn] if turn < len(starts) else len(dataset)
            batch = collate_packed([dataset[int(row)] for row in order[start : start + batch_size]])
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            tokens += int((batch["labels"][0, 1:] != -100).sum())
            total += (packed_loss if computes_loss else _plain_loss)(model, **batch).item()
    model.train(was_training)
    total, tokens = distributed.sum_over_ranks([total, tokens], device)
    return total / tokens


def _plain_loss(model: LlamaForCausalLM, input_ids: torch.Tensor, labels: torch.Tensor, **packing) -> torch.Tensor:
    """The sum of negative log-likelihoods by the model's own forward pass."""
    logits = model(input_ids, **packing, use_cache=False).logits[0, :-1].float()
    losses = torch.nn.functional.cross_entropy(logits, labels[0, 1:], ignore_index=-100, reduction="none")
    return losses.double().sum()


class Schedule(TrainerCallback):
    """
    Evaluates and saves at the last update, saves between validations, keeps the points' weights, and says how far the
    training is.

    Args:
        points (`tuple[int, ...]`): Updates after which the weights are kept.
        save_point (`Callable`): Called with such an update, in every process.
        save_every (`int`, *optional*): Updates between checkpoints, beside those that follow a validation.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of updates that are done.
    """

    def __init__(
        self,
        points: tuple[int, ...],
        save_point: Callable[[int], None],
        save_every: int | None = None,
        report_progress: Callable[[float], None] | None = None,
    ):
        self.points, self.save_point = points, save_point
        self.save_every, self.report_progress = save_every, report_progress

    def on_step_end(self, args, state, control, **kwargs):
        """At the end of an update."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True
        if self.save_every and state.global_step % self.save_every == 0:
            control.should_save = True
        if state.global_step in self.points:
            self.save_point(state.global_step)
        if self.report_progress is not None:
            self.report_progress(state.global_step / state.max_steps)
        return control


class StopOnSignal(TrainerCallback):
    """Turns SIGTERM (a scheduler's pre-emption) into one last checkpoint that all ranks agree on."""

    def __init__(self):
        self.asked = self.stopped = False
        self._previous = None

    def on_train_begin(self, args, state, control, **kwargs):
        """Listen; only a program's main thread can."""
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, number, frame) -> None:
        self.asked = True

    def on_step_end(self, args, state, control, **kwargs):
        """Ask whether any rank was asked to stop."""
        if distributed.any_rank(self.asked, args.device) and state.global_step < state.max_steps:
            self.stopped = control.should_save = control.should_training_stop = True
        return control

    def on_train_end(self, args, state, control, **kwargs):
        """Listen no longer."""
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)


class Throughput(TrainerCallback):
    """
    How fast a training is: tokens per second over all processes, the share of this process's positions that are tokens
    (of those that layers compute, and of those that attention computes, where documents are laid side by side), and,
    where the device's rate is known, model FLOPs utilisation (MFU).

    Args:
        trainer ([`PackedTrainer`]): The trainer, for the lengths of its batches; it logs what the meter reads.
        flops_of (`Callable[[list[int]], float]`): Training FLOPs of utterances of some lengths.
        rate (`float`, *optional*): FLOP/s of a matrix product on one device, in the training's precision.
    """

    def __init__(self, trainer: PackedTrainer, flops_of: Callable[[list[int]], float], rate: float | None = None):
        self.trainer, self.flops_of, self.rate = trainer, flops_of, rate
        self._begin()
        trainer.meter = self

    def _begin(self) -> None:
        self.tokens, self.flops, self.start = 0, 0.0, time.perf_counter()
        self.filled = self.positions = self.attended = 0

    def count(self, inputs: dict[str, torch.Tensor], is_empty: bool) -> None:
        """Count the positions of one pass, none of which is a token if its share of the batch is empty."""
        positions, attended = inputs["input_ids"].numel(), inputs["documents"].numel()
        if self.trainer.computes_loss:
            positions = attended = Layout.of(inputs["documents"], positions).positions
        self.positions += positions
        self.attended += attended
        self.filled += 0 if is_empty else inputs["input_ids"].numel()

    def on_step_begin(self, args, state, control, **kwargs):
        """Count what the update is about to read."""
        rows = self.trainer.sampler.batch_of_update(state.global_step + 1)
        lengths = self.trainer.train_dataset.lengths[rows].tolist()
        self.tokens += sum(lengths)
        self.flops += self.flops_of(lengths)

    def read(self) -> dict[str, float]:
        """The figures since the last reading."""
        seconds = time.perf_counter() - self.start
        figures = {
            "tokens_per_second": float(f"{self.tokens / seconds:.6g}"),
            "non_padding": round(self.filled / max(1, self.positions), 4),
            "non_padding_in_attention": round(self.filled / max(1, self.attended), 4),
        }
        if self.rate:
            mfu = self.flops / seconds / self.rate / self.trainer.args.world_size
            figures["mfu"] = float(f"{mfu:.4g}")
        self._begin()
        return figures
