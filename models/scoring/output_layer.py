"""Log-probabilities of tokens from features, and their sums: a causal language model's wide output layer.

It runs only on positions that predict a scored token, each of them once, however many items it belongs to. Its
weights are read for many positions at once, gathered over batches, and its logits exist a block at a time.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .matrix_products import linear

POSITIONS = 1024
"""How many positions make the weights of a wide output layer cheap to read."""
LOGITS = {"cpu": 2**20, "cuda": 2**26}
"""How many logits exist at a time: what a processor's cache holds, or what one launch on a GPU is worth."""
# Where logits exist for the whole vocabulary at once.
_MOST_LOGITS = 2**26


@dataclass(frozen=True)
class Scored:
    """
    Scored tokens and the features that predict them.

    Args:
        features (`torch.Tensor` of shape `(positions, size)` or `(positions, layers, size)`): Features, or logits of a
            model without a separable output layer.
        positions (`np.ndarray` of shape `(scored,)`): Which features predict each token.
        items (`np.ndarray` of shape `(scored,)`): To which item each token belongs.
        targets (`np.ndarray` of shape `(scored,)`): Its id.
    """

    features: torch.Tensor
    positions: np.ndarray
    items: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, features, positions, items, targets) -> "Scored":
        """Those features alone that predict something."""
        used, positions = np.unique(positions, return_inverse=True)
        return cls(features[torch.from_numpy(used).to(features.device)], positions, items, targets)


class OutputLayer:
    """
    Sums of log-probabilities by item.

    Args:
        head (`torch.nn.Module` or `None`): The output layer; `None` if features are logits.
        items (`int`): How many items there are.
        greedy (`bool`): Whether to count, too, which tokens are not the likeliest.

    Attributes:
        sums (`np.ndarray`): float64 of shape `(items, 1)`: nats. If greedy of shape `(items, 2)`: also the number of
            tokens that are not the likeliest.
    """

    def __init__(self, head: torch.nn.Module | None, items: int, greedy: bool):
        self.head, self.greedy = head, greedy
        # Another kind of layer, or one that something listens to, is called as it is, for the whole vocabulary.
        self.in_columns = (
            type(head) is torch.nn.Linear
            and not (head._forward_hooks or head._forward_pre_hooks)
            and (head.bias is None or bool(head.bias.isfinite().all()))
        )
        self.sums = np.zeros((items, 1 + greedy))
        self.waiting: list[Scored] = []

    def add(self, scored: Scored) -> np.ndarray:
        """
        Take in scored tokens; their sums are made once there are enough of them.

        Returns:
            `np.ndarray`: Items whose sums have grown.
        """
        if len(scored.items):  # of a context alone nothing is scored
            self.waiting.append(scored)
        enough = POSITIONS if self.head is not None else 1
        return self.finish() if sum(len(one.features) for one in self.waiting) >= enough else np.zeros(0, dtype=int)

    def finish(self) -> np.ndarray:
        """Sums of all that was taken in; the items whose sums have grown."""
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return np.zeros(0, dtype=int)
        offsets = np.cumsum([0, *(len(one.features) for one in waiting)])
        positions = np.concatenate([one.positions + offset for one, offset in zip(waiting, offsets)])
        items = np.concatenate([one.items for one in waiting])
        targets = np.concatenate([one.targets for one in waiting])
        order = np.argsort(positions, kind="stable")
        positions, items, targets = positions[order], items[order], targets[order]
        values = self._log_probabilities(torch.cat([one.features for one in waiting]), positions, targets)
        grown, items = np.unique(items, return_inverse=True)
        for column, value in enumerate(values.T):
            self.sums[grown, column] += np.bincount(items, value, len(grown))
        return grown

    def _log_probabilities(self, features: torch.Tensor, positions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """float64 of shape `(scored, 1 or 2)`: nats, and whether another token is likelier; positions ascend."""
        if self.in_columns:
            blocks = max(1, len(features) // POSITIONS)
        else:
            vocabulary = features.shape[1] if self.head is None else self.head.weight.shape[0]
            blocks = -(-len(features) // max(1, min(POSITIONS, _MOST_LOGITS // vocabulary)))
        # Of equal size, less than twice POSITIONS, so that none of them reads the weights for a few.
        edges = np.linspace(0, len(features), blocks + 1).astype(int)
        parts = []
        for first, last in zip(edges, edges[1:]):
            start, end = np.searchsorted(positions, (first, last))
            position, target = (
                torch.from_numpy(array).to(features.device)
                for array in (positions[start:end] - first, targets[start:end])
            )
            parts.append(self._of_block(features[first:last], position, target))
        return torch.cat(parts).double().cpu().numpy()

    def _of_block(self, features: torch.Tensor, position: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """float32 of shape `(scored, 1 or 2)`; logits are made and left a block of the vocabulary at a time."""
        of_target = features.new_zeros(len(target), dtype=torch.float32)
        log_sum, largest = (features.new_full((len(features),), -torch.inf, dtype=torch.float32) for _ in range(2))
        for first, logits in self._logits(features):
            logits = logits.float()
            column = target - first
            inside = (column >= 0) & (column < logits.shape[1])
            of_target = torch.where(inside, logits[position, column.clamp(0, logits.shape[1] - 1)], of_target)
            log_sum = torch.logaddexp(log_sum, self._log_sum_exp(logits))
            if self.greedy:
                largest = torch.maximum(largest, logits.amax(1))
        log_p = of_target - log_sum[position]
        return torch.stack([log_p, (of_target < largest[position]).float()] if self.greedy else [log_p], dim=1)

    def _logits(self, features: torch.Tensor):
        """(first column, logits) of each block of the vocabulary."""
        if not self.in_columns:
            yield 0, features if self.head is None else self.head(features)
        else:
            weight, bias = self.head.weight, self.head.bias
            width = LOGITS[_kind(features)] // len(features)
            for first in range(0, len(weight), width):
                part = slice(first, first + width)
                yield first, linear(features, weight[part], None if bias is None else bias[part])

    def _log_sum_exp(self, logits: torch.Tensor) -> torch.Tensor:
        """log(sum(exp)) of each row."""
        if not self.in_columns:  # where a logit may be -inf
            return torch.logsumexp(logits, 1)
        # One kernel, twice as fast: a cross entropy is the log of the sum less the logit that is asked for.
        first = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        return logits[:, 0] + F.cross_entropy(logits, first, reduction="none")


def _kind(features: torch.Tensor) -> str:
    return "cpu" if features.device.type == "cpu" else "cuda"
