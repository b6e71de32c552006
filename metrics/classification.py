"""Scores of a classification, as SLUE scores sentiment: macro-F1, macro-recall and accuracy, with their intervals.

labels, given and predicted -> how often each pair of them occurs -> drawn again with replacement -> scores.
"""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

_NUM_RESAMPLES = 10_000
_SCORES = ("macro_f1", "macro_recall", "accuracy")


def classification_scores(
    predictions: Sequence[str | None],
    references: Sequence[str],
    labels: Collection[str] | None = None,
    seed: int = 0,
) -> dict:
    """
    Score a classification.

    Macro scores are means over the labels of the references, which all count alike; a prediction of another label, or
    of none, is wrong. In a resample that lacks a label the mean is over the others.

    Args:
        predictions (`Sequence[str]`): The label of each example that was predicted; `None` or `""` where none was.
        references (`Sequence[str]`): Its true one.
        labels (`Collection[str]`, *optional*): The labels of the training data. By default those of the references.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap, which draws examples.

    Returns:
        `dict`: `macro_f1`, `macro_recall` and `accuracy`, between 0 and 1, each with `_low` and `_high`, the ends of a
        95 % percentile interval; `labels`: `precision`, `recall`, `f1`, `n_references` and `n_predictions` of each
        label of the references; `n`; `unseen_references` and `unseen_predictions`, examples whose label is not among
        `labels`.

    Raises:
        `ValueError`: If there are no examples, or not as many predictions as references.
    """
    counted = _CountedPairs([predictions], references)
    observed, drawn = counted.observed(0), counted.drawn(0, seed)
    result = {}
    for name in _SCORES:
        low, high = np.quantile(drawn[name], [0.025, 0.975])
        result |= {name: float(observed[name]), f"{name}_low": float(low), f"{name}_high": float(high)}
    known = set(references) if labels is None else set(labels)
    return result | {
        "labels": counted.by_label(0),
        "n": len(references),
        "unseen_references": sum(label not in known for label in references),
        "unseen_predictions": sum(label not in known for label in predictions),
    }


def classification_effect(
    predictions_a: Sequence[str | None],
    predictions_b: Sequence[str | None],
    references: Sequence[str],
    seed: int = 0,
) -> dict[str, float]:
    """
    How the scores change from model A to model B on the same examples.

    Args:
        predictions_a (`Sequence[str]`): Predictions of model A, the baseline.
        predictions_b (`Sequence[str]`): Those of model B, in the same order.
        references (`Sequence[str]`): The true labels.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap, which draws examples.

    Returns:
        `dict[str, float]`: `macro_f1_points`, `macro_recall_points` and `accuracy_points`, 100 (b - a), each with
        `_low` and `_high`, the ends of a 95 % percentile interval.

    Raises:
        `ValueError`: As [`classification_scores`].
    """
    counted = _CountedPairs([predictions_a, predictions_b], references)
    observed = [counted.observed(model) for model in (0, 1)]
    drawn = [counted.drawn(model, seed) for model in (0, 1)]
    effect = {}
    for name in _SCORES:
        low, high = 100 * np.quantile(drawn[1][name] - drawn[0][name], [0.025, 0.975])
        points = 100 * (observed[1][name] - observed[0][name])
        effect |= {f"{name}_points": float(points), f"{name}_points_low": float(low)}
        effect[f"{name}_points_high"] = float(high)
    return effect


class _CountedPairs:
    """
    How often a reference and what each model predicts for it occur together: examples alike are interchangeable, so
    that how often each kind is drawn is drawn instead of examples.
    """

    def __init__(self, predictions: Sequence[Sequence[str | None]], references: Sequence[str]):
        for given in predictions:
            if len(given) != len(references):
                raise ValueError(f"There are {len(given)} predictions of {len(references)} examples; give one each.")
        if not len(references):
            raise ValueError("There are no examples to judge.")
        counts = Counter(zip(references, *predictions))
        self.labels = sorted(set(references))
        kinds = sorted(counts, key=repr)
        self._counts = np.array([counts[kind] for kind in kinds], np.float64)
        # Of shape (kinds, labels) each: whether a kind has the label.
        has_label = [[[value == label for label in self.labels] for value in column] for column in zip(*kinds)]
        self._true, *self._predicted = np.array(has_label, np.float64)

    def observed(self, model: int) -> dict[str, np.ndarray]:
        """The scores of a model."""
        return self._scores(self._counts, model)

    def drawn(self, model: int, seed: int) -> dict[str, np.ndarray]:
        """The scores of a model in resamples, the same ones for every model."""
        total = int(self._counts.sum())
        rng = np.random.default_rng(seed)
        return self._scores(rng.multinomial(total, self._counts / total, size=_NUM_RESAMPLES), model)

    def by_label(self, model: int) -> dict[str, dict]:
        """Precision, recall and F1 of each label."""
        correct, predicted, true = self._sums(self._counts, model)
        return {
            label: {
                "precision": float(correct[i] / predicted[i]) if predicted[i] else 0.0,
                "recall": float(correct[i] / true[i]),
                "f1": float(2 * correct[i] / (predicted[i] + true[i])),
                "n_references": int(true[i]),
                "n_predictions": int(predicted[i]),
            }
            for i, label in enumerate(self.labels)
        }

    def _sums(self, counts: np.ndarray, model: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Correct, predicted and true examples of each label, of shape `(..., labels)`."""
        predicted = self._predicted[model]
        return counts @ (predicted * self._true), counts @ predicted, counts @ self._true

    def _scores(self, counts: np.ndarray, model: int) -> dict[str, np.ndarray]:
        correct, predicted, true = self._sums(counts, model)
        present = true > 0
        f1 = np.where(present, 2 * correct / np.maximum(predicted + true, 1), 0)
        recall = correct / np.maximum(true, 1)
        return {
            "macro_f1": f1.sum(axis=-1) / present.sum(axis=-1),
            "macro_recall": recall.sum(axis=-1) / present.sum(axis=-1),
            "accuracy": correct.sum(axis=-1) / counts.sum(axis=-1),
        }
