"""Embedded tasks: in the corpus's own words, balanced, without a sentence in two splits, and not by words alone."""

import re
from collections import Counter

import numpy as np
import pytest

from evoslm.datasets_scripts.slu import read_task
from evoslm.datasets_scripts.slu.baselines import bag_of_units, bag_of_words, commonest_entities, gazetteer, majority
from evoslm.datasets_scripts.stories.simple.language import load_language
from evoslm.datasets_scripts.text.passages import SPLITS
from evoslm.datasets_scripts.text.sentences import split_sentences
from evoslm.metrics.classification import classification_scores
from evoslm.metrics.entity_f1.entity_scores import entity_scores


@pytest.fixture(scope="module")
def sentiments():
    return read_task("stories_sa", limit=900)


@pytest.fixture(scope="module")
def entities():
    return read_task("stories_ner", limit=900)


def sentences_of(task, split):
    return {sentence for example in task.splits[split] for sentence in split_sentences(example.text)}


@pytest.mark.parametrize("name", ["stories_sa", "stories_ner"])
def test_the_seed_decides_and_no_sentence_is_in_two_splits(name, request):
    task = request.getfixturevalue("sentiments" if name == "stories_sa" else "entities")
    assert task == read_task(name, limit=900)
    assert sum(map(len, task.splits.values())) == 900 and task.dropped == {}
    texts = [{example.text for example in other.splits["test"]} for other in (task, read_task(name, 1, 900))]
    assert len(texts[0] & texts[1]) < 3
    told = [sentences_of(task, split) for split in SPLITS]
    assert sum(map(len, told)) == len(set.union(*told)) == 2 * 900
    ids = [example.id for split in SPLITS for example in task.splits[split]]
    assert len(set(ids)) == 900


@pytest.mark.parametrize("name", ["sentiments", "entities"])
def test_words_are_those_of_the_corpus(name, request):
    language = load_language()
    words = {form for kind in language.kinds for form in language.forms(kind)}
    words |= {word for name in ("frequency", "degree", "near", "adjectives") for word in language.every(name)}
    words |= set(language.common("people_adjectives"))
    words |= {"the", "a", "an", "this", "these", "that", "those", "two", "some", "who", "with", "there"}
    task = request.getfixturevalue(name)
    used = {word for split in SPLITS for example in task.splits[split] for word in re.findall(r"\w+", example.text)}
    assert {word.lower() for word in used} <= words


def test_sentiments_are_balanced_and_negation_turns_them_round(sentiments):
    assert sentiments.kind == "classification" and sentiments.labels == ("negative", "neutral", "positive")
    for split in SPLITS:
        counts = Counter(example.label for example in sentiments.splits[split])
        assert max(counts.values()) - min(counts.values()) <= 2
    examples = [example for split in SPLITS for example in sentiments.splits[split]]
    for first, second in (("help", "helps"), ("blame", "blames")):
        said = [example for example in examples if re.search(rf"\b({first}|{second})\b", example.text)]
        negated = [bool(re.search(rf"\b(never|rarely) ({first}|{second})\b", example.text)) for example in said]
        assert 0.2 < sum(negated) / len(negated) < 0.7
        plain = "positive" if first == "help" else "negative"
        assert {(example.label == plain) != is_negated for example, is_negated in zip(said, negated)} == {True}


def test_words_without_their_order_decide_no_sentiment(sentiments):
    references = [example.label for example in sentiments.splits["test"]]
    scores = classification_scores(bag_of_words(sentiments), references)
    assert 0.4 < scores["accuracy"] < 0.85
    most = classification_scores(majority(sentiments), references)
    assert most["accuracy"] == pytest.approx(1 / 3, abs=0.01) and most["macro_f1"] == pytest.approx(1 / 6, abs=0.01)


def test_a_bag_of_units_has_each_run_once_and_order_in_pairs_alone(sentiments):
    """Lengths of runs tell the class here, and so does which of two units comes first, and not which there are."""
    rng = np.random.default_rng(0)
    places = {label: place for place, label in enumerate(sentiments.labels)}
    pairs = ([7, 8], [8, 7], [7, 3, 8])
    units = {}
    for split in SPLITS:
        for example in sentiments.splits[split]:
            place = places[example.label]
            noise = rng.integers(20, 40, 6).tolist()
            units[example.id] = [*noise, 3, *np.repeat(pairs[place], place + 1).tolist(), *noise]
    references = [example.label for example in sentiments.splits["test"]]
    single, double = (
        classification_scores(bag_of_units(sentiments, units, ngrams=size), references)["accuracy"] for size in (1, 2)
    )
    assert single < 0.5 and double > 0.95


def test_entities_are_phrases_of_the_text_in_its_order(entities):
    assert entities.labels == ("OBJECT", "PERSON", "PLACE", "QUANT", "TOOL")
    for example in entities.splits["train"]:
        place = 0
        for _, phrase in example.entities:
            place = example.text.lower().index(phrase, place) + len(phrase)
    shares = Counter(bool(example.entities) for split in SPLITS for example in entities.splits[split])
    assert 0.1 < shares[False] / 900 < 0.25


def test_a_role_and_not_a_noun_is_an_object_or_a_tool(entities):
    heard = Counter()
    for split in SPLITS:
        for example in entities.splits[split]:
            labels = {phrase: label for label, phrase in example.entities}
            heard.update((word, labels.get(word)) for word in re.findall(r"(?:violins|cookies|ferries)", example.text))
    assert {label for _, label in heard} == {"OBJECT", "TOOL", None}
    references = [example.entities for example in entities.splits["test"]]
    scores = entity_scores(gazetteer(entities), references)
    assert scores["labels"]["PLACE"]["f1"] > 0.95  # its nouns are nothing else
    assert scores["labels"]["TOOL"]["f1"] < 0.6 and scores["labels"]["OBJECT"]["f1"] < 0.6
    assert 0.5 < scores["f1"] < 0.9


@pytest.mark.parametrize("name", ["stories_sa", "stories_ner"])
def test_sentences_of_a_corpus_are_avoided(name):
    known = sentences_of(read_task(name, limit=60), "test")
    other = read_task(name, limit=60, avoid=known)
    assert not known & set().union(*(sentences_of(other, split) for split in SPLITS))


def test_a_language_that_has_no_further_sentence_says_so(monkeypatch):
    from evoslm.datasets_scripts.slu import stories

    monkeypatch.setattr(stories, "_MOST_TRIES", 0)
    with pytest.raises(ValueError, match="stories_sa has 0 examples, fewer than the 30 asked for"):
        read_task("stories_sa", limit=30)


def test_the_same_entities_for_all_are_those_that_training_has_most(entities):
    (answer,) = set(map(tuple, commonest_entities(entities)))
    assert set(answer) == {("QUANT", "two"), ("QUANT", "some")}
    references = [example.entities for example in entities.splits["test"]]
    own = entity_scores([list(answer)] * len(references), references, entities.labels)["f1"]
    one = entity_scores([[answer[0]]] * len(references), references, entities.labels)["f1"]
    assert own > one > 0.05


def test_a_baseline_is_for_its_kind_of_task(sentiments, entities):
    with pytest.raises(ValueError, match="stories_sa is one of classification; this baseline is for entities"):
        gazetteer(sentiments)
    with pytest.raises(ValueError, match="stories_ner is one of entities"):
        bag_of_words(entities)
    with pytest.raises(ValueError, match="stories_ner is one of entities"):
        bag_of_units(entities, {})
