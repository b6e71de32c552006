"""The section of layers: accuracies by depth as a figure and a table a task, and what they say.

the dict of `read_layers` by lens -> [`write_layers`] -> a [`Section`]; no number is made here.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ....metrics.tasks import TASKS
from ...report.figures import COLORS, INK, MARKERS, Figure
from ...report.figures.panels import draw_chance, label_ends
from ...report.formatting import MISSING, listing, markdown_table, number, percent, with_interval
from ..parts import Section, show

TITLE = "What each layer knows"
_READ = {
    "logit": "Every layer's states through the final normalisation and the output layer, as they are (logit lens).",
    "tuned": "The same after an affine map for each layer, fitted on training utterances so that the layer says as "
    "nearly as it can what the last one says (tuned lens, Belrose et al. 2023).",
}


def write_layers(found: dict[str, dict[str, Any]], labels: dict[str, str]) -> Section:
    """
    Write the section.

    Args:
        found (`dict[str, dict]`): By lens, what `read_layers` gives.
        labels (`dict[str, str]`): The modalities' names.
    """
    paragraphs, figures = [], {}
    for lens, layers in found.items():
        name = "analysis_layers" if lens == "logit" else f"analysis_layers_{lens}"
        figures[name] = _figure(name, layers, labels)
        paragraphs += [
            _READ[lens]
            + " The pairs and rules are the report's, and so is the accuracy of the last layer; the paper's "
            "Figures 2 and 3 show the same of larger models. *Half* is the first layer at or above half of the last "
            "one's gain over 50 %, by training seed in brackets; it is not given where the last layer is not above "
            "chance. Layer 0 is the embeddings.",
            show(figures[name]),
            "\n".join(f"- {sentence}" for sentence in _say(layers, labels)),
            _half_table(layers, labels),
            *_layer_tables(layers, labels),
        ]
        if lens == "tuned":
            paragraphs += [_divergence_table(layers, labels)]
    return Section(TITLE, paragraphs, figures, {"lenses": found})


def _tasks(layers: dict[str, Any]) -> list[str]:
    return [task for task in TASKS if any(task in each["tasks"] for each in layers.values())]


def _headline(layers: dict[str, Any], name: str, task: str) -> list[dict]:
    return layers[name]["tasks"][task]["rules"][TASKS[task].rule]


def _say(layers: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """For each task which modalities have half of their gain where."""
    sentences = []
    for task in _tasks(layers):
        asked = [name for name in layers if task in layers[name]["tasks"]]
        shown = {name: layers[name]["tasks"][task]["half"] for name in asked}
        at_chance = [labels[name] for name, half in shown.items() if half is None]
        by_layer: dict[int, list[str]] = {}
        for name, half in shown.items():
            if half is not None:
                by_layer.setdefault(half, []).append(labels[name])
        where = [f"{listing(names)} at {_layer(layer)}" for layer, names in sorted(by_layer.items())]
        text = f"**{TASKS[task].label}**: " + (f"half of the gain is there in {'; '.join(where)}" if where else "")
        if at_chance:
            text += ("; " if where else "") + f"the last layer is not above chance in {listing(at_chance)}"
        sentences.append(text + ".")
    return sentences


def _layer(layer: int) -> str:
    return "the embeddings" if layer == 0 else f"layer {layer}"


def _half_table(layers: dict[str, Any], labels: dict[str, str]) -> str:
    tasks = _tasks(layers)
    header = ["", *(f"{TASKS[task].label}: {part}" for task in tasks for part in ("last layer", "half"))]
    rows = []
    for name, each in layers.items():
        row = [labels[name]]
        for task in tasks:
            if task not in each["tasks"]:
                row += [MISSING, MISSING]
                continue
            found = each["tasks"][task]
            row += [with_interval(_headline(layers, name, task)[-1], spread=False), _half(found, each["layers"])]
        rows.append(row)
    return markdown_table(header, rows)


def _half(found: dict[str, Any], layers: int) -> str:
    if found["half"] is None:
        return MISSING
    by_seed = [MISSING if half is None else str(half) for half in found["half_by_seed"].values()]
    return f"{found['half']} of {layers}" + (f" ({', '.join(by_seed)})" if len(by_seed) > 1 else "")


def _layer_tables(layers: dict[str, Any], labels: dict[str, str]) -> list[str]:
    parts = []
    deepest = max(each["layers"] for each in layers.values())
    for task in _tasks(layers):
        rows = [
            [labels[name], *(percent(each["value"]) for each in values), *[""] * (deepest + 1 - len(values))]
            for name in layers
            if task in layers[name]["tasks"]
            for values in [_headline(layers, name, task)]
        ]
        header = [f"{TASKS[task].label} ({TASKS[task].rule}), layer", *map(str, range(deepest + 1))]
        parts.append(markdown_table(header, rows))
    return parts


def _divergence_table(layers: dict[str, Any], labels: dict[str, str]) -> str:
    deepest = max(each["layers"] for each in layers.values())
    rows = [
        [f"{labels[name]}, {when}", *(number(value, 2) for value in each["divergence"][when])]
        for name, each in layers.items()
        if each["divergence"]
        for when in ("before", "after")
    ]
    header = ["KL to the last layer, nats a token, layer", *map(str, range(deepest))]
    said = "How far each layer is from the last one on validation utterances, before and after the maps were fitted."
    return f"{said}\n\n{markdown_table(header, rows)}"


def _figure(name: str, layers: dict[str, Any], labels: dict[str, str]) -> Figure:
    several = any(len(each["seeds"]) > 1 for each in layers.values())
    over = "over pairs and training seeds" if several else "over pairs only (one training seed)"
    panels = {
        f"{TASKS[task].label} ({TASKS[task].rule})": lambda axes, task=task: _draw(axes, layers, labels, task)
        for task in _tasks(layers)
    }
    caption = (
        "Accuracy in per cent by depth: 0 is the embeddings, 1 the last layer, whose accuracy is the model's. Bars "
        f"are 95 % intervals {over}; dashed: chance."
    )
    return Figure(name, caption, panels, 3.6)


def _draw(axes: Axes, layers: dict[str, Any], labels: dict[str, str], task: str) -> None:
    draw_chance(axes, horizontal=True)
    names, ends = [name for name in layers if task in layers[name]["tasks"]], []
    for place, name in enumerate(names):
        found, color = _headline(layers, name, task), COLORS[name][0]
        # Beside each other, so that intervals of one layer can be told apart.
        beside = 0.012 * (place - (len(names) - 1) / 2)
        x = np.linspace(0, 1, len(found)) + beside
        for at, each in zip(x, found):
            axes.plot([at, at], [100 * each["low"], 100 * each["high"]], color=color, alpha=0.3, linewidth=1)
        y = [100 * each["value"] for each in found]
        axes.plot(x, y, color=color, marker=MARKERS[name], markersize=4.5, linewidth=1.4)
        ends.append((x[-1], y[-1], name))
    axes.set_xlabel("depth: layer / layers")
    axes.set_ylabel("accuracy, %")
    axes.grid(axis="y", color=INK["faint"][0], linewidth=0.6)
    axes.set_axisbelow(True)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 40), min(max(high, 75), 101.5))
    label_ends(axes, {"modalities": {name: {"label": label} for name, label in labels.items()}}, ends)
