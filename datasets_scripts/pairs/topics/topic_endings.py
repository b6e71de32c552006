"""The endings that Topic-SC is made of, and which two of them may change places.

passages -> [`find_endings`] -> context and last sentence of each -> [`EndingTable`], which of them match in form, and
[`couple_endings`], couples of the nearest.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...shards.utterance_rows import MAX_SECONDS
from ...text.cutting import estimate_seconds
from ...text.passages import Passage
from ...text.words import words_of

MIN_CONTEXT, MAX_CONTEXT = 3, 5
MIN_ENDING_WORDS = 4
LENGTH_TOLERANCE = 0.15
# Words that tell person, number and tense: what an ending can be told by that has nothing to do with its topic.
_FORM_WORDS = frozenset(
    (
        *("i", "me", "my", "you", "your", "he", "him", "his", "himself"),
        *("she", "her", "herself", "it", "its", "itself", "we"),
        *("us", "our", "they", "them", "their", "themselves"),
        *("is", "are", "was", "were", "am", "has", "have", "had", "do", "does"),
        *("did", "will", "would", "can", "could", "shall", "should", "may", "might", "must"),
    )
)


@dataclass(frozen=True)
class Ending:
    """
    The last sentence of a passage.

    Args:
        passage (`str`): Id of the passage.
        topic (`str`): Its topic or book.
        context (`str`): The sentences before it.
        text (`str`): The sentence.
        num_words (`int`): Its number of words.
        form (`frozenset[str]`): Its pronouns and auxiliaries, and `"-ed"` if a word ends so.
        seconds (`float`): Its estimated duration.
        context_seconds (`float`): That of its context.
    """

    passage: str
    topic: str
    context: str
    text: str
    num_words: int
    form: frozenset[str]
    seconds: float
    context_seconds: float


class EndingTable:
    """
    Endings, compared with each other all at once.

    Args:
        endings (`Sequence[Ending]`): The endings.
    """

    def __init__(self, endings: Sequence[Ending]):
        self._topics, self._marks = (
            np.unique(np.array(names, dtype=str), return_inverse=True)[1]
            for names in ([ending.topic for ending in endings], [_final_mark(ending.text) for ending in endings])
        )
        self.num_words = np.array([ending.num_words for ending in endings])
        self.num_characters = np.array([len(ending.text) for ending in endings])
        self._seconds = np.array([ending.seconds for ending in endings])
        self._context_seconds = np.array([ending.context_seconds for ending in endings])
        features = sorted({feature for ending in endings for feature in ending.form})
        self._form = np.array([[feature in ending.form for feature in features] for ending in endings], dtype=bool)

    def matching(self, index: int) -> np.ndarray:
        """
        Which endings can change places with one of them: those of another topic that are alike in the final mark and,
        to within 15 %, in words and characters, where neither makes an utterance too long. Booleans, one an ending.
        """
        return (
            (self._topics != self._topics[index])
            & (self._marks == self._marks[index])
            & _close(self.num_words, self.num_words[index])
            & _close(self.num_characters, self.num_characters[index])
            & (self._context_seconds[index] + self._seconds <= MAX_SECONDS)
            & (self._context_seconds + self._seconds[index] <= MAX_SECONDS)
        )

    def form_distance(self, index: int, others: np.ndarray) -> np.ndarray:
        """
        How unlike some endings are to one of them: pronouns, auxiliaries and the past tense that only one of both has,
        and, of less weight than any of these, the difference in length.
        """
        form = (self._form[others] != self._form[index]).sum(axis=1)
        lengths = self.num_characters[others], self.num_characters[index]
        return form + np.abs(lengths[0] - lengths[1]) / np.maximum(*lengths)


def find_endings(passages: Iterable[Passage]) -> tuple[list[Ending], Counter]:
    """
    Cut passages into context and ending.

    Returns:
        `tuple[list[Ending], Counter]`: Endings that no two passages have in common, in the order of the passages, and
        how many passages were dropped for which reason.
    """
    endings, dropped, seen = [], Counter(), set()
    for passage in passages:
        *context, ending = passage.sentences
        words = words_of(ending.lower())
        if len(context) < MIN_CONTEXT:
            dropped[f"fewer than {MIN_CONTEXT + 1} sentences"] += 1
        elif len(words) < MIN_ENDING_WORDS:
            dropped[f"ending of fewer than {MIN_ENDING_WORDS} words"] += 1
        elif ending in seen:
            dropped["ending seen before"] += 1
        else:
            seen.add(ending)
            context = " ".join(context[-MAX_CONTEXT:])
            endings.append(
                Ending(
                    passage=passage.id,
                    topic=passage.topic,
                    context=context,
                    text=ending,
                    num_words=len(words),
                    form=_FORM_WORDS.intersection(words) | {"-ed" for word in words if word.endswith("ed")},
                    seconds=estimate_seconds(ending),
                    context_seconds=estimate_seconds(context),
                )
            )
    return endings, dropped


def couple_endings(endings: Sequence[Ending], seed: int) -> list[tuple[Ending, Ending]]:
    """
    Couple endings that match, each at most once.

    Endings of the most frequent topics choose first, for they have the fewest others to choose from. Each takes the
    free ending that shares most pronouns, auxiliaries and the past tense with it, and of these the nearest in length.

    Args:
        endings (`Sequence[Ending]`): Endings, no two of the same text.
        seed (`int`): Decides who chooses first within a topic, and among equally near endings.

    Returns:
        `list[tuple[Ending, Ending]]`: The couples.
    """
    shuffled = random.Random(f"topic-sc-couples-{seed}").sample(endings, len(endings))
    frequency = Counter(ending.topic for ending in endings)
    table = EndingTable(shuffled)
    free, couples = np.ones(len(shuffled), dtype=bool), []
    for place in sorted(range(len(shuffled)), key=lambda place: _rank(shuffled[place], frequency)):
        near = np.flatnonzero(free & table.matching(place)) if free[place] else ()
        if len(near):
            partner = near[np.argmin(table.form_distance(place, near))]
            free[[place, partner]] = False
            couples.append((shuffled[place], shuffled[partner]))
    return couples


def _rank(ending: Ending, frequency: Counter) -> tuple[int, str]:
    return (-frequency[ending.topic], ending.topic)


def _final_mark(text: str) -> str:
    """What a sentence ends with, `""` where a transcript has no such mark."""
    return "" if text[-1].isalnum() else text[-1]


def _close(first: np.ndarray, second: int) -> np.ndarray:
    return np.abs(first - second) <= LENGTH_TOLERANCE * np.maximum(first, second)
