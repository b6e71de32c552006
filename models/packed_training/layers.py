"""A decoder layer and the loss of the output layer, with gradients written out: nothing is computed twice or copied.

The weights of a norm are multiplied into the matrices behind it, which gives the same sums in another order.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F

from .attention import attend, attend_backward
from .layout import Layout
from .products import times_transposed, weight_gradient


class LayerMatrices(NamedTuple):
    """
    What a layer multiplies with, or the gradients of that.

    Args:
        qkv (`torch.Tensor` of shape `(3 * heads * head_dim, width)`): Scaled queries, keys and values, each times the
            norm's weights; in queries and keys the two numbers that a rotation mixes stand beside each other.
        output (`torch.Tensor` of shape `(width, heads * head_dim)`): The output projection.
        gate_up (`torch.Tensor` of shape `(2 * inner, width)`): Gate and up projection, times the norm's weights.
        down (`torch.Tensor` of shape `(width, inner)`): The down projection.
    """

    qkv: torch.Tensor
    output: torch.Tensor
    gate_up: torch.Tensor
    down: torch.Tensor


class Row(NamedTuple):
    """
    What all layers know of a row.

    Args:
        layout ([`Layout`]): Where the documents lie.
        rotation (complex `torch.Tensor` of shape `(positions, head_dim / 2)`): The rotary embedding.
        eps (`float`): Of the norms.
    """

    layout: Layout
    rotation: torch.Tensor
    eps: float


def layer_forward(states: torch.Tensor, matrices: LayerMatrices, row: Row) -> tuple[torch.Tensor, tuple]:
    """
    Attention and feed-forward network, each behind a norm and with its input added.

    Args:
        states (`torch.Tensor` of shape `(positions, width)`): The layer's input.
        matrices ([`LayerMatrices`]): Its weights.
        row ([`Row`]): The row.

    Returns:
        `tuple[torch.Tensor, tuple]`: The layer's output, and what [`layer_backward`] needs.
    """
    positions, half = row.rotation.shape
    width = matrices.qkv.shape[0] // 3
    normed, inverse = _norm(states, row.eps)
    flat = times_transposed(normed, matrices.qkv)
    heads = flat.new_empty(3, width // (2 * half), positions, 2 * half)
    _to_heads(flat, heads, row.rotation)
    attended = flat.new_empty(positions, width)
    attended[row.layout.spans[-1][1] :] = 0  # belongs to no document
    weights = attend(heads, row.layout, _by_head(attended, heads))
    middle = times_transposed(attended, matrices.output).add_(states)
    normed_middle, inverse_middle = _norm(middle, row.eps)
    gate, up = (wide := times_transposed(normed_middle, matrices.gate_up)).chunk(2, dim=1)
    inner = (active := F.silu(gate)) * up
    result = times_transposed(inner, matrices.down).add_(middle)
    return result, (normed, inverse, heads, weights, attended, normed_middle, inverse_middle, wide, active, inner)


def layer_backward(
    gradient: torch.Tensor, matrices: LayerMatrices, row: Row, kept: tuple
) -> tuple[torch.Tensor, LayerMatrices]:
    """
    Gradients of a layer's input and of its matrices.

    Args:
        gradient (`torch.Tensor` of shape `(positions, width)`): Of the layer's output; is not changed.
        matrices ([`LayerMatrices`]): As [`layer_forward`] was called with.
        row ([`Row`]): The same.
        kept (`tuple`): What it returned.

    Returns:
        `tuple[torch.Tensor, LayerMatrices]`: Both.
    """
    normed, inverse, heads, weights, attended, normed_middle, inverse_middle, wide, active, inner = kept
    gate, up = wide.chunk(2, dim=1)
    of_down = weight_gradient(gradient, inner)
    of_inner = times_transposed(gradient, matrices.down.mT)
    of_wide = torch.empty_like(wide)
    of_gate, of_up = of_wide.chunk(2, dim=1)
    torch.mul(of_inner, active, out=of_up)
    torch.ops.aten.silu_backward.grad_input(of_inner.mul_(up), gate, grad_input=of_gate)
    of_gate_up = weight_gradient(of_wide, normed_middle)
    middle = _norm_backward(times_transposed(of_wide, matrices.gate_up.mT), normed_middle, inverse_middle)
    of_output = weight_gradient(middle.add_(gradient), attended)
    of_attended = _by_head(times_transposed(middle, matrices.output.mT), heads).contiguous()
    of_heads = attend_backward(heads, row.layout, weights, of_attended)
    of_flat = gradient.new_empty(len(gradient), len(matrices.qkv))
    _from_heads(of_heads, of_flat, row.rotation)
    of_qkv = weight_gradient(of_flat, normed)
    states = _norm_backward(times_transposed(of_flat, matrices.qkv.mT), normed, inverse).add_(middle)
    return states, LayerMatrices(of_qkv, of_output, of_gate_up, of_down)


def loss_alone(states: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, eps: float) -> torch.Tensor:
    """
    The final norm, the output layer and the sum of the negative log-likelihoods.

    Args:
        states (`torch.Tensor` of shape `(positions, width)`): The last layer's output.
        weight (`torch.Tensor` of shape `(vocabulary, width)`): The output layer, times the norm's weights.
        labels (`torch.Tensor` of shape `(positions,)`): What each position predicts, -100 for nothing.
        eps (`float`): Of the norm.

    Returns:
        `torch.Tensor`: The sum in nats.
    """
    logits = times_transposed(_norm(states, eps)[0], weight)
    counted, wanted = labels >= 0, labels.clamp(min=0)[:, None]
    return ((torch.logsumexp(logits, dim=1) - logits.gather(1, wanted)[:, 0]) * counted).sum()


def loss_with_gradients(
    states: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, eps: float, share: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    The same, with the gradients of the last layer's output and of the output layer, from one pass of exponentials.

    Args:
        states (`torch.Tensor` of shape `(positions, width)`): As of [`loss_alone`].
        weight (`torch.Tensor` of shape `(vocabulary, width)`): As of [`loss_alone`].
        labels (`torch.Tensor` of shape `(positions,)`): As of [`loss_alone`].
        eps (`float`): As of [`loss_alone`].
        share (`torch.Tensor`): A scalar that the gradients are multiplied by.

    Returns:
        `tuple[torch.Tensor, torch.Tensor, torch.Tensor]`: The sum in nats, not multiplied, and both gradients.
    """
    normed, inverse = _norm(states, eps)
    logits = times_transposed(normed, weight)
    counted, wanted = labels >= 0, labels.clamp(min=0)[:, None]
    of_wanted, highest = logits.gather(1, wanted)[:, 0], logits.amax(dim=1)
    probabilities = torch.softmax(logits, dim=1, out=logits)
    of_normaliser = highest - probabilities.amax(dim=1).log_()  # the highest is no less than one in the vocabulary
    loss = ((of_normaliser - of_wanted) * counted).sum()
    shares = (counted * share)[:, None]
    of_logits = probabilities.mul_(shares).scatter_add_(1, wanted, -shares)
    of_states = _norm_backward(times_transposed(of_logits, weight.mT), normed, inverse)
    return loss, of_states, weight_gradient(of_logits, normed)


def _norm(states: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """States by their root mean square, and one over that."""
    inverse = torch.linalg.vector_norm(states, dim=1, keepdim=True).square_().div_(states.shape[1]).add_(eps).rsqrt_()
    return states * inverse, inverse


def _norm_backward(gradient: torch.Tensor, normed: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """Gradient of the states, written over that of the normed ones."""
    projection = (gradient * normed).mean(dim=1, keepdim=True)
    return gradient.addcmul_(normed, projection, value=-1).mul_(inverse)


def _by_head(flat: torch.Tensor, heads: torch.Tensor) -> torch.Tensor:
    """A view of `(positions, heads * head_dim)` as `(heads, positions, head_dim)`."""
    return flat.view(len(flat), heads.shape[1], heads.shape[3]).transpose(0, 1)


def _pairs(states: torch.Tensor) -> torch.Tensor:
    """`(heads, positions, head_dim)` as complex numbers `(heads, positions, head_dim / 2)`."""
    return torch.view_as_complex(states.unflatten(-1, (-1, 2)))


def _split(flat: torch.Tensor, heads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Views of `(positions, 3 * heads * head_dim)` by head: queries with keys, and values."""
    by_head = flat.view(len(flat), 3 * heads.shape[1], heads.shape[3]).transpose(0, 1)
    return by_head[: 2 * heads.shape[1]], by_head[2 * heads.shape[1] :]


def _to_heads(flat: torch.Tensor, heads: torch.Tensor, rotation: torch.Tensor) -> None:
    """Queries and keys, rotated, and values, into `heads`."""
    rotated, values = _split(flat, heads)
    torch.mul(_pairs(rotated), rotation, out=_pairs(heads[:2].flatten(0, 1)))
    heads[2] = values


def _from_heads(heads: torch.Tensor, flat: torch.Tensor, rotation: torch.Tensor) -> None:
    """Back from `heads`, queries and keys rotated back, into `flat`."""
    rotated, values = _split(flat, heads)
    torch.mul(_pairs(heads[:2].flatten(0, 1)), rotation.conj(), out=_pairs(rotated))
    values.copy_(heads[2])
