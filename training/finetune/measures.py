"""F1, recall and accuracy as means over labels of ratios of sums, so that all have intervals by the same two rules.

what is there and what was predicted -> a [`Measure`]: numerators and denominators of each example -> its value, that
of another utterance's predictions ([`with_other_inputs`]), and [`describe`] -> both with their difference and
intervals.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...metrics.entity_f1.entity_scores import Sentence, compare_sentences
from ...models.seed_intervals import difference_interval, half_widths
from ...models.statistics import resampled_means

_OTHERS = 20
"""Other examples whose input each one is given, for the control."""
_RESAMPLES = 2_000


@dataclass(frozen=True)
class Measure:
    """
    The mean over labels of a ratio of two sums over examples.

    Args:
        numerators (`np.ndarray` of shape `(num_examples, num_labels)`): Of F1 `2 * correct`.
        denominators (`np.ndarray` of the same shape): Of F1 `predicted + there`.
        there (`np.ndarray` of the same shape): Which labels an example has: above 0. As in
            [`classification_scores`], the mean is over the labels of the examples that are drawn.
    """

    numerators: np.ndarray
    denominators: np.ndarray
    there: np.ndarray

    @property
    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What a draw of examples takes the means of, in the order of [`Measure.of_means`]."""
        return self.numerators, self.denominators, self.there

    @property
    def value(self) -> float:
        """The measure, between 0 and 1."""
        return float(self.of_means(*(table.mean(axis=0) for table in self.tables)))

    @staticmethod
    def of_means(numerators: np.ndarray, denominators: np.ndarray, there: np.ndarray) -> np.ndarray:
        """The measure of means over draws of the examples, of shape `(..., num_labels)`; 0 where no label is there."""
        counts = there > 0
        ratios = np.divide(numerators, denominators, out=np.zeros_like(numerators), where=counts)
        return ratios.sum(axis=-1) / np.maximum(counts.sum(axis=-1), 1)

    def contributions(self) -> np.ndarray:
        """
        What each example adds, to first order (the delta method): numbers whose mean is the measure, and move as it
        does when an example counts more.

        Returns:
            `np.ndarray` of shape `(num_examples,)`.
        """
        counts = self.there.sum(axis=0) > 0
        if not counts.any():
            return np.zeros(len(self.numerators))
        numerators, denominators = self.numerators[:, counts], self.denominators[:, counts]
        means = denominators.mean(axis=0)
        ratios = numerators.mean(axis=0) / means
        return (ratios + (numerators - ratios * denominators) / means).mean(axis=1)


def class_measures(true: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> dict[str, Measure]:
    """
    `macro_f1`, `macro_recall` and `accuracy` of classes.

    Args:
        true (`Sequence[str]`): The class of each example.
        predicted (`Sequence[str]`): What was predicted.
        labels (`Sequence[str]`): All classes that there are.
    """
    there, found = _one_hot(true, labels), _one_hot(predicted, labels)
    correct, each = there * found, np.ones((len(there), 1))
    return {
        "macro_f1": Measure(2 * correct, there + found, there),
        "macro_recall": Measure(correct, there, there),
        "accuracy": Measure(correct.sum(axis=1, keepdims=True), each, each),
    }


def entity_measures(
    true: Sequence[Sequence[tuple[str, str]]], predicted: Sequence[str], labels: Sequence[str]
) -> dict[str, Measure]:
    """
    `f1` of labels with phrases, and `label_f1` of labels alone.

    Args:
        true (`Sequence[Sequence[tuple[str, str]]]`): The entities of each example.
        predicted (`Sequence[str]`): What was generated, as text.
        labels (`Sequence[str]`): Labels of the training split.
    """
    sentences, _ = compare_sentences(predicted, true, labels)
    counts = np.array([_count(sentence) for sentence in sentences], float)
    correct, correct_labels, both = (counts[:, place, None] for place in range(3))
    return {"f1": Measure(2 * correct, both, both), "label_f1": Measure(2 * correct_labels, both, both)}


def check_test(examples: Sequence) -> None:
    """
    Refuse a test split that has no control.

    Args:
        examples (`Sequence`): Those of the split.

    Raises:
        `ValueError`: If there is one only.
    """
    if len(examples) < 2:
        raise ValueError("The test split has one example; the control needs the input of another one.")


def with_other_inputs(
    judge: Callable[[Sequence], dict[str, Measure]], predicted: Sequence, seed: int = 0
) -> dict[str, Measure]:
    """
    The measures of a model that is given the input of another example: what is known without hearing.

    What a model says depends on its input alone, so that its predictions for the others are those of the others; each
    example gets those of 20 others, or of all, in the mean.

    Args:
        judge (`Callable[[Sequence], dict[str, Measure]]`): Compares predictions with what is there.
        predicted (`Sequence`): The predictions of all examples.
        seed (`int`, *optional*, defaults to 0): Of the choice.

    Raises:
        `ValueError`: If there is one example only.
    """
    check_test(predicted)
    num = len(predicted)
    steps = np.random.default_rng(seed).permutation(np.arange(1, num))[:_OTHERS]
    drawn = [judge([predicted[(place + step) % num] for place in range(num)]) for step in steps]
    return {
        name: Measure(*(np.mean(tables, axis=0) for tables in zip(*(each[name].tables for each in drawn))))
        for name in drawn[0]
    }


def describe(own: Sequence[Measure], control: Sequence[Measure], seed: int = 0) -> dict[str, Any]:
    """
    A measure over training seeds beside its control.

    Args:
        own (`Sequence[Measure]`): Of each training seed, on the same examples.
        control (`Sequence[Measure]`): Of each, with others' inputs.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap.

    Returns:
        `dict`: `mean`, `low` and `high`, `by_seed`, the mean of the `control`, and of the `difference` `points`,
        `points_low` and `points_high`. Intervals are 95 %: with one seed of a bootstrap that draws examples, both
        sides of the difference together; with several over examples and seeds, by the rule of the reports.
    """
    found = {
        "mean": float(np.mean([measure.value for measure in own])),
        "by_seed": [measure.value for measure in own],
        "control": float(np.mean([measure.value for measure in control])),
    }
    if len(own) == 1:
        values, others = _draw(own[0], control[0], seed)
        low, high = np.quantile(values, [0.025, 0.975])
        points = 100 * np.quantile(values - others, [0.025, 0.975])
        difference = {"points": 100 * (found["mean"] - found["control"])}
        difference |= {"points_low": float(points[0]), "points_high": float(points[1])}
    else:
        a = np.stack([measure.contributions() for measure in control])
        b = np.stack([measure.contributions() for measure in own])
        examples = range(a.shape[1])
        half = float(half_widths(b[:, :, None], examples)[0])
        low, high = max(0.0, found["mean"] - half), min(1.0, found["mean"] + half)
        both = difference_interval(a, b, examples)
        difference = {name: both[name] for name in ("points", "points_low", "points_high")}
    return found | {"low": float(low), "high": float(high), "difference": difference}


def _draw(own: Measure, control: Measure, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Both measures on the same draws of examples."""
    tables = [*own.tables, *control.tables]
    drawn = resampled_means(np.hstack(tables), seed, _RESAMPLES)
    parts = np.split(drawn, np.cumsum([table.shape[1] for table in tables])[:-1], axis=1)
    return Measure.of_means(*parts[:3]), Measure.of_means(*parts[3:])


def _count(sentence: Sentence) -> tuple[int, int, int]:
    """Entities that are right, labels that are, and how many entities there are and were found together."""
    there, found = (
        Counter(label for label, _ in entities.elements()) for entities in (sentence.references, sentence.predictions)
    )
    right = (sentence.references & sentence.predictions).total()
    return right, (there & found).total(), there.total() + found.total()


def _one_hot(values: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    places = {label: place for place, label in enumerate(labels)}
    table = np.zeros((len(values), len(labels)))
    table[np.arange(len(values)), [places[value] for value in values]] = 1
    return table
