"""Topic-SC: the true ending of a passage against the ending of another topic or book.

held-out passages -> context and ending -> two endings of two topics and of like form are a couple, and two pairs, in
which each is once the true one and once the wrong one -> couples by which no rule of [`ContextOverlap`] can tell the
true ending (the headline), and some that are taken as they come -> `PairText`.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ....metrics.tasks import TASKS
from ...text.content_words import content_forms
from ...text.passages import Passage
from ..balance import choose_balanced
from ..texts import PairText
from .context_overlap import OVERLAP_RULES, ContextOverlap, SharedKeys, overlap_accuracies, overlap_votes
from .topic_endings import Ending, EndingTable, couple_endings, find_endings

HELD_OUT = ("test", "validation")
BALANCED, UNBALANCED = TASKS["topic_sc"].bands
UNBALANCED_SHARE = 0.25
"""Unbalanced pairs, in shares of the balanced ones that are asked for."""
# Half of the two points that are promised: some pairs are dropped when they are spoken.
TOLERANCE = 0.01
# Of a mirrored couple a rule is right for none, half of a pair, one and so on: half a vote is the least that is left.
LEAST_EXCESS = 0.5
# Candidates an ending, of those that the rules take for true, for wrong, and for either.
_CANDIDATES = 8
# Of long texts not all endings are compared, those first that share no content word with their own context.
_ENDINGS_PER_COUPLE, _FEWEST_ENDINGS = 4, 400
_SHARED_WORD_COST = 4.0  # in pronouns and tenses that only one of two endings has
_ROWS = 256

Couple = tuple[Ending, Ending]


def make_topic_sc_pairs(
    passages: Iterable[Passage],
    num_pairs: int,
    seed: int,
    overlap: ContextOverlap,
    splits: Sequence[str] = HELD_OUT,
) -> tuple[list[PairText], dict]:
    """
    Make pairs of a true and a wrong ending after the same context.

    The ending is a passage's last sentence, of at least four words; the context are the three to five sentences before
    it. Two endings of two topics that have the same final mark and differ by at most 15 % in words and in characters
    make a couple, and two pairs: either is the wrong ending of the other's context. A model that does not look at the
    context therefore prefers the true ending in exactly half of the pairs, however it scores. An ending stands in one
    couple only, and no context with either ending takes more than 30 s to speak.

    Pairs of the band `"balanced"` are chosen such that the rules that look at nothing but the words in common with the
    context are at 50 ± 1 % too, and from couples whose endings share no content word with either context where there
    are enough of them. Those of the band (and group) `"unbalanced"` are couples as they come.

    Args:
        passages (`Iterable[Passage]`): The corpus, or other passages that no model was trained on.
        num_pairs (`int`): How many balanced pairs to make, rounded up to couples; there are
            [`UNBALANCED_SHARE`] as many others beside them. Fewer are made where the passages do not give them.
        seed (`int`): Which couples are made and chosen.
        overlap ([`ContextOverlap`]): The rules that must not tell the true ending.
        splits (`Sequence[str]`, *optional*, defaults to `("test", "validation")`): Where passages may come from. The
            first split alone is used if it makes enough pairs, else the next one joins it, and so on.

    Returns:
        `tuple[list[PairText], dict]`: The pairs, and a report: how many balanced pairs were `asked` for, the `splits`
        used, the number of `passages` in them, of `endings` that qualify and of `pairs_available` without balance, how
        many of the balanced pairs are `without_shared_content_word`, how many passages were `dropped` by reason, the
        number of pairs of each of the `topics`, and for each of the `bands` its `pairs` and the accuracy in per cent
        of every rule (ties half).

    Raises:
        `ValueError`: If not a single couple can be made.
    """
    by_split = defaultdict(list)
    for passage in passages:
        by_split[passage.split].append(passage)
    wanted = math.ceil(num_pairs / 2)
    for used in range(1, len(splits) + 1):
        held_out = [passage for split in splits[:used] for passage in by_split[split]]
        endings, dropped = find_endings(held_out)
        couples = couple_endings(endings, seed)
        random.Random(f"topic-sc-{seed}").shuffle(couples)
        # As they come, but never more than their share of what there is.
        others = couples[: min(round(UNBALANCED_SHARE * wanted), int(len(couples) * UNBALANCED_SHARE / 2))]
        taken = {ending.passage for couple in others for ending in couple}
        free = [ending for ending in endings if ending.passage not in taken]
        balanced, without = _couple_in_balance(free, wanted, seed, overlap)
        if len(balanced) == wanted:
            break
    if not couples:
        topics = len({ending.topic for ending in endings})
        raise ValueError(
            f"No Topic-SC pair can be made from the {len(held_out)} passages of {topics} topics or books in the "
            f"splits {', '.join(splits)}: hold out more text, of several topics or books."
        )
    pairs = {BALANCED: _mirrored(balanced, BALANCED), UNBALANCED: _mirrored(others, UNBALANCED)}
    every = [pair for of_band in pairs.values() for pair in of_band]
    report = {
        "asked": num_pairs,
        "splits": list(splits[:used]),
        "passages": len(held_out),
        "endings": len(endings),
        "pairs_available": 2 * len(couples),
        "without_shared_content_word": 2 * without,
        "dropped": dict(sorted(dropped.items())),
        "topics": dict(sorted(Counter(pair.group for pair in every).items())),
        "bands": {
            band: {"pairs": len(of_band)} | overlap_accuracies(overlap_votes(overlap.score_pairs(of_band)))
            for band, of_band in pairs.items()
        },
    }
    return every, report


class _Candidates(NamedTuple):
    """Couples that can be made, of n endings."""

    couples: np.ndarray
    """Indices of two endings, of shape `(candidates, 2)`."""
    votes: np.ndarray
    """By how many of a couple's two pairs each rule is right, less one: of shape `(candidates, rules)`, -1 to 1."""
    shared: np.ndarray
    """How many forms of content words their two contexts share with their two endings, of shape `(candidates,)`."""
    costs: np.ndarray
    """How far two endings are apart in form, and what they share, of shape `(candidates,)`."""

    def of(self, chosen: np.ndarray) -> "_Candidates":
        return _Candidates(*(values[chosen] for values in self))


def _couple_in_balance(
    endings: Sequence[Ending], num_couples: int, seed: int, overlap: ContextOverlap
) -> tuple[list[Couple], int]:
    """
    Couple endings such that every rule is right for half of the pairs, of couples that share no content word with
    their contexts if there are enough.

    Returns:
        `tuple[list[Couple], int]`: At most `num_couples`, and how many of them share no content word.
    """
    endings = random.Random(f"topic-sc-balanced-{seed}").sample(endings, len(endings))
    contexts, texts = ([getattr(ending, side) for ending in endings] for side in ("context", "text"))
    shares_word = SharedKeys(content_forms(contexts), content_forms(texts)).own() > 0
    first = np.argsort(shares_word, kind="stable")[: max(_ENDINGS_PER_COUPLE * num_couples, _FEWEST_ENDINGS)]
    endings = [endings[index] for index in first]
    candidates = _find_candidates(endings, overlap)
    best = candidates.of(np.zeros(0, dtype=np.int64))
    for few in (candidates.of(candidates.shared == 0), candidates):
        chosen = choose_balanced(few.couples, few.votes, few.costs, num_couples, TOLERANCE, least_excess=LEAST_EXCESS)
        best = max(best, few.of(chosen), key=lambda found: len(found.couples))
        if len(best.couples) == num_couples:
            break
    return [(endings[first], endings[second]) for first, second in best.couples], int((best.shared == 0).sum())


def _find_candidates(endings: Sequence[Ending], overlap: ContextOverlap) -> _Candidates:
    """Of every ending the nearest that it can change places with: some for each way in which the rules may vote."""
    contexts, texts = [ending.context for ending in endings], [ending.text for ending in endings]
    table, rules = EndingTable(endings), overlap.vectors(contexts, texts)
    content = SharedKeys(content_forms(contexts), content_forms(texts))
    own = [keys.own() for keys in (*rules, content)]
    found: dict[tuple[int, int], tuple] = {}
    for start in range(0, len(endings), _ROWS):
        rows = slice(start, min(start + _ROWS, len(endings)))
        crossed = [keys.crossed(rows) for keys in (*rules, content)]
        for row, index in enumerate(range(rows.start, rows.stop)):
            others = np.flatnonzero(table.matching(index))
            # With the wrong endings: the context of this one, and then those of the others.
            wrong = [(here[row, others], there[row, others]) for here, there in crossed]
            votes = np.stack(
                [
                    (np.sign(right[index] - here) + np.sign(right[others] - there)) / 2
                    for right, (here, there) in zip(own[:-1], wrong[:-1])
                ],
                axis=1,
            )
            shared = own[-1][index] + own[-1][others] + sum(wrong[-1])
            costs = table.form_distance(index, others) + _SHARED_WORD_COST * shared
            for place in _cheapest_of_each(np.sign(votes.sum(axis=1)), costs):
                couple = (min(index, others[place]), max(index, others[place]))
                found[couple] = (votes[place], shared[place], costs[place])
    votes, shared, costs = zip(*found.values()) if found else ((), (), ())
    return _Candidates(
        np.array(list(found), dtype=np.int64).reshape(-1, 2),
        np.array(votes).reshape(-1, len(OVERLAP_RULES)),
        np.array(shared),
        np.array(costs),
    )


def _cheapest_of_each(kinds: np.ndarray, costs: np.ndarray) -> np.ndarray:
    order = np.argsort(costs, kind="stable")
    return np.concatenate([order[kinds[order] == kind][:_CANDIDATES] for kind in (-1, 0, 1)])


def _mirrored(couples: Sequence[Couple], band: str) -> list[PairText]:
    """Two pairs of every couple."""
    return [
        PairText(
            f"topic_sc-{first.passage}",
            "topic_sc",
            UNBALANCED if band == UNBALANCED else first.topic,
            band,
            first.context,
            first.text,
            second.text,
            cluster=f"topic_sc-{couple[0].passage}",
        )
        for couple in couples
        for first, second in (couple, couple[::-1])
    ]
