"""From the scores of every layer to accuracies by layer, and the layer that has half of what the last one has.

`items.parquet` of each model, with a list a log-likelihood -> the outcomes and estimates of the report, by layer.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ....metrics.tasks import TASKS
from ....models.files import read_json_if_whole
from ....models.scoring.sides import SIDES
from ...report.estimates import RULES, Outcomes, TaskOutcomes, estimates, headline_outcomes, task_outcomes
from ...run.folder import ITEMS_FILE, SUMMARY_FILE

LENSES = ("logit", "tuned")
_BY_LAYER = [f"{side}{part}" for side in SIDES for part in ("", "_unconditional")]


def read_layers(
    folder: Path, labels: dict[str, str], seeds: Mapping[str, Sequence[int]] | None = None
) -> dict[str, Any]:
    """
    Accuracies by layer of the models that were scored through one lens.

    Args:
        folder (`Path`): `analysis/layers/<lens>` of a run.
        labels (`dict[str, str]`): The modalities, in their order.
        seeds (`Mapping[str, Sequence[int]]`, *optional*): Training seeds by modality; all that were scored when not
            given.

    Returns:
        `dict[str, Any]`: By modality: `layers` (how many), `seeds`, `divergence` (of a tuned lens, the KL to the last
        layer in nats a token, mean over seeds, `before` and `after` it was fitted) and `tasks`, by task what
        [`accuracies_by_layer`] gives. Empty where nothing was scored.
    """
    found = {}
    for name in labels:
        paths = {int(path.parent.name[5:]): path for path in folder.glob(f"{name}/seed-*/{ITEMS_FILE}")}
        paths = {seed: path for seed, path in paths.items() if seeds is None or seed in seeds.get(name, ())}
        if paths:
            items = {seed: pd.read_parquet(path) for seed, path in sorted(paths.items())}
            outcomes = {seed: layer_outcomes(table) for seed, table in items.items()}
            fits = [read_json_if_whole(path.with_name(SUMMARY_FILE)) for path in paths.values()]
            found[name] = {
                "layers": len(next(iter(outcomes.values()))) - 1,
                "seeds": list(items),
                "divergence": _mean_divergence([fit["divergence"] for fit in fits if fit]),
                "tasks": accuracies_by_layer(outcomes),
            }
    return found


def layer_outcomes(items: pd.DataFrame) -> list[TaskOutcomes]:
    """
    Which pairs each layer gets right.

    Args:
        items (`pd.DataFrame`): Scored items with a list a log-likelihood, a number a layer.

    Returns:
        `list[TaskOutcomes]`: As the report's `task_outcomes` gives them, of the embeddings first.
    """
    values = {column: np.stack(items[column].to_numpy()) for column in _BY_LAYER if column in items}
    layers = next(iter(values.values())).shape[1]
    return [
        task_outcomes(items.assign(**{column: table[:, layer] for column, table in values.items()}))
        for layer in range(layers)
    ]


def accuracies_by_layer(outcomes: dict[int, list[TaskOutcomes]]) -> dict[str, dict[str, Any]]:
    """
    Accuracies of a modality's layers.

    Args:
        outcomes (`dict[int, list[TaskOutcomes]]`): By training seed what [`layer_outcomes`] gives.

    Returns:
        `dict[str, dict]`: By task: `rules`, by rule (`sum`, `mean`, `pmi`) the estimate of each layer, that of the
        embeddings first; and by the headline's rule `half`, the first layer at or above half of the last one's gain
        over 50 %, `half_by_seed`, and `above_chance`, without which neither is given.
    """
    layers = len(next(iter(outcomes.values())))
    by_layer: list[Outcomes] = [{seed: tables[layer] for seed, tables in outcomes.items()} for layer in range(layers)]
    found = {}
    for task in TASKS.values():
        if not all(task.name in tables for by_seed in by_layer for tables in by_seed.values()):
            continue
        tables = [
            estimates({seed: headline_outcomes(each, task.name)[list(RULES)] for seed, each in by_seed.items()})
            for by_seed in by_layer
        ]
        rules = {rule: [table[rule] for table in tables] for rule in RULES if rule in tables[-1]}
        headline = rules[task.rule]
        above = headline[-1]["low"] > 0.5
        by_seed = {
            seed: [float(headline_outcomes(each, task.name)[task.rule].mean()) for each in of_layers]
            for seed, of_layers in outcomes.items()
        }
        found[task.name] = {
            "rules": rules,
            "above_chance": above,
            "half": first_at_half([each["value"] for each in headline]) if above else None,
            "half_by_seed": {seed: first_at_half(values) for seed, values in by_seed.items()} if above else {},
        }
    return found


def first_at_half(accuracies: list[float]) -> int | None:
    """
    The first layer at or above half of the last one's gain over 50 %.

    Args:
        accuracies (`list[float]`): Of each layer, that of the embeddings first; fractions.

    Returns:
        `int` or `None`: Its number, 0 for the embeddings; `None` where the last one gains nothing.
    """
    if accuracies[-1] <= 0.5:
        return None
    half = 0.5 + (accuracies[-1] - 0.5) / 2
    return next(layer for layer, value in enumerate(accuracies) if value >= half)


def _mean_divergence(fits: list[dict[str, list[float]]]) -> dict[str, list[float]]:
    return (
        {when: np.mean([fit[when] for fit in fits], axis=0).tolist() for when in ("before", "after")} if fits else {}
    )
