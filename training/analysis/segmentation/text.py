"""The section of word segmentation: a table, a figure, and what they say.

the dict of `read_segmentation` -> [`write_segmentation`] -> a [`Section`]; no number is made here.
"""

from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes

from ...report.figures import COLORS, INK, Figure
from ...report.figures.panels import label_rows
from ...report.formatting import listing, markdown_table, number, percent, with_interval
from ..parts import Section, show

TITLE, FIGURE = "Where words begin", "analysis_segmentation"


def write_segmentation(found: dict[str, Any], labels: dict[str, str], tolerance: float) -> Section:
    """
    Write the section.

    Args:
        found (`dict[str, Any]`): What `read_segmentation` gives.
        labels (`dict[str, str]`): The modalities' names.
        tolerance (`float`): Seconds by which a boundary may be early or late.
    """
    figure = _figure(found, labels)
    most = max(each["utterances"] for each in found.values())
    paragraphs = [
        "Where a model that reads no spaces is surprised, a word may begin. A boundary is said to be before a token "
        "whose surprisal, −log p given all before it, is a peak (above that of the token before, not below that of "
        "the one behind) and above a threshold, which is the one with the highest F1 on validation utterances; it "
        f"is measured on up to {most} test utterances. Where a sound is several equal tokens these are one. Pauses "
        "are given: what lies between two of them is cut, and their edges count neither way. A boundary is right "
        f"within {1000 * tolerance:.0f} ms, each of one word at most; among letters it has to be exactly there. "
        "Beside it the same by n-grams over the same ids (Witten-Bell; runs for repeated tokens), their order chosen "
        "on validation utterances too; every n-th token; and as many boundaries as the model's, at random.",
        show(figure),
        "\n".join(f"- {sentence}" for sentence in _say(found, labels)),
        _table(found, labels),
        _notes(found),
    ]
    return Section(TITLE, paragraphs, {FIGURE: figure}, {"tolerance_seconds": tolerance, "found": found})


def _say(found: dict[str, Any], labels: dict[str, str]) -> list[str]:
    verdicts: dict[str, list[str]] = {"better": [], "worse": [], "neither": [], "one": []}
    for name, each in found.items():
        gain = each["gain"]
        verdict = "better" if gain["low"] > 0 else "worse" if gain["high"] < 0 else "neither"
        verdict = verdict if len(each["seeds"]) > 1 else "one"
        verdicts[verdict].append(f"{labels[name]} ({percent(gain['value'], sign=True)} points)")
    words = {
        "better": "The model finds more of the words than n-grams over the same ids do",
        "worse": "N-grams over the same ids find more of the words than the model does",
        "neither": "Neither the model nor n-grams are shown to find more",
        "one": "With one training nothing is shown of models; against n-grams over the same ids this one is",
    }
    sentences = [f"{words[verdict]}: {listing(names)}." for verdict, names in verdicts.items() if names]
    blind = [
        f"{labels[name]} ({percent(each['every']['f1']['value'])} % with n = {each['every']['step']})"
        for name, each in found.items()
        if each["every"]["f1"]["low"] > each["model"]["f1"]["high"]
    ]
    if blind:
        sentences.append(
            f"A boundary before every n-th token, whatever it is, does better than surprisal: {listing(blind)}."
        )
    best = max(found, key=lambda name: found[name]["model"]["f1"]["value"])
    sentences.append(f"Highest F1: {labels[best]}, {percent(found[best]['model']['f1']['value'])} %.")
    return sentences


def _table(found: dict[str, Any], labels: dict[str, str]) -> str:
    header = ["F1, %", "model", "precision", "recall", "R-value", "n-gram (order)", "model − n-gram"]
    header += ["every n-th (n)", "random"]
    rows = [
        [
            labels[name],
            with_interval(each["model"]["f1"]),
            percent(each["model"]["precision"]),
            percent(each["model"]["recall"]),
            number(each["model"]["r_value"], 2),
            f"{with_interval(each['ngram']['f1'])} ({each['ngram']['order']})",
            with_interval(each["gain"], sign=True),
            f"{percent(each['every']['f1']['value'])} ({each['every']['step']})",
            percent(each["random"]["f1"]["value"]),
        ]
        for name, each in found.items()
    ]
    return markdown_table(header, rows)


def _notes(found: dict[str, Any]) -> str:
    over = sorted({each["model"]["f1"]["over"] for each in found.values()})
    left_out = max(each["left_out"]["test"] for each in found.values())
    said = f"95 % intervals are over {listing(over)}; those of n-grams, which no seed changes, over documents alone. "
    said += "R-value (Räsänen et al. 2009) is 1 for all boundaries and none beside, and falls where many are said."
    if left_out:
        said += f" Up to {left_out} test utterances were left out, with symbols that the tokenizer does not know."
    return said


def _figure(found: dict[str, Any], labels: dict[str, str]) -> Figure:
    caption = (
        "F1 of word boundaries in per cent, with its 95 % interval: by the model's surprisal (dot), by that of "
        "n-grams over the same ids (bar), and as many boundaries at random (diamond)."
    )
    key = {"baseline": "n-grams over the same ids", "paper": "at random"}
    return Figure(
        FIGURE, caption, {"Word boundaries": lambda axes: _draw(axes, found, labels)}, 1.1 + 0.36 * len(found), key
    )


def _draw(axes: Axes, found: dict[str, Any], labels: dict[str, str]) -> None:
    for row, (name, each) in enumerate(found.items()):
        f1, color = each["model"]["f1"], COLORS[name][0]
        axes.plot([100 * f1["low"], 100 * f1["high"]], [row, row], color=color, linewidth=2.2, solid_capstyle="butt")
        axes.plot(100 * f1["value"], row, "o", color=color, markersize=6.5)
        muted = {"color": INK["muted"][0], "linestyle": "none"}
        axes.plot(100 * each["ngram"]["f1"]["value"], row, marker="|", markersize=11, markeredgewidth=1.6, **muted)
        axes.plot(100 * each["random"]["f1"]["value"], row, marker="d", markersize=6, markerfacecolor="none", **muted)
    label_rows(axes, [labels[name] for name in found])
    axes.set_xlim(0, 100)
    axes.xaxis.set_major_locator(mpl.ticker.MultipleLocator(20))
    axes.set_xlabel("F1, %")
