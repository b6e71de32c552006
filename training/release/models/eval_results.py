"""A model's accuracies in the Hub's own forms: `.eval_results/<task>.yaml`, and `model-index` in a card.

`results.json` of a report -> [`write_eval_results`], of the one training that lies on a branch, and
[`model_index`], of all trainings together.
"""

from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, constants, eval_result_entries_to_yaml

from ....metrics.tasks import TASKS
from ...report.formatting import interval, percent
from ..card import repository_url
from ..names import ReleaseNames

PAIRS = "pairs"
_RULE_LABELS = {
    "fewer_tokens": "fewer tokens",
    "overlap": "more shared words",
    "overlap_rarity": "more shared words, by rarity",
    "overlap_phones": "more shared sounds",
}


def write_eval_results(
    folder: Path, repository: str, names: ReleaseNames, results: dict[str, Any], modality: str, seed: int
) -> None:
    """
    Write the accuracies of one training, one file a task.

    Args:
        folder (`Path`): The prepared folder of a branch.
        repository (`str`): The model's id.
        names ([`ReleaseNames`]): How repositories are called.
        results (`dict[str, Any]`): Of the report.
        modality (`str`): The model's.
        seed (`int`): The training seed.
    """
    target = folder / constants.EVAL_RESULTS_FOLDER
    target.mkdir()
    for task, found in results["accuracies"][modality].items():
        rule, best = results["headline"][task]["rule"], found.get("best_baseline")
        notes = f"Accuracy in per cent by the {rule} of log-likelihoods over {found['headline']['n_pairs']} pairs, "
        notes += f"training seed {seed}. Over training seeds {_list(results['seeds'])}: "
        notes += f"{percent(found['headline']['value'])} {interval(found['headline'])}. Chance is 50"
        if best:
            of_best = percent(found["baselines"][best]["value"])
            notes += f"; the best simple baseline ({baseline_label(best)}) is right in {of_best}"
        entry = EvalResultEntry(
            dataset_id=names.repository(PAIRS),
            task_id=task,
            value=round(100 * _of_seed(found["headline"], results["seeds"], seed), 2),
            date=results["study"]["started"][:10],
            source_url=repository_url(repository),
            source_name="Model card",
            notes=f"{notes}.".replace("\u00a0", " "),
        )
        text = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True, width=110)
        (target / f"{task}.yaml").write_text(text, encoding="utf-8")


def model_index(names: ReleaseNames, results: dict[str, Any], modality: str) -> list[EvalResult]:
    """
    The accuracies of all trainings together, for the metadata of a card.

    Args:
        names ([`ReleaseNames`]): How repositories are called.
        results (`dict[str, Any]`): Of the report.
        modality (`str`): The model's.

    Returns:
        `list[EvalResult]`: One a task.
    """
    trainings = f"training seed{'s' if len(results['seeds']) > 1 else ''} {_list(results['seeds'])}"
    return [
        EvalResult(
            task_type="text-generation",
            task_name="Minimal pairs",
            dataset_type=names.repository(PAIRS),
            dataset_name=f"{TASKS[task].label} of this study",
            dataset_config=task,
            dataset_split="test",
            metric_type="accuracy",
            metric_name=f"Accuracy ({results['headline'][task]['rule']}), {trainings}",
            metric_value=round(100 * found["headline"]["value"], 2),
        )
        for task, found in results["accuracies"][modality].items()
    ]


def baseline_label(name: str) -> str:
    """The name of a simple baseline in a table."""
    runs, _, order = name.rpartition("ngram")
    if order.isdecimal():
        return f"{order}-gram{' over runs' if runs else ''}"
    return _RULE_LABELS.get(name, name)


def _of_seed(estimate: dict[str, Any], seeds: list[int], seed: int) -> float:
    values = estimate.get("seeds")
    return values[seeds.index(seed)] if values else estimate["value"]


def _list(seeds: list[int]) -> str:
    return ", ".join(map(str, seeds))
