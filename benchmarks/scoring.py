"""Log-likelihoods of minimal pairs: ours beside minicons, lm-evaluation-harness and one sequence at a time.

The same model and the same sentences (the stories' sBLIMP, or with `--blimp FOLDER` BLiMP's), in turns, so that a
machine that slows down slows all of them.
"""

import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaForCausalLM

from evoslm.datasets_scripts.pairs.sblimp import generate_sblimp_pairs
from evoslm.datasets_scripts.stories.rich.generation import generate_stories
from evoslm.models.scoring import score_pairs
from evoslm.models.tokenizers.by_modality import train_tokenizer

from .common import laptop_config, peak_of, story_ids
from .flags import BLIMP, full_or_quick

PAIRS, SLOW_PAIRS, TURNS = full_or_quick((2000, 300, 3), (64, 8, 1))
PIECES, WORDS = full_or_quick((2048, 20_000), (500, 2_000))
"""Of the tokenizer, and of the stories that it is trained on beside the pairs, which alone do not have so many."""
BATCHES = full_or_quick((16, 64, 256), (64,))
SIZES = full_or_quick(((1, 1), (10, 1), (1, 10)), ((1, 1),))  # times as many pairs, times as long
LARGER = {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 8}
CONTEXTS = full_or_quick(
    (
        ({}, "phone_raw", 6000, 0.8),
        ({}, "phone_repeat", 3000, 0.8),
        (LARGER, "phone_raw", 2000, 0.8),
        (LARGER, "phone_raw", 2000, 0.9),
    ),
    (({}, "phone_raw", 300, 0.8),),
)
"""Shape of the model, modality, words of stories, and the share of a story that is context."""
VOCABULARIES = full_or_quick((32_000, 128_000, 262_144), (1_000,))
WIDE_PAIRS = full_or_quick(120, 8)
WIDE = {  # Gemma 3 270M's, but for its vocabulary
    "hidden_size": full_or_quick(640, 64),
    "intermediate_size": full_or_quick(2048, 64),
    "num_hidden_layers": full_or_quick(18, 1),
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
}
CONTEXT_WORDS = full_or_quick(30_000, 400)
OF_CONTEXTS = ("batch 16", "batch 64")
OF_MEMORY = full_or_quick(("ours", "minicons, batch 64", "lm-evaluation-harness, batch 64"), ("ours",))
OF_WIDE = full_or_quick(("batch 16", "batch 64"), ("minicons, batch 64",))


def run() -> str:
    rows, source = _pairs()
    model, tokenizer, engines = _engines(rows)
    sentences = [row[side] for row in rows for side in ("positive", "negative")]
    lengths = np.array([len(ids) for ids in tokenizer(sentences, add_special_tokens=False)["input_ids"]])
    table = _table(engines, rows, lengths)
    return "\n".join(
        [
            "## Scoring",
            "",
            f"{PAIRS:,} pairs of {source} ({lengths.mean():.1f} tokens a sentence), the `laptop` preset's model "
            f"({model.num_parameters() / 1e6:.2f} M parameters, {PIECES:,} pieces), fp32, {torch.get_num_threads()} "
            f"threads. Each engine had {TURNS} turns, one after another; the slowest settings had {SLOW_PAIRS} of the "
            "pairs. 'apart': the largest difference to ours, in nats a token. The ratio of processor times is what a "
            "machine with other work leaves unchanged.",
            "",
            *table,
            "",
            *_behind_contexts(),
            "",
            *_as_a_task(model, tokenizer, rows),
            "",
            *_shared_contexts(),
            "",
            *_wide_vocabularies(rows[:WIDE_PAIRS]),
            "",
            *_memory(engines),
        ]
    )


def _engines(rows: list[dict], vocabulary: int | None = None, **shape) -> tuple:
    sentences = [row[side] for row in rows for side in ("positive", "negative")]
    stories = [" ".join(story.sentences) for story in generate_stories(WORDS, 0)]
    tokenizer = train_tokenizer("text_bpe", [*sentences, *stories], vocab_size=PIECES)
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = laptop_config(vocabulary or len(tokenizer), **ends, **shape)
    torch.manual_seed(0)
    model = LlamaForCausalLM._from_config(config).eval()
    engines = {
        "ours": lambda pairs: _ours(model, tokenizer, pairs),
        "one sequence at a time": lambda pairs: _one_at_a_time(model, tokenizer, pairs),
        **_minicons(model, tokenizer),
        **_harness(model, tokenizer),
    }
    return model, tokenizer, engines


def _table(engines: dict, rows: list[dict], lengths: np.ndarray) -> list[str]:
    """Turns of all engines, and what they took."""
    few = {name for name in engines if name.endswith("batch 1") or name.startswith("one")}
    rates: dict[str, list[float]] = {name: [] for name in engines}
    processor: dict[str, list[float]] = {name: [] for name in engines}
    values = {}
    for _ in range(TURNS):
        for name, engine in engines.items():
            pairs = rows[:SLOW_PAIRS] if name in few else rows
            start, processor_start = time.perf_counter(), time.process_time()
            values[name] = engine(pairs)
            rates[name].append(len(pairs) / (time.perf_counter() - start))
            processor[name].append((time.process_time() - processor_start) / len(pairs))
    ours, our_processor = statistics.median(rates["ours"]), statistics.median(processor["ours"])
    lines = [
        "| engine | pairs/s | spread | ours is faster by | in processor time | apart |",
        "| :--- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in engines:
        middle = statistics.median(rates[name])
        count = len(values[name])
        apart = np.abs(values[name] - values["ours"][:count]) / lengths[:count]
        lines.append(
            f"| {name} | {middle:,.0f} | {min(rates[name]):,.0f} to {max(rates[name]):,.0f} | {ours / middle:.2f} | "
            f"{statistics.median(processor[name]) / our_processor:.2f} | {apart.max():.0e} |"
        )
    return lines


def _behind_contexts() -> list[str]:
    """Endings of stories behind what precedes them, beside the peers, on text as a user would score it."""
    stories = [story.sentences for story in generate_stories(CONTEXT_WORDS, 1)]
    endings = [sentences[-1] for sentences in stories]
    rows = [
        {"context": " ".join(sentences[:-1]), "positive": ending, "negative": other}
        for sentences, ending, other in zip(stories, endings, [*endings[1:], endings[0]])
    ]
    _, tokenizer, engines = _engines(rows)
    engines = {name: engine for name, engine in engines.items() if name == "ours" or name.endswith(OF_CONTEXTS)}
    sides = [row[side] for row in rows for side in ("positive", "negative")]
    before, lengths = (
        np.array([len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]])
        for texts in ([row["context"] for row in rows], sides)
    )
    return [
        f"{len(rows):,} pairs with contexts: the last sentence of a story and that of another one "
        f"({lengths.mean():.1f} tokens) behind the sentences before it ({before.mean():.1f} tokens). "
        "lm-evaluation-harness is given token ids, so that its tokenisation is not measured.",
        "",
        *_table(engines, rows, lengths),
    ]


def _pairs() -> tuple[list[dict], str]:
    folder = os.environ.get(BLIMP)
    if folder:
        rows = []
        for path in sorted(Path(folder).glob("*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines()[:40]:
                pair = json.loads(line)
                rows.append({"positive": pair["sentence_good"], "negative": pair["sentence_bad"]})
        return rows[:PAIRS], "BLiMP"
    pairs = generate_sblimp_pairs(PAIRS, 0)
    return [{"positive": pair.positive, "negative": pair.negative} for pair in pairs][:PAIRS], "the stories' sBLIMP"


def _ours(model, tokenizer, pairs: Sequence[dict]) -> np.ndarray:
    scores = score_pairs(model, tokenizer, pairs, unconditional=False)
    return np.array([row[side] for row in scores for side in ("positive", "negative")])


def _one_at_a_time(model, tokenizer, pairs: Sequence[dict]) -> np.ndarray:
    sums = []
    with torch.inference_mode():
        for context, side in _ids(tokenizer, pairs):
            ids = torch.tensor([context + side])
            log_probs = model(ids, use_cache=False).logits[0, len(context) - 1 : -1].float().log_softmax(-1)
            sums.append(log_probs.gather(1, ids[0, len(context) :, None]).double().sum().item())
    return np.array(sums)


def _ids(tokenizer, pairs: Sequence[dict]):
    """(BOS and context, side) of each side."""
    for pair in pairs:
        context = tokenizer(pair.get("context", ""), add_special_tokens=False)["input_ids"]
        for side in ("positive", "negative"):
            yield [tokenizer.bos_token_id, *context], tokenizer(pair[side], add_special_tokens=False)["input_ids"]


def _minicons(model, tokenizer) -> dict[str, Callable]:
    try:
        from minicons.scorer import IncrementalLMScorer
    except ImportError:
        return {}
    scorer = IncrementalLMScorer(model, "cpu", tokenizer=tokenizer)  # which adds <s> by itself

    def score(pairs: Sequence[dict], batch: int) -> np.ndarray:
        sentences = [pair[side] for pair in pairs for side in ("positive", "negative")]
        contexts = [pair["context"] for pair in pairs for _ in range(2) if "context" in pair]
        how = {"reduction": lambda x: x.sum(0).item(), "bos_token": False}
        sums = []
        for start in range(0, len(sentences), batch):
            part = slice(start, start + batch)
            if contexts:
                sums += scorer.conditional_score(contexts[part], sentences[part], **how)
            else:
                sums += scorer.sequence_score(sentences[part], **how)
        return np.array(sums)

    return {f"minicons, batch {batch}": lambda pairs, batch=batch: score(pairs, batch) for batch in (1, *BATCHES)}


def _harness(model, tokenizer) -> dict[str, Callable]:
    try:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM
    except ImportError:
        return {}

    def score(pairs: Sequence[dict], batch: int) -> np.ndarray:
        harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch, device="cpu", add_bos_token=False)
        if "context" in pairs[0]:
            requests = [(("", ""), *ids) for ids in _ids(tokenizer, pairs)]
            return np.array([value for value, _ in harness._loglikelihood_tokens(requests, disable_tqdm=True)])
        requests = [
            Instance(request_type="loglikelihood", doc={}, arguments=("", pair[side]), idx=index)
            for index, pair in enumerate(pairs)
            for side in ("positive", "negative")
        ]
        return np.array([value for value, _ in harness.loglikelihood(requests, disable_tqdm=True)])

    return {
        f"lm-evaluation-harness, batch {batch}": lambda pairs, batch=batch: score(pairs, batch)
        for batch in (1, *BATCHES)
    }


def _shared_contexts() -> list[str]:
    """Endings behind a context that a pair shares, as in Topic-SC: the last part of a story, and of another one."""
    from evoslm.models.scoring.pairs import sequence_log_likelihoods

    lines = [
        "Endings behind a context that the two of a pair share, as in Topic-SC (the end of a story, and that of "
        "another one). 'At most': the ratio of tokens, which no engine passes.",
        "",
        "| parameters | tokens before, of an ending | endings/s | contexts not shared | ratio | at most |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for shape, modality, words, share_before in CONTEXTS:
        torch.manual_seed(0)
        model = LlamaForCausalLM._from_config(laptop_config(80, **shape)).eval()
        ids = [row.tolist() for row in story_ids(modality, words)]
        cuts = [int(len(row) * share_before) for row in ids]
        contexts = [row[:cut] for row, cut in zip(ids, cuts) for _ in range(2)]
        tails = [row[cut:] for row, cut in zip(ids, cuts)]
        endings = [tail for pair in zip(tails, tails[1:] + tails[:1]) for tail in pair]
        times: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(TURNS):
            for share in times:
                start = time.perf_counter()
                sequence_log_likelihoods(model, endings, contexts, bos_token_id=1, share_prefixes=share)
                times[share].append(time.perf_counter() - start)
        shared, apart = (statistics.median(times[share]) for share in (True, False))
        before, after = np.mean([len(row) for row in contexts]), np.mean([len(row) for row in endings])
        lines.append(
            f"| {model.num_parameters() / 1e6:.1f} M | {before:.0f}, {after:.0f} | {len(endings) / shared:,.0f} | "
            f"{len(endings) / apart:,.0f} | {apart / shared:.2f} | {(before + after) / (before / 2 + after):.2f} |"
        )
    return lines


def _wide_vocabularies(rows: list[dict]) -> list[str]:
    """Models whose output layer is most of the work, and the peaks of processes that score with one of them."""
    lines = []
    for vocabulary in VOCABULARIES:
        model, tokenizer, engines = _engines(rows, vocabulary, **WIDE)
        sentences = [row[side] for row in rows for side in ("positive", "negative")]
        lengths = np.array([len(ids) for ids in tokenizer(sentences, add_special_tokens=False)["input_ids"]])
        seconds, values = {}, {}
        for name, engine in engines.items():
            if name == "ours" or name.endswith(OF_WIDE):
                engine(rows[:1])  # what is slow the first time is not the engine's
                start = time.perf_counter()
                values[name] = engine(rows)
                seconds[name] = time.perf_counter() - start
        size = model.num_parameters() / 1e6
        del model, engines
        for name, value in values.items():
            peak = peak_of("scoring", f"score_wide({name!r}, {vocabulary}, {len(rows)})")
            apart = (np.abs(value - values["ours"]) / lengths).max()
            lines.append(
                f"| {vocabulary:,} | {size:.0f} M | {name} | {len(rows) / seconds[name]:,.1f} | "
                f"{seconds[name] / seconds['ours']:.2f} | {apart:.0e} | {peak:,.0f} |"
            )
    return [
        f"Wide vocabularies: {len(rows)} of the pairs, models with random weights in the shape of Gemma 3 270M but "
        "for the number of pieces, one turn. The peak is that of a process of its own, in MB, weights included.",
        "",
        "| pieces | parameters | engine | pairs/s | ours is faster by | apart | peak memory |",
        "| ---: | ---: | :--- | ---: | ---: | ---: | ---: |",
        *lines,
    ]


def score_wide(engine: str, vocabulary: int, pairs: int) -> None:
    """One engine with a wide vocabulary; what a process that is measured calls."""
    rows = _pairs()[0][:pairs]
    _, _, engines = _engines(rows, vocabulary, **WIDE)
    engines[engine](rows)


def _as_a_task(model, tokenizer, rows: list[dict]) -> list[str]:
    """The pairs as a local task of lm-evaluation-harness, by its own model class and by ours inside it."""
    try:
        import lm_eval
        from lm_eval.models.huggingface import HFLM
    except ImportError:
        return ["lm-evaluation-harness is not installed."]
    from evoslm.models.scoring.harness import EvoSLMHarnessModel

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    rates, accuracies = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pairs.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        task = {
            "task": "pairs",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"train": str(file)}},
            "output_type": "multiple_choice",
            "validation_split": "train",
            "doc_to_text": "",
            "doc_to_target": 0,
            "doc_to_choice": "{{[positive, negative]}}",
            "metric_list": [{"metric": "acc"}],
        }
        for name, kind, batch in (("hf", HFLM, 1), ("hf", HFLM, 64), ("evoslm", EvoSLMHarnessModel, 64)):
            harness = kind(pretrained=model, tokenizer=tokenizer, batch_size=batch, device="cpu", add_bos_token=False)
            start = time.perf_counter()
            found = lm_eval.simple_evaluate(harness, tasks=[task], bootstrap_iters=0, verbosity="ERROR")
            rates[f"`{name}`, batch {batch}"] = len(rows) / (time.perf_counter() - start)
            accuracies[f"`{name}`, batch {batch}"] = found["results"]["pairs"]["acc,none"]
    fastest = rates["`evoslm`, batch 64"]
    lines = [
        f"| {name} | {rate:,.0f} | {fastest / rate:.2f} | {accuracies[name]:.4f} |" for name, rate in rates.items()
    ]
    return [
        "The same pairs as a local task of lm-evaluation-harness, everything that it does around the model included "
        "(one turn). `evoslm` is our engine as its model class (`evoslm.models.scoring.harness`), where the batch "
        "size has no effect.",
        "",
        "| model class | pairs/s | `evoslm` is faster by | accuracy |",
        "| :--- | ---: | ---: | ---: |",
        *lines,
    ]


def score_once(engine: str, times: int, length: int) -> None:
    """One engine on `times` as many pairs, each `length` times as long; what a process that is measured calls."""
    rows, _ = _pairs()
    _, _, engines = _engines(rows)
    rows = [
        {side: " ".join([f"{number} {row[side]}"] * length) for side in ("positive", "negative")}
        for number in range(times)
        for row in rows
    ]
    engines[engine](rows[: max(64, len(rows) // length)])


def _memory(engines: dict) -> list[str]:
    """Peaks of processes of their own: how they grow with pairs and with the length of sequences."""
    lines = []
    for engine in OF_MEMORY:
        if engine in engines:
            peaks = [peak_of("scoring", f"score_once({engine!r}, {times}, {length})") for times, length in SIZES]
            lines.append(f"| {engine} | {' | '.join(f'{peak:,.0f}' for peak in peaks)} |")
    return [
        "Peak memory of a process that does only this, in MB, importing torch and transformers included "
        "(10 times as long: a tenth of the pairs).",
        "",
        f"| engine | {' | '.join((f'{PAIRS:,} pairs', '10 times as many', '10 times as long')[: len(SIZES)])} |",
        f"| :--- |{' ---: |' * len(SIZES)}",
        *lines,
    ]
