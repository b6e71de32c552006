"""What was measured of a model in the Hub's own forms: `.eval_results/<task>.yaml`, and `model-index` in a card.

`results.json` of a report -> [`write_eval_results`], of the one training that lies on a branch, and
[`model_index`], of all trainings together; likewise of joint models, of which [`seen_accuracies`] says what they were
asked. Of fine-tunings, whose tasks are no datasets of a release, there is `model-index` alone (`adapters.py`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, constants, eval_result_entries_to_yaml

from ....metrics.tasks import TASKS
from ...joint.report import NEVER_SEEN, QUESTIONS
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
    for task, found in results["accuracies"][modality].items():
        rule, best = results["headline"][task]["rule"], found.get("best_baseline")
        notes = _notes(found["headline"], rule, results["seeds"], seed)
        if best:
            of_best = percent(found["baselines"][best]["value"])
            notes += f"; the best simple baseline ({baseline_label(best)}) is right in {of_best}"
        value = _of_seed(found["headline"], results["seeds"], seed)
        _write_entry(folder, repository, names, task, value, notes, results["study"]["started"][:10])


def write_joint_eval_results(
    folder: Path, repository: str, names: ReleaseNames, results: dict[str, Any], mixture: str, seed: int
) -> None:
    """
    Write the accuracies of one training of a joint model, one file a configuration of the pairs.

    Args:
        folder (`Path`): The prepared folder of a branch.
        repository (`str`): The model's id.
        names ([`ReleaseNames`]): How repositories are called.
        results (`dict[str, Any]`): Of the joint models.
        mixture (`str`): What the model was trained on.
        seed (`int`): The training seed.
    """
    for form, task, found in seen_accuracies(results, mixture):
        notes = _notes(found, TASKS[task].rule, results["seeds"], seed, f" in {form}")
        value = _of_seed(found, results["seeds"], seed)
        _write_entry(folder, repository, names, joint_task(form, task), value, notes)


def _write_entry(
    folder: Path,
    repository: str,
    names: ReleaseNames,
    task: str,
    value: float,
    notes: str,
    date: str | None = None,
) -> None:
    entry = EvalResultEntry(
        dataset_id=names.repository(PAIRS),
        task_id=task,
        value=round(100 * value, 2),
        date=date,
        source_url=repository_url(repository),
        source_name="Model card",
        notes=f"{notes}.".replace("\u00a0", " "),
    )
    text = yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False, allow_unicode=True, width=110)
    target = folder / constants.EVAL_RESULTS_FOLDER
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{task}.yaml").write_text(text, encoding="utf-8")


def _notes(found: dict[str, Any], rule: str, seeds: list[int], seed: int, form: str = "") -> str:
    notes = f"Accuracy in per cent by the {rule} of log-likelihoods over {found['n_pairs']} pairs{form}, training "
    notes += f"seed {seed}. Over training seeds {_list(seeds)}: {percent(found['value'])} {interval(found)}. Chance "
    return notes + "is 50"


def seen_accuracies(results: dict[str, Any], mixture: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """
    Form, task and accuracy of the minimal pairs in the forms that a joint model was trained on.

    Args:
        results (`dict[str, Any]`): Of the joint models.
        mixture (`str`): What the model was trained on.
    """
    for form, by_task in results["models"][mixture].get("accuracies", {}).items():
        if NEVER_SEEN.get(mixture) != form:
            for task, found in by_task.items():
                yield form, task, found["accuracy"]


def joint_task(form: str, task: str) -> str:
    """The configuration of the pairs that a joint model, which is asked in two forms, read them from."""
    return task if form == "text" else f"{task}_units"


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
    return [
        _accuracy(names, task, task, results["headline"][task]["rule"], found["headline"], results["seeds"])
        for task, found in results["accuracies"][modality].items()
    ]


def joint_model_index(names: ReleaseNames, results: dict[str, Any], mixture: str) -> list[EvalResult]:
    """
    What was measured of all trainings of a joint model together, for the metadata of a card.

    Args:
        names ([`ReleaseNames`]): How repositories are called.
        results (`dict[str, Any]`): Of the joint models.
        mixture (`str`): What the model was trained on.

    Returns:
        `list[EvalResult]`: Accuracies of minimal pairs in the forms that it knows, and bits a word.
    """
    index = [
        _accuracy(names, joint_task(form, task), task, TASKS[task].rule, found, results["seeds"], f" in {form}")
        for form, task, found in seen_accuracies(results, mixture)
    ]
    return index + [
        EvalResult(
            task_type="text-generation",
            task_name="Language modeling",
            dataset_type=names.repository("utterances"),
            dataset_name="Utterances of this study",
            dataset_split="test",
            metric_type="bits_per_word",
            metric_name=f"Bits a word of {question}, {name_trainings(results['seeds'])}",
            metric_value=round(results["models"][mixture]["bits"][question]["mean"], 3),
        )
        for question in QUESTIONS
        if mixture not in NEVER_SEEN or question == mixture
    ]


def _accuracy(
    names: ReleaseNames,
    configuration: str,
    task: str,
    rule: str,
    found: dict[str, Any],
    seeds: list[int],
    form: str = "",
) -> EvalResult:
    return EvalResult(
        task_type="text-generation",
        task_name="Minimal pairs",
        dataset_type=names.repository(PAIRS),
        dataset_name=f"{TASKS[task].label} of this study{form}",
        dataset_config=configuration,
        dataset_split="test",
        metric_type="accuracy",
        metric_name=f"Accuracy ({rule}), {name_trainings(seeds)}",
        metric_value=round(100 * found["value"], 2),
    )


def name_trainings(seeds: list[int]) -> str:
    """The training seeds that a number is over."""
    return f"training seed{'s' if len(seeds) > 1 else ''} {_list(seeds)}"


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
