"""One fine-tuning: LoRA or all weights, by `Trainer`; the epoch with the lowest validation loss is kept.

prompts + answers + base -> [`finetune_model`] -> a folder that [`load_finetuned`] reads, and `training.json`.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import Dataset
from transformers import AutoTokenizer, PreTrainedModel, PrinterCallback, TrainingArguments, set_seed

from ...models.files import write_json
from ...models.slu.adapters import add_lora, load_base, merge_adapter, save_adapter
from ...models.slu.configuration_slu import CLASSIFICATION, SluConfig
from ...models.slu.inference import encode_prompts, pad_right, write_end
from ..pretrain.deepspeed_config import load_whole, read_deepspeed
from ..pretrain.hardware import ProcessArguments
from ..run import distributed
from ..run.folder import TRAINING_FILE
from .trainer import FinetuneTrainer, KeepBest

MERGED_FOLDER = "merged"
_CHECKPOINTS = "trainer"
_IGNORED = -100


@dataclass(frozen=True)
class FinetuneSettings:
    """
    What makes a fine-tuned model beside base, task and input.

    Args:
        method (`str`): `"lora"` or `"full"`.
        training_seed (`int`): Of new weights, the order and dropout.
        epochs (`int`): Passes over the training split.
        batch_size (`int`): Examples an update.
        learning_rate (`float`): The highest.
        weight_decay (`float`): Of AdamW.
        lora_rank (`int`): Of LoRA's matrices.
        lora_alpha (`float`): Their product is scaled by `lora_alpha / lora_rank`.
        lora_dropout (`float`): Of what they read.
        precision (`str`): Of the computation, `"fp32"` or `"bf16"`.
        merge (`bool`): Whether a LoRA is written as a plain model, too, in `merged`.
    """

    method: str
    training_seed: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    lora_rank: int
    lora_alpha: float
    lora_dropout: float
    precision: str
    merge: bool


@dataclass(frozen=True)
class Rows:
    """
    What a split is made of, as it is trained on.

    Args:
        contents (`list[str]`): What is read.
        answers (`list`): Of each the number of its class, or its entities, label and phrase.
    """

    contents: list[str]
    answers: list


def finetune_model(
    folder: Path,
    base: Path,
    config: SluConfig,
    train: Rows,
    validation: Rows,
    settings: FinetuneSettings,
    device: str = "cpu",
    deepspeed: str | None = None,
    from_scratch: bool = False,
    report_progress: Callable[[float], None] | None = None,
) -> None:
    """
    Fine-tune a model and write its folder; several processes share the batches, and the main one writes.

    Args:
        folder (`Path`): Gets the adapter, or the whole model, with its tokenizer, and `training.json`. What an
            interrupted training left there is gone on with.
        base (`Path`): The folder of a causal language model; not changed.
        config ([`SluConfig`]): The task.
        train ([`Rows`]): What is learned.
        validation ([`Rows`]): What chooses the epoch; the last one is kept where it is empty.
        settings ([`FinetuneSettings`]): How.
        device (`str`, *optional*, defaults to `"cpu"`): `"cpu"` or `"cuda"`.
        deepspeed (`str`, *optional*): How processes share the training, as for
            [`~evoslm.training.pretrain.deepspeed_config.read_deepspeed`].
        from_scratch (`bool`, *optional*, defaults to `False`): Whether all weights are drawn anew before.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of updates that are done.

    Raises:
        `ValueError`: If the loss is not a number, or as [`load_base`] and [`encode_prompts`].
    """
    tokenizer = AutoTokenizer.from_pretrained(base)
    new_ids = [] if config.kind == CLASSIFICATION else config.answers.grow(tokenizer)
    write_end(tokenizer, config)
    model = _make_model(base, config, tokenizer, new_ids, settings, from_scratch)
    sizes = {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "trained_parameters": sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
    }
    rows, cut = {}, {}
    for split, given in (("train", train), ("validation", validation)):
        rows[split], cut[split] = _tokenize(tokenizer, config, given, model)
    keep = KeepBest(model, report_progress)
    trainer = FinetuneTrainer(
        model=model,
        args=_training_arguments(
            folder / _CHECKPOINTS, settings, config.kind, device, bool(rows["validation"]), deepspeed
        ),
        train_dataset=_Tokenized(rows["train"]),
        eval_dataset=_Tokenized(rows["validation"]) if rows["validation"] else None,
        data_collator=_Collator(model.config.pad_token_id),
        keep=keep,
    )
    trainer.remove_callback(PrinterCallback)
    checkpoint = trainer.find_checkpoint()
    trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    if not losses or not torch.isfinite(torch.tensor(losses)).all():
        raise ValueError(f"The loss is not a number after {len(losses)} epochs; lower --learning_rate.")
    if not distributed.is_main():
        return
    if distributed.world_size() > 1:  # ZeRO-3 has left nothing in this one
        model = _make_model(base, config, tokenizer, new_ids, settings, from_scratch)
    keep.restore(model)
    if settings.method == "lora":
        save_adapter(model, tokenizer, config, folder)
        if settings.merge:
            merge_adapter(folder, folder / MERGED_FOLDER, base)
    else:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        config.save(folder)
    write_json(
        folder / TRAINING_FILE,
        {
            "updates": trainer.state.global_step,
            "seconds": round(keep.seconds, 2),
            "train_losses": losses,
            "validation_losses": keep.losses,
            "kept_epoch": keep.best_epoch,
            **sizes,
            "new_tokens": len(new_ids),
            "cut": cut,
            "precision": settings.precision,
            "processes": distributed.world_size(),
            "deepspeed": deepspeed,
        },
    )
    shutil.rmtree(folder / _CHECKPOINTS, ignore_errors=True)


def _make_model(
    base: Path, config: SluConfig, tokenizer, new_ids: list[int], settings: FinetuneSettings, from_scratch: bool
):
    """The model before training, the same in every process."""
    load_whole()
    set_seed(settings.training_seed)
    model = load_base(base, config, tokenizer, from_scratch)
    if settings.method == "lora":
        model = add_lora(model, config, new_ids, settings.lora_rank, settings.lora_alpha, settings.lora_dropout)
    return model


class _Tokenized(Dataset):
    """Ids and labels of each example."""

    def __init__(self, rows: list[dict]):
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> dict:
        return self._rows[place]


class _Collator:
    """Rows as a batch, padded behind their end."""

    def __init__(self, pad: int):
        self._pad = pad

    def __call__(self, rows: Sequence[dict]) -> dict[str, torch.Tensor]:
        batch = pad_right([row["input_ids"] for row in rows], self._pad)
        labels = [row["labels"] for row in rows]
        if isinstance(labels[0], int):
            return batch | {"labels": torch.tensor(labels)}
        return batch | {"labels": pad_right(labels, _IGNORED)["input_ids"]}


def _tokenize(tokenizer, config: SluConfig, given: Rows, model: PreTrainedModel) -> tuple[list[dict], int]:
    """Ids and labels, the loss of entities on the answer and its end alone; and how many were too long."""
    window = getattr(model.config, "max_position_embeddings", None)
    prompts = encode_prompts(tokenizer, config, given.contents, config.trained_on, window)
    if config.kind == CLASSIFICATION:
        return [{"input_ids": ids, "labels": label} for ids, label in zip(prompts.ids, given.answers)], prompts.num_cut
    end = model.config.eos_token_id
    end = end[0] if isinstance(end, list) else end
    rows = []
    for ids, entities in zip(prompts.ids, given.answers):
        answer = [*config.answers.answer_ids(tokenizer, entities), end]
        rows.append({"input_ids": ids + answer, "labels": [_IGNORED] * len(ids) + answer})
    return rows, prompts.num_cut


def _training_arguments(
    folder: Path, settings: FinetuneSettings, kind: str, device: str, validates: bool, deepspeed: str | None
) -> TrainingArguments:
    share = settings.batch_size // distributed.world_size()
    return ProcessArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=share,
        per_device_eval_batch_size=2 * share,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="linear",
        warmup_steps=0.1,
        bf16=settings.precision == "bf16",
        use_cpu=device == "cpu",
        deepspeed=read_deepspeed(deepspeed),
        ddp_find_unused_parameters=False,
        # The loss of classes is the mean over a process's own examples, which the number of tokens has no part in.
        average_tokens_across_devices=kind != CLASSIFICATION,
        eval_strategy="epoch" if validates else "no",
        save_strategy="no" if deepspeed or distributed.world_size() > 1 else "epoch",
        save_total_limit=2,
        logging_strategy="epoch",
        logging_nan_inf_filter=False,
        seed=settings.training_seed,
        data_seed=settings.training_seed,
        dataloader_pin_memory=device == "cuda",
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=True,
        report_to="none",
        disable_tqdm=True,
    )
