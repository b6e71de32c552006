"""What the part of scaling says: its sentences and tables.

results of `compute_scaling` -> Markdown. Each sentence is made from the numbers by a rule that stands here.
"""

from ...metrics.tasks import TASKS
from ..report.curves.learning_curves import AXES
from ..report.curves.lines import MOST_DECADES, REACHED_BEFORE, SLOPE_NOT_SHOWN, TOO_FAR, TOO_FEW_POINTS
from ..report.formatting import (
    MISSING,
    count,
    interval,
    items,
    listing,
    markdown_table,
    number,
    percent,
    scientific,
    with_interval,
)

NOT_IN_THIS_RUN = "not in this run"
"""A view for which one of the two modalities has no points there."""
VIEWS = {"epochs": "equal epochs", "tokens": "equal tokens", "flops": "equal FLOPs"}
"""The views of a training, in the order in which tables have them."""
_WHY_MISSING = {
    SLOPE_NOT_SHOWN: "not to be had from these points: the slope's interval holds zero",
    TOO_FAR: f"not to be had from these points: more than {10**MOST_DECADES:,} times the last point",
    TOO_FEW_POINTS: "not to be had from these points: there are fewer than three",
    REACHED_BEFORE: "reached long before the first point",
}


def describe_scaling(results: dict) -> str:
    """What is fitted, and what its intervals are over."""
    over = (
        f"over pairs and training seeds (S = {_number_of_seeds(results)})"
        if len(results["seeds"]) > 1
        else "over pairs only, since there is one training of each"
    )
    return (
        "The paper's section 5.2 and its Figure 1: models along the way, before the learning rate decays, on a fixed "
        "subset of the pairs. A slope is the change in accuracy points for ten times the tokens, by least squares. "
        "The points of one training are the same weights a while later, so no point is drawn by itself: each "
        f"training, on each cluster of pairs, has a slope, and the 95 % intervals are of the mean of these, {over}. "
        "R² is of the points as they are drawn, and says nothing where there are two."
    )


def _number_of_seeds(results: dict) -> str:
    """Of how many trainings the lines are, the fewest and the most."""
    lines = [
        line
        for by_task in results["scaling"].values()
        for found in by_task.values()
        for line in found["lines"]["tokens"].values()
        if line
    ]
    found = {line["n_seeds"] for line in lines} or {len(results["seeds"])}
    return " to ".join(map(str, sorted({min(found), max(found)})))


def say_disagreement(results: dict) -> str:
    """How far the three views of the same trainings lie apart, where that shows most, or why it cannot be said."""
    topline = results["topline"]
    if topline is None:
        return "No text modality has points, so there is no topline that the three views could disagree about."
    sameness = _say_slopes(results)
    if not results["views"]:
        return (
            f"No modality but {_label(results, topline)} has points, so there is nothing to compare them with. "
            f"{sameness}"
        )
    found = [
        (_are_apart(views), _spread(views), name, task)
        for name, by_axis in results["views"].items()
        for task in results["tasks"]
        if len(views := _views_of(by_axis, task)) > 1
    ]
    if not found:
        shorter = ", whose points end before theirs begin" if _ends_before_others(results) else ""
        return (
            f"No modality has points at as many tokens or FLOPs as {_label(results, topline)} has{shorter}: only "
            f"equal epochs can be read here. {sameness}"
        )
    apart, _, name, task = max(found)
    views = _views_of(results["views"][name], task)
    said = [f"at {VIEWS[axis]} ({_place(axis, at)}) {_gap(change['points'])}" for axis, (at, change) in views.items()]
    ratio = results["an_epoch"][name]["tokens"] / results["an_epoch"][topline]["tokens"]
    absent = [VIEWS[axis] for axis in VIEWS if axis not in views]
    rest = f" ({listing(absent)}: their points do not overlap)" if absent else ""
    verdict = "The three views disagree" if apart else "No two views are shown to disagree; they lie furthest apart so"
    return (
        f"**{verdict}**: on {TASKS[task].label}, {_label(results, name)} is {listing(said)} "
        f"{_label(results, topline)}{rest}. They are the same trainings: an epoch of {_label(results, name)} has "
        f"{ratio:.1f} times the tokens, so equal tokens and FLOPs hold it against more epochs of the same text. "
        f"{sameness}"
    )


def line_table(results: dict, task: str) -> str | None:
    """Slopes for ten times the tokens with R², within the first epoch, beyond it and over all points."""
    stretches = {"first_epoch": "within the first epoch", "beyond": "beyond it", "all": "all points"}
    rows, ns = [], []
    for name, by_task in results["scaling"].items():
        lines = by_task.get(task, {}).get("lines", {}).get("tokens", {})
        if not any(lines.values()):
            continue
        ns += [line["n"] for line in lines.values() if line]
        rows.append([_label(results, name)])
        for stretch in stretches:
            line = lines.get(stretch)
            rows[-1] += [
                with_interval(line, sign=True, spread=False),
                number(line and line["r_squared"], 2),
                str(line["points"]) if line else MISSING,
            ]
    if not rows:
        return None
    header = [f"{TASKS[task].label} ({items(ns)}): slope"]
    header += [cell for text in stretches.values() for cell in (text, "R²", "points")]
    return markdown_table(header, rows)


def view_table(results: dict) -> list[str]:
    """Each modality less the topline, in the three views."""
    rows = []
    for name, by_axis in results["views"].items():
        for task in results["tasks"]:
            views = _views_of(by_axis, task)
            cells = [
                f"{with_interval(views[axis][1]['points'], sign=True)} at {_place(axis, views[axis][0])}"
                if axis in views
                else NOT_IN_THIS_RUN
                for axis in VIEWS
            ]
            rows.append([_label(results, name), TASKS[task].label, *cells])
    if not rows:
        return []
    topline = _label(results, results["topline"])
    return [
        f"**Less {topline}**, in points, at the furthest place that both have points around (between two points "
        "interpolated in the logarithm, pair by pair; nothing is extrapolated):",
        markdown_table(["Modality", "Task", *VIEWS.values()], rows, left=2),
    ]


def extrapolation_table(results: dict) -> list[str]:
    """Tokens that each modality would need for the topline's final accuracy, if it went on along its line."""
    rows = []
    for name, by_task in results["scaling"].items():
        for task in results["tasks"]:
            found = by_task.get(task, {}).get("to_topline")
            if found:
                rows.append([_label(results, name), TASKS[task].label, percent(found["goal"]), *_reach(found)])
    if not rows:
        return []
    topline = _label(results, results["topline"])
    return [
        f"### Tokens needed to reach the text topline\n\nWhat {topline} reaches at the end of its training, on the "
        "same pairs, and where the line of a modality would get there. The interval is of every "
        "number of tokens at which the line's distance to the goal cannot be told from zero, so it is lopsided, and "
        "open where the slope may be small. An accuracy cannot grow along a line for ever: it ends at 100 %, and may "
        "turn before.",
        _say_check(results),
        markdown_table(["Modality", "Task", "goal", "tokens", "interval", "times the last point"], rows, left=2),
    ]


def _say_check(results: dict) -> str:
    """What the same line says of the topline itself, where the answer is known."""
    topline, ended = results["topline"], results["ends"].get("tokens")
    parts = []
    for task, found in results["scaling"].get(topline, {}).items():
        check = found.get("to_topline")
        if check:
            said = f"{count(check['value'])}" if check["missing"] is None else "no number"
            parts.append(f"{said} on {TASKS[task].label}")
    if not (parts and ended):
        return ""
    return (
        f"**A check with a known answer:** {_label(results, topline)} itself was there after {count(ended)} tokens, "
        f"and its own line says {listing(parts)}. What lies between is how far such a line can be trusted here: its "
        "points come from before the decay of the learning rate, which lifts accuracies by itself."
    )


def _reach(found: dict) -> list[str]:
    if found["missing"]:
        return [_WHY_MISSING[found["missing"]], MISSING, MISSING]
    low = count(found["low"]) if found["low"] is not None else "open"
    high = count(found["high"]) if found["high"] is not None else "open"
    return [count(found["value"]), f"[{low}, {high}]", number(10 ** found["decades"], 2)]


def _say_slopes(results: dict) -> str:
    """Over tokens, epochs and FLOPs the slope of one modality is the same, but for how full its batches were."""
    spreads = []
    for by_task in results["scaling"].values():
        for found in by_task.values():
            values = [found["lines"][axis]["all"]["value"] for axis in AXES if found["lines"][axis]["all"]]
            spreads += [max(values) - min(values)] if len(values) == len(AXES) else []
    if not spreads:
        return ""
    return (
        f"Within one modality the views have one slope (they differ by {percent(max(spreads))} points at most), since "
        "each of its epochs has as many tokens and costs as much as the next; what they disagree about is where the "
        "lines of two modalities lie."
    )


def _ends_before_others(results: dict) -> bool:
    """Whether the topline's points end before those of all others begin, in tokens and in FLOPs."""
    seen = {
        name: [point for found in by_task.values() for point in found["points"]]
        for name, by_task in results["scaling"].items()
    }
    own = seen.pop(results["topline"], [])
    others = [point for points in seen.values() for point in points]
    if not (own and others):
        return False
    return all(max(p[axis] for p in own) < min(p[axis] for p in others) for axis in ("tokens", "flops"))


def _views_of(by_axis: dict, task: str) -> dict[str, tuple[float, dict]]:
    """Place and change by axis, of the views that there are."""
    found = {axis: by_axis[axis] for axis in VIEWS if by_axis.get(axis)}
    return {axis: (view["at"], view["tasks"][task]) for axis, view in found.items() if task in view["tasks"]}


def _are_apart(views: dict) -> bool:
    """Whether the intervals of two of the views have nothing in common."""
    points = [change["points"] for _, change in views.values()]
    return max(each["low"] for each in points) > min(each["high"] for each in points)


def _spread(views: dict) -> float:
    values = [change["points"]["value"] for _, change in views.values()]
    return max(values) - min(values)


def _gap(points: dict) -> str:
    side, sign = ("below", -1) if points["value"] < 0 else ("above", 1)
    ends = sorted((sign * points["low"], sign * points["high"]))
    return f"{percent(abs(points['value']))} points {interval({'low': ends[0], 'high': ends[1]})} {side}"


def _place(axis: str, at: float) -> str:
    return {"epochs": f"{at:g}", "tokens": f"{count(at)} tokens", "flops": scientific(at)}[axis]


def _label(results: dict, name: str) -> str:
    return results["modalities"][name]["label"]
