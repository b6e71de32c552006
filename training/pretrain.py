"""Pre-training of one language model on one modality with `Trainer`: packed batches, equal for every modality.

ids of a modality + shape + protocol + seed -> checkpoints -> the one with the best validation loss as a plain model
folder with its tokenizer, and the weights of a few points along the way.
"""

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import (
    AutoTokenizer,
    EarlyStoppingCallback,
    LlamaConfig,
    LlamaForCausalLM,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.utils import logging as transformers_logging

from ..models.language_model import make_language_model, make_language_model_config, training_flops
from ..models.modalities import get_modality
from .arguments import PretrainArguments
from .data import TokenizedUtterances, UtteranceBatchSampler, collate_packed
from .stages import write_json

POINTS_FOLDER = "points"
TRAINING_FILE = "training.json"


@dataclass(frozen=True)
class PretrainingPlan:
    """
    When things happen in a training run, in updates; the same for every modality of a corpus.

    Args:
        updates (`int`): Updates in all.
        updates_per_epoch (`int`): Updates in one pass over the training split.
        warmup (`int`): Updates that warm up.
        decay (`int`): Updates that decay at the end (0 with the cosine schedule).
        points (`tuple[int, ...]`): Updates after which the weights are kept for the scaling figure.
    """

    updates: int
    updates_per_epoch: int
    warmup: int
    decay: int
    points: tuple[int, ...] = field(default=())

    @classmethod
    def make(cls, num_utterances: int, arguments: PretrainArguments) -> "PretrainingPlan":
        """Work the plan out from the number of training utterances."""
        per_epoch = math.ceil(num_utterances / arguments.utterances_per_batch)
        updates = max(2, math.ceil(arguments.epochs * per_epoch))
        decay = round(arguments.decay_fraction * updates) if arguments.lr_scheduler == "wsd" else 0
        wanted = sorted({max(1, round(point * per_epoch)) for point in arguments.points})
        return cls(
            updates=updates,
            updates_per_epoch=per_epoch,
            warmup=round(arguments.warmup_fraction * updates),
            decay=decay,
            points=tuple(update for update in wanted if update <= updates - decay),
        )


class PackedTrainer(Trainer):
    """`Trainer` with batches of whole utterances in a fixed order, and an exact validation loss."""

    def get_train_dataloader(self) -> DataLoader:
        """Batches of the same utterances in the same order whatever the modality."""
        sampler = UtteranceBatchSampler(
            len(self.train_dataset), self.args.per_device_train_batch_size, self.args.data_seed
        )
        return self.accelerator.prepare(
            DataLoader(self.train_dataset, batch_sampler=sampler, collate_fn=collate_packed)
        )

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix: str = "eval") -> dict[str, float]:
        """The validation loss in nats a token: the sum over all tokens by their number, not a mean over batches."""
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        loss = validation_loss(self.model, dataset, self.args.per_device_eval_batch_size, self.accelerator.device)
        metrics = {f"{metric_key_prefix}_loss": loss}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


class _Schedule(TrainerCallback):
    """Evaluates and saves at the last update, keeps the points' weights, and says how far the training is."""

    def __init__(self, plan: PretrainingPlan, folder: Path, report_progress: Callable[[float], None] | None):
        self.plan, self.folder, self.report_progress = plan, folder, report_progress

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True
        if state.global_step in self.plan.points and state.is_world_process_zero:
            save_model(model, self.folder / point_name(state.global_step))
        if self.report_progress is not None:
            self.report_progress(state.global_step / state.max_steps)
        return control


def pretrain(
    modality: str,
    tokenizer_dir: Path,
    output_dir: Path,
    shape: dict,
    arguments: PretrainArguments,
    seed: int,
    device: str = "cpu",
    report_progress: Callable[[float], None] | None = None,
    **extra_config,
) -> dict:
    """
    Train one model and leave its folder ready for `AutoModelForCausalLM.from_pretrained`.

    Started again on the folder of an interrupted training, it goes on from the newest whole checkpoint.

    Args:
        modality (`str`): The modality's name.
        tokenizer_dir (`Path`): A folder with the tokenizer and the ids of `train` and `validation`.
        output_dir (`Path`): Gets the model, its tokenizer, `training.json` and `points/updates-*`.
        shape (`dict`): `LlamaConfig` arguments.
        arguments ([`PretrainArguments`]): The protocol.
        seed (`int`): Seed of the weights and of the order of utterances.
        device (`str`, *optional*, defaults to `"cpu"`): `"cpu"` or `"cuda"`.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of updates that are done.
        **extra_config: Further keys for the model's configuration.

    Returns:
        `dict`: What `training.json` holds: parameters, updates, epochs, tokens, FLOPs, losses and the points.

    Raises:
        `ValueError`: If an utterance is longer than the model's window, or a split is empty.
    """
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir)
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    train, validation = (TokenizedUtterances(tokenizer_dir, split, **ends) for split in ("train", "validation"))
    config = make_language_model_config(get_modality(modality), tokenizer, shape, **extra_config)
    _check_lengths(modality, config, {"train": train, "validation": validation})
    plan = PretrainingPlan.make(len(train), arguments)
    checkpoints = output_dir / "checkpoints"
    trainer = PackedTrainer(
        model=make_language_model(config, seed),
        args=_training_arguments(checkpoints, plan, arguments, seed, device),
        train_dataset=train,
        eval_dataset=validation,
        callbacks=[_Schedule(plan, output_dir / POINTS_FOLDER, report_progress)],
    )
    trainer.remove_callback(PrinterCallback)  # the log is kept in a file; the progress bar is the command's
    if arguments.train_until == "converged":
        trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=arguments.patience))
    transformers_logging.disable_progress_bar()
    result = trainer.train(resume_from_checkpoint=newest_checkpoint(checkpoints))
    save_model(trainer.model, output_dir)
    tokenizer.save_pretrained(output_dir)
    summary = _summarize(trainer, plan, train, arguments, seed) | {"train_seconds": result.metrics["train_runtime"]}
    write_json(output_dir / TRAINING_FILE, summary)
    write_json(output_dir / "log_history.json", trainer.state.log_history)
    shutil.rmtree(checkpoints)
    return summary


def validation_loss(
    model: LlamaForCausalLM, dataset: TokenizedUtterances, batch_size: int, device: torch.device | str = "cpu"
) -> float:
    """
    Mean negative log-likelihood of a split in nats a token, `</s>` included and `<s>` not.

    Args:
        model (`LlamaForCausalLM`): With packed attention.
        dataset ([`TokenizedUtterances`]): The split.
        batch_size (`int`): Utterances packed into one row.
        device (`torch.device` or `str`, *optional*, defaults to `"cpu"`): Where the model is.

    Returns:
        `float`: The loss.
    """
    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    order = np.argsort(dataset.lengths, kind="stable")  # equal lengths side by side leave little padding to attend
    with torch.inference_mode():
        for start in range(0, len(dataset), batch_size):
            batch = collate_packed([dataset[int(index)] for index in order[start : start + batch_size]])
            batch = {name: tensor.to(device) for name, tensor in batch.items()}
            labels = batch.pop("labels")[0, 1:]
            logits = model(**batch, use_cache=False).logits[0, :-1].float()
            losses = torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="none")
            total += losses.double().sum().item()
            tokens += int((labels != -100).sum())
    model.train(was_training)
    return total / tokens


def save_model(model: LlamaForCausalLM, folder: Path) -> None:
    """Save weights (safetensors, fp32) and a configuration with which generation uses its cache."""
    model.config.use_cache = True
    model.save_pretrained(folder)
    model.config.use_cache = False


def point_name(update: int) -> str:
    """The folder of the weights after so many updates."""
    return f"updates-{update:06d}"


def newest_checkpoint(folder: Path) -> str | None:
    """
    The newest whole checkpoint of an interrupted training.

    `Trainer` writes `trainer_state.json` last, so a folder without it was cut off; it is removed.
    """
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rsplit("-", 1)[1]))
    for path in reversed(found):
        if (path / "trainer_state.json").is_file():
            return str(path)
        shutil.rmtree(path)
    return None


def has_bf16(device: str) -> bool:
    """Whether bf16 is computed by the hardware, not emulated (a hundred times slower on a CPU without it)."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _training_arguments(
    folder: Path, plan: PretrainingPlan, arguments: PretrainArguments, seed: int, device: str
) -> TrainingArguments:
    schedule = {"lr_scheduler_type": "cosine"}
    if arguments.lr_scheduler == "wsd":
        schedule = {
            "lr_scheduler_type": "warmup_stable_decay",
            "lr_scheduler_kwargs": {"num_decay_steps": plan.decay},
        }
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=plan.updates,
        per_device_train_batch_size=arguments.utterances_per_batch,
        per_device_eval_batch_size=16,
        learning_rate=arguments.learning_rate,
        warmup_steps=plan.warmup,
        weight_decay=arguments.weight_decay,
        adam_beta2=arguments.adam_beta2,
        max_grad_norm=arguments.max_grad_norm,
        optim="adamw_torch_fused",
        bf16=has_bf16(device),
        use_cpu=device == "cpu",
        eval_strategy="steps",
        eval_steps=min(plan.updates_per_epoch, plan.updates),
        save_strategy="steps",
        save_steps=min(plan.updates_per_epoch, plan.updates),
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_steps=max(1, plan.updates // 100),
        seed=seed,
        data_seed=seed,
        dataloader_pin_memory=device == "cuda",
        remove_unused_columns=False,
        label_names=["labels"],
        report_to="none",
        disable_tqdm=True,
        **schedule,
    )


def _check_lengths(modality: str, config: LlamaConfig, splits: dict[str, TokenizedUtterances]) -> None:
    for split, dataset in splits.items():
        if len(dataset) == 0:
            raise ValueError(f"The {split} split of {modality} is empty; the corpus is too small (--max_words).")
        longest = int(dataset.lengths.max())
        if longest > config.max_position_embeddings:
            raise ValueError(
                f"The longest {split} utterance of {modality} has {longest} tokens, more than the model's window of "
                f"{config.max_position_embeddings}; raise --max_position_embeddings."
            )


def _summarize(
    trainer: PackedTrainer,
    plan: PretrainingPlan,
    train: TokenizedUtterances,
    arguments: PretrainArguments,
    seed: int,
) -> dict:
    """What was trained on what: everything is counted from the batches, which the seed fixes."""
    sampler = UtteranceBatchSampler(len(train), arguments.utterances_per_batch, seed)
    parameters = sum(weight.numel() for weight in trainer.model.parameters())
    updates, lengths, tokens, flops = trainer.state.global_step, train.lengths, [0], [0.0]
    for epoch in range(math.ceil(updates / plan.updates_per_epoch)):
        sampler.set_epoch(epoch)
        for batch in sampler:
            seen = [int(length) for length in lengths[batch]]
            tokens.append(tokens[-1] + sum(seen))
            flops.append(flops[-1] + training_flops(trainer.model.config, parameters, seen))
    losses = {entry["step"]: entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry}
    best_update = min(losses, key=losses.get)

    def describe(update: int) -> dict:
        return {
            "name": point_name(update),
            "updates": update,
            "epochs": round(update / plan.updates_per_epoch, 4),
            "tokens": tokens[update],
            "flops": flops[update],
            "validation_loss": losses.get(update),
        }

    return {
        "parameters": parameters,
        "updates": updates,
        "epochs": round(updates / plan.updates_per_epoch, 4),
        "tokens_seen": tokens[updates],
        "flops": flops[updates],
        "best_update": best_update,
        "best_validation_loss": losses[best_update],
        "precision": "bf16" if trainer.args.bf16 else "fp32",
        "points": [describe(update) for update in plan.points if update <= updates],
        "evaluations": [describe(update) for update in sorted(losses)],
    }
