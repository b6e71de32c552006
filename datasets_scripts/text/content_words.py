"""Content words: those that say what a text is about, and when two of them count as one.

text -> [`content_words`] -> [`word_forms`] of each -> [`share_content_word`], by which a Topic-SC ending must not be
told: only what goes together, and not what is the same, then shows that both are about one thing.
"""

from collections.abc import Iterable
from functools import lru_cache

from .words import words_of

NUM_FUNCTION_WORDS = 200
"""How many of the commonest words of wordfreq's English list are no content words. Names are."""
_ENDINGS = ("s", "es", "d", "ed", "ing")
_VOWELS = frozenset("aeiouy")


def content_words(text: str) -> frozenset[str]:
    """The words of a text, in small letters, that are none of the [`NUM_FUNCTION_WORDS`] commonest of English."""
    return frozenset(words_of(text.lower())) - _function_words()


@lru_cache(maxsize=100_000)
def word_forms(word: str) -> frozenset[str]:
    """
    A word and what it may be an inflection of: two words count as one if they have such a form in common.

    The endings are -s, -es, -d, -ed and -ing, with the changes of spelling that come with them (`hoping` of `hope`,
    `stopped` of `stop`, `cried` of `cry`), and the possessive. Nothing is looked up, so some words count as one that
    are not (`feed` and `fee`): the few texts that this takes for alike are no loss, while a missed one would be.

    Args:
        word (`str`): In small letters.
    """
    forms = {word, word.removesuffix("'s"), word.removesuffix("'")}
    for ending in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < 2 or _VOWELS.isdisjoint(stem):
            continue
        forms.add(stem)
        if ending == "ing":
            forms.add(f"{stem}e")
        if ending in ("ed", "ing") and len(stem) > 2 and stem[-1] == stem[-2]:
            forms.add(stem[:-1])
        if ending in ("es", "ed") and stem.endswith("i"):
            forms.add(f"{stem[:-1]}y")
    return frozenset(forms)


def content_forms(texts: Iterable[str]) -> list[frozenset[str]]:
    """The forms of all content words of each text: two texts share such a word unless their forms are disjoint."""
    return [frozenset(form for word in content_words(text) for form in word_forms(word)) for text in texts]


def share_content_word(first: str, second: str) -> bool:
    """Whether two texts have a content word in common."""
    of_first, of_second = content_forms((first, second))
    return not of_first.isdisjoint(of_second)


@lru_cache(maxsize=1)
def _function_words() -> frozenset[str]:
    from wordfreq import top_n_list

    return frozenset(top_n_list("en", NUM_FUNCTION_WORDS))
