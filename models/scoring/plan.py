"""What is computed with what, when log-likelihoods of many sequences are wanted.

rows of ids, some of them equal -> each different one once ([`unique_items`]) -> short ones as trees of beginnings
([`grow_trees`]), long ones as groups with a common beginning ([`group_by_prefix`]) -> batches of like shape. Nothing
here knows of a model.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

# A group is two passes, which cost more than one where they are short: a common beginning is computed once where it
# has so many tokens and saves such a share of all.
_SHORTEST_PREFIX = 16
_SMALLEST_SAVING = 0.35
_LARGEST_GROUP = 32
# A tree is one row of positions and attends over its full square: many short items fill a row up to so many positions,
# and what saves a good share of its own goes on in the row of the others up to so many.
_TREE, _LARGEST_TREE = 48, 512
LONGEST_IN_TREE = 256
"""Most inputs of an item in a tree; longer ones gain more from a causal mask's empty half."""


@dataclass
class Tokens:
    """
    Different items, each a row of tokens, one by one and end to end.

    Args:
        rows (`list[np.ndarray]`): Ids of each item, int32 in big-endian order.
        starts (`np.ndarray` of shape `(items,)`): Index of the first input of each whose next token is scored.
    """

    rows: list[np.ndarray]
    starts: np.ndarray

    def __post_init__(self):
        # The tokens of item i are `flat[offsets[i] : offsets[i] + lengths[i]]`.
        self.lengths = np.array([len(row) for row in self.rows])
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.flat = np.concatenate(self.rows).astype(np.int64)


@dataclass(frozen=True)
class Group:
    """
    Items that begin alike.

    Args:
        members (`tuple[int, ...]`): Which items.
        prefix (`int`): How many of their first inputs are the same; an item alone is all prefix.
    """

    members: tuple[int, ...]
    prefix: int


@dataclass(frozen=True)
class Tree:
    """
    Items in one row of positions, in which a beginning that neighbours have in common stands once: the inputs of the
    first member, then of each further one those in which it differs from the member before it.

    Args:
        members (`tuple[int, ...]`): Which items, in alphabetical order.
        shared (`tuple[int, ...]`): How many of its first inputs each member has in common with the one before it.
        size (`int`): Positions in the row.
    """

    members: tuple[int, ...]
    shared: tuple[int, ...]
    size: int


def unique_items(rows, starts) -> tuple[Tokens, np.ndarray]:
    """
    Each different row and start once. It saves time, and it makes two equal sides of a pair a tie to the last bit.

    Args:
        rows (`Sequence[np.ndarray]`): Token ids, at least two a row.
        starts (`Sequence[int]`): Index of the first token of each row that is scored, from 1.

    Returns:
        `tuple[Tokens, np.ndarray]`: The items, and for each row which of them it is, of shape `(len(rows),)`.
    """
    seen, unique, unique_starts, owners = {}, [], [], np.zeros(len(rows), dtype=np.int64)
    for i, (row, start) in enumerate(zip(rows, starts)):
        # Big-endian, so that the order of the bytes is the order of the ids.
        row = row.astype(">i4")
        key = (start, row.tobytes())
        if key not in seen:
            seen[key] = len(unique)
            unique.append(row)
            unique_starts.append(start - 1)
        owners[i] = seen[key]
    return Tokens(unique, np.array(unique_starts)), owners


def grow_trees(tokens: Tokens, items: Iterable[int]) -> list[Tree]:
    """
    Rows of short items. In alphabetical order items with a common beginning are neighbours, so that the two sides of
    a minimal pair differ in little more than what follows their first difference.

    Args:
        tokens ([`Tokens`]): The items.
        items (`Iterable[int]`): Those that are wanted.

    Returns:
        `list[Tree]`: Trees, in which every wanted item stands once.
    """
    trees, members, shared, size = [], [], [], 0
    for item, common in zip(*_alphabetical(tokens, items)):
        inputs = int(tokens.lengths[item]) - 1
        grown = size + inputs - common
        if members and grown > (_LARGEST_TREE if common >= _SMALLEST_SAVING * inputs else _TREE):
            trees.append(Tree(tuple(members), tuple(shared), size))
            members, shared, size = [], [], 0
        if not members:
            common, grown = 0, inputs
        members.append(item)
        shared.append(common)
        size = grown
    return [*trees, Tree(tuple(members), tuple(shared), size)] if members else trees


def group_by_prefix(tokens: Tokens, items: Iterable[int]) -> list[Group]:
    """
    The grouping of long items that saves most.

    A group is a run of neighbours in alphabetical order, and the best runs are found by dynamic programming over where
    the last of them starts.

    Args:
        tokens ([`Tokens`]): The items.
        items (`Iterable[int]`): Those that are wanted.

    Returns:
        `list[Group]`: Groups, in which every wanted item stands once.
    """
    order, common = _alphabetical(tokens, items)
    inputs = [int(tokens.lengths[item]) - 1 for item in order]
    saved, run_start, run_prefix = [0], [0], [0]
    for end in range(1, len(order) + 1):
        best = (saved[end - 1], end - 1, inputs[end - 1])
        shared, total = inputs[end - 1], inputs[end - 1]
        for start in range(end - 2, max(-1, end - 1 - _LARGEST_GROUP), -1):
            shared, total = min(shared, common[start + 1]), total + inputs[start]
            if shared < max(_SHORTEST_PREFIX, _SMALLEST_SAVING * inputs[end - 1]):  # it only gets shorter
                break
            prefix = _rounded(shared)
            saving = prefix * (end - start - 1)
            if saving >= _SMALLEST_SAVING * total and saved[start] + saving > best[0]:
                best = (saved[start] + saving, start, prefix)
        for values, value in zip((saved, run_start, run_prefix), best):
            values.append(value)
    groups, end = [], len(order)
    while end > 0:
        start = run_start[end]
        groups.append(Group(tuple(order[start:end]), run_prefix[end]))
        end = start
    return groups


def make_tree_batches(trees: list[Tree], batch_tokens: int) -> Iterator[list[Tree]]:
    """
    Trees of like size together, the largest first.

    Args:
        trees (`list[Tree]`): All trees.
        batch_tokens (`int`): Most positions, padding included, in a batch; a larger tree makes one of its own.

    Returns:
        `Iterator[list[Tree]]`: The trees of each batch.
    """
    ordered = sorted(trees, key=lambda tree: (-tree.size, tree.members))
    start = 0
    while start < len(ordered):
        end = start + max(1, batch_tokens // ordered[start].size)
        yield ordered[start:end]
        start = end


def make_batches(groups: list[Group], tokens: Tokens, batch_tokens: int) -> Iterator[list[Group]]:
    """
    Groups of like shape together, the largest first, so that what does not fit into memory fails at once.

    Args:
        groups (`list[Group]`): All groups.
        tokens ([`Tokens`]): The items in them.
        batch_tokens (`int`): Most positions, padding included, in a batch; a longer group makes one of its own.

    Returns:
        `Iterator[list[Group]]`: The groups of each batch, with equally many members and, where those are several,
        equally long prefixes.
    """

    def shape(group):
        longest = max(int(tokens.lengths[member]) for member in group.members) - 1
        return len(group.members), group.prefix if len(group.members) > 1 else 0, longest

    def positions(groups: int, members: int, key) -> int:
        size, prefix, longest = key
        return groups * prefix + members * (longest - prefix) if size > 1 else members * longest

    batch, rows, previous = [], 0, None
    for key, group in sorted(((shape(group), group) for group in groups), key=_shape_and_members, reverse=True):
        size = rows + len(group.members)
        if batch and (key[:2] != previous[:2] or positions(len(batch) + 1, size, previous) > batch_tokens):
            yield batch
            batch, rows = [], 0
        if not batch:
            previous = key
        batch.append(group)
        rows += len(group.members)
    if batch:
        yield batch


def _alphabetical(tokens: Tokens, items: Iterable[int]) -> tuple[list[int], list[int]]:
    """Items in alphabetical order, and how many first inputs each has in common with the one before it."""
    order = sorted(items, key=lambda item: (tokens.rows[item].tobytes(), item))
    inputs = [tokens.rows[item][:-1] for item in order]
    return order, [0, *(_common_prefix(a, b) for a, b in zip(inputs, inputs[1:]))][: len(order)]


def _common_prefix(a: np.ndarray, b: np.ndarray) -> int:
    length = min(len(a), len(b))
    different = a[:length] != b[:length]
    return int(different.argmax()) if different.any() else length


def _rounded(length: int) -> int:
    """
    A length cut to its five leading bits, which loses less than a sixteenth. The groups of a batch need equally long
    prefixes, because a gap behind a shorter one would need masks and positions that not every model takes.
    """
    shift = max(0, length.bit_length() - 5)
    return length >> shift << shift


def _shape_and_members(item):
    shape, group = item
    return shape, group.members
