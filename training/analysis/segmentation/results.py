"""From hits an utterance to precision, recall, F1 and R-value with intervals.

`boundaries.parquet` of models and rules -> sums over utterances -> measures, and how far each utterance moves F1, from
which intervals over documents and training seeds are made as those of accuracies.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ....models.files import read_json
from ....models.seed_intervals import half_widths
from ....models.statistics import resampled_means
from ....models.unit_quality.boundaries import BoundaryCounts
from ...report.estimates import BOOTSTRAP_SEED, PAIRS_AND_SEEDS
from ...run.folder import SUMMARY_FILE
from .boundary_rules import COUNTS

BOUNDARIES_FILE = "boundaries.parquet"
DOCUMENTS = "documents"
DOCUMENTS_AND_SEEDS = PAIRS_AND_SEEDS.replace("pairs", DOCUMENTS)
"""What an interval is over."""


def read_segmentation(
    folder: Path, labels: dict[str, str], seeds: Mapping[str, Sequence[int]] | None = None
) -> dict[str, Any]:
    """
    Word boundaries of the models of a run, and of rules on the same utterances.

    Args:
        folder (`Path`): `analysis/segmentation` of a run.
        labels (`dict[str, str]`): The modalities, in their order.
        seeds (`Mapping[str, Sequence[int]]`, *optional*): Training seeds by modality; all that were measured when not
            given.

    Returns:
        `dict[str, Any]`: By modality `seeds`, `utterances`, `boundaries`, `left_out`; by rule (`model`, `random`,
        `ngram` with its `order`, `every` with its `step`) what [`measure`] gives; and `gain`, the F1 of the model less
        that of the n-grams, `value, low, high, over`. Empty where nothing was measured.
    """
    found = {}
    for name in labels:
        paths = {int(path.parent.name[5:]): path for path in folder.glob(f"{name}/seed-*/{BOUNDARIES_FILE}")}
        paths = {seed: path for seed, path in paths.items() if seeds is None or seed in seeds.get(name, ())}
        if not paths or not (folder / name / "rules" / BOUNDARIES_FILE).is_file():
            continue
        models = {seed: _read_rules(path) for seed, path in sorted(paths.items())}
        rules = _read_rules(folder / name / "rules" / BOUNDARIES_FILE)
        summary = read_json(folder / name / "rules" / SUMMARY_FILE)
        orders = {rule: chosen for rule, chosen in summary["rules"].items() if rule.startswith("ngram")}
        best = max(orders, key=lambda rule: orders[rule]["validation_f1"])
        of_models = [tables["model"] for tables in models.values()]
        found[name] = {
            "seeds": list(models),
            "utterances": len(of_models[0]),
            "boundaries": int(of_models[0]["expected"].sum()),
            "left_out": summary["left_out"],
            "model": measure(of_models),
            "random": measure([tables["random"] for tables in models.values()]),
            "ngram": {"order": int(best.removeprefix("ngram"))} | measure([rules[best]]),
            "every": {"step": summary["rules"]["every"]["step"]} | measure([rules["every"]]),
            "gain": compare(of_models, rules[best]),
        }
    return found


def measure(tables: list[pd.DataFrame]) -> dict[str, Any]:
    """
    Measures over all utterances.

    Args:
        tables (`list[pd.DataFrame]`): `id, document, hits, found, expected` a row, of each training seed.

    Returns:
        `dict[str, Any]`: `f1` (`value, low, high, over`, and `seeds` where there are several), and means over seeds of
        `precision`, `recall`, `r_value`.
    """
    scores = [_scores(table) for table in tables]
    return {"f1": _estimate(np.stack([_moves(table) for table in tables]), tables[0]["document"])} | {
        name: float(np.mean([each[name] for each in scores])) for name in ("precision", "recall", "r_value")
    }


def compare(models: list[pd.DataFrame], rule: pd.DataFrame) -> dict[str, Any]:
    """
    F1 of models less that of a rule on the same utterances, which no seed changes.

    Args:
        models (`list[pd.DataFrame]`): As for [`measure`], of each training seed.
        rule (`pd.DataFrame`): The same of the rule.

    Returns:
        `dict[str, Any]`: `value, low, high, over`, and `seeds` where there are several.
    """
    return _estimate(np.stack([_moves(table) - _moves(rule) for table in models]), rule["document"])


def _read_rules(path: Path) -> dict[str, pd.DataFrame]:
    table = pd.read_parquet(path)
    return {rule: own.sort_values("id").reset_index(drop=True) for rule, own in table.groupby("rule")}


def _scores(table: pd.DataFrame) -> dict[str, float]:
    counts = BoundaryCounts(0.0)
    counts.num_hits, counts.num_found, counts.num_expected = table[COUNTS].sum()
    return counts.scores()


def _moves(table: pd.DataFrame) -> np.ndarray:
    """
    F1, and on top of it how far each utterance moves it (its influence, the first term of the ratio's series): their
    mean is F1, and they vary as F1 does from one choice of utterances to another.
    """
    hits, both = 2 * table["hits"].to_numpy(float), (table["found"] + table["expected"]).to_numpy(float)
    value = hits.sum() / both.sum() if both.sum() else 0.0
    return value + (hits - value * both) / (both.mean() or 1.0)


def _estimate(values: np.ndarray, documents: pd.Series) -> dict[str, Any]:
    """Of shape (seeds, utterances): the mean, and its 95 % interval over documents and seeds, if there are several."""
    value = float(values.mean())
    if len(values) > 1:
        half = float(half_widths(values[..., None], documents.to_numpy())[0])
        by_seed = [float(mean) for mean in values.mean(axis=1)]
        return {
            "value": value,
            "low": value - half,
            "high": value + half,
            "over": DOCUMENTS_AND_SEEDS,
            "seeds": by_seed,
        }
    drawn = resampled_means(values.T, BOOTSTRAP_SEED, cluster_ids=documents.to_numpy())[:, 0]
    low, high = (float(end) for end in np.quantile(drawn, [0.025, 0.975]))
    return {"value": value, "low": low, "high": high, "over": DOCUMENTS}
