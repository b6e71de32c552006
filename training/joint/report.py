"""The report of joint models: bits a word, alone and after the other modality, and minimal pairs in both.

`bits.json` and `items.parquet` of each model and seed -> means and intervals over what was asked and seeds ->
`report.md` and `results.json`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...metrics.judging import in_headline
from ...metrics.tasks import TASKS
from ...models.files import read_json, write_json
from ...models.scoring.retrieval import DIRECTIONS
from ...models.seed_intervals import half_widths
from ..report.estimates import difference, estimate, pair_outcomes
from ..run.environment import describe_commit, describe_device, describe_versions
from ..run.folder import ITEMS_FILE, TRAINING_FILE
from ..run.places import without_places
from ..run.stage import read_fingerprint
from .bits import QUESTIONS
from .scores import FORMS
from .stages import BITS_FILE, RETRIEVAL_FILE

REPORT_FILE, RESULTS_FILE = "report.md", "results.json"
NEVER_SEEN = {"speech": "text", "text": "speech"}
"""What a model of one modality was never shown: of it nothing is asked."""
_PROTOCOL = ("epochs", "learning_rate", "utterances_per_batch")  # the run's where they are not given
UNPAIRED = "unpaired"
"""The model that has read both modalities, and never both in one sequence."""
LABELS = {"speech": "speech", "text": "text", UNPAIRED: "unpaired", "cst": "CST", "ast": "AST", "cst_ast": "CST + AST"}


def write_joint_report(
    folder: Path,
    models: Sequence[str],
    seeds: Sequence[int],
    study: dict[str, Any],
    configuration: dict[str, Any],
    device: str,
) -> Path:
    """
    Write `report.md` and `results.json`.

    Args:
        folder (`Path`): The folder of joint models.
        models (`Sequence[str]`): Their names.
        seeds (`Sequence[int]`): Training seeds.
        study (`dict`): What the run was made with.
        configuration (`dict`): Arguments of the command.
        device (`str`): `"cpu"` or `"cuda"`.

    Returns:
        `Path`: The report.
    """
    results = {name: _read(folder, name, seeds) for name in models}
    _add_effects_of_pairs(folder, results, seeds)
    for form in FORMS:
        for name, found in _accuracies(folder, models, seeds, form).items():
            results[name].setdefault("accuracies", {})[form] = found
    trained = read_json(folder / "models" / models[0] / f"seed-{seeds[0]}" / TRAINING_FILE)
    made_with = {
        "configuration": configuration,
        "seeds": list(seeds),
        "precision": trained["precision"],
        "versions": describe_versions(),
        "commit": describe_commit(),
        "device": describe_device(device),
    }
    write_json(folder / RESULTS_FILE, made_with | {"models": results})
    lines = [
        "# Joint models of speech units and text",
        "",
        describe_trainings(made_with, study),
        "",
        "Bits that a model needs for a word of the test split, fewer being better: of text, of speech (its units), "
        "and of each after the whole utterance in the other modality.",
        "",
        "| trained on | tokens seen | " + " | ".join(QUESTIONS) + " |",
        "| :--- | ---: |" + " ---: |" * len(QUESTIONS),
    ]
    for name in models:
        cells = [
            write_estimate(results[name]["bits"][question]) if name not in NEVER_SEEN or question == name else ""
            for question in QUESTIONS
        ]
        lines.append(f"| {LABELS[name]} | {results[name]['tokens_seen']:,.0f} | " + " | ".join(cells) + " |")
    if set(models) - set(NEVER_SEEN):
        lines += ["", "What the other modality is worth: bits a word that are saved by having it in front.", ""]
        lines += ["| trained on | text | speech |", "| :--- | ---: | ---: |"]
    for name in models:
        if name in NEVER_SEEN:
            continue
        saved = results[name]["saved"]
        lines.append(f"| {LABELS[name]} | {write_estimate(saved['text'])} | {write_estimate(saved['speech'])} |")
    if any("retrieval" in found for found in results.values()):
        lines += ["", *_retrieval_lines(results, configuration["block_size"])]
    for form in FORMS:
        lines += ["", *_accuracy_lines(results, form)]
    lines += ["", _how_sure(seeds)]
    report = folder / REPORT_FILE
    report.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return report


def _read(folder: Path, name: str, seeds: Sequence[int]) -> dict[str, Any]:
    scores = [folder / "scores" / name / f"seed-{seed}" for seed in seeds]
    read = [read_json(each / BITS_FILE) for each in scores]
    bits = {question: np.array([each[question] for each in read]) for question in QUESTIONS}
    saved = {
        kind: bits[kind] - bits[f"{kind} after {'speech' if kind == 'text' else 'text'}"]
        for kind in ("text", "speech")
    }
    tokens = [read_json(folder / "models" / name / f"seed-{seed}" / TRAINING_FILE)["tokens_seen"] for seed in seeds]
    retrieval = _retrieval(folder, name, seeds)
    return ({"retrieval": retrieval} if retrieval else {}) | {
        "tokens_seen": float(np.mean(tokens)),
        "bits": {question: estimate_of(values) for question, values in bits.items()},
        "saved": {kind: estimate_of(values) for kind, values in saved.items()},
        "scores": [read_fingerprint(each) for each in scores],
    }


def _retrieval(folder: Path, name: str, seeds: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Accuracies of retrieval by direction and by what is found, of continuations of blocks."""
    return {
        direction: {found: estimate(outcomes[found]) for found in ("context", "shuffled", "continuation")}
        for direction, outcomes in _read_retrieval(folder, name, seeds).items()
    }


def _read_retrieval(folder: Path, name: str, seeds: Sequence[int]) -> dict[str, dict[str, dict[int, pd.Series]]]:
    """By direction, by what is found, and by seed: which continuations of blocks a model is right about."""
    files = [folder / "scores" / name / f"seed-{seed}" / RETRIEVAL_FILE for seed in seeds]
    if not all(file.exists() for file in files):
        return {}
    tables = {seed: pd.read_parquet(file).set_index(["block", "id"]) for seed, file in zip(seeds, files)}
    return {
        direction: {
            found: {seed: table.loc[table["direction"] == direction, found] for seed, table in tables.items()}
            for found in ("context", "shuffled", "continuation")
        }
        for direction in DIRECTIONS
        if _is_asked(name, direction)
    }


def _add_effects_of_pairs(folder: Path, results: dict[str, dict[str, Any]], seeds: Sequence[int]) -> None:
    """How much more contexts are found by models that have read both modalities in one sequence."""
    if UNPAIRED not in results or "retrieval" not in results[UNPAIRED]:
        return
    without = _read_retrieval(folder, UNPAIRED, seeds)
    for name, found in results.items():
        if name != UNPAIRED and name not in NEVER_SEEN:
            for direction, outcomes in _read_retrieval(folder, name, seeds).items():
                gain = difference(without[direction]["context"], outcomes["context"])
                found["retrieval"][direction]["of_pairs"] = gain


def _is_asked(name: str, direction: str) -> bool:
    """Whether a model has seen what a direction is of."""
    never = NEVER_SEEN.get(name)
    return never is None or never not in {{"units": "speech", "text": "text"}[part] for part in DIRECTIONS[direction]}


def _retrieval_lines(results: dict[str, Any], block_size: int) -> list[str]:
    lines = [
        f"Context retrieval accuracy (CRA): of the {block_size} contexts of a block, how often is a continuation "
        f"likeliest after its own, in per cent; chance is {100 / block_size:.1f}. u: units, t: text, context first. "
        "In brackets the same where the contexts are those of another block, so that none is its own.",
        "",
        *_retrieval_table(
            results, lambda own: f"{retrieval_range(own['context'])} ({retrieval_range(own['shuffled'])})"
        ),
        "",
        "The other way round: how often, of the continuations of a block, is its own what a context makes likeliest, "
        "each compared with how likely the model finds it without any; in per cent, the same chance.",
        "",
        *_retrieval_table(results, lambda own: retrieval_range(own["continuation"])),
    ]
    paired = {
        name: found for name, found in results.items() if "of_pairs" in found.get("retrieval", {}).get("t2t", {})
    }
    if paired:
        lines += [
            "",
            "What paired data is worth: how many points more often the context is found than by the unpaired model, "
            "which has read speech and text, and never both in one sequence (nor a token that switches).",
            "",
            *_retrieval_table(paired, lambda own: _points(own["of_pairs"])),
        ]
    return lines


def _retrieval_table(results: dict[str, Any], write: Callable[[dict[str, Any]], str]) -> list[str]:
    lines = ["| trained on | " + " | ".join(DIRECTIONS) + " |", "| :--- |" + " ---: |" * len(DIRECTIONS)]
    for name, found in results.items():
        own = found.get("retrieval", {})
        cells = [write(own[direction]) if direction in own else "" for direction in DIRECTIONS]
        lines.append(f"| {LABELS[name]} | " + " | ".join(cells) + " |")
    return lines


def retrieval_range(accuracy: dict[str, Any]) -> str:
    """An accuracy in per cent with its interval."""
    return f"{100 * accuracy['value']:.1f} [{100 * accuracy['low']:.1f}, {100 * accuracy['high']:.1f}]"


def _outcomes(folder: Path, name: str, seeds: Sequence[int], form: str) -> dict[str, dict[int, pd.Series]]:
    """By task and seed, which pairs of the task's headline a model gets right, by the headline's rule."""
    found: dict[str, dict[int, pd.Series]] = {}
    for seed in seeds:
        items = pd.read_parquet(folder / "scores" / name / f"seed-{seed}" / form / ITEMS_FILE)
        for task, outcomes in pair_outcomes(items).groupby("task"):
            counted = outcomes[in_headline(outcomes["band"], TASKS[task])]
            found.setdefault(task, {})[seed] = counted[TASKS[task].rule]
    return {task: by_seed for task, by_seed in found.items() if len(by_seed[seeds[0]])}


def _accuracies(folder: Path, models: Sequence[str], seeds: Sequence[int], form: str) -> dict[str, dict]:
    """By model and task the accuracy, and its difference from the model of that form alone, where that is there."""
    outcomes = {name: _outcomes(folder, name, seeds, form) for name in models}
    return {
        name: {
            task: {
                "accuracy": estimate(by_seed),
                "gain": difference(outcomes[form][task], by_seed) if form in outcomes and name != form else None,
            }
            for task, by_seed in of_model.items()
        }
        for name, of_model in outcomes.items()
    }


def _accuracy_lines(results: dict[str, Any], form: str) -> list[str]:
    accuracies = {name: found["accuracies"][form] for name, found in results.items()}
    tasks = [task for task in TASKS if any(task in found for found in accuracies.values())]
    lines = [
        f"Minimal pairs in {'units of speech' if form == 'speech' else 'text'}: per cent right, and in brackets how "
        f"many points more than the model of {form} alone.",
        "",
        "| trained on | " + " | ".join(f"{TASKS[task].label} ({TASKS[task].rule})" for task in tasks) + " |",
        "| :--- |" + " ---: |" * len(tasks),
    ]
    for name, found in accuracies.items():
        if NEVER_SEEN.get(name) == form:
            continue
        cells = [_accuracy_cell(found[task]) if task in found else "" for task in tasks]
        lines.append(f"| {LABELS[name]} | " + " | ".join(cells) + " |")
    return lines


def _accuracy_cell(found: dict[str, Any]) -> str:
    accuracy, gain = found["accuracy"], found["gain"]
    return retrieval_range(accuracy) + ("" if gain is None else f" ({_points(gain)})")


def _points(gain: dict[str, Any]) -> str:
    value, low, high = (100 * gain["points"][name] for name in ("value", "low", "high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def estimate_of(values: np.ndarray) -> dict[str, float | None]:
    """Mean and half its interval, of shape (seeds, utterances)."""
    half = half_widths(values[:, :, None], range(values.shape[1]))[0] if len(values) > 1 else None
    return {"mean": float(values.mean()), "half": None if half is None or np.isnan(half) else float(half)}


def write_estimate(estimate: dict[str, float | None], digits: int = 2) -> str:
    """A mean with half its interval, where it has one."""
    half = "" if estimate["half"] is None else f" ± {estimate['half']:.{digits}f}"
    return f"{estimate['mean']:.{digits}f}{half}"


def describe_trainings(made_with: dict[str, Any], study: dict[str, Any]) -> str:
    """
    The first paragraph: what was trained how, on what.

    Args:
        made_with (`dict`): `seeds`, `precision`, `configuration`, `commit` and `device`.
        study (`dict`): What the run was made with.
    """
    seeds, asked = made_with["seeds"], made_with["configuration"]
    trainings = "one training" if len(seeds) == 1 else f"{len(seeds)} trainings"
    at_commit = f", commit {made_with['commit']}" if made_with["commit"] else ""
    return (
        f"Each row is {trainings} ({'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}) in "
        f"{made_with['precision']} of {_describe_model(asked)} on its utterances, in "
        f"{study['encoder_label']} units written as {asked['units']}; all models read the same utterances in the same "
        f"order, AST changes the modality by the rule {asked['rule']}, and the loss is on {asked['loss_on']} tokens. "
        f"Made on {made_with['device']}{at_commit}; all of the configuration is in `results.json`."
    )


def _describe_model(asked: dict[str, Any]) -> str:
    """What each model begins as, and how it is trained."""
    own = [f"{name} {asked[name]:g}" for name in _PROTOCOL if asked.get(name) is not None]
    protocol = "protocol" + (f" (but for {', '.join(own)})" if own else "")
    if asked.get("init_from"):
        return f"a model that goes on from {without_places(asked['init_from'])} by the run's {protocol}"
    if asked.get("shape", "run") != "run":
        return f"a model of the shape {asked['shape']} by the run's {protocol}"
    return f"a model of the run's shape and {protocol}"


def _how_sure(seeds: Sequence[int]) -> str:
    if len(seeds) == 1:
        return "With one training seed intervals are over pairs alone, and bits have none: nothing here is shown."
    return "Intervals are 95 %, over utterances or pairs and over training seeds."
