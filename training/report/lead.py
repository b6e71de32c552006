"""The sentences under the first figure: what each factor costs, and how sure that is.

results -> [`say_costs`], a sentence a factor (a task, where no factor was run) -> [`say_how_sure`]. By which rules a
difference is called shown stands in `prose.py`.
"""

from ...metrics.tasks import TASKS
from .formatting import NBSP, count, interval, listing, percent, spelled
from .results import ONE_SEED, trainings_of_models

FACTORS = {
    "A": "phones instead of letters",
    "B": "phones repeated for as long as they last",
    "C": "sounds of voices instead of phones",
}
"""What each factor is, in words for somebody who has not read the paper."""
_VERDICTS = {
    "falls": "costs {}",
    "rises": "gains {}",
    ONE_SEED: "changes accuracy by {}",
    "not shown": "no change is shown {}",
    "at chance": "nothing can be read off {}, where both models may be guessing",
    "too small": "there are too few pairs of {}",
}


def say_costs(results: dict) -> list[str]:
    """
    What the run is about, in a sentence for each factor, or for each task if no step of a factor was run.

    Args:
        results (`dict`): As `compute_results` gives them.

    Returns:
        `list[str]`: Markdown. A cost is stated where the whole interval lies on one side of zero.
    """
    steps = [(factor, effects) for factor in FACTORS if (effects := _steps_of(results, factor))]
    if steps:
        return [_say_factor(results, factor, effects) for factor, effects in steps]
    return [_say_task(results, task) for task in results["tasks"]]


def say_how_sure(results: dict) -> str:
    """
    Of how many trainings and pairs the numbers are, and what their intervals cover and do not cover.

    Args:
        results (`dict`): As `compute_results` gives them.
    """
    asked = {
        task: max(by[task]["headline"]["n"] for by in results["accuracies"].values() if task in by)
        for task in results["tasks"]
    }
    pairs = listing([f"{count(n)}{NBSP}pairs of {TASKS[task].label}" for task, n in asked.items()])
    seeds = results["seeds"]
    if not results["shows"]:
        return (
            f"**How sure:** one training of each model (seed {seeds[0]}), asked about {pairs}. Intervals "
            "are 95 % and cover other pairs only. What another training would change is not in them, so no difference "
            "between modalities is shown here."
        )
    numbers = trainings_of_models(results)
    once = "; of a model that was trained once, other pairs only" if numbers[0] == 1 else ""
    return (
        f"**How sure:** {' to '.join(map(spelled, numbers)).lower()} trainings of each model (seeds "
        f"{listing([str(seed) for seed in seeds])}), asked about {pairs}. Intervals are 95 % and cover "
        f"other pairs and other trainings of the same models, not other texts, voices or sizes of model{once}. A "
        "difference is stated as a cost or a gain only where its whole interval lies on one side of zero."
    )


def _steps_of(results: dict, factor: str) -> list[dict]:
    """The contrasts of a factor, first along the chain without BPE, which goes on to the next factor."""
    found = [effect for effect in results["effects"] if effect["factor"] == factor and effect["tasks"]]
    return found[::-1]


def _say_factor(results: dict, factor: str, effects: list[dict]) -> str:
    """One factor over all tasks, and what it is between other modalities that it sets apart, too."""
    chain, *others = (_say_step(results, effect) for effect in effects)
    return " ".join([f"**{factor}, {FACTORS[factor]}** {chain}", *(f"The same step {other}" for other in others)])


def _say_step(results: dict, effect: dict) -> str:
    """Between two modalities: what a step costs, what it gains, and where nothing shows."""
    by_verdict: dict[str, list[str]] = {}
    for task, change in effect["tasks"].items():
        verdict = "too small" if task in results["too_small"] else change["verdict"]
        by_verdict.setdefault(verdict, []).append(_change(task, change["points"], verdict))
    parts = [text.format(listing(by_verdict[name])) for name, text in _VERDICTS.items() if name in by_verdict]
    before, after = (results["modalities"][effect[side]]["label"] for side in ("baseline", "result"))
    goes_on = bool(set(by_verdict) & {"falls", "rises", ONE_SEED})
    return f"({before} to {after}){'' if goes_on else ':'} {'; '.join(parts)}."


def _change(task: str, points: dict, verdict: str) -> str:
    label = TASKS[task].label
    if verdict == "falls":
        cost = {"value": -points["value"], "low": -points["high"], "high": -points["low"]}
        return f"**{percent(cost['value'])}** points {interval(cost)} on {label}"
    if verdict == "rises":
        return f"**{percent(points['value'])}** points {interval(points)} on {label}"
    change = f"{percent(points['value'], sign=True)} points {interval(points, sign=True)}"
    if verdict == "not shown":
        return f"on {label} ({change})"
    return f"{change} on {label}" if verdict == ONE_SEED else label


def _say_task(results: dict, task: str) -> str:
    """One task over all modalities, where there is no factor between any two of them."""
    found = {name: by[task] for name, by in results["accuracies"].items() if task in by}
    said = [
        f"{results['modalities'][name]['label'].replace(', ', ' with ')} {percent(accuracy['headline']['value'])} "
        f"{interval(accuracy['headline'])}"
        for name, accuracy in found.items()
    ]
    above = sum(accuracy["above_chance"] for accuracy in found.values())
    verdict = f"; above chance: {above} of {len(found)}" if results["shows"] else ""
    return f"**{TASKS[task].label}** ({TASKS[task].meaning}; chance is 50 %): {listing(said)} %{verdict}."
