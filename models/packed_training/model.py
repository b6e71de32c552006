"""The loss of a plain `LlamaForCausalLM` on a packed row, with gradients for its weights.

model + packed row -> weights as the layers need them -> loss. The model stays what it is: nothing is replaced in it.
"""

import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from .layers import DecoderLayer, OutputLoss
from .layout import Layout


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
    config, weights = model.config, model.model
    layout = Layout.of(documents, input_ids.shape[1])
    states = F.embedding(layout.lay_out(input_ids[0], 0), weights.embed_tokens.weight)
    # Position i predicts token i + 1; the last predicts nothing.
    wanted = layout.lay_out(F.pad(labels[0, 1:], (0, 1), value=-100), -100)
    cosine, sine = weights.rotary_emb(states, layout.lay_out(position_ids[0], 0)[None])
    half = config.head_dim // 2
    rotation = torch.complex(cosine[0, :, :half], sine[0, :, :half])
    for layer in weights.layers:
        states = DecoderLayer.apply(states, *_matrices(layer), rotation, layout, config.rms_norm_eps)
    return OutputLoss.apply(states, model.lm_head.weight * weights.norm.weight, wanted, config.rms_norm_eps)


def _matrices(layer: LlamaDecoderLayer) -> tuple[torch.Tensor, ...]:
    """The matrices that [`DecoderLayer`] takes, of which autograd leads back to the layer's weights."""
    attention, network = layer.self_attn, layer.mlp
    query = _interleave(attention.q_proj.weight, attention.head_dim) * attention.scaling
    key = _interleave(attention.k_proj.weight, attention.head_dim)
    qkv = torch.cat([query, key, attention.v_proj.weight]) * layer.input_layernorm.weight
    gate_up = torch.cat([network.gate_proj.weight, network.up_proj.weight]) * layer.post_attention_layernorm.weight
    return qkv, attention.o_proj.weight, gate_up, network.down_proj.weight


def _interleave(weight: torch.Tensor, head_dim: int) -> torch.Tensor:
    """Rows i and i + head_dim / 2 of each head, which rotate together, beside each other."""
    return weight.unflatten(0, (-1, 2, head_dim // 2)).transpose(1, 2).flatten(0, 2)
