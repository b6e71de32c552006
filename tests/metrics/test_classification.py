"""Scores of a classification are scikit-learn's, with intervals, and what was never seen is counted."""

import random

import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from evoslm.metrics.classification import classification_effect, classification_scores

LABELS = ("negative", "neutral", "positive")


def guesses(references, seed, right):
    rng = random.Random(seed)
    return [label if rng.random() < right else rng.choice(LABELS) for label in references]


@pytest.fixture(scope="module")
def references():
    return random.Random(0).choices(LABELS, (1, 5, 3), k=300)


def test_scores_are_those_of_scikit_learn(references):
    predictions = guesses(references, 1, 0.6)
    scores = classification_scores(predictions, references)
    assert scores["macro_f1"] == pytest.approx(f1_score(references, predictions, average="macro"))
    assert scores["macro_recall"] == pytest.approx(recall_score(references, predictions, average="macro"))
    assert scores["accuracy"] == pytest.approx(accuracy_score(references, predictions))
    f1 = f1_score(references, predictions, average=None, labels=LABELS)
    assert [scores["labels"][label]["f1"] for label in LABELS] == pytest.approx(list(f1))
    for name in ("macro_f1", "macro_recall", "accuracy"):
        assert scores[f"{name}_low"] < scores[name] < scores[f"{name}_high"]
        # About two standard errors of a share of 300 on either side, more where a class is rare.
        assert 0.02 < scores[f"{name}_high"] - scores[name] < 0.2
    assert scores == classification_scores(predictions, references)


def test_no_prediction_and_one_of_another_label_are_wrong_and_counted():
    scores = classification_scores([None, "", "mixed", "a", "b"], ["a", "a", "b", "a", "b"], labels=["a"])
    assert scores["accuracy"] == 2 / 5
    assert (scores["unseen_references"], scores["unseen_predictions"]) == (2, 4)
    assert scores["macro_recall"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert scores["macro_f1"] == pytest.approx((2 / 4 + 2 / 3) / 2)


def test_models_are_compared_on_the_same_examples(references):
    worse, better = guesses(references, 1, 0.4), guesses(references, 1, 0.9)
    effect = classification_effect(worse, better, references)
    scores = [classification_scores(predictions, references) for predictions in (worse, better)]
    for name in ("macro_f1", "macro_recall", "accuracy"):
        assert effect[f"{name}_points"] == pytest.approx(100 * (scores[1][name] - scores[0][name]))
        assert 0 < effect[f"{name}_points_low"] < effect[f"{name}_points"] < effect[f"{name}_points_high"]
    assert classification_effect(worse, worse, references)["macro_f1_points_high"] == 0


def test_unequal_numbers_are_refused():
    with pytest.raises(ValueError, match="There are 1 predictions of 2 examples"):
        classification_scores(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="There are no examples"):
        classification_scores([], [])
