"""What an ending has in common with a context: the rules that tell a true ending from a wrong one without a language.

passages of the training split -> [`ContextOverlap`] -> how much each of [`OVERLAP_RULES`] finds in common -> which of
two endings a rule takes for the true one, and how often it is right.

Names and heroes recur, so that the ending that has more words in common with the context is the true one far more
often than not. A pair that is solved so says nothing of topics: Topic-SC is chosen such that these rules are right for
half of its pairs ([`make_topic_sc_pairs`]), and each of them is a baseline in the report.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ....models.scoring.sides import SIDES
from ...text.word_list import pronounce_all, without_stress
from ...text.words import words_of
from ..texts import PairText

OVERLAP_RULES = ("overlap", "overlap_rarity", "overlap_phones")
"""
`overlap`: how many word types both have. `overlap_rarity`: the sum over these types of log(passages / passages that
have the word) over the training split. `overlap_phones`: the same sum over pronunciations without stress, which are
all that a model of phones has of a word: words that sound alike are one there.
"""
# So that sums of the same weights in another order are a tie.
_DIGITS = 9


class ContextOverlap:
    """
    The rules, for one training split.

    Word types are compared in small letters, and by the pronunciation that espeak gives a word by itself. A word that
    no passage of the training split has weighs as much as one that a single passage has; one that cannot be pronounced
    stands for itself.

    Args:
        texts (`Iterable[str]`): The passages of the training split. They are gone through twice and not kept.
        synthesizer (`EspeakSynthesizer`): Pronounces words.
    """

    def __init__(self, texts: Iterable[str], synthesizer):
        self._synthesizer = synthesizer
        self._sounds: dict[str, str] = {}
        self._num_passages = 0
        self._with_word: Counter[str] = Counter()
        for text in texts:
            self._num_passages += 1
            self._with_word.update(_types(text))
        self._learn([self._with_word])
        self._with_sound = Counter(sound for text in texts for sound in self._sounds_of(_types(text)))

    def vectors(self, contexts: Sequence[str], endings: Sequence[str]) -> list["SharedKeys"]:
        """
        What contexts and endings are made of in the eyes of each rule, in the order of [`OVERLAP_RULES`].

        Args:
            contexts (`Sequence[str]`): Contexts.
            endings (`Sequence[str]`): As many endings.
        """
        words = [[_types(text) for text in texts] for texts in (contexts, endings)]
        self._learn(types for side in words for types in side)
        sounds = [[self._sounds_of(types) for types in side] for side in words]
        return [
            SharedKeys(*words),
            SharedKeys(*words, weight=lambda word: self._weight(self._with_word[word])),
            SharedKeys(*sounds, weight=lambda sound: self._weight(self._with_sound[sound])),
        ]

    def scores(self, contexts: Sequence[str], endings: Sequence[str]) -> np.ndarray:
        """
        How much each ending has in common with its context.

        Args:
            contexts (`Sequence[str]`): Contexts.
            endings (`Sequence[str]`): As many endings.

        Returns:
            `np.ndarray` of shape `(endings, rules)`: A count of words, then two sums of weights in nats.
        """
        return np.stack([vectors.own() for vectors in self.vectors(contexts, endings)], axis=1)

    def score_pairs(self, pairs: Sequence[PairText]) -> dict[str, np.ndarray]:
        """
        Both sides of pairs with contexts, by each rule.

        Args:
            pairs (`Sequence[PairText]`): The pairs.

        Returns:
            `dict[str, np.ndarray]`: `{rule}_positive` and `{rule}_negative`, a number a pair.
        """
        columns = {}
        for side in SIDES:
            found = self.scores([pair.context for pair in pairs], [getattr(pair, side) for pair in pairs])
            columns |= {f"{rule}_{side}": found[:, index] for index, rule in enumerate(OVERLAP_RULES)}
        return columns

    def _learn(self, types: Iterable[Iterable[str]]) -> None:
        """Pronounce the words that were not met before."""
        new = sorted({word for passage in types for word in passage} - self._sounds.keys())
        sounds = pronounce_all(self._synthesizer, new)
        self._sounds |= {word: without_stress(phones) or word for word, phones in zip(new, sounds, strict=True)}

    def _sounds_of(self, types: Iterable[str]) -> frozenset[str]:
        return frozenset(self._sounds[word] for word in types)

    def _weight(self, passages: int) -> float:
        return math.log(max(self._num_passages, 1) / max(passages, 1))


def overlap_votes(scores: Mapping[str, Sequence[float]]) -> np.ndarray:
    """
    Which side of each pair every rule takes for the true ending.

    Args:
        scores (`Mapping[str, Sequence[float]]`): As [`ContextOverlap.score_pairs`] gives them.

    Returns:
        `np.ndarray` of shape `(pairs, rules)`: 1 for the positive side, -1 for the negative one, 0 for neither.
    """
    sides = [[np.asarray(scores[f"{rule}_{side}"], float) for side in SIDES] for rule in OVERLAP_RULES]
    return np.stack([np.sign(positive - negative) for positive, negative in sides], axis=1)


def overlap_accuracies(votes: np.ndarray) -> dict[str, float | None]:
    """
    How often each rule is right: per cent of the pairs, ties half, or `None` without pairs.

    Args:
        votes (`np.ndarray` of shape `(pairs, rules)`): As [`overlap_votes`] gives them.
    """
    if not len(votes):
        return dict.fromkeys(OVERLAP_RULES)
    return {rule: round(50 + 50 * float(vote), 1) for rule, vote in zip(OVERLAP_RULES, votes.mean(axis=0))}


class SharedKeys:
    """
    Sets of keys of contexts and endings, and the summed weights of what any two of them share.

    Args:
        contexts (`Sequence[Iterable[str]]`): The keys of each context, each once.
        endings (`Sequence[Iterable[str]]`): The keys of as many endings.
        weight (`Callable[[str], float]`, *optional*): What a shared key weighs; 1 by default.
    """

    def __init__(self, contexts: Sequence[Iterable[str]], endings: Sequence[Iterable[str]], weight=lambda key: 1.0):
        columns: dict[str, int] = {}
        rows = [
            [[columns.setdefault(key, len(columns)) for key in sorted(keys)] for keys in side]
            for side in (contexts, endings)
        ]
        weights = np.array([weight(key) for key in columns])
        self._contexts, self._endings = (_indicators(side, len(columns)) for side in rows)
        self._contexts.data = weights[self._contexts.indices]

    def own(self) -> np.ndarray:
        """What each ending shares with its own context, of shape `(endings,)`."""
        return np.asarray(self._contexts.multiply(self._endings).sum(axis=1)).ravel().round(_DIGITS)

    def crossed(self, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """
        What some contexts share with every ending, and what every context shares with their endings.

        Args:
            rows (`slice`): Which contexts, and endings.

        Returns:
            `tuple[np.ndarray, np.ndarray]`: Both of shape `(rows, endings)`.
        """
        others = self._contexts[rows] @ self._endings.T, self._endings[rows] @ self._contexts.T
        return tuple(np.asarray(shared.todense()).round(_DIGITS) for shared in others)


def _types(text: str) -> frozenset[str]:
    return frozenset(words_of(text.lower()))


def _indicators(rows: Sequence[Sequence[int]], num_columns: int):
    """A sparse matrix that is 1 where a row has a column."""
    from scipy.sparse import csr_matrix

    starts = np.cumsum([0, *map(len, rows)])
    columns = np.array([column for row in rows for column in row], dtype=np.int64)
    return csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(rows), num_columns))
