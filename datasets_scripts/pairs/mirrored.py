"""Mirrored minimal pairs: sentences in which a target goes with a cue against sentences in which it does not.

a frame with its words drawn -> `say(cue, target)` four times -> two mirrored pairs -> `PairText`.

A frame has a cue (a subject that is singular or plural, ...) and a target that must go with it (a verb, ...); each can
take two values. Pair `a` sets `say(False, False)` against `say(False, True)`, and its twin, pair `b`, sets
`say(True, True)` against `say(True, False)`. Over the twins both sides hold the same words equally often: a unigram
model is right in exactly one of the two, and so is any n-gram model whose window does not reach from cue to target
([`balanced_order`] says how far that is).
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from .texts import PairText

Say = Callable[[bool, bool], str]


def mirrored_pairs(say: Say) -> tuple[tuple[str, str], tuple[str, str]]:
    """The two pairs of a frame, each a good sentence and a bad one."""
    return (
        (as_sentence(say(False, False)), as_sentence(say(False, True))),
        (as_sentence(say(True, True)), as_sentence(say(True, False))),
    )


def as_sentence(words: str) -> str:
    """Words with single spaces, a capital and a full stop."""
    words = re.sub(r"\s+", " ", words).strip()
    return f"{words[0].upper()}{words[1:]}."


def balanced_order(twins: Sequence[PairText], highest: int = 12) -> int:
    """The highest order of word n-grams that both sides of the twins hold equally often: up to it, 50 % is certain."""
    for order in range(1, highest + 1):
        good, bad = Counter(), Counter()
        for pair in twins:
            for side, text in ((good, pair.positive), (bad, pair.negative)):
                words = ["<s>"] * (order - 1) + re.findall(r"\w+|[.,]", text) + ["</s>"]
                side.update(zip(*(words[start:] for start in range(order))))
        if good != bad:
            return order - 1
    return highest
