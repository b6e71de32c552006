"""How generated entities become F1: counts of each sentence -> sums -> precision, recall, F1, with intervals.

entities of a sentence, given and generated -> [`count_sentence`] -> [`entity_scores`], [`paired_effect`].
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

# `models/statistics.py`, under a name that hides no module of the standard library where a Space runs its folder.
from .bootstrap import NUM_RESAMPLES, resampled_means
from .entity_text import ParsedEntities, canonical_label, canonical_phrase, parse_entities

Entities = str | Sequence[Sequence[str]]

_COUNTS = ("correct", "correct_labels", "predicted", "referenced")


class Sentence(NamedTuple):
    """What a sentence has and what was found in it."""

    references: Counter
    predictions: Counter
    parsed: ParsedEntities
    is_empty: bool


def entity_scores(
    predictions: Sequence[Entities],
    references: Sequence[Entities],
    labels: Collection[str] | None = None,
    seed: int = 0,
    return_outcomes: bool = False,
    num_resamples: int = NUM_RESAMPLES,
) -> dict:
    """
    Micro-F1 of entities, as the metric returns it.

    Args:
        predictions (`Sequence[str]` or `Sequence[Sequence[tuple[str, str]]]`):
            Of each sentence, what was generated or a list of (label, phrase).
        references (`Sequence[str]` or `Sequence[Sequence[tuple[str, str]]]`): What is there, in either form.
        labels (`Collection[str]`, *optional*): The labels of the training data.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap.
        return_outcomes (`bool`, *optional*, defaults to `False`): Whether the result has `outcomes`.
        num_resamples (`int`, *optional*, defaults to 10,000): Of the bootstrap.

    Returns:
        `dict`: As the metric returns it.

    Raises:
        `ValueError`: If there are no sentences, numbers differ, or an entity is no label with a phrase.
    """
    sentences, known = compare_sentences(predictions, references, labels)
    outcomes = [_outcome(sentence) for sentence in sentences]
    totals, intervals = _totals(outcomes), _f1_intervals(outcomes, seed, num_resamples)
    by_label = _scores_by_label(sentences)
    result = _rates(totals["correct"], totals) | dict(zip(("ci_low", "ci_high"), intervals[0]))
    for name, value in _rates(totals["correct_labels"], totals).items():
        result[f"label_{name}"] = value
    result |= dict(zip(("label_ci_low", "label_ci_high"), intervals[1]))
    result |= {
        "labels": by_label,
        "n": len(sentences),
        "n_references": totals["referenced"],
        "n_predictions": totals["predicted"],
        "malformed": sum(sentence.parsed.is_malformed for sentence in sentences),
        "without_label": sum(sentence.parsed.without_label for sentence in sentences),
        "without_phrase": sum(sentence.parsed.without_phrase for sentence in sentences),
        "empty": sum(sentence.is_empty for sentence in sentences),
    }
    for name in ("references", "predictions"):
        unseen = (values[f"n_{name}"] for label, values in by_label.items() if label not in known)
        result[f"unseen_{name}"] = sum(unseen)
    if return_outcomes:
        result["outcomes"] = outcomes
    return result


def paired_effect(outcomes_a: Sequence[dict], outcomes_b: Sequence[dict], seed: int = 0) -> dict[str, float]:
    """
    How F1 changes from model A to model B on the same sentences.

    Args:
        outcomes_a (`Sequence[dict]`): `outcomes` of model A, the baseline.
        outcomes_b (`Sequence[dict]`): Those of model B, of the same sentences in the same order.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap, which draws sentences.

    Returns:
        `dict[str, float]`: `points` (100 (F1 of B - F1 of A)) and `label_points`, each with `_low` and `_high`, the
        ends of a 95 % percentile interval.

    Raises:
        `ValueError`: If they are not of the same sentences.
    """
    if [row["referenced"] for row in outcomes_a] != [row["referenced"] for row in outcomes_b]:
        raise ValueError("The outcomes are not of the same sentences; an effect needs the same in the same order.")
    table = np.hstack([_table(outcomes_a), _table(outcomes_b)])
    half = len(_COUNTS)
    observed, drawn = table.mean(axis=0), resampled_means(table, seed, NUM_RESAMPLES)
    effect = {}
    for column, name in enumerate(("points", "label_points")):
        change = 100 * (_f1(observed[half:], column) - _f1(observed[:half], column))
        changes = 100 * (_f1(drawn[:, half:], column) - _f1(drawn[:, :half], column))
        low, high = np.quantile(changes, [0.025, 0.975])
        effect |= {name: float(change), f"{name}_low": float(low), f"{name}_high": float(high)}
    return effect


def compare_sentences(
    predictions: Sequence[Entities], references: Sequence[Entities], labels: Collection[str] | None = None
) -> tuple[list[Sentence], set[str]]:
    """The sentences, counted, and the labels of training: those of the references where none are given."""
    if len(predictions) != len(references):
        raise ValueError(f"There are {len(predictions)} predictions and {len(references)} references; give one each.")
    if not len(references):
        raise ValueError("There are no sentences to judge.")
    for name, given in (("predictions", predictions), ("references", references)):
        if len({isinstance(entities, str) for entities in given}) > 1:
            raise ValueError(f"Some {name} are texts and some are lists; give all of them in one form.")
    expected = [_read(given) for given in references]
    for given, parsed in zip(references, expected):
        if parsed.is_malformed:
            raise ValueError(f"The reference {given!r} has a part that is no label with a phrase.")
    found = {label for parsed in expected for label, _ in parsed.entities}
    known = found if labels is None else {canonical_label(label) for label in labels}
    sentences = []
    for given, reference in zip(predictions, expected):
        parsed = _read(given, known | found)
        is_empty = isinstance(given, str) and not given.strip()
        sentences.append(Sentence(Counter(reference.entities), Counter(parsed.entities), parsed, is_empty))
    return sentences, known


def _read(given: Entities, labels: Collection[str] = ()) -> ParsedEntities:
    if isinstance(given, str):
        return parse_entities(given, labels)
    for pair in given:
        if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise ValueError(f"{pair!r} is no entity; give pairs of a label and a phrase.")
    pairs = [(canonical_label(label), canonical_phrase(phrase)) for label, phrase in given]
    entities = [(label, phrase) for label, phrase in pairs if label and phrase]
    without_label = sum(not label for label, _ in pairs)
    return ParsedEntities(entities, without_label, len(pairs) - len(entities) - without_label)


def _outcome(sentence: Sentence) -> dict[str, int]:
    """How many entities of a sentence there are, were found and are right."""
    predicted, referenced = (_of_labels(counts) for counts in (sentence.predictions, sentence.references))
    return {
        "correct": (sentence.predictions & sentence.references).total(),
        "correct_labels": (predicted & referenced).total(),
        "predicted": predicted.total(),
        "referenced": referenced.total(),
    }


def _of_labels(entities: Counter) -> Counter:
    """The same without phrases: how often each label is there."""
    counts: Counter = Counter()
    for (label, _), count in entities.items():
        counts[label] += count
    return counts


def _scores_by_label(sentences: Sequence[Sentence]) -> dict[str, dict]:
    """Precision, recall and F1 of entities of each label that is given or was found."""
    correct, predicted, referenced = Counter(), Counter(), Counter()
    for sentence in sentences:
        correct += _of_labels(sentence.predictions & sentence.references)
        predicted += _of_labels(sentence.predictions)
        referenced += _of_labels(sentence.references)
    table = {}
    for label in sorted(predicted | referenced):
        counts = {"predicted": predicted[label], "referenced": referenced[label]}
        table[label] = _rates(correct[label], counts)
        table[label] |= {"n_references": referenced[label], "n_predictions": predicted[label]}
    return table


def _rates(correct: int, counts: dict[str, int]) -> dict[str, float]:
    """Precision, recall and F1; a share of nothing is 0."""
    predicted, referenced = counts["predicted"], counts["referenced"]
    return {
        "precision": correct / predicted if predicted else 0.0,
        "recall": correct / referenced if referenced else 0.0,
        "f1": 2 * correct / (predicted + referenced) if predicted + referenced else 0.0,
    }


def _totals(outcomes: Sequence[dict]) -> dict[str, int]:
    return {name: sum(row[name] for row in outcomes) for name in _COUNTS}


def _table(outcomes: Sequence[dict]) -> np.ndarray:
    """Outcomes of shape `(sentences, 4)`, in the order of `_COUNTS`."""
    return np.array([[row[name] for name in _COUNTS] for row in outcomes], np.float64)


def _f1(means: np.ndarray, column: int) -> np.ndarray:
    """F1 of means of the counts, of shape `(..., 4)`, by the entities or labels that are correct."""
    both = means[..., 2] + means[..., 3]
    return np.divide(2 * means[..., column], both, out=np.zeros_like(both), where=both > 0)


def _f1_intervals(outcomes: Sequence[dict], seed: int, num_resamples: int) -> list[tuple[float, float]]:
    """95 % percentile intervals of F1 and of label-F1, over sentences."""
    drawn = resampled_means(_table(outcomes), seed, num_resamples)
    return [tuple(map(float, np.quantile(_f1(drawn, column), [0.025, 0.975]))) for column in (0, 1)]
