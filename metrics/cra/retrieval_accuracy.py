"""How log-likelihoods of continuations after contexts become accuracies of retrieval.

square matrices, a block each -> 1, a share of a tie or 0 for each continuation and each context -> means, with an
interval over blocks.
"""

from collections.abc import Sequence

import numpy as np

# `models/statistics.py`, under a name that hides no module of the standard library where a Space runs its folder.
from .bootstrap import resampled_means

CONTEXT, CONTINUATION = "", "_continuation"
"""What the keys of a result end with: the context is retrieved, or the continuation."""


def retrieval_accuracies(
    predictions: Sequence[Sequence[float]],
    references: Sequence[int],
    groups: Sequence[str] | None = None,
    unconditional: Sequence[float] | None = None,
    cluster_ids: Sequence | None = None,
    seed: int = 0,
    return_outcomes: bool = False,
) -> dict:
    """
    Accuracies of retrieval, with intervals and groups.

    Args:
        predictions (`Sequence[Sequence[float]]` of shape `(continuations, N)`):
            Log P(continuation | context) in nats, a row a continuation and a column a context of its block.
        references (`Sequence[int]`): The column of each continuation's own context.
        groups (`Sequence[str]`, *optional*): A label for each continuation, such as its direction.
        unconditional (`Sequence[float]`, *optional*): Log P(continuation) in nats, without a context.
        cluster_ids (`Sequence`, *optional*): The block of each continuation. By default every N rows are a block.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap.
        return_outcomes (`bool`, *optional*, defaults to `False`): Whether the result has `outcomes`.

    Returns:
        `dict`: As the metric returns it.

    Raises:
        `ValueError`: If there is nothing to judge, lengths differ, a number is not finite, blocks are not square or
            not of one size, or a context belongs to several continuations of its block or to none.
    """
    scores, right = check_matrices(predictions, references, groups, unconditional, cluster_ids)
    size = scores.shape[1]
    blocks = np.arange(len(scores)) // size if cluster_ids is None else _as_text(cluster_ids)
    labels = None if groups is None else _as_text(groups)
    correct = {CONTEXT: share_ties(scores, right)}
    if unconditional is not None:
        gains = scores - np.asarray(unconditional, np.float64)[:, None]
        correct[CONTINUATION] = np.empty(len(scores))
        for rows in _matrices(blocks, labels):
            # In the order of the contexts: after context c the right continuation is the c-th.
            rows = rows[np.argsort(right[rows])]
            correct[CONTINUATION][rows] = share_ties(gains[rows].T, np.arange(size))
    # Sums of thirds in another order differ in their last digit, and so would what a bootstrap takes for equal.
    order = np.lexsort((right, blocks) if labels is None else (right, labels, blocks))

    def over(chosen: np.ndarray) -> dict:
        """Accuracies of some rows, and of how many continuations and blocks they are."""
        rows, found = order[chosen[order]], {}
        for rule, own in correct.items():
            drawn = resampled_means(own[rows, None], seed, cluster_ids=blocks[rows])
            low, high = np.quantile(drawn, [0.025, 0.975])
            found |= {f"accuracy{rule}": float(own[rows].mean())}
            found |= {f"ci_low{rule}": float(low), f"ci_high{rule}": float(high)}
        return found | {"n": len(rows), "n_blocks": len(np.unique(blocks[rows]))}

    result = over(np.ones(len(scores), bool)) | {"chance": 1 / size, "block_size": size}
    if labels is not None:
        result["groups"] = {label: over(labels == label) for label in dict.fromkeys(labels.tolist())}
    if return_outcomes:
        columns = {"cluster": blocks.tolist() if cluster_ids is None else cluster_ids, "group": groups}
        columns |= {f"correct{rule}": own.tolist() for rule, own in correct.items()}
        columns = {name: own for name, own in columns.items() if own is not None}
        result["outcomes"] = [dict(zip(columns, row)) for row in zip(*columns.values())]
    return result


def share_ties(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """
    Whether the right column has the largest number of its row.

    Args:
        scores (`np.ndarray` of shape `(rows, columns)`): What is compared.
        right (`np.ndarray` of shape `(rows,)`): The right column of each row.

    Returns:
        `np.ndarray` of shape `(rows,)`: 1, 0, or 1/k where it is one of k largest.
    """
    best = scores == scores.max(axis=1, keepdims=True)
    return best[np.arange(len(scores)), right] / best.sum(axis=1)


def check_matrices(
    predictions: Sequence[Sequence[float]],
    references: Sequence[int],
    groups: Sequence[str] | None = None,
    unconditional: Sequence[float] | None = None,
    cluster_ids: Sequence | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Read scores and right contexts.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: Scores of shape `(continuations, N)`, and columns of shape `(continuations,)`.

    Raises:
        `ValueError`: As [`retrieval_accuracies`].
    """
    if predictions is None or references is None:
        raise ValueError("Both predictions and references are needed: log-likelihoods, and the right contexts.")
    if not len(predictions):
        raise ValueError("There is nothing to judge: the list of predictions is empty.")
    given = {"references": references, "groups": groups, "unconditional": unconditional, "cluster_ids": cluster_ids}
    for name, values in given.items():
        if values is not None and len(values) != len(predictions):
            raise ValueError(f"There are {len(predictions)} predictions and {len(values)} {name}; give one for each.")
    scores = _read_scores(predictions)
    if unconditional is not None:
        _check_finite(np.asarray(unconditional, np.float64)[:, None], "unconditional")
    right = _read_columns(references, scores.shape[1])
    labels = None if groups is None else _as_text(groups)
    _check_blocks(scores.shape[1], right, labels, None if cluster_ids is None else _as_text(cluster_ids))
    return scores, right


def _read_scores(predictions: Sequence[Sequence[float]]) -> np.ndarray:
    size = len(predictions[0])
    for number, row in enumerate(predictions):
        if len(row) != size:
            raise ValueError(
                f"Prediction {number} has {len(row)} scores and prediction 0 has {size}: every continuation has one "
                "for each context of its block, and all blocks are of one size."
            )
    if size < 2:
        raise ValueError(f"Predictions have {size} scores: retrieval needs at least two contexts a block.")
    scores = np.array([list(row) for row in predictions], np.float64)
    _check_finite(scores, "prediction")
    return scores


def _check_finite(values: np.ndarray, what: str) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        raise ValueError(f"The {what} of continuation {row} has {values[row, column]}: it must be a finite number.")


def _read_columns(references: Sequence[int], size: int) -> np.ndarray:
    right = np.array(references, np.int64)
    outside = np.flatnonzero((right < 0) | (right >= size))
    if len(outside):
        raise ValueError(
            f"The reference of continuation {outside[0]} is {right[outside[0]]}: it is the number of its own context, "
            f"from 0 to {size - 1}."
        )
    return right


def _check_blocks(size: int, right: np.ndarray, labels: np.ndarray | None, blocks: np.ndarray | None) -> None:
    if blocks is None:
        if len(right) % size:
            raise ValueError(
                f"There are {len(right)} continuations, which make no blocks of {size}: a block has as many "
                "continuations as contexts."
            )
        blocks = np.arange(len(right)) // size
    for rows in _matrices(blocks, labels):
        of = "" if labels is None else f" of the group {str(labels[rows[0]])!r}"
        if len(rows) != size:
            raise ValueError(
                f"Block {blocks[rows[0]]}{of} has {len(rows)} continuations and {size} contexts: a block has as many "
                "of either."
            )
        if len(set(right[rows].tolist())) != size:
            raise ValueError(
                f"Two continuations of block {blocks[rows[0]]}{of} have the same context: each has one of its own."
            )


def _matrices(blocks: np.ndarray, labels: np.ndarray | None) -> list[np.ndarray]:
    """The rows of each matrix: a block, of each group by itself."""
    columns = [blocks] if labels is None else [blocks, labels]
    numbers = [np.unique(column, return_inverse=True)[1] for column in columns]
    _, owners = np.unique(np.stack(numbers, axis=1), axis=0, return_inverse=True)
    owners = owners.reshape(-1)  # of some versions of numpy a column
    order = np.argsort(owners, kind="stable")
    return np.split(order, np.cumsum(np.bincount(owners))[:-1])


def _as_text(labels: Sequence) -> np.ndarray:
    """Labels as they are compared: 7 and "7" are one."""
    return np.array([str(label) for label in labels])
