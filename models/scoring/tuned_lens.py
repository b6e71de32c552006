"""The tuned lens: an affine map a layer, with which the output layer says as nearly as it can what it says at last.

training text -> states of all layers -> gradient steps on KL(last layer's distribution || layer's) -> [`LayerLens`],
and how far each layer is from the last one on text that was not fitted on, before and after.
"""

from collections.abc import Sequence

import numpy as np
import torch

from .layers import LayerLens
from .likelihoods import check_rows
from .network import Network, scoring_mode
from .plan import Group, make_batches, unique_items

_POSITIONS_AT_ONCE = 512


def fit_tuned_lens(
    model,
    rows: Sequence[Sequence[int]],
    held_out: Sequence[Sequence[int]],
    *,
    steps: int = 300,
    learning_rate: float = 1e-3,
    seed: int = 0,
    batch_tokens: int | None = None,
) -> tuple[LayerLens, dict[str, list[float]]]:
    """
    Fit the affine maps of a tuned lens (Belrose et al. 2023, arXiv:2303.08112).

    Every layer before the last gets a map that is added to its states; it begins at zero and learns, by Adam on 512
    positions a step and a rate that falls to zero in a line, to make KL(last layer's distribution || layer's) small.
    The model itself is not changed. The states of all positions are held in memory, of all layers.

    Args:
        model (`PreTrainedModel`): A causal language model whose layers its output layer can read.
        rows (`Sequence[Sequence[int]]`): Token ids of training text, with what the model sees in front.
        held_out (`Sequence[Sequence[int]]`): Others, on which the fit is measured.
        steps (`int`, *optional*, defaults to 300): Updates.
        learning_rate (`float`, *optional*, defaults to 1e-3): The highest.
        seed (`int`, *optional*, defaults to 0): Of the order of positions.
        batch_tokens (`int`, *optional*): Most positions in one forward pass; what suits the device when not given.

    Returns:
        `tuple[LayerLens, dict[str, list[float]]]`: The lens, and by layer, that of the embeddings first, the KL in
            nats a token on the held-out text `before` (through the logit lens) and `after`.

    Raises:
        `ValueError`: If there are no rows, a row cannot be read by the model, or its layers cannot be read.
    """
    if not len(rows) or not len(held_out):
        raise ValueError("A tuned lens is fitted on one text and measured on another; give rows of both.")
    with scoring_mode(model):
        network = Network(model, batch_tokens, all_layers=True)
        fitted, measured = (_collect_states(model, network, own) for own in (rows, held_out))
        with torch.enable_grad():
            lens = _fit(network, fitted, steps, learning_rate, seed)
        return lens, {
            "before": _measure(network, measured, LayerLens()),
            "after": _measure(network, measured, lens),
        }


def _collect_states(model, network: Network, rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Of shape (positions, layers + 1, size), the last normalised."""
    rows = [np.asarray(row) for row in rows]
    check_rows(model, rows, [f"sequence {number}" for number in range(len(rows))])
    tokens, _ = unique_items(rows, [1] * len(rows))
    groups = [Group((item,), int(length) - 1) for item, length in enumerate(tokens.lengths)]
    batches = make_batches(groups, tokens, network.batch_tokens)
    return torch.cat([scored.features for batch in batches for scored in network.of_groups(batch, tokens)])


def _fit(network: Network, states: torch.Tensor, steps: int, learning_rate: float, seed: int) -> LayerLens:
    layers, size = states.shape[1] - 1, states.shape[2]
    maps = [states.new_zeros(shape).requires_grad_() for shape in ((layers, size, size), (layers, size))]
    lens = LayerLens(*maps)
    optimizer = torch.optim.Adam(maps, learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    generator = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = generator.integers(len(states), size=_POSITIONS_AT_ONCE)
        loss = _divergences(network, states[torch.from_numpy(chosen).to(states.device)], lens).sum()
        # The model's own weights stay as they are: no gradient is made for them.
        for own, gradient in zip(maps, torch.autograd.grad(loss, maps)):
            own.grad = gradient
        optimizer.step()
        schedule.step()
    return LayerLens(*(own.detach() for own in maps))


def _divergences(network: Network, states: torch.Tensor, lens: LayerLens) -> torch.Tensor:
    """KL(last layer || layer) in nats, mean over positions, of shape (layers,)."""
    with torch.no_grad():
        last = network.head(states[:, -1]).float().log_softmax(-1)
    logits = network.head(network.norm(lens(states[:, :-1]))).float()
    return (last.exp()[:, None] * (last[:, None] - logits.log_softmax(-1))).sum(-1).mean(0)


def _measure(network: Network, states: torch.Tensor, lens: LayerLens) -> list[float]:
    parts = states.split(_POSITIONS_AT_ONCE)
    sums = sum(_divergences(network, part, lens).double() * len(part) for part in parts)
    return (sums / len(states)).tolist()
