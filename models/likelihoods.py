"""Log-likelihoods of token sequences under any causal language model, many at a time.

(context ids, sequence ids) -> duplicates dropped -> sequences with a common beginning grouped -> batches of like shape
-> forward passes -> log p of the wanted tokens -> one sum a sequence. Sequences longer than the model's window are an
error, or are cut into overlapping pieces ([`slide`]) where that is asked for.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from tqdm.auto import tqdm
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

# Logits held at once. Small blocks stay in a processor's cache; a GPU wants enough work for one launch.
_LOGITS_PER_BLOCK = {"cpu": 2**20, "cuda": 2**26}
_BATCH_TOKENS = {"cpu": 2048, "cuda": 65536}
# Two short passes cost more than one: a common beginning is computed once where it has so many tokens and saves such a
# share of all (measured on BLiMP's sentences, which it slows down, and on contexts of 100 and 700 tokens).
_SHORTEST_PREFIX = 16
_SMALLEST_SAVING = 0.35
_LARGEST_GROUP = 32
# Continuations stand side by side in a row (one pass, but a full square of attention) up to so many positions; longer
# ones continue from a cache.
_LONGEST_BESIDE = 512
LONG_SEQUENCES = ("error", "slide")
"""What can be done with a sequence that is longer than the model's window."""


def sequence_log_likelihoods(
    model,
    sequences: Sequence[Sequence[int]],
    contexts: Sequence[Sequence[int]] | None = None,
    *,
    bos_token_id: int | None = None,
    names: Sequence[str] | None = None,
    batch_tokens: int | None = None,
    share_prefixes: bool = True,
    long_sequences: str = "error",
    device: str | torch.device | None = None,
    progress: bool = False,
) -> np.ndarray:
    """
    Sum of log p(sequence | BOS, context) for every sequence.

    BOS and the context are conditioned on and not scored, and no end-of-sequence token is added. The model runs in
    float32 whatever its weights are stored in, the log-probabilities of the tokens are added in float64, and what else
    is in the call changes no result by more than rounding does (below 1e-5 nats a token). Sequences are padded on the
    right: in a causal model nothing looks there, so that no mask is needed.

    Args:
        model (`PreTrainedModel`):
            Any causal language model. It comes back in the mode and the precision in which it was given.
        sequences (`Sequence[Sequence[int]]`):
            Token ids to be scored, at least one each.
        contexts (`Sequence[Sequence[int]]`, *optional*):
            Token ids before each sequence, possibly none; as many as there are sequences.
        bos_token_id (`int`, *optional*, defaults to `model.config.bos_token_id`):
            What every sequence starts with.
        names (`Sequence[str]`, *optional*):
            What to call each sequence in an error.
        batch_tokens (`int`, *optional*, defaults to 2048 on a processor and 65,536 on a GPU):
            Most positions, padding included, in one forward pass; a longer sequence makes a batch of its own.
        share_prefixes (`bool`, *optional*, defaults to `True`):
            Whether beginnings that several sequences have in common, such as the context of a pair, are computed once.
        long_sequences (`str`, *optional*, defaults to `"error"`):
            What to do with a sequence that is longer than the model's window, context included: `"error"`, or
            `"slide"`: it is scored in pieces of half a window, each behind BOS and as many of the tokens before it as
            fit ([`slide`]).
        device (`str` or `torch.device`, *optional*):
            Where to move the model first; by default it stays where it is.
        progress (`bool`, *optional*, defaults to `False`):
            Whether to show a progress bar, in tokens.

    Returns:
        `np.ndarray`: Log-likelihoods in nats, float64, of shape `(len(sequences),)`.

    Raises:
        `ValueError`: If there is no BOS, a sequence is empty or longer than the model's window, an id is outside the
            model's vocabulary, or a log-likelihood is not finite; the message names the sequence.
    """
    contexts = [()] * len(sequences) if contexts is None else contexts
    if len(contexts) != len(sequences):
        raise ValueError(f"There are {len(sequences)} sequences but {len(contexts)} contexts; give one for each.")
    if long_sequences not in LONG_SEQUENCES:
        raise ValueError(f"long_sequences is {long_sequences!r}; choose from {', '.join(LONG_SEQUENCES)}.")
    bos = model.config.bos_token_id if bos_token_id is None else bos_token_id
    if bos is None:
        raise ValueError("The model has no beginning-of-sequence token: give bos_token_id.")
    vocabulary = model.get_input_embeddings().weight.shape[0]
    if not 0 <= bos < vocabulary:
        raise ValueError(f"The BOS id {bos} is outside the model's vocabulary of {vocabulary}.")
    names = names or [f"sequence {i}" for i in range(len(sequences))]
    for name, sequence in zip(names, sequences):
        if not len(sequence):
            raise ValueError(f"There is nothing to score in {name}: it has no tokens.")
    owners = np.arange(len(sequences))
    if long_sequences == "slide" and (window := _window(model)) is not None:
        owners, sequences, contexts = _slide_all(sequences, contexts, window)
        names = [names[owner] for owner in owners]
    rows = [_row(bos, context, sequence) for context, sequence in zip(contexts, sequences)]
    scores = score_rows(
        model,
        rows,
        [len(context) + 1 for context in contexts],
        names=names,
        batch_tokens=batch_tokens,
        share_prefixes=share_prefixes,
        device=device,
        progress=progress,
    )
    return np.bincount(owners, scores[:, 0]) if len(owners) else np.zeros(0)


def _row(bos: int, context, sequence) -> np.ndarray:
    row = np.empty(1 + len(context) + len(sequence), dtype=np.int64)
    row[0], row[1 : 1 + len(context)], row[1 + len(context) :] = bos, context, sequence
    return row


def slide(length: int, start: int, window: int) -> list[tuple[int, int, int]]:
    """
    How a sequence that is longer than the window is scored.

    Its scored tokens are cut into pieces of half a window (the first piece reaches to the end of the first window if
    that is farther), and each piece is scored behind as many of the tokens before it as fit into a window. Every token
    thus sees at least half a window, or all that is before it; one that fits is scored as a whole.

    Args:
        length (`int`): Tokens of context and sequence together, without BOS.
        start (`int`): Tokens of the context.
        window (`int`): The most of them at once.

    Returns:
        `list[tuple[int, int, int]]`: `(first seen, first scored, end)` of each piece.
    """
    pieces, scored = [], start
    while scored < length:
        end = min(length, max(window, scored + max(1, window // 2)))
        pieces.append((max(0, end - window), scored, end))
        scored = end
    return pieces


def _slide_all(sequences, contexts, window: int):
    """The pieces of all sequences: the sequence of each, what is scored of it, and what stands before that."""
    owners, scored, before = [], [], []
    for owner, (sequence, context) in enumerate(zip(sequences, contexts)):
        row = np.concatenate([np.asarray(context, dtype=np.int64), sequence])
        for first, start, end in slide(len(row), len(context), window):
            owners.append(owner)
            scored.append(row[start:end])
            before.append(row[first:start])
    return np.array(owners, dtype=np.int64), scored, before


def score_rows(
    model,
    rows: Sequence[Sequence[int]],
    starts: Sequence[int],
    *,
    names: Sequence[str] | None = None,
    batch_tokens: int | None = None,
    share_prefixes: bool = True,
    greedy: bool = False,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> np.ndarray:
    """
    Sum of log p(rest of a row | its beginning) for every row: [`sequence_log_likelihoods`] without a rule about BOS.

    Args:
        model (`PreTrainedModel`): As in [`sequence_log_likelihoods`], as are the arguments that are not described.
        rows (`Sequence[Sequence[int]]`): Token ids, of which the first is only conditioned on; at least two a row.
        starts (`Sequence[int]`): Index of the first token of each row that is scored, from 1.
        greedy (`bool`, *optional*, defaults to `False`): Whether to count, too, what greedy decoding would not have
            written.

    Returns:
        `np.ndarray`: float64 of shape `(len(rows), 1)`: log-likelihoods in nats. With `greedy` of shape
        `(len(rows), 2)`: also the number of scored tokens that are not the likeliest.

    Raises:
        `ValueError`: As [`sequence_log_likelihoods`].
    """
    if batch_tokens is not None and batch_tokens < 1:
        raise ValueError(f"batch_tokens must be at least 1, not {batch_tokens}.")
    if not len(rows):
        return np.zeros((0, 1 + greedy))
    names = names or [f"sequence {i}" for i in range(len(rows))]
    rows = [np.asarray(row) for row in rows]
    _check(model, rows, names)
    if device is not None:
        model.to(device)

    tokens, owners = _unique_items(rows, starts)
    sums = np.zeros((len(tokens.rows), 1 + greedy))
    with _scoring_mode(model), tqdm(total=len(tokens.flat), unit="token", disable=not progress) as bar:
        network = _Network(model, batch_tokens, greedy)
        if share_prefixes and network.can_share:
            groups = _group_by_prefix(tokens)
        else:
            groups = [_Group((i,), len(row) - 1) for i, row in enumerate(tokens.rows)]
        for batch in _batches(groups, tokens, network.batch_tokens):
            members = [member for group in batch for member in group.members]
            sums[members] = _score_batch(network, batch, tokens)
            bad = [member for member in members if not np.isfinite(sums[member, 0])]
            if bad:
                first = int(np.flatnonzero(owners == bad[0])[0])
                raise ValueError(
                    f"The log-likelihood of {names[first]} is {sums[bad[0], 0]}: the model's weights are not usable "
                    "(did its training diverge?)."
                )
            bar.update(sum(len(tokens.rows[member]) for member in members))
    return sums[owners]


def _window(model) -> int | None:
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def _check(model, rows, names):
    vocabulary, window = model.get_input_embeddings().weight.shape[0], _window(model)
    for name, row in zip(names, rows):
        # The first token comes in and the last one stays out: it is predicted, never read.
        if window is not None and len(row) - 1 > window:
            raise ValueError(
                f"Too long for the model's window of {window} positions: {name} with {len(row) - 1} tokens, context "
                "included; drop it, use a model with a longer window, or let long_sequences slide."
            )
    ids = np.concatenate(rows)
    bad = np.flatnonzero((ids < 0) | (ids >= vocabulary))
    if len(bad):
        ends = np.cumsum([len(row) for row in rows])
        raise ValueError(
            f"The id {ids[bad[0]]} in {names[np.searchsorted(ends, bad[0], side='right')]} is outside the model's "
            f"vocabulary of {vocabulary}: this is not the model's tokenizer."
        )


# The plan: what is computed with what.


@dataclass
class _Tokens:
    """Different items, each a row of tokens, end to end in one array."""

    rows: list[np.ndarray]
    starts: np.ndarray  # index of the first input whose next token is scored

    def __post_init__(self):
        self.lengths = np.array([len(row) for row in self.rows])
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.flat = np.concatenate(self.rows).astype(np.int64)


@dataclass(frozen=True)
class _Group:
    """Items whose first `prefix` input tokens are the same; an item alone is all prefix."""

    members: tuple[int, ...]
    prefix: int


def _unique_items(rows, starts) -> tuple[_Tokens, np.ndarray]:
    """
    Each different row and start once, and for each original which of them it is. It saves time, and it makes two equal
    sides of a pair a tie to the last bit.
    """
    seen, unique, unique_starts, owners = {}, [], [], np.zeros(len(rows), dtype=np.int64)
    for i, (row, start) in enumerate(zip(rows, starts)):
        # Big-endian, so that the order of the bytes is the order of the ids.
        row = row.astype(">i4")
        key = (start, row.tobytes())
        if key not in seen:
            seen[key] = len(unique)
            unique.append(row)
            unique_starts.append(start - 1)
        owners[i] = seen[key]
    return _Tokens(unique, np.array(unique_starts)), owners


def _group_by_prefix(tokens: _Tokens) -> list[_Group]:
    """
    The grouping that saves most. In alphabetical order, items with a common beginning are neighbours; a group is a run
    of neighbours, and the best runs are found by dynamic programming over where the last of them starts.
    """
    rows = tokens.rows
    order = sorted(range(len(rows)), key=lambda i: rows[i].tobytes())
    inputs = [rows[i][:-1] for i in order]
    common = [0] + [_common_prefix(a, b) for a, b in zip(inputs, inputs[1:])]
    saved, run_start, run_prefix = [0], [0], [0]
    for end in range(1, len(order) + 1):
        best = (saved[end - 1], end - 1, len(inputs[end - 1]))
        shared, total = len(inputs[end - 1]), len(inputs[end - 1])
        for start in range(end - 2, max(-1, end - 1 - _LARGEST_GROUP), -1):
            shared, total = min(shared, common[start + 1]), total + len(inputs[start])
            if shared < max(_SHORTEST_PREFIX, _SMALLEST_SAVING * len(inputs[end - 1])):  # it only gets shorter
                break
            prefix = _rounded(shared)
            saving = prefix * (end - start - 1)
            if saving >= _SMALLEST_SAVING * total and saved[start] + saving > best[0]:
                best = (saved[start] + saving, start, prefix)
        for values, value in zip((saved, run_start, run_prefix), best):
            values.append(value)
    groups, end = [], len(order)
    while end > 0:
        start = run_start[end]
        groups.append(_Group(tuple(order[start:end]), run_prefix[end]))
        end = start
    return groups


def _common_prefix(a: np.ndarray, b: np.ndarray) -> int:
    length = min(len(a), len(b))
    different = a[:length] != b[:length]
    return int(different.argmax()) if different.any() else length


def _rounded(length: int) -> int:
    """
    A length cut to its five leading bits, which loses less than a sixteenth. The groups of a batch need equally long
    prefixes, because a gap behind a shorter one would need masks and positions that not every model takes.
    """
    shift = max(0, length.bit_length() - 5)
    return length >> shift << shift


def _shape_and_members(item):
    shape, group = item
    return shape, group.members


def _batches(groups: list[_Group], tokens: _Tokens, batch_tokens: int) -> Iterator[list[_Group]]:
    """Groups of like shape together, the largest first, so that what does not fit into memory fails at once."""

    def shape(group):
        longest = max(int(tokens.lengths[member]) for member in group.members) - 1
        return len(group.members), group.prefix if len(group.members) > 1 else 0, longest

    def positions(groups: int, members: int, key) -> int:
        size, prefix, longest = key
        return groups * prefix + members * (longest - prefix) if size > 1 else members * longest

    batch, rows, previous = [], 0, None
    for key, group in sorted(((shape(group), group) for group in groups), key=_shape_and_members, reverse=True):
        size = rows + len(group.members)
        if batch and (key[:2] != previous[:2] or positions(len(batch) + 1, size, previous) > batch_tokens):
            yield batch
            batch, rows = [], 0
        if not batch:
            previous = key
        batch.append(group)
        rows += len(group.members)
    if batch:
        yield batch


# The computation.


@contextmanager
def _scoring_mode(model):
    """Evaluation mode, float32 weights, true float32 products, no autocast, no gradients; then all as it was."""
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


class _Network:
    """
    A causal language model in two steps, features of positions and log-probabilities from features, so that the wide
    output layer runs only on the positions that are scored, a block at a time.
    """

    def __init__(self, model, batch_tokens: int | None, greedy: bool = False):
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
        self.block = _LOGITS_PER_BLOCK[kind]
        self.batch_tokens = batch_tokens or _BATCH_TOKENS[kind]
        if self.head is None:  # all logits of a batch exist at once, so that the batch has to be smaller
            self.batch_tokens = min(self.batch_tokens, max(1, 2**26 // vocabulary))

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
        vocabulary = features.shape[1] if self.head is None else self.head.weight.shape[0]
        size, parts = max(1, self.block // vocabulary), []
        for at, target in zip(positions.split(size), targets.split(size)):
            logits = features[at] if self.head is None else self.head(features[at])
            logits = logits.float()
            of_target = logits.gather(1, target[:, None])
            log_p = of_target - logits.logsumexp(1, keepdim=True)
            if self.greedy:
                log_p = torch.cat([log_p, (of_target < logits.amax(1, keepdim=True)).float()], dim=1)
            parts.append(log_p)
        return torch.cat(parts).double().cpu().numpy()


def _score_batch(network: _Network, batch: list[_Group], tokens: _Tokens) -> np.ndarray:
    """
    Log-likelihoods of the members of the groups, in their order. The token at index j + 1 of an item is predicted by
    the features of input j. Inputs below `prefix` are computed once a group, the others once a member.
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


def _padded(tokens: _Tokens, items: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Tokens `start` to `end` of the items as an `(items, width)` array; the last token is repeated on the right."""
    column = np.minimum(np.arange((end - start).max())[None, :], (end - start - 1)[:, None])
    return tokens.flat[(tokens.offsets[items] + start)[:, None] + column]


def _ragged(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All (row, column) with `start[row] <= column < end[row]`."""
    lengths = np.maximum(end - start, 0)
    row = np.repeat(np.arange(len(start)), lengths)
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return row, start[row] + np.arange(len(row)) - first
