"""The simple stories: sentences agree, no content word comes twice, and what pairs ask about is never shown."""

import re
from collections import Counter
from itertools import combinations, islice

import pytest
import yaml

from evoslm.datasets_scripts.stories import generate_stories
from evoslm.datasets_scripts.stories.simple.generation import MAX_WORDS, MIN_WORDS
from evoslm.datasets_scripts.stories.simple.language import LANGUAGE_FILE, load_language
from evoslm.datasets_scripts.text.content_words import share_content_word


@pytest.fixture(scope="module")
def stories():
    return list(generate_stories("simple", 30_000, seed=7))


def words_of(text):
    return re.findall(r"[a-z]+", text.lower())


def test_the_same_seed_tells_the_same_and_a_longer_corpus_begins_with_the_shorter_one(stories):
    again = list(generate_stories("simple", 5_000, seed=7))
    assert again == stories[: len(again)]
    assert [story.text for story in islice(generate_stories("simple", 5_000, seed=8), 20)] != [
        story.text for story in stories[:20]
    ]


def test_stories_are_short_and_shared_out_among_splits_and_topics(stories):
    assert all(MIN_WORDS <= len(story.text.split()) <= MAX_WORDS for story in stories)
    assert {len(story.sentences) for story in stories} == {3, 4}
    assert sum(len(story.text.split()) for story in stories) > 30_000 - MAX_WORDS
    splits = Counter(story.split for story in stories)
    assert 0.85 < splits["train"] / len(stories) < 0.95 and min(splits.values()) > 20
    topics = Counter(story.topic for story in stories)
    assert len(topics) == 8 and max(topics.values()) < 2 * min(topics.values())


def test_no_content_word_comes_twice_in_a_story(stories):
    shared = [
        story
        for story in stories[:400]
        if any(share_content_word(*sentences) for sentences in combinations(story.sentences, 2))
    ]
    assert not shared


def test_half_of_the_stories_begin_with_a_word_of_their_topic_alone(stories):
    language = load_language()
    headwords = [(story, story.sentences[0].split(": ")[0]) for story in stories if ": " in story.sentences[0]]
    assert 0.4 < len(headwords) / len(stories) < 0.6
    of_topic = {
        topic: {form for words in classes.values() for word in words for form in language.forms(word)}
        for topic, classes in language.topics.items()
    }
    shared = {form for words in language.shared.values() for word in words for form in language.forms(word)}
    own = sum(word in of_topic[story.topic] for story, word in headwords)
    assert 0.7 < own / len(headwords) < 1
    for story, word in headwords:
        assert word in of_topic[story.topic] | shared
        assert not share_content_word(word, " ".join(story.sentences).split(": ")[1]), story.text


def test_a_word_has_the_forms_that_stories_show():
    language = load_language()
    assert set(language.forms("kettle")) == {"kettle", "kettles"}
    assert set(language.forms("find")) == {"find", "finds", "found"}
    assert language.forms("golden") == ("golden",)


def test_a_noun_agrees_with_the_verb_behind_it_and_with_the_word_before_it(stories):
    language = load_language()
    inflections, found = language.inflections, 0
    nouns = {
        noun: inflections.plural(noun)
        for name in ("people", "women", "men", "places", "things", "rarities")
        for noun in language.every(name)
    }
    numbers = {form: plural for forms in nouns.items() for plural, form in zip((False, True), forms)}
    verbs = {"is": False, "are": True}
    for name in ("handling", "meeting", "reflexive"):
        for lemma in language.every(name):
            verbs |= {inflections.verb(lemma, "present", False): False, lemma: True}
    before = {"a": False, "an": False, "this": False, "these": True, "those": True, "some": True, "two": True}
    for story in stories:
        for sentence in story.sentences:
            words = words_of(sentence)
            for one, other in zip(words, words[1:]):
                if one in numbers and other in verbs and other not in numbers:
                    # Behind an attractor the verb agrees with the subject: only the first noun is sure.
                    if words.index(one) <= 2:
                        assert numbers[one] == verbs[other], sentence
                        found += 1
                elif one in before and other in numbers:
                    assert numbers[other] == before[one], sentence
                    found += 1
    assert found > 2000


def test_reflexives_agree_with_the_subject(stories):
    language = load_language()
    plural = language.inflections.plural
    selves = {"herself": set(language.shared["women"]) | {"she"}, "himself": set(language.shared["men"]) | {"he"}}
    selves["themselves"] = {plural(noun) for noun in language.common("gendered")} | {"they"}
    found = Counter()
    for story in stories:
        for sentence in story.sentences:
            words = words_of(sentence)
            for word in set(words) & set(selves):
                assert set(words[:4]) & selves[word], sentence
                found[word] += 1
    assert min(found.values()) > 50 and len(found) == 3


def test_a_quarter_of_what_could_stand_beside_what_never_does(stories):
    language = load_language()
    nouns, verbs = language.every("people"), language.every("handling")
    withheld = [language.withholds(noun, verb) for noun in nouns for verb in verbs]
    assert 0.15 < sum(withheld) / len(withheld) < 0.35
    plural = language.inflections.plural
    assert all(
        language.withholds(noun, verb) == language.withholds(plural(noun), language.inflections.past(verb))
        for noun in nouns
        for verb in verbs
    )
    for story in stories:
        for sentence in story.sentences:
            words = words_of(sentence)
            assert not any(language.withholds(*pair) for pair in zip(words, words[1:])), sentence


def test_a_lexicon_of_ones_own_tells_its_own_stories(tmp_path):
    content = yaml.safe_load(LANGUAGE_FILE.read_text(encoding="utf-8"))
    kept = {name: content["topics"][name] for name in ("kitchen", "farm")}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(content | {"topics": kept}), encoding="utf-8")
    topics = {story.topic for story in generate_stories("simple", 2_000, seed=0, lexicon=str(path))}
    assert topics == {"kitchen", "farm"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda content: content["shared"].update(women="girl"), "has 1 words in the class women of shared"),
        (lambda content: content["topics"]["farm"].update(things="plow cart"), "class things of the topic farm"),
        (lambda content: content.update(topics={"farm": content["topics"]["farm"]}), "has 1 topic"),
        (lambda content: content.pop("opening"), "the key 'opening' is missing"),
        (lambda content: content.update(middle="The {x=people sees."), "is missing in the story template"),
        (lambda content: content["shared"].update(men=["king", "man"]), "has not the form of a lexicon"),
    ],
)
def test_a_lexicon_that_cannot_be_used_is_refused_in_a_sentence(tmp_path, change, complaint):
    content = yaml.safe_load(LANGUAGE_FILE.read_text(encoding="utf-8"))
    change(content)
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(complaint)):
        load_language(str(path))


def test_a_lexicon_that_is_not_there_or_no_yaml_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="--lexicon"):
        load_language(str(tmp_path / "none.yaml"))
    path = tmp_path / "bad.yaml"
    path.write_text("shared: [", encoding="utf-8")
    with pytest.raises(ValueError, match="has not the form"):
        load_language(str(path))


def test_a_corpus_shorter_than_a_story_is_refused():
    with pytest.raises(ValueError, match="less than one story"):
        list(generate_stories("simple", MAX_WORDS - 1, seed=0))
