"""Attention over packed sequences in which documents cannot see each other, on every device and without padding.

ids of several documents in one row + `position_ids` that restart -> one row of hidden states. Only inside the
attention the documents are laid side by side as a padded batch, where a causal mask is enough to keep them apart.
"""

import torch
import torch.nn.functional as F
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

PACKED_ATTENTION = "evoslm_packed"


def packed_attention_forward(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    documents: torch.Tensor | None = None,
    **kwargs,
) -> tuple[torch.Tensor, None]:
    """
    Causal attention within each document of a packed row.

    Positions after a document's end are padding on the right, which a causal mask already hides from every real
    position, so no mask is ever made: the kernel is the plain causal one (flash on CUDA, blocked on CPU).

    Args:
        module (`torch.nn.Module`): The attention layer; only `num_key_value_groups` and `training` are read.
        query (`torch.Tensor` of shape `(1, heads, tokens, head_dim)`): Queries of the packed row.
        key (`torch.Tensor` of shape `(1, key_value_heads, tokens, head_dim)`): Keys.
        value (`torch.Tensor` of shape `(1, key_value_heads, tokens, head_dim)`): Values.
        attention_mask (`torch.Tensor`, *optional*): Not used; must be `None`.
        scaling (`float`, *optional*): Factor on the scores.
        dropout (`float`, *optional*, defaults to 0.0): Dropout on the attention weights.
        documents (`torch.Tensor` of shape `(num_documents, longest)`, *optional*): Index into the packed row of each
            document's tokens, and `tokens` (one past the end) where a document is over. `None` means that the row is
            one document.

    Returns:
        The attention output of shape `(1, tokens, heads, head_dim)`, and `None` for the weights.
    """
    if documents is None:
        output = F.scaled_dot_product_attention(
            query, key, value, dropout_p=dropout, scale=scaling, is_causal=query.shape[2] > 1, enable_gqa=True
        )
        return output.transpose(1, 2), None
    tokens = query.shape[2]
    places = documents.reshape(-1)
    # Where each token of the packed row is laid out; the dummy row's own place is dropped.
    back = torch.zeros(tokens + 1, dtype=torch.long, device=places.device)
    back = back.scatter_(0, places, torch.arange(len(places), device=places.device))[:tokens]
    rows = [
        _Rearranged.apply(states[0].transpose(0, 1), places, back).unflatten(0, documents.shape).transpose(1, 2)
        for states in (query, key, value)
    ]
    grouped = query.shape[1] != key.shape[1]
    output = F.scaled_dot_product_attention(
        *rows, dropout_p=dropout, scale=scaling, is_causal=True, enable_gqa=grouped
    )
    return _Rearranged.apply(output.transpose(1, 2).flatten(0, 1), back, places)[None], None


class _Rearranged(torch.autograd.Function):
    """
    Rows picked by index, with zeros for an index past the end, and a gradient that is picked by the inverse index:
    every row is picked at most once, so that nothing has to be added up.
    """

    @staticmethod
    def forward(ctx, states: torch.Tensor, places: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
        """`(rows, heads, head_dim)` -> `(len(places), heads, head_dim)`."""
        ctx.save_for_backward(places, back)
        return _pick(states, places)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        """The gradient of the rows, in their first order."""
        places, back = ctx.saved_tensors
        return _pick(gradient, back), None, None


def _pick(states: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    return F.pad(states, (0, 0, 0, 0, 0, 1)).index_select(0, places)


def pack_documents(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Where each document of a packed row lies.

    Args:
        lengths (`list[int]`): Tokens of each document, in their order in the row.

    Returns:
        `tuple(torch.Tensor, torch.Tensor)`: `position_ids` of shape `(1, tokens)`, which restart with each document,
        and `documents` of shape `(num_documents, longest)` for [`packed_attention_forward`].
    """
    ends = torch.tensor(lengths).cumsum(0)
    starts, tokens = ends - torch.tensor(lengths), int(ends[-1])
    offsets = torch.arange(max(lengths))
    documents = starts[:, None] + offsets
    documents = torch.where(offsets < torch.tensor(lengths)[:, None], documents, tokens)
    position_ids = torch.cat([offsets[:length] for length in lengths])[None]
    return position_ids, documents


AttentionInterface.register(PACKED_ATTENTION, packed_attention_forward)
AttentionMaskInterface.register(PACKED_ATTENTION, lambda *args, **kwargs: None)
