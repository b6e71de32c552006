"""What the part of factors says: its sentences and tables.

results of `compute_factors` -> Markdown. Each sentence is made from the numbers by a rule that stands here.
"""

from ...metrics.tasks import TASKS
from ..report.formatting import (
    MISSING,
    count,
    interval,
    items,
    listing,
    markdown_table,
    number,
    papers,
    percent,
    scientific,
    with_interval,
)
from ..report.results import load_paper_figures

NOT_IN_THIS_RUN = "not in this run"
_AT = {"epochs": lambda at: f"{at:g} epochs", "tokens": lambda at: f"{count(at)} tokens", "flops": scientific}
_SHOWN = ("falls", "rises")
_VIEWS = ("converged", "epochs", "tokens", "flops")


def describe_factors(results: dict) -> str:
    """What the columns are, and which of them are of finished trainings."""
    several = len(results["seeds"]) > 1
    over = f"over pairs and training seeds (S = {len(results['seeds'])})" if several else "over pairs only"
    if results["until_converged"]:
        falling = [results["labels"][name] for name in results["still_falling"]]
        ends = "*Converged* is the end of the trainings, each until its validation loss converged"
        ends += f" (but for some of {listing(falling)}, which the limit ended before)" if falling else ""
        rest = "The other three are"
    else:
        ends = (
            f"*Equal epochs* is the end of the trainings ({number(results['epochs'])} epochs of each modality), whose "
            "learning rate has decayed; *converged* is a training of its own (`--train_until converged`, the preset "
            "`overnight`)"
        )
        rest = "Equal tokens and equal FLOPs are"
    marks = "**Bold**: shown, since the whole interval lies on one side of zero. °: both models may be guessing. "
    return (
        "The paper's Table 3, with each factor split: A into word boundaries and the phonetic alphabet, B into length "
        "and durations, C into acoustic noise (one voice) and speakers (many voices). Changes in accuracy points and, "
        "below them, in per cent of the accuracy before, which misleads near 50 %; paired 95 % intervals, "
        f"{over}. {ends}. {rest} read off points along the way, before any decay, on a fixed subset of the pairs, at "
        "the furthest place that both modalities have points around. "
        f"{marks if several else 'Of one training of each nothing is shown. '}The paper's figures are of converged "
        "models."
    )


def factor_table(results: dict, task: str) -> str:
    """One task: two rows a step, in points and in per cent, and a column a view."""
    header = [TASKS[task].label, "Factor", "in", "converged", "equal epochs", "equal tokens", "equal FLOPs"]
    rows = []
    for step in results["steps"]:
        names = " → ".join(results["modalities"][step[side]]["label"] for side in ("baseline", "result"))
        views = step["tasks"].get(task)
        if views is None:
            rows.append([names, step["factor"], "", *[NOT_IN_THIS_RUN] * 4, MISSING])
            continue
        paper = step["paper"]
        own = papers(number(paper[task], sign=True), paper.get("shown_as")) if paper and task in paper else MISSING
        rows.append([names, step["factor"], "points", *(_points(view, change) for view, change in views.items()), ""])
        rows.append(["", "", "%", *(_relative(change) for change in views.values()), own])
    return markdown_table([*header, "*paper*"], rows, left=3)


def continuation_table(results: dict, continuation: dict) -> str:
    """What each step changes in the mean perplexity of continuations, in the form of the tables of tasks."""
    found = {(change["baseline"], change["result"]): change for change in continuation.get("changes", ())}
    if not found:
        return (
            "No continuations were written in this run, so their perplexity, the last column of the paper's Tables 3 "
            "and 4, is not here; `evoslm analyze RUN --parts continuation` writes them."
        )
    paper, rows = load_paper_figures().get("continuation", {}), []
    at_end = "converged" if results["until_converged"] else "epochs"
    for step in results["steps"]:
        names = " → ".join(results["modalities"][step[side]]["label"] for side in ("baseline", "result"))
        change = found.get((step["baseline"], step["result"]))
        if change is None:
            rows.append([names, step["factor"], "", *[NOT_IN_THIS_RUN] * len(_VIEWS), MISSING])
            continue
        before, after = paper.get(step["baseline"]), paper.get(step["result"])
        own = {}
        if before and after:
            difference = after["mean"] - before["mean"]
            own = {"difference": difference, "percent": 100 * difference / before["mean"]}
        for first, unit, key, elsewhere in (
            ([names, step["factor"]], "mean", "difference", NOT_IN_THIS_RUN),
            (["", ""], "mean, %", "percent", MISSING),
            (["", ""], "geometric mean, %", "geometric_percent", MISSING),
        ):
            cells = dict.fromkeys(_VIEWS, elsewhere) | {at_end: _continued(change, key)}
            figure = number(own[key], sign=True) if key in own else None
            rows.append([*first, unit, *cells.values(), papers(figure, (after or {}).get("shown_as"))])
    header = ["Continuation", "Factor", "in", "converged", "equal epochs", "equal tokens", "equal FLOPs", "*paper*"]
    return markdown_table(header, rows, left=3)


def whole_table(results: dict, continuation: dict) -> list[str]:
    """The paper's Table 4, with its last two columns where continuations were written."""
    paper = load_paper_figures()
    header, rows = ["Modality"], []
    for task in results["tasks"]:
        header += [TASKS[task].label, "*paper*"]
    header += ["continuation: mean", "*paper*", "SD of outputs", "*paper*"]
    for name, label in results["labels"].items():
        own = paper["accuracies"].get(name, {})
        row = [label]
        for task in results["tasks"]:
            row += [with_interval(results["accuracies"][name].get(task)), papers(own.get(task), own.get("shown_as"))]
        written = continuation.get("modalities", {}).get(name)
        figures = paper.get("continuation", {}).get(name, {})
        for key in ("mean", "sd"):
            row += [number(written and written[key]), papers(figures.get(key), figures.get("shown_as"))]
        rows.append(row)
    return [
        "**The paper's Table 4, whole**: accuracies in per cent at the end of the trainings, and the perplexity of "
        "continuations, mean and standard deviation over outputs.",
        markdown_table(header, rows),
    ]


def say_missing_parts(results: dict) -> str:
    """What of the split this run has not, and how it is to be had, if it is."""
    label = {name: found["label"] for name, found in results["modalities"].items()}
    absent = results["absent"]
    if results["recorded"] and "speech_units_one_voice" in absent:
        absent = [name for name in absent if name != "speech_units_one_voice"]
        recorded = (
            "Factor C cannot be split here: a recording cannot be had in one voice with the same times. "
            "`speech_units_synthetic` sets its transcripts in synthetic voices beside it."
        )
    else:
        recorded = ""
    if not absent:
        return recorded or "All steps and parts are in this run."
    return (
        f"Not in this run: {listing([label[name] for name in absent])}. The same `evoslm study` in the same folder "
        f"with `--modalities ... {' '.join(absent)}` adds them, and makes nothing twice; one run holds one voice and "
        f"many voices with the same timing. {recorded}"
    ).strip()


def _continued(change: dict, key: str) -> str:
    """A change of perplexity, which is a cost if it rises; of the geometric mean alone it can be shown."""
    low, high = change[f"{key}_low"], change[f"{key}_high"]
    text = f"{number(change[key], sign=True)} [{number(low, sign=True)}, {number(high, sign=True)}]"
    is_shown = key == "geometric_percent" and change["can_show"] and (low > 0 or high < 0)
    return f"**{text}**" if is_shown else text


def _points(view: str, change: dict | None) -> str:
    if change is None:
        return NOT_IN_THIS_RUN
    text = f"{percent(change['points']['value'], sign=True)} {interval(change['points'], sign=True)}"
    text = f"**{text}**" if change["verdict"] in _SHOWN else text
    text += " °" if change["verdict"] == "at chance" else ""
    return text + (f" at {_AT[view](change['at'])}" if "at" in change else f" ({items([change['n']])})")


def _relative(change: dict | None) -> str:
    if change is None or change["relative"] is None:
        return MISSING
    return f"{percent(change['relative']['value'], sign=True)} {interval(change['relative'], sign=True)}"
