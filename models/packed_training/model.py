"""The loss of a plain `LlamaForCausalLM` on a packed row, with gradients for its weights.

model + packed row -> weights as the layers need them -> loss. The model stays what it is: nothing is replaced in it,
and autograd has no part in it.
"""

from contextlib import nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from .layers import Row, layer_backward, layer_forward, loss_alone, loss_with_gradients
from .layout import Layout
from .weights import LayerWeights, list_weights

# Spares each operation the question whether autograd is to record it, a twentieth of an update of a small model.
_below_autograd = getattr(torch._C, "_AutoDispatchBelowAutograd", nullcontext)


def can_compute(config: LlamaConfig) -> bool:
    """Whether this computes models of a configuration: plain Llamas whose heads share no keys."""
    return (
        config.model_type == "llama"
        and config.hidden_act == "silu"
        and config.num_key_value_heads == config.num_attention_heads
        and not (config.attention_bias or config.mlp_bias or config.attention_dropout)
    )


def packed_loss(model: LlamaForCausalLM, **batch: torch.Tensor) -> torch.Tensor:
    """
    Sum of the negative log-likelihoods of a packed row in nats, on a CPU in fp32, without gradients.

    Args:
        model (`LlamaForCausalLM`): A model that [`can_compute`] knows.
        batch (`dict[str, torch.Tensor]`): As [`add_gradients`] takes it.

    Returns:
        `torch.Tensor`: A scalar.
    """
    with torch.no_grad(), _below_autograd():
        *weights, norm, output = list_weights(model)
        packed = _Packed.of(model, **batch)
        states = F.embedding(packed.ids, weights[0])
        for matrices in packed.layers(model, weights[1:]).matrices():
            states, _ = layer_forward(states, matrices, packed.row)
        return loss_alone(states, output * norm, packed.wanted, packed.row.eps)


def add_gradients(
    model: LlamaForCausalLM,
    input_ids: torch.Tensor,
    labels: torch.Tensor,
    position_ids: torch.Tensor,
    documents: torch.Tensor,
    divisor: torch.Tensor | int = 1,
) -> torch.Tensor:
    """
    Add the gradients of [`packed_loss`] to the `grad` of the model's weights, as `backward` does.

    Args:
        model (`LlamaForCausalLM`): A model that [`can_compute`] knows.
        input_ids (`torch.Tensor` of shape `(1, tokens)`): Documents end to end.
        labels (`torch.Tensor` of shape `(1, tokens)`): The same, with -100 where nothing is predicted.
        position_ids (`torch.Tensor` of shape `(1, tokens)`): Restart with each document.
        documents (`torch.Tensor` of shape `(num_documents, longest)`): As
            [`~models.packed_attention.pack_documents`] gives them.
        divisor (`torch.Tensor` or `int`, *optional*, defaults to 1): What loss and gradients are divided by, such as
            the tokens of a whole batch.

    Returns:
        `torch.Tensor`: The loss in nats, divided by the divisor.
    """
    weights = list_weights(model)
    with torch.no_grad(), _below_autograd():
        embeddings, *of_layers, norm, output = weights
        packed = _Packed.of(model, input_ids, labels, position_ids, documents)
        layers, states, kept = packed.layers(model, of_layers), F.embedding(packed.ids, embeddings), []
        for matrices in (all_matrices := layers.matrices()):
            states, of_layer = layer_forward(states, matrices, packed.row)
            kept.append(of_layer)
        share = torch.ones(()) / divisor
        loss, states, of_output = loss_with_gradients(states, output * norm, packed.wanted, packed.row.eps, share)
        of_matrices = []
        for matrices in reversed(all_matrices):
            states, of_layer = layer_backward(states, matrices, packed.row, kept.pop())
            of_matrices.append(of_layer)
        of_embeddings = torch.ops.aten.embedding_dense_backward(states, packed.ids, len(embeddings), -1, False)
        of_norm = (of_output * output).sum(0)
        gradients = [of_embeddings, *layers.gradients(of_matrices[::-1]), of_norm, of_output * norm]
        for weight, gradient in zip(weights, gradients):
            _add_gradient(weight, gradient)
        return loss / divisor


class _Packed(NamedTuple):
    """A packed row as the layers need it: token ids, what each position predicts, and where documents lie."""

    ids: torch.Tensor
    wanted: torch.Tensor
    row: Row

    @classmethod
    def of(cls, model: LlamaForCausalLM, input_ids, labels, position_ids, documents) -> "_Packed":
        config = model.config
        layout = Layout.of(documents, input_ids.shape[1])
        # Position i predicts token i + 1; the last predicts nothing.
        wanted = layout.lay_out(F.pad(labels[0, 1:], (0, 1), value=-100), -100)
        cosine, sine = model.model.rotary_emb(model.lm_head.weight, layout.lay_out(position_ids[0], 0)[None])
        half = config.head_dim // 2
        rotation = torch.complex(cosine[0, :, :half], sine[0, :, :half])
        return cls(layout.lay_out(input_ids[0], 0), wanted, Row(layout, rotation, config.rms_norm_eps))

    def layers(self, model: LlamaForCausalLM, weights: list[torch.Tensor]) -> LayerWeights:
        return LayerWeights(weights, model.config.head_dim, model.model.layers[0].self_attn.scaling)


def _add_gradient(weight: torch.nn.Parameter, gradient: torch.Tensor) -> None:
    """As autograd adds them, so that optimizers find gradients laid out as the weights are."""
    if not weight.requires_grad:
        return
    if weight.grad is None:
        weight.grad = gradient.contiguous()
    else:
        weight.grad.add_(gradient)
