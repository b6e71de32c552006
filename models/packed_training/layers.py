"""A decoder layer and the loss of the output layer, with gradients written out: nothing is computed twice or copied.

The weights of a norm are multiplied into the matrices behind it, which gives the same sums in another order.
"""

import torch
import torch.nn.functional as F

from .attention import attend, attend_backward
from .layout import Layout
from .products import times_transposed, weight_gradient


class DecoderLayer(torch.autograd.Function):
    """
    Attention and feed-forward network, each behind a norm and with its input added.

    `apply(states, qkv, output, gate_up, down, rotation, layout, eps)`:

        states (`torch.Tensor` of shape `(positions, width)`): The layer's input.
        qkv (`torch.Tensor` of shape `(3 * heads * head_dim, width)`): Scaled queries, keys and values, each times the
            norm's weights; in queries and keys the two numbers that a rotation mixes stand beside each other.
        output (`torch.Tensor` of shape `(width, heads * head_dim)`): The output projection.
        gate_up (`torch.Tensor` of shape `(2 * inner, width)`): Gate and up projection, times the norm's weights.
        down (`torch.Tensor` of shape `(width, inner)`): The down projection.
        rotation (complex `torch.Tensor` of shape `(positions, head_dim / 2)`): The rotary embedding.
        layout ([`Layout`]): Where the documents lie.
        eps (`float`): Of the norms.

    Returns a `torch.Tensor` of shape `(positions, width)`.
    """

    @staticmethod
    def forward(ctx, states, qkv, output, gate_up, down, rotation, layout: Layout, eps: float):
        """See above."""
        positions, half = rotation.shape
        normed, inverse = _norm(states, eps)
        flat = times_transposed(normed, qkv)
        heads = flat.new_empty(3, qkv.shape[0] // (6 * half), positions, 2 * half)
        _to_heads(flat, heads, rotation)
        attended = flat.new_empty(positions, qkv.shape[0] // 3)
        attended[layout.spans[-1][1] :] = 0  # belongs to no document
        kept = attend(heads, layout, _by_head(attended, heads))
        middle = times_transposed(attended, output).add_(states)
        normed_middle, inverse_middle = _norm(middle, eps)
        gate, up = (wide := times_transposed(normed_middle, gate_up)).chunk(2, dim=1)
        inner = (active := F.silu(gate)) * up
        ctx.save_for_backward(qkv, output, gate_up, down, rotation)
        ctx.kept = normed, inverse, heads, kept, attended, normed_middle, inverse_middle, wide, active, inner
        ctx.layout = layout
        return times_transposed(inner, down).add_(middle)

    @staticmethod
    def backward(ctx, gradient):
        """Gradients of the states and of the four matrices."""
        qkv, output, gate_up, down, rotation = ctx.saved_tensors
        normed, inverse, heads, kept, attended, normed_middle, inverse_middle, wide, active, inner = ctx.kept
        gate, up = wide.chunk(2, dim=1)
        of_down = weight_gradient(gradient, inner)
        of_inner = times_transposed(gradient, down.mT)
        of_wide = torch.empty_like(wide)
        of_gate, of_up = of_wide.chunk(2, dim=1)
        torch.mul(of_inner, active, out=of_up)
        torch.ops.aten.silu_backward.grad_input(of_inner.mul_(up), gate, grad_input=of_gate)
        of_gate_up = weight_gradient(of_wide, normed_middle)
        middle = _norm_backward(times_transposed(of_wide, gate_up.mT), normed_middle, inverse_middle).add_(gradient)
        of_output = weight_gradient(middle, attended)
        of_attended = _by_head(times_transposed(middle, output.mT), heads).contiguous()
        of_heads = attend_backward(heads, ctx.layout, kept, of_attended)
        of_flat = gradient.new_empty(len(gradient), len(qkv))
        _from_heads(of_heads, of_flat, rotation)
        of_qkv = weight_gradient(of_flat, normed)
        states = _norm_backward(times_transposed(of_flat, qkv.mT), normed, inverse).add_(middle)
        return states, of_qkv, of_output, of_gate_up, of_down, None, None, None


class OutputLoss(torch.autograd.Function):
    """
    The final norm, the output layer and the sum of the negative log-likelihoods.

    `apply(states, weight, labels, eps)`:

        states (`torch.Tensor` of shape `(positions, width)`): The last layer's output.
        weight (`torch.Tensor` of shape `(vocabulary, width)`): The output layer, times the norm's weights.
        labels (`torch.Tensor` of shape `(positions,)`): What each position predicts, -100 for nothing.
        eps (`float`): Of the norm.

    Returns the sum in nats.
    """

    @staticmethod
    def forward(ctx, states, weight, labels, eps: float):
        """See above."""
        normed, inverse = _norm(states, eps)
        logits = times_transposed(normed, weight)
        of_normaliser = torch.logsumexp(logits, dim=1)
        counted = labels >= 0
        wanted = labels.clamp(min=0)[:, None]
        loss = ((of_normaliser - logits.gather(1, wanted)[:, 0]) * counted).sum()
        ctx.save_for_backward(weight, counted, wanted)
        ctx.kept = normed, inverse, logits
        return loss

    @staticmethod
    def backward(ctx, gradient):
        """Gradients of the states and of the output layer."""
        weight, counted, wanted = ctx.saved_tensors
        normed, inverse, logits = ctx.kept
        share = (counted * gradient)[:, None]
        of_logits = torch.softmax(logits, dim=1, out=logits).mul_(share).scatter_add_(1, wanted, -share)
        states = _norm_backward(times_transposed(of_logits, weight.mT), normed, inverse)
        return states, weight_gradient(of_logits, normed), None, None


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
