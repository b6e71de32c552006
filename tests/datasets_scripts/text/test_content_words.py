"""Content words: which words count, and which two count as one."""

import pytest

from evoslm.datasets_scripts.text.content_words import content_words, share_content_word, word_forms


def test_the_commonest_words_are_none_and_names_are():
    assert content_words("The baker said that Ada was not there with him.") == {"baker", "ada"}


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("baker", "bakers"),
        ("box", "boxes"),
        ("bake", "baked"),
        ("walk", "walked"),
        ("walked", "walking"),
        ("hope", "hoping"),
        ("stopped", "stop"),
        ("cries", "cry"),
        ("ada", "ada's"),
        ("Whales", "whale"),
    ],
)
def test_a_word_and_its_inflection_are_one(word, other):
    assert share_content_word(f"The {word}.", f"It was {other}!")


@pytest.mark.parametrize(
    ("word", "other"), [("baker", "bread"), ("ring", "bring"), ("hop", "hope"), ("sea", "season"), ("red", "ring")]
)
def test_other_words_are_two(word, other):
    assert not share_content_word(f"The {word}.", f"It was {other}!")


def test_what_is_left_of_a_short_word_is_no_form_of_it():
    assert word_forms("bring") == {"bring"} and word_forms("us") == {"us"}


def test_words_that_only_form_sentences_are_not_shared():
    assert not share_content_word("He was there with her.", "There he was, and her too.")
