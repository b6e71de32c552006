"""Where the tokens of a batch of trees stand.

trees of items -> ids, depths and subtree ends, all of shape `(trees, width)` -> the position that predicts each scored
token. Nothing here knows of a model.
"""

from dataclasses import dataclass

import numpy as np

from .plan import Tokens, Tree


@dataclass(frozen=True)
class Layout:
    """
    A batch of trees as rows of positions, in preorder: what follows a position in its own items stands behind it, up
    to the end of its subtree.

    Args:
        ids (`np.ndarray` of shape `(trees, width)`): Token ids; zeros where a tree is over.
        depths (`np.ndarray` of shape `(trees, width)`): How many inputs of its item stand before each.
        ends (`np.ndarray` of shape `(trees, width)`): The first column behind each position's subtree.
        items (`np.ndarray` of shape `(scored,)`): The item of each scored token.
        positions (`np.ndarray` of shape `(scored,)`): Where it is predicted, as `row * width + column`.
        targets (`np.ndarray` of shape `(scored,)`): Its id.
    """

    ids: np.ndarray
    depths: np.ndarray
    ends: np.ndarray
    items: np.ndarray
    positions: np.ndarray
    targets: np.ndarray


def lay_out(trees: list[Tree], tokens: Tokens) -> Layout:
    """
    Lay trees out side by side.

    Args:
        trees (`list[Tree]`): The trees of a batch.
        tokens ([`Tokens`]): The items in them.

    Returns:
        [`Layout`]: A row a tree.
    """
    width = max(tree.size for tree in trees)
    members = np.array([member for tree in trees for member in tree.members])
    shared = np.array([common for tree in trees for common in tree.shared])
    inputs = tokens.lengths[members] - 1
    # Where the own inputs of each member begin, counted through all rows.
    own = inputs - shared
    firsts = np.cumsum(own) - own
    sizes = np.array([len(tree.members) for tree in trees])
    rows = np.arange(len(trees)).repeat(sizes)
    firsts += rows * width - firsts[np.cumsum(sizes) - sizes][rows]

    depth = np.arange(inputs.max())
    is_own = (shared[:, None] <= depth) & (depth < inputs[:, None])
    column = firsts[:, None] + depth - shared[:, None]
    # A member stands where the latest one stands that has inputs of its own at a depth: places only grow.
    place = np.maximum.accumulate(np.where(is_own, column, -1), axis=0)
    # A subtree ends with the next member that shares less than its depth, each row's first member at the latest.
    behind = np.where(shared[:, None] <= depth, firsts[:, None], len(trees) * width)
    behind = np.concatenate([behind[1:], np.full((1, len(depth)), len(trees) * width)])
    end = np.minimum.accumulate(behind[::-1], axis=0)[::-1]

    member, at = np.nonzero(is_own)
    places = column[member, at]
    ids, depths = (np.zeros(len(trees) * width, dtype=np.int64) for _ in range(2))
    ids[places] = tokens.flat[tokens.offsets[members[member]] + at]
    depths[places] = at
    ends = np.full(len(trees) * width, width)
    ends[places] = np.minimum(end[member, at] - rows[member] * width, width)

    member, at = np.nonzero((tokens.starts[members, None] <= depth) & (depth < inputs[:, None]))
    items = members[member]
    return Layout(
        *(array.reshape(-1, width) for array in (ids, depths, ends)),
        items,
        place[member, at],
        tokens.flat[tokens.offsets[items] + at + 1],
    )
