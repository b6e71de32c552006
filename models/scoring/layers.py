"""What the output layer would say of every layer's states: the logit lens and the tuned lens.

states of all layers at positions that predict a scored token (`network.py`) -> [`LayerLens`] -> final normalisation ->
output layer -> log-probabilities, a column a layer. One forward pass serves all layers, and the last of them gets what
it gets without a lens, to the last bit.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from .network import Network
from .output_layer import OutputLayer


@dataclass(frozen=True)
class LayerLens:
    """
    How the states of the layers before the last are read by the final normalisation and the output layer.

    Without weights as they are (the logit lens, nostalgebraist 2020); else with an affine map added to the states of
    each layer (the tuned lens, Belrose et al. 2023; [`fit_tuned_lens`]).

    Args:
        weights (`torch.Tensor` of shape `(layers, size, size)`, *optional*): Of each layer, that of the embeddings
            first and without the last.
        biases (`torch.Tensor` of shape `(layers, size)`, *optional*): Likewise.
    """

    weights: torch.Tensor | None = None
    biases: torch.Tensor | None = None

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """
        Read states.

        Args:
            states (`torch.Tensor` of shape `(positions, layers, size)`): Of the layers before the last.

        Returns:
            `torch.Tensor` of the same shape: What the final normalisation gets.
        """
        if self.weights is None:
            return states
        weights, biases = self.weights.to(states.device), self.biases.to(states.device)
        moved = torch.baddbmm(biases[:, None], states.transpose(0, 1), weights.transpose(1, 2))
        return states + moved.transpose(0, 1)

    def fingerprint(self) -> str:
        """What scores depend on."""
        if self.weights is None:
            return "logit"
        digest = hashlib.sha256()
        for tensor in (self.weights, self.biases):
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


class LayerOutput(OutputLayer):
    """
    Sums of log-probabilities by item and layer.

    Args:
        network ([`Network`]): A network that gives the states of all layers.
        items (`int`): How many items there are.
        lens ([`LayerLens`]): How they are read.

    Attributes:
        sums (`np.ndarray`): float64 of shape `(items, layers + 1)`: nats, of the embeddings first.
    """

    def __init__(self, network: Network, items: int, lens: LayerLens):
        super().__init__(network.head, items, greedy=False)
        self.norm, self.lens = network.norm, lens
        self.sums = np.zeros((items, network.num_layers + 1))

    def _of_block(self, features: torch.Tensor, position: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """float32 of shape `(scored, layers + 1)`."""
        last = super()._of_block(features[:, -1].contiguous(), position, target)
        states = self.norm(self.lens(features[:, :-1]))
        count = states.shape[1]
        # A position is one of its own for each layer.
        layer = torch.arange(count, device=features.device)
        position = (position[:, None] * count + layer).flatten()
        others = super()._of_block(states.flatten(0, 1).contiguous(), position, target.repeat_interleave(count))
        return torch.cat([others.view(-1, count), last], dim=1)
