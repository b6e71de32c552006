"""Pre-training of one language model on one modality with `Trainer`: packed batches, equal for every modality.

ids of a modality + shape + protocol + seed -> checkpoints -> the one with the best validation loss as a plain model
folder with its tokenizer, and the weights of a few points along the way. On one process or, started by a launcher, on
many: the batches, and but for rounding the weights, are the same.
"""

import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import torch
from torch.utils.data import Dataset
from transformers import (
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainingArguments,
)
from transformers.utils import logging as transformers_logging

from ...datasets_scripts.shards.utterance_rows import MAX_SECONDS
from ...models.files import read_json, write_json
from ...models.language_model import make_language_model, make_language_model_config, training_flops
from ...models.modalities import get_modality
from ...models.packed_attention import PACKED_ATTENTION
from ..arguments.checks import check_protocol
from ..arguments.study import HardwareArguments, PretrainArguments
from ..run import distributed
from ..run.folder import POINTS_FOLDER, TRAINING_FILE
from .checkpoints import newest_checkpoint, seconds_until
from .convergence import Convergence, ConvergenceRule, validation_losses
from .data import TokenizedUtterances, UtteranceBatchSampler
from .deepspeed_config import make_universal, read_deepspeed, whole_weights
from .hardware import (
    ProcessArguments,
    count_gpus_quickly,
    keep_freed_memory,
    look_up_optimizers_once,
    matrix_rate,
    resolve_precision,
)
from .trainer import CHECKPOINTING, PackedTrainer, Schedule, StopOnSignal, Throughput


@dataclass(frozen=True)
class PretrainingPlan:
    """
    When things happen in a training run, in updates; the same for every modality of a corpus.

    Args:
        updates (`int`): Updates in all, at most where a rule of convergence ends the stable phase.
        updates_per_epoch (`int`): Updates in one pass over the training split.
        warmup (`int`): Updates that warm up.
        decay (`int`): Updates that decay at the end (0 with the cosine schedule).
        points (`tuple[int, ...]`): Updates after which the weights are kept for the scaling figure.
        convergence ([`ConvergenceRule`], *optional*): What ends the stable phase, where updates are not counted alone.
    """

    updates: int
    updates_per_epoch: int
    warmup: int
    decay: int
    points: tuple[int, ...] = field(default=())
    convergence: ConvergenceRule | None = None

    @classmethod
    def make(cls, num_utterances: int, arguments: PretrainArguments) -> "PretrainingPlan":
        """
        Work the plan out from the number of training utterances.

        Raises:
            `ValueError`: If the protocol contradicts itself.
        """
        check_protocol(arguments)
        per_epoch = math.ceil(num_utterances / arguments.utterances_per_batch)
        updates = max(2, math.ceil(arguments.epochs * per_epoch))
        warmup = round(arguments.warmup_fraction * updates)
        decay = round(arguments.decay_fraction * updates) if arguments.lr_scheduler == "wsd" else 0
        rule = None
        if arguments.train_until == "converged":
            rule = ConvergenceRule(
                warmup, updates, arguments.patience, arguments.min_improvement, arguments.decay_fraction
            )
            updates, decay = rule.most_updates, rule.decay_length(rule.limit)
        wanted = sorted({max(1, round(point * per_epoch)) for point in arguments.points})
        points = tuple(update for update in wanted if update <= updates - decay)
        return cls(updates, per_epoch, warmup, decay, points, rule)


def pretrain(
    modality: str,
    tokenizer_dir: Path,
    output_dir: Path,
    shape: dict,
    arguments: PretrainArguments,
    seed: int,
    device: str = "cpu",
    report_progress: Callable[[float], None] | None = None,
    hardware: HardwareArguments | None = None,
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
        hardware ([`HardwareArguments`], *optional*): How the devices are used; none of it changes the batches.
        **extra_config: Further keys for the model's configuration.

    Returns:
        `dict`: What `training.json` holds: parameters, updates, epochs, tokens, FLOPs, losses and the points; of a
            training until convergence `convergence`, `"converged"` or `"still falling"`, which the model's
            configuration says, too.

    Raises:
        `ValueError`: If the protocol contradicts itself, a split is empty, there are more processes than utterances,
            or the loss is not a number any more.
        `OSError`: If the disk is full; the checkpoint before is kept.
        [`~distributed.TrainingStopped`]: If SIGTERM came; the training is saved.
    """
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir)
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    train, validation = (TokenizedUtterances(tokenizer_dir, split, **ends) for split in ("train", "validation"))
    entry = get_modality(modality)
    longest = _longest(modality, {"train": train, "validation": validation})
    if frame_rate := extra_config.get("frame_rate", entry.frame_rate):
        longest = max(longest, math.ceil(MAX_SECONDS * frame_rate) + 2)  # which a minimal pair may have
    config = make_language_model_config(entry, tokenizer, shape, longest, **extra_config)
    return train_language_model(
        config,
        tokenizer,
        train,
        validation,
        UtteranceBatchSampler,
        output_dir,
        arguments,
        seed,
        device,
        report_progress,
        hardware,
    )


def train_language_model(
    config: LlamaConfig,
    tokenizer: PreTrainedTokenizerBase,
    train: Dataset,
    validation: Dataset,
    make_sampler: type[UtteranceBatchSampler],
    output_dir: Path,
    arguments: PretrainArguments,
    seed: int,
    device: str = "cpu",
    report_progress: Callable[[float], None] | None = None,
    hardware: HardwareArguments | None = None,
    make_model: Callable[[LlamaConfig, int], LlamaForCausalLM] = make_language_model,
) -> dict:
    """
    Train a model on sequences of any kind, as [`pretrain`] does on those of a modality.

    Args:
        config (`LlamaConfig`): As [`make_language_model_config`] makes it.
        tokenizer (`PreTrainedTokenizerBase`): Saved with the model.
        train (`Dataset`): Sequences as [`collate_packed`] reads them; their `lengths` go by the sampler's numbers.
        validation (`Dataset`): The same, with the lengths of all.
        make_sampler (`type[UtteranceBatchSampler]`): The batches of the training split.
        output_dir (`Path`): Gets what [`pretrain`] says.
        arguments ([`PretrainArguments`]): The protocol.
        seed (`int`): Seed of the weights and of the order.
        device (`str`, *optional*, defaults to `"cpu"`): `"cpu"` or `"cuda"`.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of updates that are done.
        hardware ([`HardwareArguments`], *optional*): How the devices are used; none of it changes the batches.
        make_model (`Callable[[LlamaConfig, int], LlamaForCausalLM]`, *optional*): Gives the weights to begin with, of
            the configuration and the seed; from scratch when not given.

    Returns:
        `dict`: What [`pretrain`] returns.

    Raises:
        `ValueError`, `OSError`, [`~distributed.TrainingStopped`]: As [`pretrain`].
    """
    name = config.modality
    hardware = hardware or HardwareArguments()
    if device == "cpu":
        keep_freed_memory()
        count_gpus_quickly()
        look_up_optimizers_once()
    world_size = distributed.world_size()
    if world_size > len(train):
        raise ValueError(
            f"{world_size} processes cannot share the {len(train)} training utterances of {name}; start fewer."
        )
    plan = PretrainingPlan.make(len(train), arguments)
    precision = resolve_precision(hardware.precision, device)
    checkpoints = output_dir / "checkpoints"
    # First: it connects the processes.
    training_arguments = _training_arguments(checkpoints, plan, arguments, hardware, seed, device, precision)
    training_arguments.run_name = f"{name} seed {seed}"
    checkpoint = _find_checkpoint(checkpoints, training_arguments)
    sampler = make_sampler(
        len(train),
        arguments.utterances_per_batch,
        seed,
        lengths=train.lengths,
        rank=distributed.rank(),
        world_size=world_size,
        shares=training_arguments.gradient_accumulation_steps,
    )
    with whole_weights(training_arguments):
        model = make_model(config, seed)
    model.set_attn_implementation(choose_attention(hardware.attention, device))
    convergence = plan.convergence and Convergence(plan.convergence)
    trainer = PackedTrainer(
        model=model,
        args=training_arguments,
        train_dataset=train,
        eval_dataset=validation,
        sampler=sampler,
        learning_rate_share=convergence and convergence.learning_rate_share,
        seconds_before=seconds_until(checkpoint),
    )

    def save_point(update: int) -> None:
        if convergence is not None and convergence.decay is not None:
            return  # points are of the stable phase
        weights = trainer.gather_weights()
        if distributed.is_main():
            save_model(trainer.model, output_dir / POINTS_FOLDER / point_name(update), weights)

    trainer.add_callback(Schedule(plan.points, save_point, hardware.save_every, report_progress))
    trainer.add_callback(signals := StopOnSignal())
    parameters = sum(getattr(weight, "ds_numel", weight.numel()) for weight in model.parameters())
    rate = matrix_rate(device, precision)
    trainer.add_callback(Throughput(trainer, lambda lengths: training_flops(config, parameters, lengths), rate))
    trainer.remove_callback(PrinterCallback)  # the log is kept in a file; the progress bar is the command's
    if convergence is not None:
        trainer.add_callback(convergence)
    transformers_logging.disable_progress_bar()
    trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    seconds = trainer.seconds
    if signals.stopped:
        is_open = convergence is not None and convergence.decay is None
        raise distributed.TrainingStopped(
            f"{name} was saved after update {trainer.state.global_step} of {'at most ' if is_open else ''}"
            f"{trainer.state.max_steps}; run the same command to go on."
        )
    summary = None
    if distributed.is_main():
        _save_best(trainer, output_dir, convergence)
        tokenizer.save_pretrained(output_dir)
        summary = _summarize(trainer, plan, sampler, parameters, convergence) | {
            "precision": precision,
            "processes": world_size,
            "deepspeed": hardware.deepspeed,
            "train_seconds": seconds,
            "matrix_rate": rate,
        }
        write_json(output_dir / TRAINING_FILE, summary)
        write_json(output_dir / "log_history.json", trainer.state.log_history)
        shutil.rmtree(checkpoints)
    distributed.barrier()
    summary = summary or read_json(output_dir / TRAINING_FILE)
    distributed.barrier()  # from here on the main process may rename the folder
    return summary


def save_model(model: LlamaForCausalLM, folder: Path, weights: dict[str, torch.Tensor] | None = None) -> None:
    """Save weights (safetensors), the model's own or those given, and a configuration that generates with a cache."""
    model.config.use_cache = True
    model.save_pretrained(folder, state_dict=weights)
    model.config.use_cache = False


def point_name(update: int) -> str:
    """The folder of the weights after so many updates."""
    return f"updates-{update:06d}"


def choose_attention(attention: str, device: str) -> str:
    """
    The attention implementation to train with, each of which keeps packed documents apart.

    Args:
        attention (`str`): A name that transformers knows, or `"auto"`: FlashAttention's kernel for sequences of
            different lengths where it is installed and there is a GPU, else our own.
        device (`str`): `"cpu"` or `"cuda"`.
    """
    if attention == "auto":
        return "flash_attention_2" if device == "cuda" and find_spec("flash_attn") else PACKED_ATTENTION
    if attention == "flex_attention" and device == "cpu":
        # Its kernels have memory for so many threads. The cache of torch 2.11 tells kernels for other numbers apart
        # only where the number is given; by those of fewer threads it computes something else, or crashes.
        from torch._inductor import config

        config.cpp.threads = torch.get_num_threads()
    return PACKED_ATTENTION if attention == "packed" else attention


def _find_checkpoint(checkpoints: Path, arguments: TrainingArguments) -> Path | None:
    """The newest whole checkpoint, which all processes have to agree on."""
    if distributed.is_main():
        newest_checkpoint(checkpoints)  # removes what is not whole
    distributed.barrier()
    checkpoint = newest_checkpoint(checkpoints)
    distributed.barrier()
    if checkpoint is not None and getattr(arguments, "hf_deepspeed_config", None) is not None:
        make_universal(checkpoint, arguments)
    return checkpoint


def _save_best(trainer: PackedTrainer, folder: Path, convergence: Convergence | None) -> None:
    """The best checkpoint's weights as a plain model folder, whose configuration says whether it has converged."""
    with whole_weights(trainer.args):
        best = trainer.model
        if trainer.is_deepspeed_enabled:
            best = LlamaForCausalLM.from_pretrained(trainer.state.best_model_checkpoint, dtype=torch.float32)
        if convergence is not None:
            best.config.convergence = convergence.decay.convergence
        save_model(best, folder)


def _training_arguments(
    folder: Path,
    plan: PretrainingPlan,
    arguments: PretrainArguments,
    hardware: HardwareArguments,
    seed: int,
    device: str,
    precision: str,
) -> TrainingArguments:
    schedule = {"lr_scheduler_type": "cosine"}
    if arguments.lr_scheduler == "wsd":
        schedule = {
            "lr_scheduler_type": "warmup_stable_decay",
            "lr_scheduler_kwargs": {"num_decay_steps": plan.decay},
        }
    share = math.ceil(arguments.utterances_per_batch / distributed.world_size())
    at_once = min(share, hardware.utterances_per_pass or share)
    validate_every = arguments.validate_every or plan.updates_per_epoch
    validate_every = min(validate_every, plan.updates)
    on_cuda = device == "cuda"
    if hardware.report_to == "tensorboard":
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder.parent / "logs")
    return ProcessArguments(
        output_dir=str(folder),
        max_steps=plan.updates,
        per_device_train_batch_size=at_once,
        per_device_eval_batch_size=16 if hardware.utterances_per_pass is None else at_once,
        gradient_accumulation_steps=math.ceil(share / at_once),
        learning_rate=arguments.learning_rate,
        warmup_steps=plan.warmup,
        weight_decay=arguments.weight_decay,
        adam_beta2=arguments.adam_beta2,
        max_grad_norm=arguments.max_grad_norm,
        optim="adamw_torch_fused",
        bf16=precision == "bf16",
        use_cpu=device == "cpu",
        deepspeed=read_deepspeed(hardware.deepspeed),
        ddp_find_unused_parameters=False,
        torch_compile=hardware.torch_compile and on_cuda,
        use_liger_kernel=hardware.liger and on_cuda and find_spec("liger_kernel") is not None,
        eval_strategy="steps",
        eval_steps=validate_every,
        save_strategy="steps",
        save_steps=validate_every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_steps=max(1, plan.updates // 100),
        logging_nan_inf_filter=False,
        seed=seed,
        data_seed=seed,
        dataloader_pin_memory=on_cuda,
        dataloader_num_workers=hardware.loader_workers,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to=hardware.report_to,
        project="evoslm",
        disable_tqdm=True,
        **({CHECKPOINTING: True} if hardware.gradient_checkpointing else {}),
        **schedule,
    )


def _longest(modality: str, splits: dict[str, TokenizedUtterances]) -> int:
    """Tokens of the longest utterance."""
    for split, dataset in splits.items():
        if len(dataset) == 0:
            raise ValueError(f"The {split} split of {modality} is empty; the corpus is too small (--max_words).")
    return max(int(dataset.lengths.max()) for dataset in splits.values())


def _summarize(
    trainer: PackedTrainer,
    plan: PretrainingPlan,
    sampler: UtteranceBatchSampler,
    parameters: int,
    convergence: Convergence | None,
) -> dict:
    """What was trained on what: everything is counted from the batches, which the seed fixes."""
    updates, all_lengths, tokens, flops = trainer.state.global_step, trainer.train_dataset.lengths, [0], [0.0]
    for update in range(1, updates + 1):
        lengths = all_lengths[sampler.batch_of_update(update)].tolist()
        tokens.append(tokens[-1] + sum(lengths))
        flops.append(flops[-1] + training_flops(trainer.model.config, parameters, lengths))
    losses = validation_losses(trainer.state.log_history)
    decay = convergence and convergence.decay
    stable_end = decay.start if decay else updates - plan.decay
    chosen_from = {update: loss for update, loss in losses.items() if not decay or update > decay.start}
    best_update = min(chosen_from, key=chosen_from.get)

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
        "points": [describe(update) for update in plan.points if update <= stable_end],
        "evaluations": [describe(update) for update in sorted(losses)],
        "decay_start": stable_end,
        "convergence": decay and decay.convergence,
    }
