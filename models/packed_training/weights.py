"""The weights of a plain Llama as its layers multiply with them, and the way back for their gradients.

Those of all layers are joined and scaled at once: small models take longer to call an operation than for its result.
"""

from functools import lru_cache

import torch
from transformers import LlamaForCausalLM

from .layers import LayerMatrices

_KINDS = 9


def list_weights(model: LlamaForCausalLM) -> list[torch.Tensor]:
    """
    The weights of a model: embeddings, nine of each layer, the final norm's, the output layer's.

    Args:
        model (`LlamaForCausalLM`): The model.

    Returns:
        `list[torch.Tensor]`: In this order; tied embeddings come twice.
    """
    weights = [model.model.embed_tokens.weight]
    for layer in model.model.layers:
        attention, network = layer.self_attn, layer.mlp
        weights += [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]
        weights += [layer.input_layernorm.weight, attention.o_proj.weight]
        weights += [network.gate_proj.weight, network.up_proj.weight, layer.post_attention_layernorm.weight]
        weights += [network.down_proj.weight]
    return [*weights, model.model.norm.weight, model.lm_head.weight]


class LayerWeights:
    """
    The weights of all layers as [`LayerMatrices`].

    Args:
        weights (`Sequence[torch.Tensor]`): Nine of each layer, in the order of [`list_weights`].
        head_dim (`int`): Width of a head.
        scaling (`float`): What queries are multiplied by.
    """

    def __init__(self, weights: list[torch.Tensor], head_dim: int, scaling: float):
        kinds = [weights[kind::_KINDS] for kind in range(_KINDS)]
        query, key, value, norm, self.output, gate, up, middle_norm, self.down = kinds
        self.parts = [len(part[0]) for part in (query, key, value)], [len(gate[0]), len(up[0])]
        order, self.back, self.scales = _arrangement(len(query[0]), len(value[0]), head_dim, scaling)
        self.qkv = _join(query, key, value).index_select(1, order).mul_(self.scales)
        self.gate_up = _join(gate, up)
        self.norm, self.middle_norm = torch.stack(norm)[:, None], torch.stack(middle_norm)[:, None]

    def matrices(self) -> list[LayerMatrices]:
        """What each layer multiplies with."""
        qkv, gate_up = self.qkv * self.norm, self.gate_up * self.middle_norm
        return [LayerMatrices(*of_layer) for of_layer in zip(qkv, self.output, gate_up, self.down)]

    def gradients(self, of_layers: list[LayerMatrices]) -> list[torch.Tensor]:
        """
        Gradients of the weights from those of the matrices.

        Args:
            of_layers (`list[LayerMatrices]`): Those of each layer.

        Returns:
            `list[torch.Tensor]`: In the order in which the weights were given.
        """
        # Joined as the products give them, transposed.
        of_qkv = torch.stack([of_layer.qkv.mT for of_layer in of_layers]).mT
        of_gate_up = torch.stack([of_layer.gate_up.mT for of_layer in of_layers]).mT
        of_norm, of_middle_norm = (of_qkv * self.qkv).sum(1), (of_gate_up * self.gate_up).sum(1)
        of_qkv = (of_qkv * self.norm).mul_(self.scales).index_select(1, self.back)
        of_gate_up = (of_gate_up * self.middle_norm).contiguous()
        gradients = []
        for layer, (own_qkv, own_gate_up) in enumerate(zip(of_qkv, of_gate_up)):
            gradients += [*own_qkv.split(self.parts[0]), of_norm[layer], of_layers[layer].output]
            gradients += [*own_gate_up.split(self.parts[1]), of_middle_norm[layer], of_layers[layer].down]
        return gradients


def _join(*kinds: list[torch.Tensor]) -> torch.Tensor:
    """Weights of some kinds below each other, as `(layers, rows, columns)`."""
    joined = torch.cat([weight for of_layer in zip(*kinds) for weight in of_layer])
    return joined.view(len(kinds[0]), -1, joined.shape[1])


@lru_cache
def _arrangement(
    rotated: int, values: int, head_dim: int, scaling: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    How queries, keys and values are arranged: the rows i and i + head_dim / 2 of each head, which rotate together,
    beside each other; the way back; what each row is multiplied by.
    """
    of_rotated = torch.arange(rotated).view(-1, 2, head_dim // 2).transpose(1, 2).flatten()
    order = torch.cat([of_rotated, rotated + of_rotated, 2 * rotated + torch.arange(values)])
    scales = torch.ones(len(order), 1)
    scales[:rotated] = scaling
    return order, order.argsort(), scales
