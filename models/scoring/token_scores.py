"""Log-probabilities token by token, where sums are not enough: where a sequence surprises a model.

rows of ids -> the passes of `network.py`, every row by itself -> `output_layer.py`, each token an item -> a row each.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from .likelihoods import check_rows
from .network import Network, scoring_mode
from .output_layer import OutputLayer
from .plan import Group, make_batches, unique_items


def token_log_probabilities(
    model,
    rows: Sequence[Sequence[int]],
    *,
    batch_tokens: int | None = None,
    device: str | torch.device | None = None,
) -> list[np.ndarray]:
    """
    log p(token | the tokens before it) of every token of a row but the first; minus this is its surprisal.

    Args:
        model (`PreTrainedModel`): Any causal language model. It comes back in the mode and precision that it had.
        rows (`Sequence[Sequence[int]]`): Token ids, of which the first is only conditioned on; at least two a row.
        batch_tokens (`int`, *optional*, defaults to 2048 on a processor and 65,536 on a GPU): Most positions, padding
            included, in one forward pass.
        device (`str` or `torch.device`, *optional*): Where to move the model first; by default it stays where it is.

    Returns:
        `list[np.ndarray]`: Of each row float64 of shape `(len(row) - 1,)`, nats.

    Raises:
        `ValueError`: If a row is longer than the model's window, an id is outside the model's vocabulary, or a
            log-probability is not finite.
    """
    if not len(rows):
        return []
    rows = [np.asarray(row) for row in rows]
    check_rows(model, rows, [f"sequence {number}" for number in range(len(rows))])
    if device is not None:
        model.to(device)
    tokens, owners = unique_items(rows, [1] * len(rows))
    groups = [Group((item,), int(length) - 1) for item, length in enumerate(tokens.lengths)]
    with scoring_mode(model):
        network = Network(model, batch_tokens)
        output = OutputLayer(network.head, len(tokens.flat), greedy=False)
        for batch in make_batches(groups, tokens, network.batch_tokens):
            for scored in network.of_groups(batch, tokens):
                # The tokens of a row stand one behind the other; each becomes an item of its own.
                begins = np.append(True, scored.items[1:] != scored.items[:-1])
                place = np.arange(len(begins)) - np.flatnonzero(begins)[np.cumsum(begins) - 1]
                output.add(replace(scored, items=tokens.offsets[scored.items] + 1 + place))
        output.finish()
    if not np.isfinite(output.sums).all():
        raise ValueError("A log-probability is not finite: the model's weights are not usable.")
    values = np.split(output.sums[:, 0], tokens.offsets[1:])
    return [values[owner][1:] for owner in owners]
