"""sWUGGY: a word of the training text against a pseudo-word that is as probable letter by letter and phone by phone.

word counts -> words by frequency band -> [`Candidates`] with the votes of n-grams and lengths -> the choice in which
every one of these rules is right half of the time -> `PairText`.
"""

import logging
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...metrics.tasks import TASKS
from ..text.word_list import Lexicon, build_lexicon
from ..text.words import words_of
from .balance import choose_balanced
from .swuggy_candidates import CandidateMaker, Candidates, Pieces
from .texts import PairText

logger = logging.getLogger(__name__)

_TASK = TASKS["swuggy"]
# Band -> highest count. As in the ZeroSpeech 2021 benchmark, without its words that are not in the training text.
BANDS = {"1-5": 5, "6-20": 20, "21-100": 100, ">100": None}
_UNBALANCED = ", unbalanced"


@dataclass(frozen=True)
class BandChoice:
    """
    Which words of a corpus are asked for.

    Args:
        shares (`Mapping[str, float]`): The share of the pairs that each band gets. What a band cannot give is taken
            from the others.
        headline (`tuple[str, ...]`): The bands in which simple rules have to be right in half of the pairs, or there
            are fewer of them. They are what the headline counts.
    """

    shares: Mapping[str, float]
    headline: tuple[str, ...]

    @property
    def headline_share(self) -> float:
        """The share of the pairs that the headline counts."""
        return sum(self.shares.get(band, 0.0) for band in self.headline)

    def label(self, band: str) -> str:
        """The name of a band among the pairs."""
        return band if band in self.headline else band + _UNBALANCED


LONG_TAIL = BandChoice({"1-5": 0.4, "6-20": 0.4, "21-100": 0.1, ">100": 0.1}, ("1-5", "6-20"))
"""Of real text and rich stories: many rare words; of frequent ones no pseudo-word is as probable as the word."""
SMALL_WORLD = BandChoice({"6-20": 0.45, "21-100": 0.45, ">100": 0.1}, ("6-20", "21-100"))
"""Of simple stories: words that are rarer are not learned, and the frequent ones have letters in common with many."""
MIN_LETTERS = 4
TOLERANCE = 0.02
_LEAST_SHARE = 0.5  # of the pairs that are asked for
# How many words there are to choose from: of few, hardly any choice is balanced.
_WORDS_PER_PAIR, _LEAST_WORDS = 2, 80


def make_swuggy_pairs(
    word_counts: Mapping[str, int],
    num_pairs: int,
    seed: int,
    synthesizer,
    texts: Iterable[str],
    phone_sequences: Iterable[Sequence[str]],
    tokenizers: Mapping[str, Pieces] | None = None,
    choice: BandChoice = LONG_TAIL,
    lexicon: Lexicon | None = None,
) -> tuple[list[PairText], dict]:
    """
    Make word and pseudo-word pairs that letter and phone n-grams up to order 3 cannot tell apart.

    Words are those of at least four letters a-z that stand in lower case at least as often as with a capital, and that
    wordfreq's list knows. In the headline's bands each n-gram, "fewer letters" and "fewer phones" are right for
    50 ± 2 % of the pairs, or within one pair of half of them; a band for which that cannot be had for as many pairs as
    wanted has fewer. Higher bands, and what the pieces of `tokenizers` tell (n-grams of order 1 and 2, and "fewer
    pieces"), come as near as they can.

    Args:
        word_counts (`Mapping[str, int]`): How often each word occurs in the train split.
        num_pairs (`int`): How many pairs to make.
        seed (`int`): Decides which words are tried.
        synthesizer (`EspeakSynthesizer`): Pronounces words.
        texts (`Iterable[str]`): The utterances of the train split, for letter n-grams; gone through several times.
        phone_sequences (`Iterable[Sequence[str]]`): Their phones, for phone n-grams; gone through twice.
        tokenizers (`Mapping[str, Pieces]`, *optional*): Tokenizers of words or of their phones by name, e.g.
            `"text_bpe"`. Texts or phones are gone through once more for the n-grams of each.
        choice ([`BandChoice`], *optional*, defaults to [`LONG_TAIL`]): The bands that are asked for.
        lexicon ([`Lexicon`], *optional*): The words that no pseudo-word may be. Defaults to [`build_lexicon`] of the
            corpus.

    Returns:
        `tuple[list[PairText], dict]`: The pairs by band and word, and a report: how many `words` qualify, how many of
        them were `tried` and the share of these `with_candidates`, the number of `candidates`, how many spellings were
        `dropped` by reason, and for each of the `bands` its `pairs` and the accuracy in per cent of every rule
        (`letters-1`, `phones-3`, `fewer letters`, `text_bpe-2`, ...).

    Raises:
        `ValueError`: If fewer than half of `num_pairs` can be made; of fewer than all, a warning says so.
    """
    counts = Counter()
    for word, count in word_counts.items():
        counts[word.lower()] += count
    lexicon = lexicon or build_lexicon(synthesizer, counts)
    words = qualifying_words(counts, texts, lexicon)
    maker = CandidateMaker(words, texts, phone_sequences, synthesizer, lexicon, tokenizers or {})

    by_band = defaultdict(list)
    for word in words:
        by_band[band_of(counts[word])].append(word)
    wanted = _wanted({band: len(by_band[band]) for band in BANDS}, num_pairs, choice.shares)
    candidates = {}
    for band in BANDS:
        random.Random(f"swuggy-{seed}-{band}").shuffle(by_band[band])
        most = max(_WORDS_PER_PAIR * wanted[band], _LEAST_WORDS) if wanted[band] else 0
        candidates[band] = maker.candidates(by_band[band], most)
    chosen = _choose(candidates, wanted, maker.is_strict, choice.headline)

    num_made = sum(len(indices) for indices in chosen.values())
    if num_made < num_pairs:
        few = (
            f"Only {num_made} of {num_pairs} sWUGGY pairs can be made from the {len(words)} words of this corpus that "
            "qualify; ask for fewer pairs or give more text."
        )
        if num_made < _LEAST_SHARE * num_pairs:
            raise ValueError(few)
        logger.warning(few)
    pairs, bands = [], {}
    for band, indices in chosen.items():
        label = choice.label(band)
        for item in sorted((candidates[band].pseudo_words[index] for index in indices), key=lambda item: item.word):
            pairs.append(PairText(f"{_TASK.name}-{item.word}", _TASK.name, label, label, "", item.word, item.spelling))
        accuracies = _accuracies(maker.rules, candidates[band].votes[indices])
        bands[label] = {"pairs": len(indices), "words": len(by_band[band]), **accuracies}
    return pairs, {"words": len(words), **maker.report(), "bands": bands}


def band_of(count: int) -> str:
    """The frequency band of a word that occurs `count` times in the train split."""
    return next(band for band, highest in BANDS.items() if highest is None or count <= highest)


def qualifying_words(counts: Mapping[str, int], texts: Iterable[str], lexicon: Lexicon) -> list[str]:
    """The words that pairs can be made of, sorted: long enough, a-z only, listed, and no names."""
    lower_case, capitalised = Counter(), Counter()
    for text in texts:
        for word in words_of(text):
            (lower_case if word.islower() else capitalised)[word.lower()] += 1
    return sorted(
        word
        for word, count in counts.items()
        if count > 0
        and len(word) >= MIN_LETTERS
        and word.isascii()
        and word.isalpha()
        and word in lexicon.listed
        and lower_case[word] >= max(capitalised[word], 1)
    )


def _wanted(num_words: Mapping[str, int], num_pairs: int, band_shares: Mapping[str, float]) -> dict[str, int]:
    """How many pairs to ask of each band: its share, and what others have no words for, the headline bands first."""
    wanted = {band: min(num_words[band], int(band_shares.get(band, 0.0) * num_pairs)) for band in BANDS}
    for band in BANDS:
        if band_shares.get(band):
            wanted[band] += min(num_words[band] - wanted[band], num_pairs - sum(wanted.values()))
    return wanted


def _choose(
    candidates: Mapping[str, Candidates], wanted: Mapping[str, int], is_strict: np.ndarray, headline: Sequence[str]
) -> dict[str, np.ndarray]:
    """Choose in every band, then make up for what is missing where there are more words, headline bands first."""

    def choose(band: str, count: int) -> np.ndarray:
        owners = np.array([item.word for item in candidates[band].pseudo_words])
        strict = is_strict if band in headline else False
        return choose_balanced(owners, candidates[band].votes, candidates[band].costs, count, TOLERANCE, strict)

    chosen = {band: choose(band, wanted[band]) for band in BANDS}
    for band in BANDS:
        missing = sum(wanted.values()) - sum(len(indices) for indices in chosen.values())
        if missing and wanted[band]:
            more = choose(band, len(chosen[band]) + missing)
            chosen[band] = max(chosen[band], more, key=len)
    return chosen


def _accuracies(rules: Sequence[str], votes: np.ndarray) -> dict[str, float | None]:
    """Per cent of the pairs for which each rule is right, ties half; `None` without pairs."""
    if not len(votes):
        return dict.fromkeys(rules)
    return {rule: round(50 + 50 * float(vote), 1) for rule, vote in zip(rules, votes.mean(0), strict=True)}
