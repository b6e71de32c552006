"""Pseudo-words: a word's spelling edited in one place, pronounced, and kept only where one place of the sound changed.

word -> edited spellings -> those that no word list has -> espeak -> [`PseudoWord`]s that differ from the word in one
segment of at most two phones, with the same syllables and stress, and sound like no word.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..text.word_list import Lexicon

_RUN = re.compile(r"[aeiouy]+|[^aeiouy]+")
_VOWELS = "aeiou"
_CONSONANTS = "bcdfghjklmnprstvwz"
_MAX_SEGMENT = 2


@dataclass(frozen=True)
class PseudoWord:
    """A non-word made from `word`: its spelling and its phones, without silences."""

    word: str
    spelling: str
    phones: tuple[str, ...]


class SpellingEditor:
    """
    Edits spellings in one place, with the letter groups that a corpus itself uses there.

    A word is read as runs of vowel letters and of consonant letters (`str-ea-m`). An edit replaces one run by another
    of the same kind that the corpus has at the same place (start, inside, end of a word), replaces one letter by
    another of its kind, or takes one letter away.

    Args:
        words (`Iterable[str]`): Lower-case words to learn the runs from.
        max_runs (`int`, *optional*, defaults to 40): The most frequent runs of each kind and place are used.
    """

    def __init__(self, words: Iterable[str], max_runs: int = 40):
        counts = defaultdict(Counter)
        for word in words:
            runs = _RUN.findall(word)
            for index, run in enumerate(runs):
                counts[_kind(runs, index)][run] += 1
        self._runs = {
            kind: [run for run, _ in sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:max_runs]]
            for kind, counter in counts.items()
        }

    def edits(self, word: str) -> list[str]:
        """All edited spellings of `word`, without repetition, in a fixed order."""
        return [spelling for spelling in dict.fromkeys(self._edits(word)) if spelling != word and len(spelling) > 2]

    def _edits(self, word: str) -> Iterator[str]:
        runs = _RUN.findall(word)
        for index in range(len(runs)):
            head, tail = "".join(runs[:index]), "".join(runs[index + 1 :])
            for run in self._runs.get(_kind(runs, index), ()):
                yield f"{head}{run}{tail}"
        for index, letter in enumerate(word):
            head, tail = word[:index], word[index + 1 :]
            for other in _VOWELS if letter in _VOWELS else _CONSONANTS:
                yield f"{head}{other}{tail}"
            yield f"{head}{tail}"


def edited_segment(word: tuple[str, ...], other: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """
    The one stretch in which two phone sequences differ.

    Returns:
        `tuple`: What stands in `word` and what stands in `other` between their longest common beginning and end.
    """
    start = 0
    while start < min(len(word), len(other)) and word[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(word), len(other)) - start and word[-1 - end] == other[-1 - end]:
        end += 1
    return word[start : len(word) - end], other[start : len(other) - end]


def reason_to_drop(word: tuple[str, ...], pseudo: tuple[str, ...], lexicon: Lexicon) -> str | None:
    """
    Why a pronounced candidate is no pseudo-word.

    Args:
        word (`tuple[str, ...]`): The word's phones.
        pseudo (`tuple[str, ...]`): The candidate's phones.
        lexicon ([`Lexicon`]): The words that it may not sound like.

    Returns:
        `str` or `None`: The reason, in words fit for a report; `None` for a candidate to keep.
    """
    if pseudo == word:
        return "sounds like the word"
    if max(map(len, edited_segment(word, pseudo))) > _MAX_SEGMENT:
        return f"differs in more than {_MAX_SEGMENT} phones"
    if _stresses(word) != _stresses(pseudo):
        return "other syllables or stress"
    if lexicon.has_sound(pseudo):
        return "sounds like another word"
    return None


def _kind(runs: list[str], index: int) -> tuple[bool, bool, bool]:
    return runs[index][0] in "aeiouy", index == 0, index == len(runs) - 1


def _stresses(phones: tuple[str, ...]) -> list[str]:
    """One digit a syllable."""
    return [phone[-1] for phone in phones if phone[-1].isdigit()]
