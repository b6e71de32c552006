"""Training on stories at 50 Hz: ours, `Trainer` with padding, and TRL's packing, each by its own `Trainer`.

The same model and utterances, in turns. A run's rate is that of its updates after the first few, from one's end to the
next one's, so that everything between updates counts and starting does not.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from transformers import LlamaForCausalLM, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from evoslm.models.language_model import make_language_model, training_flops
from evoslm.models.packed_training import add_gradients
from evoslm.training.pretrain.data import TokenizedUtterances, UtteranceBatchSampler, collate_packed, write_ids
from evoslm.training.pretrain.hardware import keep_freed_memory, matrix_rate, resolve_precision
from evoslm.training.pretrain.trainer import PackedTrainer

from .common import laptop_config, peak_of, story_ids
from .flags import full_or_quick

UTTERANCES, SKIPPED = 4, 2
UPDATES, TURNS = full_or_quick((10, 3), (3, 1))
OF_MEMORY = full_or_quick(
    {
        "Phone-Raw": ("phone_raw", 1),
        "from 8 times as many stories": ("phone_raw", 8),
        "Phone-Repeat": ("phone_repeat", 1),
    },
    {"Phone-Raw": ("phone_raw", 1)},
)
"""Modality and size of the corpus by the column that shows the peak."""
SHAPES = full_or_quick(
    ((4, 950, 80), (2, 950, 80), (2, 500, 80), (4, 227, 80), (2, 227, 80), (2, 60, 2048)), ((2, 60, 80),)
)
"""Heads, tokens a document and vocabulary of which loss and gradients are timed."""
WINDOW = 1024
BOS, EOS, PAD = 1, 2, 0


class _Clock(TrainerCallback):
    def __init__(self):
        self.ends = []

    def on_step_end(self, args, state, control, **kwargs):
        self.ends.append(time.perf_counter())


def run() -> str:
    torch.set_num_threads(1)
    precision = resolve_precision("auto", "cpu")
    peak = matrix_rate("cpu", precision)
    parts = [
        "## Training",
        "",
        f"Generated stories, {UTTERANCES} utterances an update, the `laptop` preset's model, {precision} "
        f"({'bf16 is emulated on this processor' if precision == 'fp32' else 'the processor has bf16'}), one thread, "
        f"which multiplies matrices at {peak / 1e9:.0f} GFLOP/s. Tokens are those that are not padding. {TURNS} turns "
        f"of {UPDATES} updates, one engine after another.",
    ]
    for modality, label in (("phone_raw", "Phone-Raw"), ("phone_repeat", "Phone-Repeat")):
        parts += ["", *_compare(modality, label, peak)]
    return "\n".join([*parts, "", *_loss_and_gradients(peak), "", *_memory()])


def _runs(modality: str, times: int = 1) -> tuple:
    """Model, ids and engines for a modality; `times` as many utterances as the updates need."""
    ids = story_ids(modality, 60 * UTTERANCES * UPDATES * times)
    rows = [np.concatenate([[BOS], row, [EOS]]).astype(np.int64) for row in ids]
    config = laptop_config(80, bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD)
    longest = max(len(row) for row in rows)
    window = max(WINDOW, longest)
    return (
        config,
        ids,
        rows,
        {
            "ours: packed": lambda: _ours(config, ids),
            f"padded to the longest ({longest})": lambda: _padded(config, rows, longest),
            f"padded to a window of {window}": lambda: _padded(config, rows, window),
            "TRL's packing": lambda: _trl(config, rows, window),
        },
    )


def train_once(engine: int, modality: str, times: int) -> None:
    """One engine by its number; what a process that is measured calls."""
    torch.set_num_threads(1)
    list(_runs(modality, times)[-1].values())[engine]()


def _loss_and_gradients(peak: float) -> list[str]:
    """Forward and backward pass of our own and of transformers with the packed attention, in processor time."""
    keep_freed_memory()
    lines = []
    for heads, length, vocabulary in SHAPES:
        rows = [np.random.default_rng(0).integers(3, vocabulary, int(length * by)) for by in (0.9, 0.97, 1.03, 1.1)]
        config = laptop_config(vocabulary, num_attention_heads=heads, num_key_value_heads=heads)
        model = make_language_model(config, 0)
        before, now = _seconds_of_passes(model, collate_packed(rows))
        share = training_flops(config, model.num_parameters(), [len(row) for row in rows]) / now / peak
        lines.append(
            f"| {heads} | {length} | {vocabulary:,} | {1e3 * before:.1f} | {1e3 * now:.1f} | {before / now:.2f} | "
            f"{100 * share:.0f} |"
        )
    return [
        "Loss and gradients alone, of 4 documents of 0.9 to 1.1 times the length, by transformers' forward pass with "
        "documents side by side in the attention, and by our own; processor time, in turns. The share is of the rate "
        "of torch's matrix product, which oneDNN's may pass.",
        "",
        "| heads | tokens a document | vocabulary | transformers, ms | ours, ms | faster by | matrix rate, % |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *lines,
    ]


def _seconds_of_passes(model: LlamaForCausalLM, batch: dict[str, torch.Tensor]) -> list[float]:
    """Of transformers' forward pass with its gradient, and of our own, in turns."""
    ways = (lambda: model(**batch, use_cache=False).loss.backward(), lambda: add_gradients(model, **batch))
    times: tuple[list, list] = ([], [])
    for _ in range(1 + 3 * TURNS):
        for way, spent in zip(ways, times):
            model.zero_grad()
            start = time.process_time()
            way()
            spent.append(time.process_time() - start)
    return [statistics.median(spent[1:]) for spent in times]


def _memory() -> list[str]:
    """Peaks of processes of their own: how they grow with the corpus and with the length of sequences."""
    lines = []
    labels = ("ours: packed", "padded to the longest", "padded to the window", "TRL's packing")
    for engine, label in enumerate(labels[: full_or_quick(None, 1)]):
        peaks = [
            peak_of("training", f"train_once({engine}, {modality!r}, {times})")
            for modality, times in OF_MEMORY.values()
        ]
        lines.append(f"| {label} | {' | '.join(f'{peak:,.0f}' for peak in peaks)} |")
    return [
        f"Peak memory of a process that makes {UPDATES} updates and does nothing else, in MB, importing torch, "
        "transformers and the synthesis of the stories included.",
        "",
        f"| batches | {' | '.join(OF_MEMORY)} |",
        f"| :--- |{' ---: |' * len(OF_MEMORY)}",
        *lines,
    ]


def _compare(modality: str, label: str, peak: float) -> list[str]:
    config, ids, rows, runs = _runs(modality)
    lengths = [len(row) for row in rows]
    longest, mean = max(lengths), np.mean(lengths)
    window = max(WINDOW, longest)
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(TURNS):
        for name, once in runs.items():
            rate = once()
            if rate is not None:
                rates[name].append(rate)
    ours = statistics.median(rates["ours: packed"])
    model = make_language_model(config, 0)
    flops = training_flops(config, model.num_parameters(), lengths) / sum(lengths)
    table = [
        f"| {name} | {statistics.median(values):,.0f} | {min(values):,.0f} to {max(values):,.0f} | "
        f"{ours / statistics.median(values):.2f} |"
        for name, values in rates.items()
        if values
    ]
    return [
        f"**{label}**: {mean:.0f} tokens an utterance, {longest} at most; padding to the longest costs "
        f"{longest / mean:.2f} times the positions, to the window {window / mean:.2f} times.",
        "",
        "| batches | tokens/s | spread | ours is faster by |",
        "| :--- | ---: | ---: | ---: |",
        *table,
        "",
        f"Ours computes {flops * ours / 1e9:.1f} GFLOP/s ({model.num_parameters() / 1e6:.2f} M parameters), "
        f"{100 * flops * ours / peak:.0f} % of the matrix product's. {_loader_rate(ids)} "
        f"{_where_it_goes(config, rows)}",
    ]


def _arguments(folder: str, rows: int) -> TrainingArguments:
    return TrainingArguments(**_common(folder, rows))


def _common(folder: str, rows: int) -> dict:
    return {
        "output_dir": folder,
        "max_steps": UPDATES,
        "per_device_train_batch_size": rows,
        "learning_rate": 1e-3,
        "optim": "adamw_torch_fused",
        "use_cpu": True,
        "bf16": resolve_precision("auto", "cpu") == "bf16",
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "seed": 0,
    }


def _rate(trainer: Trainer, tokens_of_updates: list[int]) -> float:
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(clock := _Clock())
    trainer.train()
    return sum(tokens_of_updates[SKIPPED:UPDATES]) / (clock.ends[-1] - clock.ends[SKIPPED - 1])


def _ours(config, ids: list) -> float:
    with tempfile.TemporaryDirectory() as folder:
        write_ids(Path(folder), "train", ids)
        dataset = TokenizedUtterances(folder, "train", BOS, EOS)
        sampler = UtteranceBatchSampler(len(dataset), UTTERANCES, 0)
        trainer = PackedTrainer(
            model=make_language_model(config, 0),
            args=_arguments(folder, UTTERANCES),
            train_dataset=dataset,
            sampler=sampler,
        )
        return _rate(trainer, [int(dataset.lengths[batch].sum()) for batch in sampler])


class _Counted:
    """A collator that counts the tokens of each batch that are not padding."""

    def __init__(self, collate):
        self.collate, self.tokens = collate, []

    def __call__(self, rows):
        batch = self.collate(rows)
        self.tokens.append(int((batch["labels"] != -100).sum()))
        return batch


def _padded(config, rows: list[np.ndarray], length: int) -> float:
    def collate(batch: list[dict]) -> dict[str, torch.Tensor]:
        ids, mask = np.full((len(batch), length), PAD), np.zeros((len(batch), length), np.int64)
        for index, row in enumerate(batch):
            ids[index, : len(row["input_ids"])], mask[index, : len(row["input_ids"])] = row["input_ids"], 1
        tensors = {"input_ids": ids, "attention_mask": mask, "labels": np.where(mask == 1, ids, -100)}
        return {name: torch.from_numpy(value) for name, value in tensors.items()}

    counted = _Counted(collate)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=_plain(config),
            args=_arguments(folder, UTTERANCES),
            train_dataset=Dataset.from_dict({"input_ids": rows}),
            data_collator=counted,
        )
        return _rate(trainer, counted.tokens)


def _trl(config, rows: list[np.ndarray], window: int) -> float | None:
    try:
        from trl import SFTConfig, SFTTrainer
    except ImportError:
        return None
    from transformers import PreTrainedTokenizerFast

    from evoslm.models.tokenizers.by_modality import train_tokenizer

    tokenizer: PreTrainedTokenizerFast = train_tokenizer("phone_repeat", ["SIL"])
    mean = np.mean([len(row) for row in rows])
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            **_common(folder, max(1, round(UTTERANCES * mean / window))),
            packing=True,
            max_length=window,
            dataset_kwargs={"skip_prepare_dataset": False},
            gradient_checkpointing=False,
        )
        trainer = SFTTrainer(
            model=_plain(config),
            args=arguments,
            train_dataset=Dataset.from_dict({"input_ids": [row.tolist() for row in rows * 2]}),
            processing_class=tokenizer,
        )
        counted = _Counted(trainer.data_collator)
        trainer.data_collator = counted
        return _rate(trainer, counted.tokens)


def _plain(config) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM._from_config(config, attn_implementation="sdpa")


def _loader_rate(ids: list) -> str:
    with tempfile.TemporaryDirectory() as folder:
        write_ids(Path(folder), "train", ids)
        dataset = TokenizedUtterances(folder, "train", BOS, EOS)
        start = time.perf_counter()
        tokens = 0
        for batch in UtteranceBatchSampler(len(dataset), UTTERANCES, 0):
            tokens += collate_packed([dataset[row] for row in batch])["input_ids"].numel()
        rate = tokens / (time.perf_counter() - start)
    return f"The loader alone lays out {rate / 1e6:.1f} million tokens a second."


def _where_it_goes(config, rows: list[np.ndarray]) -> str:
    """The share of an update's time by kind of operation, as torch's profiler sees it."""
    from torch.profiler import ProfilerActivity, profile

    model = make_language_model(config, 0)
    batch = collate_packed(rows[:UTTERANCES])
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def update() -> None:
        add_gradients(model, **batch)
        optimizer.step()
        optimizer.zero_grad()

    update()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        update()
    kinds = {
        "matrix products, the attention's too": ("_linear_pointwise", "aten::mm", "aten::bmm"),
        "softmax and loss": ("softmax", "logsumexp"),
        "optimizer": ("_fused_adam",),
    }
    spent = dict.fromkeys([*kinds, "everything else"], 0.0)
    for event in profiler.key_averages():
        kind = next((kind for kind, names in kinds.items() if any(name in event.key for name in names)), None)
        spent[kind or "everything else"] += event.self_cpu_time_total
    total = sum(spent.values())
    shares = ", ".join(f"{kind} {100 * part / total:.0f} %" for kind, part in spent.items())
    return f"Where an update's time goes: {shares}."
