"""The report over several runs as one Markdown document.

`compare_runs` + names of the figures -> [`write_document`] -> the text of `report.md`.
"""

from collections.abc import Callable
from itertools import zip_longest

from ....metrics.tasks import TASKS
from .. import lead
from ..figures import Figure
from ..formatting import MISSING, NBSP, count, interval, listing, markdown_table, percent, spelled, with_interval
from ..prose import SIGNS

_MOSTLY_SHARED = 0.2
"""Of the training passages of one run, in another: above this the intervals are said to cover no other texts."""
_SEEDS = {"corpus_seed": "corpus seed", "training_seeds": "training seeds"}


def write_document(results: dict, figures: dict[str, Figure]) -> str:
    """
    Write the report.

    Args:
        results (`dict`): As `compare_runs` gives them.
        figures (`dict[str, Figure]`): As `draw_figures` gives them; each lies beside the report as `<name>.png`.

    Returns:
        `str`: Markdown.
    """
    pooled, number = results["are_replicates"], spelled(len(results["runs"])).lower()
    agreement = "\n".join(f"- {sentence}" for sentence in say_agreement(results))
    parts = [
        "# What each step from text to speech costs a language model, "
        f"in {number} {'replicates' if pooled else 'runs'}",
        "\n".join(f"- {sentence}" for sentence in _say_costs(results)) if pooled else agreement,
        say_how_sure(results),
        *(["## What agrees", agreement] * pooled),
        "## What each step changes",
        f"![{figures['steps'].caption}](steps.png)\n\n*{figures['steps'].caption}*" if "steps" in figures else None,
        *_steps(results),
        *_orderings(results),
        *_accuracies(results),
        *_runs(results),
        _how_to_read(results),
    ]
    return "\n\n".join(part for part in parts if part).replace(" %", f"{NBSP}%") + "\n"


def say_how_sure(results: dict) -> str:
    """What the intervals are over, and what they do not cover."""
    number, noun = len(results["runs"]), "replicates" if results["are_replicates"] else "runs"
    how_many = f"**How sure:** {spelled(number).lower()} {noun}"
    if not results["are_replicates"]:
        return (
            f"{how_many}, which differ in {_differences(results)}. So they are no sample of anything, and nothing is "
            "averaged over them: each has its own numbers, with the intervals of its own report."
        )
    seeds = listing([str(run["corpus_seed"]) for run in results["runs"]])
    sentences = [
        f"{how_many} (corpus seeds {seeds}). {_say_drawn(results)} Means are over replicates and their 95 % "
        f"intervals, by Student's t of the {spelled(number).lower()} values, cover {_covered(results)}, not other "
        "languages, synthesisers or sizes of model."
    ]
    if number < 5:
        sentences.append(
            f"{spelled(number)} are few: an interval is {_multiple(number)} standard errors to either side, so that "
            "only large costs show."
        )
    return " ".join(sentences)


def say_agreement(results: dict) -> list[str]:
    """Whether what one run shows holds in the others, with what does not by name."""
    found = results["agreement"]
    kind = "replicate" if results["are_replicates"] else "run"
    sentences = []
    if found["shown"]:
        sentences.append(
            f"**Same sign in all:** {found['shown_with_the_same_sign']} of the {found['shown']} changes that some "
            f"{kind} shows, and {found['same_sign']} of all {found['steps']}."
            + _named(results, found["shown_with_another_sign"], " Shown, and not of the same sign in all: ")
        )
    elif found["steps"]:
        same = f"{found['same_sign']} of {found['steps']} have the same sign in all"
        sentences.append(f"**No {kind} shows a change;** {same}.")
    if found["shown_reversed"]:
        sentences.append(_named(results, found["shown_reversed"], "**Shown reversed:** "))
    elif found["shown"]:
        sentences.append(
            f"**Shown reversed in none:** no change that one {kind} shows is shown the other way round in another."
        )
    if results["too_small"]:
        listed = [f"{TASKS[task].label} in {listing(list(runs))}" for task, runs in results["too_small"].items()]
        sentences.append(f"Too few pairs to read anything off: {listing(listed)}.")
    if results["missing"]:
        sentences.append(f"Not finished, and left out: {listing(results['missing'])}.")
    return sentences


def _say_costs(results: dict) -> list[str]:
    """The sentences that a run's report begins with, by the means over replicates."""
    effects = [
        step | {"tasks": {task: change["mean"] for task, change in step["tasks"].items() if change["mean"]}}
        for step in results["steps"]
    ]
    accuracies = {
        name: {
            task: {"headline": found["mean"], "above_chance": found["mean"]["above_chance"]}
            for task, found in by_task.items()
        }
        for name, by_task in results["accuracies"].items()
    }
    return lead.say_costs(results | {"effects": effects, "accuracies": accuracies, "shows": True})


def _say_drawn(results: dict) -> str:
    """What each replicate has of its own, as far as that lies in the folders."""
    drawn = [part for part, shared in results["shared"].items() if not shared]
    common = [part for part, shared in results["shared"].items() if shared]
    sentences = []
    seeds = [seed for run in results["runs"] for seed in run["training_seeds"]]
    own = [*drawn, *["training seeds"] * (len(set(seeds)) == len(seeds))]
    if own:
        sentences.append(f"Each drew anew: {listing(own)}.")
    if common:
        sentences.append(f"Some have in common: {listing(common)}.")
    if len(set(seeds)) < len(seeds):
        sentences.append("Some training seeds are the same, and so are the weights that those trainings began with.")
    if results["shared_text"] is not None:
        sentences.append(
            f"Of the training passages of one, at most {percent(results['shared_text'])} % are in another, too."
        )
    return " ".join(sentences)


def _covered(results: dict) -> str:
    shared = results["shared_text"]
    texts = "no other texts but" if shared is not None and shared > _MOSTLY_SHARED else "other texts of this kind,"
    return f"{texts} other pairs, voices and units, and other trainings"


def _multiple(number: int) -> str:
    """Student's t for a number of replicates."""
    return {2: "12.7", 3: "4.3", 4: "3.2"}[number]


def _differences(results: dict) -> str:
    names = [_SEEDS.get(name, f"`{name}`") for name in results["differs"]]
    return listing(names) if names else "nothing that they were told"


def _named(results: dict, steps: list[dict], before: str) -> str:
    named = [f"{_step_name(results, step)} on {TASKS[step['task']].label}" for step in steps]
    return f"{before}{listing(named)}." if named else ""


def _step_name(results: dict, step: dict) -> str:
    return " → ".join(results["modalities"][step[side]]["label"] for side in ("baseline", "result"))


def _steps(results: dict) -> list[str]:
    names = [run["name"] for run in results["runs"]]
    parts = []
    for task in results["tasks"]:
        rows = [
            [
                _step_name(results, step),
                step["factor"] or "",
                *(_change(change["by_run"].get(name), name in change["shown_in"]) for name in names),
                *_mean_cells(results, change, _pooled_change),
                "yes" if change["same_sign"] else "**no**",
                _shown(change),
            ]
            for step in results["steps"]
            if (change := step["tasks"].get(task))
        ]
        if rows:
            mean = ["mean over replicates"] * results["are_replicates"]
            header = ["Step", "Factor", *names, *mean, "same sign in all", "shown"]
            parts += [f"**{TASKS[task].label}**, change in points", markdown_table(header, rows, left=2)]
    return parts


def _change(change: dict | None, is_shown: bool) -> str:
    """A change in one run: bold where it is shown there."""
    if change is None:
        return MISSING
    text = f"{percent(change['value'], sign=True)} {interval(change, sign=True)}"
    return f"**{text}**" if is_shown else text


def _mean_cells(results: dict, found: dict, show: Callable[[dict], str]) -> list[str]:
    if not results["are_replicates"]:
        return []
    return [show(found["mean"]) if found["mean"] else MISSING]


def _pooled_change(mean: dict) -> str:
    return _change(mean["points"], mean["verdict"] in ("falls", "rises"))


def _shown(change: dict) -> str:
    if change["shown_reversed"]:
        return "**reversed**"
    return f"in {len(change['shown_in'])} of {len(change['by_run'])}"


def _orderings(results: dict) -> list[str]:
    rows = [
        [TASKS[task].label, run, _chain(results, ordering)]
        for task, by_run in results["orderings"].items()
        for run, ordering in by_run.items()
    ]
    if not any(ordering for by_run in results["orderings"].values() for ordering in by_run.values()):
        return []
    return ["## The ordering in each", markdown_table(["Task", "", "from text to units, %"], rows, left=3)]


def _chain(results: dict, ordering: dict | None) -> str:
    """The modalities of an ordering with their accuracies, and the sign that stands between each two."""
    if ordering is None:
        return "too few pairs, or nothing scored"
    signs = [SIGNS.get(verdict, ",") for verdict in ordering["verdicts"]]
    text = ""
    for name, accuracy, sign in zip_longest(ordering["rungs"], ordering["accuracies"], signs):
        text += f"{results['modalities'][name]['label']} {percent(accuracy)}"
        text += {None: "", ",": ", "}.get(sign, f" {sign} ")
    return text


def _accuracies(results: dict) -> list[str]:
    names = [run["name"] for run in results["runs"]]
    mean = ["mean over replicates"] * results["are_replicates"]
    parts = ["## Accuracies", "In per cent, with 95 % intervals; **bold**: above chance."]
    for task in results["tasks"]:
        rows = [
            [
                results["modalities"][name]["label"],
                *(_accuracy(found["by_run"].get(run)) for run in names),
                *_mean_cells(results, found, _accuracy),
            ]
            for name, by_task in results["accuracies"].items()
            if (found := by_task.get(task))
        ]
        if rows:
            header = [f"{TASKS[task].label} ({TASKS[task].rule})", *names, *mean]
            parts.append(markdown_table(header, rows))
    return parts


def _accuracy(accuracy: dict | None) -> str:
    if accuracy is None:
        return MISSING
    text = with_interval(accuracy, spread=False)
    return f"**{text}**" if accuracy["above_chance"] else text


def _runs(results: dict) -> list[str]:
    header = ["Run", "corpus seed", "training seeds", "precision", "words to train on", "device", "commit"]
    rows = [
        [
            f"[{run['name']}]({run['report']})" if run["report"] else run["name"],
            MISSING if run["corpus_seed"] is None else str(run["corpus_seed"]),
            ", ".join(map(str, run["training_seeds"])),
            listing(run["precision"]) if run["precision"] else MISSING,
            count(run["words"]),
            run["device"] or MISSING,
            (run["commit"] or MISSING)[:12],
        ]
        for run in results["runs"]
    ]
    parts = ["## The runs", markdown_table(header, rows)]
    told = {name: values for name, values in results["differs"].items() if name not in _SEEDS}
    if told:
        rows = [[f"`{name}`", *(_value(value) for value in values)] for name, values in told.items()]
        header = ["Told differently", *(run["name"] for run in results["runs"])]
        parts.append(markdown_table(header, rows))
    return parts


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return MISSING if value is None else str(value)


def _how_to_read(results: dict) -> str:
    text = (
        '**How to read this.** Each run\'s own intervals and the word "shown" are those of its own report: over pairs '
        "and training seeds, and of a run with one training seed over pairs only, where nothing is shown. "
    )
    if results["are_replicates"]:
        text += (
            "A mean over replicates has the interval mean ± t(R − 1) s / √R, with s the standard deviation of the R "
            "values: pairs and training seeds are nested in a replicate, so that what they change is in s. A mean is "
            "bold where its whole interval lies on one side of zero and one of the two models is above chance (an "
            "accuracy: above 50 %). "
        )
    return text + "All numbers are in [results.json](results.json), where each interval says what it is over."
