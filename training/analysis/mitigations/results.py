"""All numbers of the table, computed once.

rows + their sound + what was heard of it -> [`compute_results`] -> one dictionary, which tables, figure and sentences
read. Accuracies, error rates and shares are fractions.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from ....metrics.tasks import TASKS
from ....models.files import read_json_if_whole
from ...report.estimates import PAIRS_AND_SEEDS, Outcomes, difference, estimate, headlines_by_seed, task_outcomes
from ...report.results import ONE_SEED, judge_change
from ...run.folder import QUALITY_FILE
from .hearing import MOS_FILE, read_errors
from .rates import measure_rates
from .recovery import recover
from .rows import SPEECH, TOPLINES, Row, name_runs

RESULTS_FILE = "results.json"
RECORDED = "recorded"
"""The name of the utterances as they were spoken, among sounds."""


def compute_results(rows: Sequence[Row]) -> dict[str, Any]:
    """
    What each row costs, reaches and recovers.

    Args:
        rows (`Sequence[Row]`): As `read_rows` gives them, each with a key of its own.

    Returns:
        `dict[str, Any]`: `tasks`, `seeds`, `shows` (whether trainings are enough to show anything of modalities),
        `toplines`, and `rows`, each with `key, label, answer, modality, reads_text, run, seeds`, `rates` (as
        [`measure_rates`]), `training` (means over seeds of `parameters, tokens_seen, epochs, updates`), `accuracies`
        by task (as `estimate`, with `above_chance`), `recovered` by task (`points`, `verdict`, and by topline `gap`
        and `share`; empty of anchors and of speech), and `sound`, the name of what its units sound like.

    Raises:
        `ValueError`: If two rows have one key.
    """
    if len({row.key for row in rows}) < len(rows):
        raise ValueError("Two rows of the table have one key, by which numbers are found; give each its own.")
    called = name_runs(row.run for row in rows)
    outcomes = {row.key: {seed: task_outcomes(items) for seed, items in row.items.items()} for row in rows}
    tasks = [task for task in TASKS if all(task in found for found in outcomes[SPEECH].values())]
    toplines = [name for name in TOPLINES if name in outcomes]
    if "text_bpe" in toplines:
        toplines = [name for name in toplines if name != "text_raw"]
    seeds = sorted({seed for row in rows for seed in row.items})
    accuracies = {row.key: _accuracies(outcomes[row.key], tasks, len(seeds) > 1) for row in rows}
    return {
        "tasks": tasks,
        "seeds": seeds,
        "shows": len(seeds) > 1,
        "toplines": toplines,
        "rows": [
            {
                "key": row.key,
                "label": row.label,
                "answer": row.answer,
                "modality": row.modality,
                "reads_text": row.reads_text,
                "run": called[row.run.folder],
                "seeds": sorted(row.items),
                "rates": measure_rates(row),
                "training": _training(row),
                "accuracies": accuracies[row.key],
                "recovered": {
                    task: found
                    for task in tasks
                    if row.answer and row.key != SPEECH
                    if (found := _recovered(outcomes, accuracies, row.key, task, toplines))
                },
                "sound": row.spoken.name if row.spoken else None,
            }
            for row in rows
        ],
    }


def read_sound(folder: Path, name: str, is_heard: bool, is_judged: bool) -> dict[str, Any]:
    """
    What was measured of one sound.

    Args:
        folder (`Path`): The folder of the part.
        name (`str`): The sound, or [`RECORDED`].
        is_heard (`bool`): Whether something has heard it as it is now; what lies there else is of an earlier sound.
        is_judged (`bool`): Whether an opinion of it was predicted as it is now.

    Returns:
        `dict[str, Any]`: `quality` (`mcd` in dB, `f0_rmse_cents`, `f0_spread_cents`, `voicing_error`, `length_ratio`,
        ...), `errors` (`wer` and `cer` with intervals) and `opinion` (a predicted mean opinion score), each `None`
        where it was not measured.
    """
    return {
        "quality": read_json_if_whole(folder / "sound" / name / QUALITY_FILE),
        "errors": read_errors(folder / "heard" / name) if is_heard else None,
        "opinion": read_json_if_whole(folder / "opinion" / name / MOS_FILE) if is_judged else None,
    }


def _accuracies(by_seed: Outcomes, tasks: list[str], several_seeds: bool) -> dict[str, dict]:
    found = {}
    for task in tasks:
        if all(task in outcomes for outcomes in by_seed.values()):
            accuracy = estimate(headlines_by_seed(by_seed, task))
            # Among models of several training seeds one that was trained once shows nothing.
            is_judged = not several_seeds or accuracy["over"] == PAIRS_AND_SEEDS
            found[task] = accuracy | {"above_chance": is_judged and accuracy["low"] > 0.5}
    return found


def _recovered(
    outcomes: dict[str, Outcomes], accuracies: dict[str, dict], key: str, task: str, toplines: list[str]
) -> dict[str, Any] | None:
    if task not in accuracies[key]:
        return None
    speech, answer = (headlines_by_seed(outcomes[name], task) for name in (SPEECH, key))
    change = difference(speech, answer)
    if change is None:
        return None
    above_chance = any(accuracies[name][task]["above_chance"] for name in (SPEECH, key))
    verdict = judge_change(change["points"], above_chance) if change["over"] == PAIRS_AND_SEEDS else ONE_SEED
    of_gaps = {
        name: found
        for name in toplines
        if task in accuracies[name]
        if (found := recover(speech, answer, headlines_by_seed(outcomes[name], task)))
    }
    return change | {"verdict": verdict, "toplines": of_gaps}


def _training(row: Row) -> dict[str, float | None]:
    found = {}
    for name in ("parameters", "tokens_seen", "epochs", "updates"):
        values = [training[name] for training in row.trainings.values() if training.get(name) is not None]
        found[name] = fmean(values) if values else None
    return found
