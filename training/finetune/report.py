"""How well a fine-tuned model does: `results.json` and `report.md`.

predictions of each training seed + what is there -> measures by condition, each beside the same model with another
utterance's input -> both files.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...datasets_scripts.slu import SluExample
from ...metrics.entity_f1.entity_scores import entity_scores
from ...models.files import read_json, read_json_lines, write_json
from ...models.slu.configuration_slu import CLASSIFICATION, SluConfig
from ...models.slu.contents import SPEECH
from ..run.folder import SUMMARY_FILE, TRAINING_FILE
from ..run.stage import read_fingerprint
from .measures import Measure, class_measures, describe, entity_measures, with_other_inputs
from .stages import PREDICTIONS_FILE, Condition

RESULTS_FILE, REPORT_FILE = "results.json", "report.md"
NAMES = {
    "macro_f1": "macro-F1",
    "macro_recall": "macro recall",
    "accuracy": "accuracy",
    "f1": "F1",
    "label_f1": "label-F1",
}


def write_report(
    folder: Path,
    config: SluConfig,
    test: Sequence[SluExample],
    conditions: Sequence[Condition],
    seeds: Sequence[int],
    rules: Mapping[str, Sequence[str]],
    made_with: dict[str, Any],
    from_scratch: Path | None = None,
) -> Path:
    """
    Write `results.json` and `report.md`.

    Args:
        folder (`Path`): The output folder, with `models/seed-<n>` and `predictions/seed-<n>`.
        config ([`SluConfig`]): The task.
        test (`Sequence[SluExample]`): The test split.
        conditions (`Sequence[Condition]`): How it was given.
        seeds (`Sequence[int]`): Training seeds.
        rules (`Mapping[str, Sequence[str]]`): What rules without a language model answer, by name, of the whole test
            split in the input of the training.
        made_with (`dict[str, Any]`): Task sizes, configuration, precision, versions, commit and device.
        from_scratch (`Path`, *optional*): A folder of the same form, of models that began from new weights.

    Returns:
        `Path`: The report.
    """
    examples = {example.id: example for example in test}
    trained, predictions = _read_seeds(folder, seeds)
    counted = [read_json(folder / "predictions" / f"seed-{seed}" / SUMMARY_FILE) for seed in seeds]
    tests = []
    for condition in conditions:
        given = [examples[name] for name in condition.ids]
        predicted = [[each[condition.name][name] for name in condition.ids] for each in predictions]
        found = {"input": condition.input, "noise": condition.noise, "snr": condition.snr, "heard": condition.heard}
        found |= {"name": condition.name, "examples": len(given)}
        found |= judge_condition(config, given, predicted)
        if condition.name != condition.input:
            clean = [[each[condition.input][name] for name in condition.ids] for each in predictions]
            found["from_clean"] = compare_conditions(config, given, predicted, clean)
        tests.append(found | {"counted": [each[condition.name] for each in counted]})
    made_of = [read_fingerprint(folder / "predictions" / f"seed-{seed}") for seed in seeds]
    results = made_with | {"seeds": list(seeds), "training": trained, "tests": tests, "predictions": made_of}
    own = [each.get(config.trained_on) for each in predictions]
    own = None if None in own else [[each[example.id] for example in test] for each in own]
    results["rules"] = {name: judge_rule(config, test, answers, own) for name, answers in rules.items()}
    if from_scratch is not None:
        trained, others = _read_seeds(from_scratch, seeds)
        found = {}
        for condition in conditions:
            given = [examples[name] for name in condition.ids]
            new, old = (
                [[each[condition.name][name] for name in condition.ids] for each in of] for of in (others, predictions)
            )
            found[condition.name] = judge_condition(config, given, new)
            found[condition.name]["pretrained"] = compare_conditions(config, given, old, new)
        results["from_scratch"] = {"training": trained, "tests": found}
    write_json(folder / RESULTS_FILE, results)
    report = folder / REPORT_FILE
    report.write_text("\n".join(_lines(config, results)) + "\n", encoding="utf-8")
    return report


def judge_condition(
    config: SluConfig, test: Sequence[SluExample], predicted: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """
    The measures of predictions, by training seed.

    Args:
        config ([`SluConfig`]): The task; its labels are those of the training split.
        test (`Sequence[SluExample]`): What is there.
        predicted (`Sequence[Sequence[str]]`): Of each training seed what was predicted of each example.

    Returns:
        `dict`: `measures` as [`describe`] gives them, `labels` (precision, recall and F1 of each, means over seeds),
        `unseen_labels` (how often a label stands in the test split that the training split does not have), and of
        entities what was `empty` and `malformed`, by seed.
    """
    judge = _judge(config, test)
    if config.kind == CLASSIFICATION:
        true = [example.label for example in test]
        labels = _all_labels(config, true)
        by_label = [_scores_of_classes(true, each, labels) for each in predicted]
        unseen, more = Counter(label for label in true if label not in config.labels), {}
    else:
        true = [list(example.entities or ()) for example in test]
        scored = [entity_scores(each, true, config.labels) for each in predicted]
        by_label = [each["labels"] for each in scored]
        unseen = Counter(label for entities in true for label, _ in entities if label not in config.labels)
        more = {name: [each[name] for each in scored] for name in ("empty", "malformed")}
    own = [judge(each) for each in predicted]
    control = [with_other_inputs(judge, each) for each in predicted]
    measures = {name: describe(*(_of(name, each) for each in (own, control))) for name in own[0]}
    return {"measures": measures, "labels": _means(by_label), "unseen_labels": dict(unseen)} | more


def compare_conditions(
    config: SluConfig,
    test: Sequence[SluExample],
    predicted: Sequence[Sequence[str]],
    reference: Sequence[Sequence[str]],
) -> dict[str, dict[str, float]]:
    """
    What another condition changes, of the same examples and models.

    Args:
        config ([`SluConfig`]): The task.
        test (`Sequence[SluExample]`): What is there.
        predicted (`Sequence[Sequence[str]]`): Of each training seed what was predicted under the condition.
        reference (`Sequence[Sequence[str]]`): The same under the other one.

    Returns:
        `dict`: `points`, `points_low` and `points_high` of each measure, as [`describe`] gives them.
    """
    judge = _judge(config, test)
    own, other = ([judge(each) for each in given] for given in (predicted, reference))
    return {name: describe(_of(name, own), _of(name, other))["difference"] for name in own[0]}


def judge_rule(
    config: SluConfig, test: Sequence[SluExample], answers: Sequence[str], predicted: Sequence[Sequence[str]] | None
) -> dict[str, Any]:
    """
    The measures of a rule, and of the models beside it.

    Args:
        config ([`SluConfig`]): The task.
        test (`Sequence[SluExample]`): What is there.
        answers (`Sequence[str]`): What the rule says of each example.
        predicted (`Sequence[Sequence[str]]`, *optional*): Of each training seed what the model does, in the input that
            the rule reads; `None` where it was not tested in that.

    Returns:
        `dict`: `measures` as [`describe`] gives them, and `from_rule`, how many points the models have more, with an
        interval, as [`compare_conditions`] gives it; `None` where they were not tested.
    """
    judge = _judge(config, test)
    rule, control = judge(answers), with_other_inputs(judge, answers)
    measures = {name: describe([rule[name]], [control[name]]) for name in rule}
    more = None
    if predicted is not None:
        more = compare_conditions(config, test, predicted, [answers] * len(predicted))
    return {"measures": measures, "from_rule": more}


def _judge(config: SluConfig, test: Sequence[SluExample]) -> Callable[[Sequence[str]], dict[str, Measure]]:
    """What gives the measures of predictions."""
    if config.kind == CLASSIFICATION:
        true = [example.label for example in test]
        return partial(class_measures, true, labels=_all_labels(config, true))
    return partial(entity_measures, [list(example.entities or ()) for example in test], labels=config.labels)


def _all_labels(config: SluConfig, true: Sequence[str]) -> list[str]:
    return [*config.labels, *sorted(set(true) - set(config.labels))]


def _of(name: str, by_seed: Sequence[dict[str, Measure]]) -> list[Measure]:
    return [each[name] for each in by_seed]


def _read_seeds(folder: Path, seeds: Sequence[int]) -> tuple[list[dict[str, Any]], list[dict[str, dict[str, str]]]]:
    """Of each training seed what was measured in its training, and what was predicted."""
    trained = [read_json(folder / "models" / f"seed-{seed}" / TRAINING_FILE) for seed in seeds]
    return trained, [_read_predictions(folder / "predictions" / f"seed-{seed}") for seed in seeds]


def _read_predictions(folder: Path) -> dict[str, dict[str, str]]:
    """What was predicted of each example, by condition."""
    found: dict[str, dict[str, str]] = {}
    for row in read_json_lines(folder / PREDICTIONS_FILE):
        found.setdefault(row["condition"], {})[row["id"]] = row["predicted"]
    return found


def _scores_of_classes(true: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> dict[str, dict]:
    there, found = Counter(true), Counter(predicted)
    right = Counter(label for label, guess in zip(true, predicted) if label == guess)
    return {
        label: {
            "precision": right[label] / found[label] if found[label] else 0.0,
            "recall": right[label] / there[label] if there[label] else 0.0,
            "f1": 2 * right[label] / (there[label] + found[label]) if there[label] + found[label] else 0.0,
            "n_references": there[label],
            "n_predictions": found[label],
        }
        for label in labels
    }


def _means(by_seed: Sequence[dict[str, dict]]) -> dict[str, dict[str, float]]:
    """Means over seeds; a label that a seed neither has nor found is 0 there."""
    labels = sorted({label for each in by_seed for label in each})
    names = ("precision", "recall", "f1", "n_references", "n_predictions")
    return {
        label: {name: sum(each.get(label, {}).get(name, 0) for each in by_seed) / len(by_seed) for name in names}
        for label in labels
    }


def _lines(config: SluConfig, results: dict[str, Any]) -> list[str]:
    names = list(results["tests"][0]["measures"])
    lines = [f"# {results['task']['name']}, fine-tuned on {config.trained_on}", "", _how(config, results), ""]
    lines += ["| tested on | " + " | ".join(NAMES[name] for name in names) + " | another utterance's |"]
    changed = any("from_clean" in test for test in results["tests"])
    lines[-1] += " difference, points |" + (" from clean speech, points |" if changed else "")
    lines += ["| :--- |" + " ---: |" * (len(names) + 2 + changed)]
    for test in results["tests"]:
        first = test["measures"][names[0]]
        cells = [test["name"], *(_interval(test["measures"][name]) for name in names), f"{100 * first['control']:.1f}"]
        cells.append(_points(first["difference"]))
        if changed:
            cells.append(_points(test["from_clean"][names[0]]) if "from_clean" in test else "")
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", _what_the_control_is(NAMES[names[0]], results["seeds"]), ""]
    if changed:
        lines += [_what_other_speech_is(NAMES[names[0]], results["tests"]), ""]
    lines += _rule_lines(config, results["rules"], names)
    if "from_scratch" in results:
        lines += _lines_from_scratch(results["from_scratch"], names)
    for test in results["tests"]:
        lines += [f"## {test['name'][0].upper()}{test['name'][1:]}, by label", ""]
        lines += ["| label | precision | recall | F1 | there | predicted |", "| :--- |" + " ---: |" * 5]
        for label, scores in test["labels"].items():
            shares = " | ".join(f"{100 * scores[name]:.1f}" for name in ("precision", "recall", "f1"))
            lines.append(f"| {label} | {shares} | {scores['n_references']:g} | {scores['n_predictions']:.1f} |")
        lines += ["", *_counted(test)]
    return lines


def _rule_lines(config: SluConfig, rules: Mapping[str, dict[str, Any]], names: Sequence[str]) -> list[str]:
    if not rules:
        return []
    if config.kind != CLASSIFICATION:
        how = "the same answer for all, of training's commonest entities"
        if config.trained_on != SPEECH:
            how += "; a list of the training split's phrases with their commonest labels"
    elif config.trained_on == SPEECH:
        how = "a logistic regression, trained on the same split, over which units an example has (a run is one)"
    else:
        how = "a logistic regression, trained on the same split, over which words an example has"
    lines = [
        f"Without a language model: {how}. The last column is how much more {NAMES[names[0]]} the model has.",
        "",
        "| rule | " + " | ".join(NAMES[name] for name in names) + " | the model, points |",
        "| :--- |" + " ---: |" * (len(names) + 1),
    ]
    for name, found in rules.items():
        more = "" if found["from_rule"] is None else _points(found["from_rule"][names[0]])
        cells = [name, *(_interval(found["measures"][measure]) for measure in names), more]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _lines_from_scratch(results: dict[str, Any], names: Sequence[str]) -> list[str]:
    epochs = ", ".join(str(trained["kept_epoch"]) for trained in results["training"])
    lines = [
        "From scratch: the same model, whose weights were drawn anew before it was trained on the same examples in "
        f"the same way (epochs kept: {epochs}). The last column is what pre-training is worth: how much more "
        f"{NAMES[names[0]]} the model has that began from pre-trained weights.",
        "",
        "| from scratch, tested on | " + " | ".join(NAMES[name] for name in names) + " | another utterance's | "
        "pre-trained, points |",
        "| :--- |" + " ---: |" * (len(names) + 2),
    ]
    for name, found in results["tests"].items():
        cells = [name, *(_interval(found["measures"][measure]) for measure in names)]
        cells += [f"{100 * found['measures'][names[0]]['control']:.1f}", _points(found["pretrained"][names[0]])]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _interval(found: dict[str, Any]) -> str:
    return f"{100 * found['mean']:.1f} [{100 * found['low']:.1f}, {100 * found['high']:.1f}]"


def _points(difference: dict[str, float]) -> str:
    return f"{difference['points']:+.1f} [{difference['points_low']:+.1f}, {difference['points_high']:+.1f}]"


def _what_other_speech_is(name: str, tests: Sequence[dict[str, Any]]) -> str:
    clean = max(test["examples"] for test in tests)
    fewer = [
        f"{test['name']} has {test['examples']:,} of the {clean:,} examples"
        for test in tests
        if test["examples"] < clean
    ]
    return (
        f"From clean speech: how much {name} changes when the same models hear the same examples so, and not as the "
        "task was spoken" + "".join(f"; {words}" for words in fewer) + "."
    )


def _how(config: SluConfig, results: dict[str, Any]) -> str:
    seeds, task, asked = results["seeds"], results["task"], results["configuration"]
    sizes = ", ".join(f"{size:,} {split}" for split, size in task["sizes"].items())
    trainings = f"Training {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
    trained = results["training"][0]
    what = "LoRA" if asked["method"] == "lora" else "All weights"
    reads = config.modality or "text, with a vocabulary of its own"
    at_commit = f", commit {results['commit']}" if results["commit"] else ""
    return (
        f"{what} of {config.base.model} (reads {reads}): {trained['trained_parameters']:,} of "
        f"{trained['parameters']:,} parameters are trained, {trained['new_tokens']} tokens are new. Examples: "
        f"{sizes}. {trainings}, {results['precision']}; "
        f"of {asked['epochs']} epochs the one with the lowest validation loss is kept. Made on "
        f"{results['device']}{at_commit}; all of the configuration is in `results.json`."
    )


def _what_the_control_is(name: str, seeds: Sequence[int]) -> str:
    over = "examples alone, since there is one training seed" if len(seeds) == 1 else "examples and training seeds"
    return (
        f"In per cent, with 95 % intervals over {over}. The last columns are {name} of the same model when each "
        "example is given the input of another one, and how much its own is worth."
    )


def _counted(test: dict[str, Any]) -> list[str]:
    lines = []
    counts = {
        "cut": "inputs were longer than the model's window and lost their end",
        "unfinished": "answers did not end within the longest that is allowed",
    }
    for name, words in counts.items():
        found = [each.get(name, 0) for each in test["counted"]]
        if any(found):
            lines += [f"By training seed, {', '.join(map(str, found))} {words}.", ""]
    for name, words in (("empty", "answers were empty"), ("malformed", "had a part that is no entity")):
        if any(test.get(name, ())):
            lines += [f"By training seed, {', '.join(map(str, test[name]))} {words}.", ""]
    if test["unseen_labels"]:
        unseen = ", ".join(f"{label} ({count})" for label, count in test["unseen_labels"].items())
        lines += [
            f"Labels of the test split that the training split does not have, and no model can say: {unseen}.",
            "",
        ]
    return lines
