"""Whether a word keeps its units when somebody else says it: edit distances, ABX errors, what units say of speakers.

words and speakers of tokens -> pairs and triples drawn by a seed; their units -> Levenshtein distances -> means over
words with intervals. Units of utterances -> histograms -> accuracy of naming the speaker.
"""

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..statistics import resampled_means

DRAWS_PER_WORD = 50
NUM_RESAMPLES = 2_000
DISTANCES = (
    "same_word_same_speaker",
    "same_word_other_speaker",
    "other_word_same_speaker",
    "other_word_other_speaker",
)
ABX_ERRORS = ("abx_within_speaker", "abx_across_speaker")
_MAX_FOLDS = 5


@dataclass(frozen=True)
class WordTokens:
    """
    Words as they were said, one entry a token in each list.

    Args:
        words (`list[str]`): What was said; tokens of one word have the same string.
        speakers (`list[str]`): Who said it.
        units (`list[Sequence[int]]`): In which units; at least one.
    """

    words: list[str]
    speakers: list[str]
    units: list[Sequence[int]]

    def __len__(self):
        return len(self.words)


def normalized_distances(first: Sequence[Sequence[int]], second: Sequence[Sequence[int]]) -> np.ndarray:
    """
    Edit distances of sequences of units, each divided by the length of the longer one: 0 for equal sequences, 1 where
    nothing can be kept.

    Args:
        first (`Sequence[Sequence[int]]`): Sequences; units are from 0 to 1,114,111.
        second (`Sequence[Sequence[int]]`): As many; each is compared with the one in the same place.

    Returns:
        `np.ndarray`: Distances, float64 of shape `(len(first),)`. That of two empty sequences is 0.

    Raises:
        `ValueError`: If there are not as many of both.
    """
    if len(first) != len(second):
        raise ValueError(f"There are {len(first)} sequences to compare with {len(second)}; give as many of both.")
    return _string_distances(_as_strings(first), _as_strings(second))


class WordDraws:
    """
    Pairs and triples of tokens to be compared. They depend on who said what and on the seed, not on units: drawn once,
    they make the figures of several tokenizers paired.

    Of each word as many pairs and triples of each kind are drawn as `draws_per_word` says, with replacement. All
    speakers of a word have the same chance, and so have all other words of a speaker: what is frequent weighs no more
    than what is rare.

    Args:
        words (`Sequence[str]`): The word of each token.
        speakers (`Sequence[str]`): Its speaker.
        draws_per_word (`int`, *optional*, defaults to 50): Pairs of each kind and triples of each kind for each word.
        seed (`int`, *optional*, defaults to 0): Seed.

    Attributes:
        drawn (`dict[str, list[tuple]]`): By kind, `(word, a, x)` or, for ABX, `(word, a, b, x)`: a word and indices of
            tokens.
    """

    def __init__(
        self, words: Sequence[str], speakers: Sequence[str], draws_per_word: int = DRAWS_PER_WORD, seed: int = 0
    ):
        self._random = random.Random(seed)
        self._speakers = list(speakers)
        by_word: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, (word, speaker) in enumerate(zip(words, speakers)):
            by_word[word][speaker].append(index)
        self._by_word = {word: dict(by_word[word]) for word in sorted(by_word)}
        self._words_of = defaultdict(list)
        for word, by_speaker in self._by_word.items():
            for speaker in by_speaker:
                self._words_of[speaker].append(word)
        self.drawn = {kind: self._pairs(kind, draws_per_word) for kind in DISTANCES}
        self.drawn |= {kind: self._triples(kind, draws_per_word) for kind in ABX_ERRORS}

    def _pairs(self, kind: str, number: int) -> list[tuple[str, int, int]]:
        same_word, same_speaker = kind.startswith("same_word"), kind.endswith("same_speaker")
        drawn = []
        for word in self._by_word:
            for x in self._tokens(word, number, at_least=1 + (same_word and same_speaker)):
                speaker = self._speaker(x, word if same_word else None, same_speaker)
                a = self._same_word(word, speaker, x) if same_word else self._other_word(word, speaker)
                if a is not None:
                    drawn.append((word, a, x))
        return drawn

    def _triples(self, kind: str, number: int) -> list[tuple[str, int, int, int]]:
        same_speaker = kind == "abx_within_speaker"
        drawn = []
        for word in self._by_word:
            for x in self._tokens(word, number, at_least=1 + same_speaker):
                speaker = self._speaker(x, word, same_speaker)
                a, b = self._same_word(word, speaker, x), self._other_word(word, speaker)
                if a is not None and b is not None:
                    drawn.append((word, a, b, x))
        return drawn

    def _tokens(self, word: str, number: int, at_least: int) -> list[int]:
        """Tokens X, of speakers who say the word so often."""
        by_speaker = [tokens for tokens in self._by_word[word].values() if len(tokens) >= at_least]
        return [self._random.choice(self._random.choice(by_speaker)) for _ in range(number if by_speaker else 0)]

    def _speaker(self, x: int, word: str | None, same_speaker: bool) -> str | None:
        """The speaker of the token that X is compared with: X's own or another, one who says `word` if it is given."""
        own = self._speakers[x]
        if same_speaker:
            return own
        speakers = [speaker for speaker in (self._by_word[word] if word else self._words_of) if speaker != own]
        return self._random.choice(speakers) if speakers else None

    def _same_word(self, word: str, speaker: str | None, x: int) -> int | None:
        tokens = [token for token in self._by_word[word].get(speaker, ()) if token != x]
        return self._random.choice(tokens) if tokens else None

    def _other_word(self, word: str, speaker: str | None) -> int | None:
        words = self._words_of.get(speaker, [])
        if words in ([], [word]):
            return None
        while (other := self._random.choice(words)) == word:
            pass
        return self._random.choice(self._by_word[other][speaker])


def word_stability(
    tokens: WordTokens, draws: WordDraws | None = None, seed: int = 0, num_resamples: int = NUM_RESAMPLES
) -> dict[str, dict]:
    """
    How alike the units of a word are within and across speakers, beside those of other words.

    Distances are those of [`normalized_distances`] between two tokens: of the same word or not, by the same speaker or
    not. An ABX error (2011.11588, with words in the place of phones) is how often a token X is nearer to B, another
    word, than to A, the same word; a tie counts half, chance is 0.5. A and B are by one speaker; X is by the same one
    (within) or by another (across).

    A figure is the mean over words, its interval that of a bootstrap over words. A word counts where it has the tokens
    that are needed.

    Args:
        tokens ([`WordTokens`]): The words.
        draws ([`WordDraws`], *optional*): What is compared; by default the draws of these tokens by the seed.
        seed (`int`, *optional*, defaults to 0): Seed of the bootstrap.
        num_resamples (`int`, *optional*, defaults to 2000): Of the bootstrap.

    Returns:
        `dict[str, dict]`: For each of `same_word_same_speaker`, `same_word_other_speaker`, `other_word_same_speaker`,
        `other_word_other_speaker`, `abx_within_speaker` and `abx_across_speaker`: `value`, `low`, `high` (a 95 %
        interval; all three NaN where no word has the tokens), the numbers of `words` and `draws`, and `by_word`, the
        mean of each word.

    Raises:
        `ValueError`: If there are no tokens, a token has no units, or the lists differ in length.
    """
    if not len(tokens.words) == len(tokens.speakers) == len(tokens.units):
        raise ValueError(
            f"There are {len(tokens.words)} words, {len(tokens.speakers)} speakers and {len(tokens.units)} sequences "
            "of units; give one of each a token."
        )
    if not len(tokens):
        raise ValueError("There are no words to compare; give recordings with times of words.")
    for word, units in zip(tokens.words, tokens.units):
        if not len(units):
            raise ValueError(f"A token of the word {word!r} has no units; leave it out.")
    draws = draws or WordDraws(tokens.words, tokens.speakers, seed=seed)
    strings = _as_strings(tokens.units)

    def distances(pairs: list[tuple[int, int]]) -> np.ndarray:
        return _string_distances([strings[first] for first, _ in pairs], [strings[second] for _, second in pairs])

    results = {}
    for kind, drawn in draws.drawn.items():
        if kind in DISTANCES:
            values = distances([(a, x) for _, a, x in drawn])
        else:
            same = distances([(a, x) for _, a, _, x in drawn])
            other = distances([(b, x) for _, _, b, x in drawn])
            values = (same > other) + 0.5 * (same == other)
        results[kind] = _mean_over_words([word for word, *_ in drawn], values, seed, num_resamples)
    return results


def speaker_information(
    units: Sequence[Sequence[int]],
    speakers: Sequence[str],
    documents: Sequence[str],
    seed: int = 0,
    num_resamples: int = NUM_RESAMPLES,
) -> dict[str, float | int | list]:
    """
    How well a linear classifier names the speaker of an utterance from how often it has each unit.

    Logistic regression on the standardised histogram (shares, so that length says nothing), cross-validated in up to
    five folds such that no document is on both sides: what is said would otherwise give away who says it.

    Args:
        units (`Sequence[Sequence[int]]`): Units of each utterance.
        speakers (`Sequence[str]`): Its speaker.
        documents (`Sequence[str]`): What it stays together with: a text, a recording.
        seed (`int`, *optional*, defaults to 0): Of the folds and of the bootstrap.
        num_resamples (`int`, *optional*, defaults to 2000): Of the bootstrap.

    Returns:
        `dict`: `value`, the accuracy, with `low` and `high`, a 95 % interval over documents; `chance`, the accuracy of
        always naming the speaker who is the most frequent one in the other folds; numbers of `utterances` and
        `speakers`; and `correct`, 1 or 0 for each utterance. The first four are NaN, and `correct` is empty, where
        there is one speaker or one document only.

    Raises:
        `ValueError`: If the arguments differ in length.
    """
    if not len(units) == len(speakers) == len(documents):
        raise ValueError(
            f"There are {len(units)} utterances, {len(speakers)} speakers and {len(documents)} documents; give one of "
            "each an utterance."
        )
    import sklearn.linear_model  # noqa: F401  its libraries have to be there when their threads are limited
    from threadpoolctl import threadpool_limits

    speakers, documents = np.asarray(speakers, dtype=object), np.asarray(documents, dtype=object)
    counts = {"utterances": len(units), "speakers": len(set(speakers))}
    folds = min(_MAX_FOLDS, len(set(documents)))
    if counts["speakers"] < 2 or folds < 2:
        return dict.fromkeys(("value", "low", "high", "chance"), math.nan) | counts | {"correct": []}
    histograms = _histograms(units)
    correct, guessed = np.zeros(len(units)), np.zeros(len(units))
    with threadpool_limits(1):
        for train, test in _folds(documents, folds, seed):
            names, frequency = np.unique(speakers[train].astype(str), return_counts=True)
            guessed[test] = speakers[test] == names[frequency.argmax()]
            if len(names) > 1:
                correct[test] = _predict(histograms[train], speakers[train], histograms[test]) == speakers[test]
            else:
                correct[test] = guessed[test]
    drawn = resampled_means(correct[:, None], seed, num_resamples, list(documents))
    low, high = np.quantile(drawn, [0.025, 0.975])
    estimate = {"value": float(correct.mean()), "low": float(low), "high": float(high)}
    return estimate | {"chance": float(guessed.mean())} | counts | {"correct": correct.tolist()}


def token_rates(sequences: Sequence[Sequence[int]], seconds: float, num_units: int) -> dict[str, float]:
    """
    What units cost: how many there are a second, and how many bits.

    Args:
        sequences (`Sequence[Sequence[int]]`): Units of each utterance, as they are: nothing is collapsed.
        seconds (`float`): Length of all utterances together.
        num_units (`int`): Size of the vocabulary.

    Returns:
        `dict[str, float]`: `tokens_per_second`; `bits_per_second`, that rate times the entropy of a single token;
        `perplexity`, two to the power of that entropy; and `units_used`, the share of the vocabulary that occurs.
    """
    frequency = np.bincount(np.concatenate([np.asarray(s, np.int64) for s in sequences]), minlength=num_units)
    share = frequency[frequency > 0] / frequency.sum()
    bits = -float((share * np.log2(share)).sum())
    rate = int(frequency.sum()) / seconds
    return {
        "tokens_per_second": rate,
        "bits_per_second": bits * rate,
        "perplexity": 2.0**bits,
        "units_used": float(np.mean(frequency > 0)),
    }


def _string_distances(first: list[str], second: list[str]) -> np.ndarray:
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cpdist

    if not first:
        return np.zeros(0)
    # In float64: two different fractions must not become one, for a tie counts half.
    return cpdist(first, second, scorer=Levenshtein.normalized_distance, dtype=np.float64)


def _mean_over_words(words: list[str], values: np.ndarray, seed: int, num_resamples: int) -> dict:
    counts = {"words": len(set(words)), "draws": len(words)}
    if not words:
        return dict.fromkeys(("value", "low", "high"), math.nan) | counts | {"by_word": {}}
    names, index = np.unique(words, return_inverse=True)
    means = np.bincount(index, values) / np.bincount(index)
    low, high = np.quantile(resampled_means(means[:, None], seed, num_resamples), [0.025, 0.975])
    estimate = {"value": float(means.mean()), "low": float(low), "high": float(high)}
    return estimate | counts | {"by_word": dict(zip(names.tolist(), means.tolist()))}


def _as_strings(sequences: Sequence[Sequence[int]]) -> list[str]:
    """A character a unit: what the library compares fastest."""
    return ["".join(map(chr, sequence)) for sequence in sequences]


def _histograms(units: Sequence[Sequence[int]]) -> np.ndarray:
    present, index = np.unique(np.concatenate([np.asarray(row, np.int64) for row in units]), return_inverse=True)
    rows = np.repeat(np.arange(len(units)), [len(row) for row in units])
    counts = np.bincount(rows * len(present) + index, minlength=len(units) * len(present))
    counts = counts.reshape(len(units), len(present))
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _folds(documents: np.ndarray, folds: int, seed: int):
    """Train and test rows of each fold; documents are dealt out in an order that the seed decides."""
    names = np.unique(documents.astype(str))
    fold_of = dict(zip(np.random.default_rng(seed).permutation(names), np.arange(len(names)) % folds))
    fold = np.array([fold_of[str(document)] for document in documents])
    for number in range(folds):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def _predict(histograms: np.ndarray, speakers: np.ndarray, asked: np.ndarray) -> np.ndarray:
    import warnings

    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(histograms)
    with warnings.catch_warnings():
        # Not converged, or few recordings a speaker: a probe need not be the best one.
        warnings.simplefilter("ignore", UserWarning)
        probe = LogisticRegression(max_iter=200).fit(scaler.transform(histograms), speakers.astype(str))
    return probe.predict(scaler.transform(asked))
