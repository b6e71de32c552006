"""The forward passes behind log-likelihoods: a causal language model, and the scores of one batch.

A batch of groups of sequences (`plan.py`) -> padded ids -> features, with a common beginning computed once
-> log p of the wanted tokens, a block of positions at a time -> one sum a sequence.
"""

from contextlib import contextmanager

import numpy as np
import torch
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from .plan import Group, Tokens

# The output layer runs on a block of positions at a time. Few logits stay in a processor's cache, where a GPU wants
# enough work for one launch; but its weights are read again for every block, so that a wide vocabulary needs as many
# positions as make that cheap (four cost five times as much as 256 do), and logits that are held at once have a bound.
LOGITS_PER_BLOCK = {"cpu": 2**20, "cuda": 2**26}
POSITIONS_PER_BLOCK = 256
MOST_LOGITS = 2**26
_BATCH_TOKENS = {"cpu": 2048, "cuda": 65536}
# Continuations stand side by side in a row (one pass, but a full square of attention) up to so many positions; longer
# ones continue from a cache.
_LONGEST_BESIDE = 512


@contextmanager
def scoring_mode(model):
    """
    Evaluation mode, float32 weights, true float32 products, no autocast, no gradients; then all as it was.

    Args:
        model (`PreTrainedModel`): The model.
    """
    training, precision = model.training, torch.get_float32_matmul_precision()
    tensors = (*model.parameters(), *model.buffers())
    stored = [(tensor, tensor.dtype) for tensor in tensors if tensor.dtype in (torch.bfloat16, torch.float16)]
    try:
        model.eval()
        torch.set_float32_matmul_precision("highest")
        for tensor, _ in stored:
            tensor.data = tensor.data.float()
        with torch.no_grad(), torch.autocast(model.device.type, enabled=False):
            yield
    finally:
        for tensor, dtype in stored:  # float32 holds every value of theirs, so that nothing is lost
            tensor.data = tensor.data.to(dtype)
        torch.set_float32_matmul_precision(precision)
        model.train(training)


class Network:
    """
    A causal language model in two steps, features of positions and log-probabilities from features, so that the wide
    output layer runs only on the positions that are scored, a block at a time. What the model can do is found out by
    trying it on a few tokens.

    Args:
        model (`PreTrainedModel`): The model, inside of [`scoring_mode`].
        batch_tokens (`int`, *optional*): Most positions in one forward pass. Defaults to what suits its device.
        greedy (`bool`, *optional*, defaults to `False`): Whether to tell, too, which tokens are not the likeliest.
    """

    def __init__(self, model, batch_tokens: int | None = None, greedy: bool = False):
        self.model, self.device, self.greedy = model, model.get_input_embeddings().weight.device, greedy
        vocabulary = model.get_input_embeddings().weight.shape[0]
        probe = {"input_ids": torch.arange(min(8, vocabulary), device=self.device)[None], "use_cache": True}
        output = model(**probe)
        self.takes_masks = self._takes_masks(output.logits)
        self.can_share = self._can_share(output.logits)
        # Some models work on their logits after the output layer (Gemma 2 caps them, Cohere scales them).
        self.decoder, self.head = model.get_decoder(), model.get_output_embeddings()
        if self.head is not None:
            features = self.decoder(**probe).last_hidden_state
            separable = features.shape[-1] == self.head.weight.shape[-1]
            if not (separable and torch.equal(self.head(features), output.logits)):
                self.head = None
        kind = "cpu" if self.device.type == "cpu" else "cuda"
        self.batch_tokens = batch_tokens or _BATCH_TOKENS[kind]
        self.block = LOGITS_PER_BLOCK[kind] // vocabulary
        if self.head is None:  # all logits of a batch exist at once, so that the batch has to be smaller
            self.batch_tokens = min(self.batch_tokens, max(1, MOST_LOGITS // vocabulary))
        else:
            self.block = min(max(self.block, POSITIONS_PER_BLOCK), MOST_LOGITS // vocabulary)
        self.block = max(1, self.block)

    def _takes_masks(self, logits: torch.Tensor) -> bool:
        """Whether continuations that stand side by side behind a beginning have the logits that they have alone."""
        config = self.model.config.get_text_config()
        layers = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
        if layers or getattr(config, "sliding_window", None) or config._attn_implementation not in ("sdpa", "eager"):
            return False
        length = logits.shape[1]
        half = length // 2
        ids = torch.arange(length, device=self.device)
        ids = torch.cat([ids, ids[half:]])[None]
        try:
            beside = self.model(input_ids=ids, use_cache=False, **self._branches(half, length - half, 2)).logits
        except (ValueError, RuntimeError, TypeError):
            return False
        alone = torch.cat([logits, logits[:, half:]], dim=1)
        return bool((beside - alone).abs().max() <= 1e-3 * logits.std())

    def _branches(self, prefix: int, width: int, branches: int) -> dict[str, torch.Tensor]:
        """Mask and positions of rows in which several continuations, as wide as each other, follow a beginning."""
        size = prefix + branches * width
        branch = torch.cat([torch.zeros(prefix), torch.arange(1, branches + 1).repeat_interleave(width)])
        position = torch.cat([torch.arange(prefix), *[torch.arange(prefix, prefix + width)] * branches])
        visible = (branch[None] == 0) | (branch[None] == branch[:, None])
        visible &= torch.ones(size, size, dtype=torch.bool).tril()
        mask = torch.zeros(size, size).masked_fill(~visible, torch.finfo(torch.float32).min)
        return {"attention_mask": mask[None, None].to(self.device), "position_ids": position[None].to(self.device)}

    def _can_share(self, logits: torch.Tensor) -> bool:
        """Whether a beginning computed once gives its continuations the logits that they have as a whole."""
        length = logits.shape[1]
        ids = torch.arange(length, device=self.device)[None]
        begun = self.model(input_ids=ids[:, : length // 2], use_cache=True)
        cache = getattr(begun, "past_key_values", None)
        # Recurrent states continue one token at a time only.
        if cache is None or any(
            type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers
        ):
            return False
        cache.batch_select_indices(torch.zeros(2, dtype=torch.long, device=self.device))
        ends = ids[:, length // 2 :].repeat(2, 1)
        continued = self.model(
            input_ids=ends, past_key_values=cache, use_cache=True, **self._mask(length // 2, ends.shape[1])
        ).logits
        # Attention that takes every call for the start of a sequence, as some for training does, is far off here.
        return bool((continued - logits[:, length // 2 :]).abs().max() <= 1e-3 * logits.std())

    def _mask(self, past: int, width: int) -> dict[str, torch.Tensor]:
        """
        The causal mask behind a cache, as numbers to add: one for all layers and rows, where the model would make it
        of truth values in every layer again.
        """
        if not self.takes_masks:
            return {}
        mask = torch.full((width, past + width), torch.finfo(torch.float32).min, device=self.device)
        return {"attention_mask": mask.triu(past + 1)[None, None]}

    def features(self, ids: np.ndarray, past=None, use_cache: bool = False, **branches: torch.Tensor):
        """Features (or, without a separable output layer, logits) of shape `(rows * width, size)`, and the cache."""
        network = self.model if self.head is None else self.decoder
        inputs = {"input_ids": torch.from_numpy(ids).to(self.device), "use_cache": use_cache, **branches}
        if past is not None:
            inputs["past_key_values"] = past
            inputs |= self._mask(past.get_seq_length(), ids.shape[1])
        output = network(**inputs)
        features = output.logits if self.head is None else output.last_hidden_state
        return features.flatten(0, 1), output.past_key_values if use_cache else None

    def log_probabilities(self, features: torch.Tensor, positions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """log p(target) at each position, float64, and beside it, if asked for, whether another token is likelier."""
        if not len(positions):
            return np.zeros((0, 1 + self.greedy))
        positions, targets = (torch.from_numpy(array).to(self.device) for array in (positions, targets))
        parts = []
        for at, target in zip(positions.split(self.block), targets.split(self.block)):
            logits = features[at] if self.head is None else self.head(features[at])
            logits = logits.float()
            of_target, largest = logits.gather(1, target[:, None]), logits.amax(1, keepdim=True)
            # In place: logits of a wide vocabulary are large, and the exponentials would be as large again.
            log_sum = logits.sub_(largest).exp_().sum(1, keepdim=True).log_().add_(largest)
            log_p = of_target - log_sum
            if self.greedy:
                log_p = torch.cat([log_p, (of_target < largest).float()], dim=1)
            parts.append(log_p)
        return torch.cat(parts).double().cpu().numpy()


def score_batch(network: Network, batch: list[Group], tokens: Tokens) -> np.ndarray:
    """
    Log-likelihoods of the members of the groups, in their order.

    The token at index j + 1 of an item is predicted by the features of input j. Inputs below `prefix` are computed
    once a group, the others once a member.

    Args:
        network ([`Network`]): The model.
        batch (`list[Group]`): One of those that [`make_batches`] gives.
        tokens ([`Tokens`]): The items in them.

    Returns:
        `np.ndarray`: float64 of shape `(members, 1)`: sums in nats. Of a greedy network of shape `(members, 2)`: also
        the number of scored tokens that are not the likeliest.
    """
    sizes = np.array([len(group.members) for group in batch])
    members = np.array([member for group in batch for member in group.members])
    row = np.repeat(np.arange(len(batch)), sizes)
    prefixes = np.array([group.prefix for group in batch])
    prefix, start, end = prefixes[row], tokens.starts[members], tokens.lengths[members] - 1
    first_members = members[np.cumsum(sizes) - sizes]

    ids = _padded(tokens, first_members, np.zeros_like(prefixes), prefixes)
    shared, slots, longest = sizes.max() > 1, int(sizes.max()), int(max(1, (end - prefix).max()))
    beside = shared and network.takes_masks and ids.shape[1] + slots * longest <= _LONGEST_BESIDE
    if beside:  # every member behind the one before it, in rows of the groups
        slot = np.arange(len(members)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        wide = np.repeat(ids[:, -1:], ids.shape[1] + slots * longest, axis=1)
        wide[:, : ids.shape[1]] = ids
        has_more = np.flatnonzero(end > prefix)
        more = _padded(tokens, members[has_more], prefix[has_more], end[has_more])
        columns = ids.shape[1] + slot[has_more, None] * longest + np.arange(more.shape[1])
        wide[row[has_more, None], columns] = more
        width = wide.shape[1]
        features, cache = network.features(wide, **network._branches(ids.shape[1], longest, slots))
    else:
        width = ids.shape[1]
        features, cache = network.features(ids, use_cache=bool(shared))

    # Inside the prefix every member predicts the same tokens: once a group, from the earliest scored position on.
    group_start = np.minimum(np.minimum.reduceat(start, np.cumsum(sizes) - sizes), prefixes - 1)
    group, column = _ragged(group_start, prefixes - 1)
    # The last input of the prefix predicts a token of each member's own.
    border = np.flatnonzero(start < prefix)
    positions = np.concatenate([group * width + column, row[border] * width + prefix[border] - 1])
    targets = np.concatenate([first_members[group], members[border]])
    target_columns = np.concatenate([column, prefix[border] - 1]) + 1
    values = network.log_probabilities(features, positions, tokens.flat[tokens.offsets[targets] + target_columns])
    values, border_values = values[: len(group)], values[len(group) :]
    sums = np.zeros((len(members), values.shape[1]))
    sums[border] += border_values
    group_offset = np.cumsum(prefixes - 1 - group_start) - (prefixes - 1 - group_start)
    member, column = _ragged(np.minimum(start, prefix - 1), prefix - 1)
    sums += _sum_by(member, values[group_offset[row[member]] + column - group_start[row[member]]], len(members))

    longer = np.flatnonzero(end > prefix)
    if beside and len(longer):
        branch, column = _ragged(np.maximum(start, prefix)[longer], end[longer])
        targets = tokens.flat[tokens.offsets[members[longer][branch]] + column + 1]
        of_branch = longer[branch]
        positions = row[of_branch] * width + slot[of_branch] * longest + column
        sums += _sum_by(of_branch, network.log_probabilities(features, positions, targets), len(members))
    elif shared and len(longer):
        del features
        cache.batch_select_indices(torch.from_numpy(row[longer]).to(network.device))
        ids = _padded(tokens, members[longer], prefix[longer], end[longer])
        features, _ = network.features(ids, past=cache, use_cache=True)
        branch, column = _ragged(np.maximum(start, prefix)[longer], end[longer])
        targets = tokens.flat[tokens.offsets[members[longer][branch]] + column + 1]
        positions = branch * ids.shape[1] + column - prefix[longer][branch]
        sums += _sum_by(longer[branch], network.log_probabilities(features, positions, targets), len(members))
    return sums


def _sum_by(owner: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Sums of the rows of `values` by owner: `(rows, columns)` -> `(count, columns)`."""
    return np.stack([np.bincount(owner, column, count) for column in values.T], axis=1)


def _padded(tokens: Tokens, items: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Tokens `start` to `end` of the items as an `(items, width)` array; the last token is repeated on the right."""
    column = np.minimum(np.arange((end - start).max())[None, :], (end - start - 1)[:, None])
    return tokens.flat[(tokens.offsets[items] + start)[:, None] + column]


def _ragged(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All (row, column) with `start[row] <= column < end[row]`."""
    lengths = np.maximum(end - start, 0)
    row = np.repeat(np.arange(len(start)), lengths)
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return row, start[row] + np.arange(len(row)) - first
