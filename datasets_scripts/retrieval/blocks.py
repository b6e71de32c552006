"""Which passages stand in a block: passages that can be told by what they are about, and by nothing else.

held-out passages -> [`cut_passages`], each in context and continuation -> which of them may stand beside which ->
blocks, grown one by one -> [`Block`].
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from ..shards.utterance_rows import MAX_SECONDS
from ..text.content_words import content_forms
from ..text.cutting import estimate_seconds
from ..text.passages import Passage
from ..text.words import words_of

BLOCK_SIZE = 8
HELD_OUT = ("test", "validation")
LENGTH_TOLERANCE = 0.15
# Every passage is compared with every other: more than these of a long text make no better blocks.
_MOST_PASSAGES = 4000
_ROWS = 256
# Of those that may come next, so many are asked how many others they leave.
_SHORTLIST = 128


@dataclass(frozen=True)
class CutPassage:
    """
    A passage in two parts.

    Args:
        id (`str`): Of the passage.
        topic (`str`): Its topic or book.
        context (`str`): Its sentences up to the end of one that is nearest to its middle.
        continuation (`str`): The others.
    """

    id: str
    topic: str
    context: str
    continuation: str


@dataclass(frozen=True)
class Block:
    """
    Passages of which every continuation is scored after every context.

    Args:
        id (`str`): Of the block.
        passages (`tuple[CutPassage, ...]`): Its passages.
    """

    id: str
    passages: tuple[CutPassage, ...]


def make_blocks(
    passages: Iterable[Passage],
    num_blocks: int,
    seed: int,
    size: int = BLOCK_SIZE,
    splits: Sequence[str] = HELD_OUT,
) -> tuple[list[Block], dict]:
    """
    Make blocks of passages.

    In a block, any two contexts differ by at most 15 % in words, in characters and in the seconds that they are
    estimated to take; no continuation shares a content word or an inflection of one ([`content_forms`]) with any
    context, its own included, so that no repeated name tells which belong together; no context with any continuation
    takes more than 30 s to speak; and of `size` passages no more are of one topic than have to be where there are
    fewer topics than that. No passage stands in two blocks, and no text of a context or a continuation comes twice.

    Blocks are grown one by one, each from a passage that is drawn: next comes what leaves most others to go on with.

    Args:
        passages (`Iterable[Passage]`): The corpus, or other passages that no model was trained on.
        num_blocks (`int`): How many blocks to make. Fewer are made where the passages do not give them.
        seed (`int`): Which passages begin a block.
        size (`int`, *optional*, defaults to 8): Passages a block.
        splits (`Sequence[str]`, *optional*, defaults to `("test", "validation")`): Where passages may come from.

    Returns:
        `tuple[list[Block], dict]`: The blocks, and a report: how many were `asked` for and `made`, of which `size` and
        from which `splits`, the number of `passages` in them, how many passages were `dropped` by reason and how many
        are left (`usable`), and the number of passages of each of the `topics`.

    Raises:
        `ValueError`: If a number is too small, or not a single block can be made.
    """
    if size < 2 or num_blocks < 1:
        raise ValueError(f"A block needs at least 2 passages and there is at least 1, not {num_blocks} of {size}.")
    held_out = [passage for passage in passages if passage.split in splits]
    cut, dropped = cut_passages(held_out)
    usable = len(cut)
    cut = random.Random(f"retrieval-{seed}").sample(cut, usable)[:_MOST_PASSAGES]
    topics = np.unique([passage.topic for passage in cut], return_inverse=True)[1]
    per_topic = -(-size // max(1, len(set(topics.tolist()))))
    blocks, may_join = [], _may_stand_together(cut)
    free = np.ones(len(cut), bool)
    for start in range(len(cut)):
        if len(blocks) == num_blocks:
            break
        members = _grow(start, may_join, free, topics, size, per_topic) if free[start] else []
        if len(members) == size:
            free[members] = False
            blocks.append(Block(f"retrieval-{cut[start].id}", tuple(cut[member] for member in members)))
    if not blocks:
        raise ValueError(
            f"No block of {size} passages can be made from the {len(held_out)} passages in the splits "
            f"{', '.join(splits)}, of which {usable} can be cut in two parts that share no content word: hold out "
            "more text, or make smaller blocks."
        )
    report = {
        "asked": num_blocks,
        "made": len(blocks),
        "size": size,
        "splits": list(splits),
        "passages": len(held_out),
        "usable": usable,
        "dropped": dict(sorted(dropped.items())),
        "topics": dict(sorted(Counter(passage.topic for block in blocks for passage in block.passages).items())),
    }
    return blocks, report


def cut_passages(passages: Iterable[Passage]) -> tuple[list[CutPassage], Counter]:
    """
    Cut passages in two at the end of a sentence, the nearest to their middle (in characters, the first of two).

    Returns:
        `tuple[list[CutPassage], Counter]`: Passages whose parts have content words, none in common and none of the
        parts of another passage, in the order of the passages; and how many were dropped for which reason.
    """
    cut, dropped, seen = [], Counter(), set()
    for passage in passages:
        if len(passage.sentences) < 2:
            dropped["fewer than two sentences"] += 1
            continue
        ends = np.cumsum([len(sentence) + 1 for sentence in passage.sentences])
        middle = 1 + int(np.argmin(np.abs(ends[:-1] - 0.5 - ends[-1] / 2)))
        context, continuation = (" ".join(part) for part in (passage.sentences[:middle], passage.sentences[middle:]))
        of_context, of_continuation = content_forms((context, continuation))
        if not of_context or not of_continuation:
            dropped["a part without content words"] += 1
        elif not of_context.isdisjoint(of_continuation):
            dropped["parts that share a content word"] += 1
        elif context in seen or continuation in seen:
            dropped["a part seen before"] += 1
        else:
            seen |= {context, continuation}
            cut.append(CutPassage(passage.id, passage.topic, context, continuation))
    return cut, dropped


def _may_stand_together(cut: Sequence[CutPassage]) -> np.ndarray:
    """Which two passages may stand in one block, whatever else does: booleans of shape `(passages, passages)`."""
    contexts, continuations = [passage.context for passage in cut], [passage.continuation for passage in cut]
    forms = content_forms(contexts), content_forms(continuations)
    columns = {form: number for number, form in enumerate(sorted(frozenset().union(*forms[0], *forms[1])))}
    of_contexts, of_continuations = (_incidence(own, columns) for own in forms)
    words, characters = (np.array([count(text) for text in contexts]) for count in (_num_words, len))
    before, after = (np.array([estimate_seconds(text) for text in texts]) for texts in (contexts, continuations))
    may_join = np.zeros((len(cut), len(cut)), bool)
    for start in range(0, len(cut), _ROWS):
        rows = slice(start, start + _ROWS)
        shared = (of_continuations[rows] @ of_contexts.T).toarray() > 0
        may_join[rows] = ~shared & (after[rows, None] + before <= MAX_SECONDS)
        for lengths in (words, characters, before):
            longer = np.maximum(lengths[rows, None], lengths)
            may_join[rows] &= np.abs(lengths[rows, None] - lengths) <= LENGTH_TOLERANCE * longer
    return may_join & may_join.T


def _grow(
    start: int, may_join: np.ndarray, free: np.ndarray, topics: np.ndarray, size: int, per_topic: int
) -> list[int]:
    """The members of a block that begins with one passage; fewer than asked for if it cannot be filled."""
    members, taken = [start], Counter({topics[start]: 1})
    if not may_join[start, start]:  # its own parts take too long
        return []
    candidates = np.flatnonzero(may_join[start] & free)
    while True:
        full = [topic for topic, count in taken.items() if count >= per_topic]
        candidates = candidates[~np.isin(topics[candidates], full) & ~np.isin(candidates, members)]
        if len(members) == size or len(candidates) < size - len(members):
            return members
        shortlist = candidates[:_SHORTLIST]
        chosen = shortlist[np.argmax(may_join[np.ix_(shortlist, candidates)].sum(axis=1))]
        members.append(int(chosen))
        taken[topics[chosen]] += 1
        candidates = candidates[may_join[chosen, candidates]]


def _incidence(forms: Sequence[frozenset[str]], columns: dict[str, int]) -> csr_matrix:
    """Which text has which form, of shape `(texts, forms)`."""
    rows = np.repeat(np.arange(len(forms)), [len(own) for own in forms])
    entries = [columns[form] for own in forms for form in sorted(own)]
    return csr_matrix((np.ones(len(entries), np.int32), (rows, entries)), (len(forms), len(columns)))


def _num_words(text: str) -> int:
    return len(words_of(text))
