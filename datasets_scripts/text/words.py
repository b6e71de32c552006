"""The words of texts, and how often they occur.

text -> [`words_of`] -> its words as they stand; texts -> [`count_words`] -> counts of the words in small letters.
"""

import re
from collections import Counter
from collections.abc import Iterable

_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")


def words_of(text: str) -> list[str]:
    """The words of a text as they stand: runs of letters, with apostrophes inside."""
    return _WORD.findall(text)


def is_word(text: str) -> bool:
    """Whether a text is one word and nothing else."""
    return _WORD.fullmatch(text) is not None


def count_words(texts: Iterable[str]) -> Counter[str]:
    """Count the words of texts by their case-folded form."""
    counts = Counter()
    for text in texts:
        counts.update(words_of(text.lower()))
    return counts
