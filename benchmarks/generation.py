"""Tokens a second of batched generation: prompts and draws of the continuation task, by one and the same checkpoint.

A model of the `laptop` preset's shape over phones (or a run's Phone-Repeat with `--run RUN`), 20 prompts of different
lengths, 10 draws each, all of one length -> `continue_prompts` beside `generate` of transformers (a row at a time, and
in the same batches), all on `--device`, and beside vLLM where it is installed, which chooses its own.
"""

import os
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from evoslm.models.generation import Drawing, continue_prompts
from evoslm.models.phones import ARPABET
from evoslm.models.tokenizers.phones import word_level_tokenizer
from evoslm.training.report.formatting import markdown_table, number
from evoslm.training.run.environment import describe_device
from evoslm.training.run.workers import resolve_device

from .common import laptop_config
from .flags import DEVICE, RUN, full_or_quick

PROMPTS, DRAWS = full_or_quick((20, 10), (3, 2))
NEW_TOKENS = full_or_quick(200, 8)
ALONE = full_or_quick(4, 1)
"""Rows that are generated one at a time: all would take minutes."""
BATCH = 128
TOP_P = 0.9
ROUNDS = full_or_quick(3, 1)


def run() -> str:
    folder, device = os.environ.get(RUN), resolve_device(os.environ.get(DEVICE, "auto"))
    with tempfile.TemporaryDirectory() as made:
        place = Path(folder) / "models" / "phone_repeat" if folder else None
        checkpoint = sorted(place.glob("seed-*"))[0] if place else _make_checkpoint(Path(made))
        model = AutoModelForCausalLM.from_pretrained(checkpoint).eval().to(device)
        rows = _prompts(len(AutoTokenizer.from_pretrained(checkpoint)), model.config.bos_token_id)
        ways = {
            "`generate`, a row at a time": (lambda: _generate(model, rows[:ALONE], 1), ALONE),
            f"`generate`, batches of {BATCH}": (lambda: _generate(model, rows, BATCH), len(rows)),
            f"`continue_prompts`, batches of {BATCH}": (lambda: _continue(model, rows), len(rows)),
        }
        if find_spec("vllm") is not None:
            ways["vLLM"] = (_vllm(str(checkpoint), rows), len(rows))
        rates = {name: _rates(way, count * NEW_TOKENS) for name, (way, count) in ways.items()}
    first = float(np.median(next(iter(rates.values()))))
    table = [
        [name, number(float(np.median(own)), 0), f"{number(min(own), 0)} to {number(max(own), 0)}"]
        + [number(float(np.median(own)) / first, 2)]
        for name, own in rates.items()
    ]
    size = sum(weight.numel() for weight in model.parameters())
    whose = f"Phone-Repeat of {Path(folder).name}" if folder else "an untrained model of the laptop preset's shape"
    where = describe_device(device)
    where += f", {torch.get_num_threads()} threads" if device == "cpu" else ""
    lacks = "" if find_spec("vllm") is not None else " vLLM is not installed here and was not measured."
    return "\n".join(
        [
            "## Generation",
            "",
            f"{PROMPTS} prompts of {len(rows[0])} to {max(map(len, rows))} tokens, {DRAWS} draws each, {NEW_TOKENS} "
            f"new tokens of every row, top-p {TOP_P}: {whose}, {size:,} parameters, fp32, {where}; "
            f"median of {ROUNDS} rounds.{lacks} Rows of `continue_prompts` do not depend on what is in their "
            "batch, which costs a generator a row.",
            "",
            markdown_table(["how", "tokens a second", "range", "ratio"], table),
        ]
    )


def _make_checkpoint(folder: Path) -> Path:
    tokenizer = word_level_tokenizer(ARPABET)
    special = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    torch.manual_seed(0)
    LlamaForCausalLM(laptop_config(len(tokenizer), **special)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _prompts(vocabulary: int, bos: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    prompts = [[bos, *rng.integers(4, vocabulary, 9 + 4 * place).tolist()] for place in range(PROMPTS)]
    return [prompt for _ in range(DRAWS) for prompt in prompts]


def _rates(way: Callable[[], None], tokens: int) -> list[float]:
    way()  # what is made at first use
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        way()
        rates.append(tokens / (time.perf_counter() - start))
    return rates


def _continue(model, rows: list[list[int]]) -> None:
    drawing = Drawing(NEW_TOKENS, top_p=TOP_P, min_new_tokens=NEW_TOKENS)
    written = continue_prompts(model, rows, drawing, BATCH)
    assert all(len(own.ids) == NEW_TOKENS for own in written)


@torch.inference_mode()
def _generate(model, rows: list[list[int]], batch_size: int) -> None:
    rows = sorted(rows, key=len)
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        longest = max(map(len, batch))
        padded = [[model.config.pad_token_id] * (longest - len(row)) + row for row in batch]
        shown = [[0] * (longest - len(row)) + [1] * len(row) for row in batch]
        ids, mask = (torch.tensor(table, device=model.device) for table in (padded, shown))
        options = {"do_sample": True, "top_p": TOP_P, "top_k": 0, "max_new_tokens": NEW_TOKENS}
        output = model.generate(input_ids=ids, attention_mask=mask, min_new_tokens=NEW_TOKENS, **options)
        assert output.shape[1] == longest + NEW_TOKENS


def _vllm(checkpoint: str, rows: list[list[int]]) -> Callable[[], None]:
    from vllm import LLM, SamplingParams

    engine = LLM(checkpoint, dtype="float32")
    sampling = SamplingParams(max_tokens=NEW_TOKENS, min_tokens=NEW_TOKENS, top_p=TOP_P, ignore_eos=True)
    prompts = [{"prompt_token_ids": row} for row in rows]
    return lambda: engine.generate(prompts, sampling)
