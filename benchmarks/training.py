"""Training steps on stories at 50 Hz: packed rows against rows padded to the longest and to a fixed window."""

import numpy as np
import torch
from transformers import LlamaForCausalLM

from evoslm.models.language_model import make_language_model, training_flops
from evoslm.training.data import collate_packed

from .common import laptop_config, matrix_rate, seconds, story_ids

UTTERANCES = 4
WINDOW = 1024


def run() -> str:
    torch.set_num_threads(1)
    ids = story_ids("phone_repeat", 4000)
    batches = [
        [np.concatenate([[1], row, [2]]).astype(np.int64) for row in ids[start : start + UTTERANCES]]
        for start in range(0, len(ids) - UTTERANCES + 1, UTTERANCES)
    ][:8]
    tokens = sum(len(row) for batch in batches for row in batch)
    mean = tokens / UTTERANCES / len(batches)
    longest = max(len(row) for batch in batches for row in batch)
    config = laptop_config(80)
    packed = make_language_model(config, 0)
    plain = LlamaForCausalLM._from_config(config, attn_implementation="sdpa")

    def train(model, collate):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        inputs = [collate(batch) for batch in batches]

        def step() -> None:
            for batch in inputs:
                model(**batch, use_cache=False).loss.backward()
                optimizer.step()
                optimizer.zero_grad()

        return seconds(step, repeats=3)

    window = max(WINDOW, longest)
    times = {
        "packed (ours)": train(packed, collate_packed),
        f"padded to the longest utterance ({longest})": train(plain, lambda batch: _pad(batch, longest)),
        f"padded to a window of {window}": train(plain, lambda batch: _pad(batch, window)),
    }
    ours = times["packed (ours)"][0]
    parameters = sum(weight.numel() for weight in packed.parameters())
    flops = sum(training_flops(config, parameters, [len(row) for row in batch]) for batch in batches)
    rate = matrix_rate()
    rows = [
        f"| {name} | {tokens / middle:,.0f} | {tokens / slow:,.0f} to {tokens / fast:,.0f} | {middle / ours:.2f} |"
        for name, (middle, fast, slow) in times.items()
    ]
    return "\n".join(
        [
            "## Training",
            "",
            f"Phone-Repeat of stories, {UTTERANCES} utterances an update, the `laptop` model "
            f"({parameters / 1e6:.2f} M parameters), fp32, one thread. Tokens are those that "
            f"are not padding. Mean length {mean:.0f}, "
            f"longest {longest}. The packed steps run at {flops / ours / 1e9:.0f} GFLOP/s, "
            f"{100 * flops / ours / rate:.0f} % of the {rate / 1e9:.0f} GFLOP/s of a plain matrix product.",
            "",
            "| batches | tokens/s | spread | time against ours |",
            "| :--- | ---: | ---: | ---: |",
            *rows,
        ]
    )


def _pad(batch: list[np.ndarray], length: int) -> dict[str, torch.Tensor]:
    ids, mask = np.zeros((len(batch), length), np.int64), np.zeros((len(batch), length), np.int64)
    for row, sequence in enumerate(batch):
        ids[row, : len(sequence)], mask[row, : len(sequence)] = sequence, 1
    labels = np.where(mask == 1, ids, -100)
    return {
        name: torch.from_numpy(value)
        for name, value in (("input_ids", ids), ("attention_mask", mask), ("labels", labels))
    }
