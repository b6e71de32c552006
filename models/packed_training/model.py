"""The loss of a plain `LlamaForCausalLM` on a packed row, with gradients for its weights.

model + packed row -> weights as the layers need them -> loss. The model stays what it is: nothing is replaced in it.
"""

import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from .layers import Row, layer_backward, layer_forward, loss_backward, loss_forward
from .layout import Layout
from .weights import LayerWeights, list_weights


def can_compute(config: LlamaConfig) -> bool:
    """Whether [`packed_loss`] computes models of this configuration: plain Llamas whose heads share no keys."""
    return (
        config.model_type == "llama"
        and config.hidden_act == "silu"
        and config.num_key_value_heads == config.num_attention_heads
        and not (config.attention_bias or config.mlp_bias or config.attention_dropout)
    )


def packed_loss(
    model: LlamaForCausalLM,
    input_ids: torch.Tensor,
    labels: torch.Tensor,
    position_ids: torch.Tensor,
    documents: torch.Tensor,
) -> torch.Tensor:
    """
    Sum of the negative log-likelihoods of a packed row in nats, on a CPU in fp32.

    Args:
        model (`LlamaForCausalLM`): A model that [`can_compute`] knows.
        input_ids (`torch.Tensor` of shape `(1, tokens)`): Documents end to end.
        labels (`torch.Tensor` of shape `(1, tokens)`): The same, with -100 where nothing is predicted.
        position_ids (`torch.Tensor` of shape `(1, tokens)`): Restart with each document.
        documents (`torch.Tensor` of shape `(num_documents, longest)`): As
            [`~models.packed_attention.pack_documents`] gives them.

    Returns:
        `torch.Tensor`: A scalar; `backward` fills the gradients of the model's weights.
    """
    config = model.config
    layout = Layout.of(documents, input_ids.shape[1])
    ids = layout.lay_out(input_ids[0], 0)
    # Position i predicts token i + 1; the last predicts nothing.
    wanted = layout.lay_out(F.pad(labels[0, 1:], (0, 1), value=-100), -100)
    cosine, sine = model.model.rotary_emb(model.lm_head.weight, layout.lay_out(position_ids[0], 0)[None])
    half = config.head_dim // 2
    rotation = torch.complex(cosine[0, :, :half], sine[0, :, :half])
    row = Row(layout, rotation, config.rms_norm_eps)
    scaling = model.model.layers[0].self_attn.scaling
    return _PackedLoss.apply(row, ids, wanted, config.head_dim, scaling, torch.is_grad_enabled(), *list_weights(model))


class _PackedLoss(torch.autograd.Function):
    """All of it in one piece, so that autograd has nothing to look up between layers."""

    @staticmethod
    def forward(ctx, row: Row, ids, wanted, head_dim: int, scaling: float, keeps: bool, *weights):
        """The sum in nats."""
        embeddings, *of_layers, norm, output = weights
        layers = LayerWeights(of_layers, head_dim, scaling)
        states, kept = F.embedding(ids, embeddings), []
        for matrices in (all_matrices := layers.matrices()):
            states, of_layer = layer_forward(states, matrices, row)
            if keeps:
                kept.append(of_layer)
        loss, of_loss = loss_forward(states, scaled_output := output * norm, wanted, row.eps)
        if keeps:
            ctx.save_for_backward(*weights)
            ctx.kept = row, ids, layers, all_matrices, kept, scaled_output, of_loss
        return loss

    @staticmethod
    def backward(ctx, gradient):
        """The gradients of all weights."""
        embeddings, *_, norm, output = ctx.saved_tensors
        row, ids, layers, all_matrices, kept, scaled_output, of_loss = ctx.kept
        states, of_output = loss_backward(gradient, scaled_output, of_loss)
        of_matrices = []
        for matrices in reversed(all_matrices):
            states, of_layer = layer_backward(states, matrices, row, kept.pop())
            of_matrices.append(of_layer)
        of_embeddings = torch.ops.aten.embedding_dense_backward(states, ids, len(embeddings), -1, False)
        of_layers = layers.gradients(of_matrices[::-1])
        of_norm = (of_output * output).sum(0)
        return *[None] * 6, of_embeddings, *of_layers, of_norm, of_output * norm
