"""Causal attention document by document on views of one row, in blocks of queries, with its gradient.

A block of queries sees the keys up to its own end, so that little more than half of the square is computed. Long
documents are multiplied head by head, by oneDNN; short ones with all heads at once.
"""

from collections.abc import Iterator
from functools import lru_cache

import torch

from .layout import SHORT, Layout
from .products import times_transposed

_BLOCK = 256
_KEPT = 2**24
"""Attention weights of a layer up to so many are kept for its gradient, else computed again."""


def attend(heads: torch.Tensor, layout: Layout, output: torch.Tensor) -> list[torch.Tensor | None]:
    """
    Attention of all documents and heads.

    Args:
        heads (`torch.Tensor` of shape `(3, heads, positions, head_dim)`): Scaled queries, keys and values.
        layout ([`Layout`]): Where the documents lie.
        output (`torch.Tensor` of shape `(heads, positions, head_dim)`): Is written to, with any strides.

    Returns:
        `list[torch.Tensor | None]`: Attention weights of each block, for [`attend_backward`].
    """
    kept = []
    keeps = heads.shape[1] * sum((end - start) ** 2 for start, end in layout.spans) <= _KEPT
    for pick in _parts(layout, heads.shape[1]):
        query, key, value = (states[pick] for states in heads)
        result = output[pick]
        for start, end in _blocks(query.shape[-2]):
            weights = _weights(query, key, start, end)
            result[..., start:end, :] = times_transposed(weights, value[..., :end, :].mT)
            kept.append(weights if keeps else None)
    return kept


def attend_backward(
    heads: torch.Tensor, layout: Layout, kept: list[torch.Tensor | None], gradient: torch.Tensor
) -> torch.Tensor:
    """
    Gradient of [`attend`].

    Args:
        heads (`torch.Tensor` of shape `(3, heads, positions, head_dim)`): As it was called with.
        layout ([`Layout`]): As it was called with.
        kept (`list[torch.Tensor | None]`): What it returned.
        gradient (`torch.Tensor` of shape `(heads, positions, head_dim)`): Of its output, dense.

    Returns:
        `torch.Tensor` of shape `(3, heads, positions, head_dim)`: Gradients of the scaled queries, keys and values.
    """
    gradients = torch.empty_like(heads)
    gradients[:, :, layout.spans[-1][1] :] = 0  # belongs to no document
    weights_of_blocks = iter(kept)
    for pick in _parts(layout, heads.shape[1]):
        query, key, value = (states[pick] for states in heads)
        of_query, of_key, of_value = (states[pick] for states in gradients)
        of_output = gradient[pick]
        # Transposed, because the first of a product is copied and a block of queries is the smallest.
        of_key_t = of_value_t = None
        for start, end in _blocks(query.shape[-2]):
            weights, block = next(weights_of_blocks), of_output[..., start:end, :]
            weights = _weights(query, key, start, end) if weights is None else weights
            of_weights = times_transposed(block, value[..., :end, :])
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            of_query[..., start:end, :] = times_transposed(of_scores, key[..., :end, :].mT)
            of_key_t = _plus_earlier(times_transposed(query[..., start:end, :].mT, of_scores.mT), of_key_t)
            of_value_t = _plus_earlier(times_transposed(block.mT, weights.mT), of_value_t)
        of_key.copy_(of_key_t.mT)
        of_value.copy_(of_value_t.mT)
    return gradients


def _plus_earlier(gradient: torch.Tensor, earlier: torch.Tensor | None) -> torch.Tensor:
    """What a block of queries adds to the gradients of the keys that the blocks before it see, too."""
    if earlier is not None:
        gradient[..., : earlier.shape[-1]].add_(earlier)
    return gradient


def _weights(query: torch.Tensor, key: torch.Tensor, start: int, end: int) -> torch.Tensor:
    """Attention weights of a block of queries, over the keys up to its end."""
    scores = times_transposed(query[..., start:end, :], key[..., :end, :])
    scores[..., start:].add_(_future(end - start))
    return torch.softmax(scores, -1, out=scores)


def _parts(layout: Layout, heads: int) -> Iterator[tuple]:
    """Indices of what is multiplied together: a short document's heads, or one head of a long document."""
    for start, end in layout.spans:
        if end - start <= SHORT:
            yield slice(None), slice(start, end)
        else:
            yield from ((head, slice(start, end)) for head in range(heads))


def _blocks(length: int) -> Iterator[tuple[int, int]]:
    """Starts and ends of blocks of queries."""
    size = length if length <= SHORT else _BLOCK
    return ((start, min(start + size, length)) for start in range(0, length, size))


@lru_cache
def _future(size: int) -> torch.Tensor:
    """What is added to the scores of a block's own keys, so that no query sees a later one."""
    return torch.full((size, size), -torch.inf).triu(1)
