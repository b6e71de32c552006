"""F1 and recall are those of scikit-learn and of the metric, and intervals are about their difference."""

from functools import partial

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from evoslm.metrics.classification import classification_scores
from evoslm.metrics.entity_f1.entity_scores import entity_scores
from evoslm.training.finetune.measures import (
    Measure,
    class_measures,
    describe,
    entity_measures,
    with_other_inputs,
)

LABELS = ["negative", "neutral", "positive"]


def draw_classes(num, accuracy, seed=0):
    rng = np.random.default_rng(seed)
    true = rng.choice(LABELS, num, p=[0.5, 0.2, 0.3])
    return true.tolist(), np.where(rng.random(num) < accuracy, true, rng.choice(LABELS, num)).tolist()


@pytest.mark.parametrize("accuracy", [0.0, 0.6, 1.0])
def test_measures_of_classes_are_those_of_scikit_learn(accuracy):
    true, predicted = draw_classes(80, accuracy)
    found = {name: measure.value for name, measure in class_measures(true, predicted, LABELS).items()}
    assert found["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro"))
    assert found["macro_recall"] == pytest.approx(recall_score(true, predicted, average="macro"))
    assert found["accuracy"] == pytest.approx(accuracy_score(true, predicted))


@pytest.mark.parametrize("wrong", ["negative", "neutral"])
def test_a_label_that_is_not_there_does_not_count(wrong):
    true, predicted = ["negative", "positive"] * 20, ["negative", wrong] * 20
    measures, scores = class_measures(true, predicted, LABELS), classification_scores(predicted, true, LABELS)
    for name, measure in measures.items():
        assert measure.value == pytest.approx(scores[name])


def test_a_draw_of_examples_without_a_label_is_judged_by_the_others():
    true = ["negative"] * 60 + ["positive"] * 38 + ["neutral"]
    judge = partial(class_measures, true, labels=LABELS)
    own, control = judge(true), with_other_inputs(judge, true)
    for name in own:
        found = describe([own[name]], [control[name]])
        assert (found["mean"], found["low"], found["high"]) == (1, 1, 1)
    predicted = ["negative"] * 70 + ["positive"] * 28 + ["neutral"]
    found = describe([judge(predicted)["macro_f1"]], [control["macro_f1"]])
    scores = classification_scores(predicted, true, LABELS)
    assert found["low"] == pytest.approx(scores["macro_f1_low"], abs=0.02)
    assert found["high"] == pytest.approx(scores["macro_f1_high"], abs=0.02)


def test_measures_of_entities_are_those_of_the_metric():
    true = [[("PLACE", "rome"), ("PLACE", "rome")], [("PERSON", "anna")], []]
    predicted = ["PLACE: rome; PERSON: rome", "PERSON: ben", "PLACE: x; rubbish"]
    found = entity_measures(true, predicted, ["PLACE", "PERSON"])
    expected = entity_scores(predicted, true)
    assert found["f1"].value == pytest.approx(expected["f1"])
    assert found["label_f1"].value == pytest.approx(expected["label_f1"])


@pytest.mark.parametrize("name", ["macro_f1", "macro_recall", "accuracy"])
def test_contributions_have_the_measure_as_mean_and_move_with_it(name):
    true, predicted = draw_classes(60, 0.5)
    measure = class_measures(true, predicted, LABELS)[name]
    contributions = measure.contributions()
    assert contributions.mean() == pytest.approx(measure.value)
    weights = 1 + 1e-4 * np.random.default_rng(1).standard_normal(60)
    means = [np.average(table, axis=0, weights=weights) for table in measure.tables]
    moved = np.average(contributions, weights=weights)
    assert measure.of_means(*means) - measure.value == pytest.approx(moved - measure.value, rel=0.01)


def test_the_control_is_what_the_labels_alone_give():
    true, _ = draw_classes(400, 1.0)
    control = with_other_inputs(partial(class_measures, true, labels=LABELS), true)
    shares = np.array([true.count(label) for label in LABELS]) / len(true)
    assert control["accuracy"].value == pytest.approx(np.square(shares).sum(), abs=0.03)
    assert control["macro_recall"].value == pytest.approx(1 / 3, abs=0.03)
    with pytest.raises(ValueError, match="The test split has one example"):
        with_other_inputs(lambda predicted: {}, ["negative"])


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_a_difference_to_the_control_has_an_interval(num_seeds):
    own, control = [], []
    for seed in range(num_seeds):
        true, predicted = draw_classes(200, 0.5)
        if seed:  # another training, the same examples
            predicted = [draw_classes(200, 0.5, seed)[1][i] if i % 7 == 0 else row for i, row in enumerate(predicted)]
        own.append(class_measures(true, predicted, LABELS)["macro_f1"])
        control.append(with_other_inputs(partial(class_measures, true, labels=LABELS), predicted)["macro_f1"])
    found = describe(own, control)
    assert found["low"] < found["mean"] < found["high"] and len(found["by_seed"]) == num_seeds
    difference = found["difference"]
    assert difference["points"] == pytest.approx(100 * (found["mean"] - found["control"]))
    assert 0 < difference["points_low"] < difference["points"] < difference["points_high"]


def test_a_model_that_says_the_same_of_all_is_no_better_than_with_others_inputs():
    true, _ = draw_classes(100, 1.0)
    judge = partial(class_measures, true, labels=LABELS)
    own = judge(["negative"] * 100)
    found = describe([own["macro_f1"]], [with_other_inputs(judge, ["negative"] * 100)["macro_f1"]])
    assert [found["difference"][name] for name in ("points", "points_low", "points_high")] == [0.0, 0.0, 0.0]


def test_of_nothing_a_measure_is_nothing():
    nothing = Measure(np.zeros((3, 1)), np.zeros((3, 1)), np.zeros((3, 1)))
    assert nothing.value == 0 and not nothing.contributions().any()
