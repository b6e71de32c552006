"""Log-likelihoods of minimal pairs: batched and with shared contexts against one sequence at a time."""

import numpy as np
import torch
from transformers import LlamaForCausalLM

from evoslm.models.scoring import sequence_log_likelihoods

from .common import laptop_config, seconds, story_ids


def run() -> str:
    torch.set_num_threads(1)
    ids = [row.tolist() for row in story_ids("phone_raw", 6000)]
    torch.manual_seed(0)
    model = LlamaForCausalLM._from_config(laptop_config(80)).eval()
    random = np.random.default_rng(0)
    short = [row[:length] for row, length in zip(ids, random.integers(15, 45, len(ids)))]
    contexts = [row[:150] for row in ids for _ in range(2)]
    endings = [other[150 : 150 + length] for row in ids for other, length in ((row, 40), (ids[0], 42))]
    endings = [ending or [5] for ending in endings]

    naive = seconds(lambda: _one_at_a_time(model, short), repeats=3)
    batched = seconds(lambda: sequence_log_likelihoods(model, short, bos_token_id=1), repeats=3)
    score = {"bos_token_id": 1, "contexts": contexts}
    shared = seconds(lambda: sequence_log_likelihoods(model, endings, **score), repeats=3)
    apart = seconds(lambda: sequence_log_likelihoods(model, endings, share_prefixes=False, **score), repeats=3)
    difference = np.abs(sequence_log_likelihoods(model, short, bos_token_id=1) - _one_at_a_time(model, short))
    worst = (difference / [len(row) for row in short]).max()
    return "\n".join(
        [
            "## Scoring",
            "",
            "The `laptop` model on phones of stories, fp32, one thread. Sentences have 15 to 45 tokens, endings "
            "have about 40 after a context of 150 that a pair shares. The largest disagreement with one sequence at a "
            f"time is {worst:.1e} nats a token.",
            "",
            "| items | engine | sequences/s | ratio |",
            "| :--- | :--- | ---: | ---: |",
            f"| sentences | one at a time | {len(short) / naive[0]:,.0f} | 1.00 |",
            f"| sentences | ours | {len(short) / batched[0]:,.0f} | {naive[0] / batched[0]:.2f} |",
            f"| endings | ours, contexts not shared | {len(endings) / apart[0]:,.0f} | 1.00 |",
            f"| endings | ours | {len(endings) / shared[0]:,.0f} | {apart[0] / shared[0]:.2f} |",
        ]
    )


def _one_at_a_time(model, sequences: list[list[int]]) -> np.ndarray:
    sums = []
    with torch.inference_mode():
        for sequence in sequences:
            ids = torch.tensor([[1, *sequence]])
            logits = model(ids, use_cache=False).logits[0, :-1].float().log_softmax(-1)
            sums.append(logits.gather(1, ids[0, 1:, None]).double().sum().item())
    return np.array(sums)
