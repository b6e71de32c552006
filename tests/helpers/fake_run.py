"""Makes up a run folder for the tests of the report: complete, tiny and seeded, and never a result of anything.

abilities (in logits) by modality and task -> margins of log-likelihoods -> the files that `evoslm study` writes.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from evoslm.datasets_scripts.pairs.topics.context_overlap import OVERLAP_RULES
from evoslm.metrics.tasks import TASKS
from evoslm.models.modalities import MODALITIES
from evoslm.training.run.study_file import FORMAT

PAPER_SIX = ("text_bpe", "text_raw", "phone_bpe", "phone_raw", "phone_repeat", "speech_units")
RUNGS = {"adjacent": "0", "one word between": "1", "attractor": "3", "relative clause": "4", "anaphora": "5"}
PHENOMENA = ("agreement", "attractor", "determiner", "anaphora", "auxiliary", "quantifier")
TOPICS = ("market", "garden", "harbour", "school", "unbalanced")
GROUPS = {"swuggy": TASKS["swuggy"].bands, "sblimp": tuple(RUNGS)}  # and topics of every other task
SECONDS = {"train": 24_000.0, "validation": 1_200.0, "test": 1_200.0}

# (sWUGGY, sBLIMP, every other task) as logits of accuracy, and (vocabulary, tokens a second).
ABILITIES = {
    "text_bpe": (2.6, 2.4, 1.6),
    "text_raw": (2.5, 1.6, 0.3),
    "phone_bpe": (2.2, 1.5, 0.4),
    "phone_raw": (2.6, 1.4, 0.2),
    "phone_stretch": (1.9, 1.0, 0.1),
    "phone_repeat": (1.3, 0.5, 0.0),
    "speech_units_one_voice": (0.8, 0.2, 0.0),
    "speech_units": (0.3, 0.0, 0.0),
    "speech_units_synthetic": (0.5, 0.1, 0.1),
    "speech_dedup": (0.4, 0.1, 0.0),
    "speech_bpe": (0.2, 0.2, 0.0),
    "speech_syllable": (0.1, 0.3, 0.1),
}
# Of modalities that nobody made up anything for.
_SOME_ABILITIES, _SOME_SIZE = (0.5, 0.2, 0.1), (500, 25.0)
SIZES = {
    "text_bpe": (2048, 3.4),
    "text_raw": (64, 14.2),
    "phone_bpe": (2048, 2.6),
    "phone_raw": (74, 10.1),
    "phone_stretch": (74, 50.5),
    "phone_repeat": (74, 50.0),
    "speech_units_one_voice": (503, 50.0),
    "speech_units": (503, 50.0),
    "speech_units_synthetic": (503, 50.0),
    "speech_dedup": (503, 31.0),
    "speech_bpe": (2051, 14.0),
    "speech_syllable": (1004, 4.9),
}
UPDATES = (25, 100, 200, 400)


def make_fake_run(
    folder: Path,
    modalities: Sequence[str] = PAPER_SIX,
    seeds: Sequence[int] = (0,),
    pairs: int = 120,
    voices: int = 1,
    points: bool = True,
    baselines: bool = True,
    abilities: dict[str, tuple[float, float, float]] | None = None,
) -> Path:
    """Write a made-up run into `folder` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    items = _make_pairs(pairs, voices)
    abilities = dict.fromkeys(MODALITIES, _SOME_ABILITIES) | ABILITIES | (abilities or {})
    _write_settings(folder, modalities, seeds, items)
    for index, modality in enumerate(modalities):
        _write_tokenizer(folder, modality)
        for seed in seeds:
            trained = _write_training(folder, modality, seed)
            rng = np.random.default_rng([seed, index])
            scores = folder / "scores" / modality / f"seed-{seed}"
            _write_items(scores / "best", items, abilities[modality], modality, rng)
            for point in trained["points"] if points else ():
                learnt = np.log(point["updates"]) / np.log(UPDATES[-1])
                weaker = tuple(ability * learnt for ability in abilities[modality])
                _write_items(scores / point["name"], items[items["point"]], weaker, modality, rng)
        if baselines:
            _write_baselines(folder / "scores" / modality, items, modality, np.random.default_rng([99, index]))
    return folder


def _make_pairs(count: int, voices: int) -> pd.DataFrame:
    """One row a pair and voice, with the difficulty that all modalities share."""
    rng = np.random.default_rng(7)
    rows = []
    for task in TASKS:
        groups = GROUPS.get(task, TOPICS)
        for number in range(count):
            group = groups[(number // 2 if task == "sblimp" else number) % len(groups)]
            bands = RUNGS | dict(zip(TASKS[task].bands, TASKS[task].bands))
            difficulty = rng.normal()
            for voice in range(voices):
                rows.append(
                    {
                        "task": task,
                        "pair_id": f"{task}-{number:04d}",
                        "cluster": f"{task}-{number // 2 if task == 'sblimp' else number:04d}",
                        "group": group,
                        "band": bands.get(group, (*TASKS[task].headline_bands, "")[0]),
                        "voice": f"voice-{voice}",
                        "difficulty": difficulty,
                        "point": number < count * 3 // 4,
                    }
                )
    return pd.DataFrame(rows)


def _write_items(
    folder: Path, items: pd.DataFrame, ability: Sequence[float], modality: str, rng: np.random.Generator
) -> None:
    tasks = items["task"].map({"swuggy": 0, "sblimp": 1}).fillna(2).to_numpy(int)
    margin = 1.6 * np.asarray(ability)[tasks] - items["difficulty"] + rng.logistic(size=len(items))
    frame = items[["task", "pair_id", "cluster", "group", "band", "voice"]].copy()
    for side, sign in (("positive", 1), ("negative", -1)):
        # Topics are scored by mean: most of its sides are of one length, which keeps that rule close to the sum.
        frame[f"{side}_tokens"] = np.where(tasks == 2, 40, _lengths(items, modality, rng))
        frame[side] = -40 + sign * margin / 2
        frame[f"{side}_unconditional"] = np.where(tasks == 2, frame[side] - 3 + rng.normal(size=len(items)), np.nan)
    folder.mkdir(parents=True)
    frame.to_parquet(folder / "items.parquet")


def _lengths(items: pd.DataFrame, modality: str, rng: np.random.Generator) -> np.ndarray:
    return np.maximum(1, rng.poisson(SIZES.get(modality, _SOME_SIZE)[1] * 1.5, size=len(items)))


def _write_baselines(folder: Path, items: pd.DataFrame, modality: str, rng: np.random.Generator) -> None:
    frame = items[["task", "pair_id", "cluster", "group", "band", "voice"]].copy()
    for side in ("positive", "negative"):
        frame[f"{side}_tokens"] = _lengths(items, modality, rng)
    for order in range(1, 6):
        margin = max(0, order - 3) * 0.5 + rng.logistic(size=len(items))
        for runs in ("", "runs_") if MODALITIES[modality].repeats_tokens else ("",):
            frame[f"{runs}ngram{order}_positive"] = -30 + margin / 2
            frame[f"{runs}ngram{order}_negative"] = -30 - margin / 2
    if MODALITIES[modality].repeats_tokens:
        for side in ("positive", "negative"):
            frame[f"runs_{side}_tokens"] = frame[f"{side}_tokens"]
    unbalanced, with_context = (
        items["group"] == "unbalanced",
        items["task"].map(lambda task: TASKS[task].needs_context),
    )
    for rule in OVERLAP_RULES:
        # Of unbalanced pairs the true ending shares more; of others one of two.
        shared = np.where(unbalanced, 1, items["pair_id"].str[-4:].astype(int) % 2)
        frame[f"{rule}_positive"] = np.where(with_context, shared, np.nan)
        frame[f"{rule}_negative"] = np.where(with_context, 1 - shared, np.nan)
    (folder / "baselines").mkdir()
    frame.to_parquet(folder / "baselines" / "baselines.parquet")
    _write_json(folder / "baselines" / "summary.json", {"orders": 5, "smoothing": "Witten-Bell, interpolated"})


def _write_tokenizer(folder: Path, modality: str) -> None:
    vocab_size, rate = SIZES.get(modality, _SOME_SIZE)
    summary = {
        "modality": modality,
        "vocab_size": vocab_size,
        "train_tokens": round(rate * SECONDS["train"]),
        "validation_tokens": round(rate * SECONDS["validation"]),
        "tokens_per_second": rate,
    }
    _write_json(folder / "tokenizers" / modality / "summary.json", summary)


def _write_training(folder: Path, modality: str, seed: int) -> dict:
    vocab_size, rate = SIZES.get(modality, _SOME_SIZE)
    bits_per_second = 30 + rate
    points = [
        {
            "name": f"updates-{updates:06d}",
            "updates": updates,
            "epochs": updates / 100,
            "tokens": round(rate * SECONDS["train"] * updates / 100),
            "flops": 1e9 * updates,
            "validation_loss": float((bits_per_second + 60 / updates**0.5 + seed) * np.log(2) / rate),
        }
        for updates in UPDATES
    ]
    training = {
        "parameters": 1_800_000 + 192 * vocab_size,
        "updates": UPDATES[-1],
        "epochs": 4.0,
        "tokens_seen": points[-1]["tokens"],
        "flops": points[-1]["flops"],
        "precision": "fp32",
        "train_seconds": 60.0 + rate,
        "best_validation_loss": points[-1]["validation_loss"],
        "best_update": UPDATES[-1],
        "points": points[:-1],
        "evaluations": points[1:],
    }
    _write_json(folder / "models" / modality / f"seed-{seed}" / "training.json", training)
    return training


def _write_settings(folder: Path, modalities: Sequence[str], seeds: Sequence[int], items: pd.DataFrame) -> None:
    study = {
        "format": FORMAT,
        "voices": "many",
        "configuration": {
            "run": {"preset": "laptop", "training_seeds": list(seeds)},
            "corpus": {"corpus": "stories", "max_words": 60_000, "voices": "many", "corpus_seed": 0},
        },
        "versions": {"evoslm": "0.1.0", "torch": "2.11.0", "transformers": "5.23.0"},
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "device": "cpu (2 cores)",
        "started": "2025-01-01T12:00:00+00:00",
        "modalities": list(modalities),
        "seeds": list(seeds),
        "stages": [
            {"name": "corpus/passages", "seconds": 1.2, "peak_memory_mb": 212.0},
            {"name": "corpus/utterances", "seconds": 60.0, "peak_memory_mb": 812.0},
            {"name": "models/text_bpe/seed-0", "seconds": 702.5},
        ],
        "encoder_label": "MFCC",
    }
    _write_json(folder / "study.json", study)
    corpus = {
        "corpus": "stories",
        "words": {"train": 54_000, "validation": 3_000, "test": 3_000},
        "utterances": {"train": 1_080, "validation": 60, "test": 60},
        "seconds": SECONDS,
        "documents": {"train": 1_080, "validation": 60, "test": 60},
        "voices": "many",
        "rate": "fixed",
        "speakers": 24,
        "dropped": {"near-duplicate": 3},
    }
    _write_json(folder / "corpus" / "summary.json", corpus)
    pairs = {}
    for task, rows in items.drop_duplicates("pair_id").groupby("task", sort=False):
        groups = {str(group): int(count) for group, count in rows["group"].value_counts(sort=False).items()}
        pairs[task] = {
            "n": len(rows),
            "groups": groups,
            "made": len(rows) + 4,
            "rendering": {"pairs": len(rows), "rows": len(rows), "sound_alike": 3, "skipped": 1},
            "report": {"words": 2434, "dropped": {"sounds like the word": 656}},
        }
    phenomena = {name: {"pairs": 2000, "share_kept": 0.216} for name in PHENOMENA}
    pairs["sblimp"]["report"] = {"source": "a folder", "phenomena": phenomena, "drawn": 90, "occur": 30}
    pairs["sblimp"]["report"]["seen"] = {"sentences": {"asked": 240, "in_training": 0}}
    _write_json(folder / "pairs" / "summary.json", pairs)
    for name, pnmi in {"speech_units": 0.58, "speech_units_one_voice": 0.74}.items():
        quality = {
            "pnmi": pnmi,
            "phone_purity": pnmi + 0.02,
            "cluster_purity": pnmi - 0.3,
            "units_used": 0.996,
            "mean_run_frames": 1.7,
            "bits_per_second": 240.5,
            "num_frames": 88077.0,
        }
        _write_json(folder / "units" / name / "utterances" / "quality.json", quality)


def _write_json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
