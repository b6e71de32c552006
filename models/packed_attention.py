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
    rows = [_lay_out(states[0].transpose(0, 1), documents) for states in (query, key, value)]
    grouped = query.shape[1] != key.shape[1]
    output = F.scaled_dot_product_attention(
        *rows, dropout_p=dropout, scale=scaling, is_causal=True, enable_gqa=grouped
    )
    return _gather_back(output.transpose(1, 2), documents, query.shape[2])[None], None


def _lay_out(states: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
    """`(tokens, heads, head_dim)` -> `(documents, heads, longest, head_dim)`, zeros where a document is over."""
    padded = F.pad(states, (0, 0, 0, 0, 0, 1))
    return padded[documents].transpose(1, 2)


def _gather_back(states: torch.Tensor, documents: torch.Tensor, tokens: int) -> torch.Tensor:
    """`(documents, longest, heads, head_dim)` -> `(tokens, heads, head_dim)`, dropping the padding."""
    packed = states.new_empty((tokens + 1, *states.shape[2:]))
    packed[documents.reshape(-1)] = states.reshape(-1, *states.shape[2:])
    return packed[:tokens]


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
