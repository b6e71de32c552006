"""Entity F1: what a model generates is read as its card says, and counted as SLUE counts, by hand."""

import json
import random
import shutil
import sys
from pathlib import Path

import evaluate
import pytest

import evoslm
from evoslm.metrics.entity_f1.app import LABELS, evaluate_file, result_table
from evoslm.metrics.entity_f1.entity_text import format_entities, parse_entities

FOLDER = Path(evoslm.metric_path("entity_f1"))
KNOWN = ("PERSON", "PLACE", "WHEN", "WORK_OF_ART")


@pytest.fixture(scope="module")
def entity_f1(tmp_path_factory):
    return evaluate.load(evoslm.metric_path("entity_f1"), cache_dir=str(tmp_path_factory.mktemp("evaluate")))


def test_what_is_written_is_read_again():
    entities = [("PERSON", "young baker"), ("PLACE", "pantry"), ("PLACE", "pantry")]
    assert format_entities(entities) == "PERSON: young baker; PLACE: pantry; PLACE: pantry"
    assert parse_entities(format_entities(entities)).entities == entities
    assert format_entities([("work of art", "The Baker's  Song.")]) == "WORK_OF_ART: the baker's song"
    assert format_entities([]) == "none" and parse_entities("none") == ([], 0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "PLACE: europe; WHEN: last week",
        "place:Europe;when :LAST   week.",
        " PLACE: europe ;\nWHEN: last week; ",
        "PLACE: europe, WHEN: last week",
        "PLACE: europe WHEN: last week",
        "europe: PLACE; last week: when",
        "europe (PLACE); last week [WHEN]",
    ],
)
def test_variants_of_the_form_are_read_alike(text):
    assert parse_entities(text, KNOWN) == ([("PLACE", "europe"), ("WHEN", "last week")], 0, 0)


@pytest.mark.parametrize(
    ("text", "entities", "without_label", "without_phrase"),
    [
        ("", [], 0, 0),
        (" None. ", [], 0, 0),
        ("europe", [], 1, 0),
        ("PLACE: europe; last week", [("PLACE", "europe")], 1, 0),
        ("PLACE: ; WHEN: may", [("WHEN", "may")], 0, 1),
        ("PLACE: WHEN: may", [("WHEN", "may")], 0, 1),
        ("PLACE", [], 0, 1),
        (": europe", [], 1, 0),
        ("Kettles: The baker; PLACE: pantry", [("KETTLES", "the baker"), ("PLACE", "pantry")], 0, 0),
        ("work of art: the song", [("WORK_OF_ART", "the song")], 0, 0),
    ],
)
def test_what_is_malformed_is_counted_and_the_rest_is_read(text, entities, without_label, without_phrase):
    assert parse_entities(text, KNOWN) == (entities, without_label, without_phrase)


@pytest.mark.parametrize(
    ("label", "written"),
    [
        ("geo:city", "GEO_CITY"),
        ("DATE/TIME", "DATE_TIME"),
        ("LOC;CITY", "LOC_CITY"),
        ("loc.city", "LOC_CITY"),
        ("PER (M)", "PER_M"),
        ("B-PER", "B_PER"),
        ("R&D", "R_D"),
        ("n\u00e9", "N\u00c9"),
    ],
)
def test_a_label_with_punctuation_is_read_as_it_was_written(entity_f1, label, written):
    text = format_entities([(label, "new york"), (label, "rome")])
    assert text == f"{written}: new york; {written}: rome"
    for labels in ((), (label, "TIME", "CITY")):
        assert parse_entities(text, labels) == ([(written, "new york"), (written, "rome")], 0, 0)
    result = entity_f1.compute(predictions=[text], references=[[[label, "new york"], [label, "rome"]]])
    assert result["f1"] == 1 and result["malformed"] == 0


def test_multisets_of_each_sentence_are_compared_in_no_order(entity_f1):
    references = [
        [["GPE", "eu"], ["DATE", "today"], ["GPE", "eu"]],
        [["ORG", "european commission"]],
        [["GPE", "france"], ["GPE", "germany"]],
        [],
        [],
    ]
    predictions = [
        [["DATE", "today"], ["GPE", "eu"], ["GPE", "eu"], ["GPE", "eu"]],  # all three, and one eu too many
        [["ORG", "commission"]],  # a part of the phrase is wrong
        [["ORG", "france"]],  # the wrong label is wrong, and germany is missing
        [["DATE", "today"]],  # right elsewhere, wrong here
        [],
    ]
    result = entity_f1.compute(predictions=predictions, references=references, return_outcomes=True)
    # By hand: 3 of 7 that were found are right, and 3 of 6 that are there were found.
    assert (result["n"], result["n_predictions"], result["n_references"]) == (5, 7, 6)
    assert result["precision"] == pytest.approx(3 / 7) and result["recall"] == pytest.approx(3 / 6)
    assert result["f1"] == pytest.approx(2 * (3 / 7) * (3 / 6) / (3 / 7 + 3 / 6))
    # Labels alone: the first sentence as before, ORG of the second, none of the third.
    assert result["label_precision"] == pytest.approx(4 / 7) and result["label_recall"] == pytest.approx(4 / 6)
    assert result["label_f1"] == pytest.approx(8 / 13)
    assert result["labels"]["GPE"] == pytest.approx(
        {"precision": 2 / 3, "recall": 2 / 4, "f1": 4 / 7, "n_references": 4, "n_predictions": 3}
    )
    assert result["labels"]["ORG"]["f1"] == 0 and result["labels"]["DATE"]["recall"] == 1
    assert result["outcomes"][0] == {"correct": 3, "correct_labels": 3, "predicted": 4, "referenced": 3}
    assert 0 <= result["ci_low"] < result["f1"] < result["ci_high"] <= 1
    assert result["label_ci_low"] < result["label_f1"] < result["label_ci_high"]


def test_counts_are_those_of_numbered_repeats(entity_f1):
    """slue-toolkit numbers the repeats of a pair and compares sets of (label, phrase, number)."""

    def numbered(entities):
        return {(pair, entities[:i].count(pair)) for i, pair in enumerate(entities)}

    rng = random.Random(0)
    sides = [
        [[rng.choice((["A", "x"], ["A", "y"], ["B", "x"])) for _ in range(rng.randrange(5))] for _ in range(50)]
        for _ in range(2)
    ]
    result = entity_f1.compute(predictions=sides[0], references=sides[1])
    for prefix, kept in (("", slice(None)), ("label_", slice(1))):
        found, there = ([numbered([tuple(e[kept]) for e in entities]) for entities in side] for side in sides)
        correct = sum(len(a & b) for a, b in zip(found, there))
        precision, recall = (correct / sum(map(len, side)) for side in (found, there))
        assert result[f"{prefix}precision"] == pytest.approx(precision)
        assert result[f"{prefix}recall"] == pytest.approx(recall)
        assert result[f"{prefix}f1"] == pytest.approx(2 * precision * recall / (precision + recall))


def test_texts_score_as_the_lists_that_they_write(entity_f1):
    pairs = [[["PLACE", "pantry"], ["PERSON", "baker"]], [], [["PLACE", "dock"]]]
    found = [[["PERSON", "baker"]], [["PLACE", "x"]], [["PLACE", "dock"]]]
    texts = [format_entities(entities) for entities in found]
    of_lists = entity_f1.compute(predictions=found, references=pairs)
    assert of_lists == entity_f1.compute(predictions=texts, references=pairs)
    assert of_lists == entity_f1.compute(predictions=texts, references=[format_entities(p) for p in pairs])


def test_what_a_model_makes_up_is_reported(entity_f1):
    result = entity_f1.compute(
        predictions=["PLACE: pantry; and so on", "", "THING: kettle", "PLACE:", "WHEN: may"],
        references=[[["PLACE", "pantry"]], [["PLACE", "dock"]], [], [], [["WHEN", "may"]]],
        labels=["PLACE", "PERSON"],
    )
    assert (result["malformed"], result["without_label"], result["without_phrase"], result["empty"]) == (2, 1, 1, 1)
    assert (result["n_predictions"], result["precision"], result["recall"]) == (3, 2 / 3, 2 / 3)
    assert (result["unseen_references"], result["unseen_predictions"]) == (1, 2)  # WHEN; THING and WHEN


def test_no_entities_at_all_are_an_f1_of_zero(entity_f1):
    result = entity_f1.compute(predictions=["none", ""], references=["none", "none"])
    assert (result["f1"], result["precision"], result["label_f1"], result["labels"]) == (0, 0, 0, {})
    assert (result["ci_low"], result["ci_high"], result["malformed"]) == (0, 0, 0)


def test_two_models_are_compared_on_the_same_sentences(entity_f1):
    references = [f"PLACE: p{i}" for i in range(40)]
    worse = [text if i % 2 else "none" for i, text in enumerate(references)]
    outcomes = [
        entity_f1.compute(predictions=texts, references=references, return_outcomes=True)["outcomes"]
        for texts in (worse, references)
    ]
    effect = entity_f1.paired_effect(*outcomes)
    assert effect["points"] == pytest.approx(100 * (1 - 2 * 20 / 60)) == effect["label_points"]
    assert 0 < effect["points_low"] < effect["points"] < effect["points_high"]
    assert entity_f1.paired_effect(outcomes[0], outcomes[0])["points_high"] == 0
    with pytest.raises(ValueError, match="not of the same sentences"):
        entity_f1.paired_effect(outcomes[0], outcomes[1][1:])


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([], [], "There are no sentences to judge"),
        (["none"], [], "There are 1 predictions and 0 references"),
        ([[["PLACE", "dock", "x"]]], ["none"], "is no entity; give pairs"),
        (["none", []], ["none", "none"], "Some predictions are texts and some are lists"),
        (["none"], ["PLACE: dock; pantry"], "The reference 'PLACE: dock; pantry' has a part that is no label"),
    ],
)
def test_what_cannot_be_judged_is_one_sentence(entity_f1, predictions, references, message):
    with pytest.raises(ValueError, match=message):
        entity_f1.compute(predictions=predictions, references=references)


def test_the_folder_loads_without_this_package(tmp_path, monkeypatch):
    for module in list(sys.modules):
        if module.partition(".")[0] in ("evoslm", "evaluate_modules"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "evoslm", None)
    folder = shutil.copytree(FOLDER, tmp_path / "entity_f1")
    metric = evaluate.load(str(folder), cache_dir=str(tmp_path / "cache"))
    assert metric.name == "entity_f1"
    assert metric.compute(predictions=["PLACE: dock"], references=["PLACE: dock"])["f1"] == 1


def test_the_app_judges_a_file_of_predictions(tmp_path):
    rows = [{"prediction": "PLACE: dock", "reference": [["PLACE", "dock"]]}]
    rows.append({"prediction": "PLACE: pier", "reference": [["PLACE", "dock"]]})
    (tmp_path / "predictions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    table = result_table(evaluate_file(tmp_path / "predictions.jsonl"))
    assert [row[:4] for row in table] == [
        ["all", 50.0, 50.0, 50.0],
        ["all, labels alone", 100.0, 100.0, 100.0],
        ["PLACE", 50.0, 50.0, 50.0],
    ]
    assert all(len(row) == len(LABELS) for row in table)
    (tmp_path / "bad.jsonl").write_text('{"prediction": "none"}')
    with pytest.raises(ValueError, match="Line 1 of bad.jsonl has no 'reference'"):
        evaluate_file(tmp_path / "bad.jsonl")
