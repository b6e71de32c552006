"""Log-likelihoods of token sequences under any causal language model, many at a time.

(context ids, sequence ids) -> duplicates dropped, common beginnings found, batches of like shape (`plan.py`)
-> forward passes (`network.py`) -> log p of the wanted tokens, one sum a sequence (`output_layer.py`).
Sequences longer than the model's window are an error, or are cut into overlapping pieces ([`slide`]) where that is
asked for.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from tqdm.auto import tqdm

from .beginning import find_beginning
from .layers import LayerLens, LayerOutput
from .network import Network, scoring_mode
from .output_layer import OutputLayer, Scored
from .plan import Group, Tokens, group_by_prefix, grow_trees, make_batches, make_tree_batches, unique_items

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
    lens: LayerLens | None = None,
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
        bos_token_id (`int`, *optional*):
            What every sequence starts with; by default the model's beginning-of-sequence token, else its
            end-of-sequence token.
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
        lens ([`LayerLens`], *optional*):
            Read every layer in this way, not the last alone.
        device (`str` or `torch.device`, *optional*):
            Where to move the model first; by default it stays where it is.
        progress (`bool`, *optional*, defaults to `False`):
            Whether to show a progress bar, in tokens.

    Returns:
        `np.ndarray`: Log-likelihoods in nats, float64, of shape `(len(sequences),)`; with `lens` of shape
        `(len(sequences), layers + 1)`, that of the embeddings first.

    Raises:
        `ValueError`: If there is no BOS, a sequence is empty or longer than the model's window, an id is outside the
            model's vocabulary, or a log-likelihood is not finite; the message names the sequence.
    """
    contexts = [()] * len(sequences) if contexts is None else contexts
    if len(contexts) != len(sequences):
        raise ValueError(f"There are {len(sequences)} sequences but {len(contexts)} contexts; give one for each.")
    if long_sequences not in LONG_SEQUENCES:
        raise ValueError(f"long_sequences is {long_sequences!r}; choose from {', '.join(LONG_SEQUENCES)}.")
    bos = find_beginning(model.config, bos_token_id=bos_token_id).token_id
    vocabulary = model.get_input_embeddings().weight.shape[0]
    if not 0 <= bos < vocabulary:
        raise ValueError(f"The BOS id {bos} is outside the model's vocabulary of {vocabulary}; give another.")
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
        lens=lens,
        device=device,
        progress=progress,
    )
    if not len(owners):
        return scores if lens else np.zeros(0)
    sums = np.stack([np.bincount(owners, column) for column in scores.T], axis=1)
    return sums if lens else sums[:, 0]


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


def score_rows(
    model,
    rows: Sequence[Sequence[int]],
    starts: Sequence[int],
    *,
    names: Sequence[str] | None = None,
    batch_tokens: int | None = None,
    share_prefixes: bool = True,
    greedy: bool = False,
    lens: LayerLens | None = None,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> np.ndarray:
    """
    Sum of log p(rest of a row | its beginning) for every row: [`sequence_log_likelihoods`] without a rule about BOS.

    Args:
        model (`PreTrainedModel`): As in [`sequence_log_likelihoods`], as are the arguments that are not described.
        rows (`Sequence[Sequence[int]]`): Token ids, of which the first is only conditioned on; at least two a row.
        starts (`Sequence[int]`): Index of the first token of each row that is scored, from 1 to the last.
        greedy (`bool`, *optional*, defaults to `False`): Whether to count, too, what greedy decoding would not have
            written.

    Returns:
        `np.ndarray`: float64 of shape `(len(rows), 1)`: log-likelihoods in nats. With `greedy` of shape
        `(len(rows), 2)`: also the number of scored tokens that are not the likeliest. With `lens` of shape
        `(len(rows), layers + 1)`: those of every layer.

    Raises:
        `ValueError`: As [`sequence_log_likelihoods`], or if a start is the first token of its row or none of it.
    """
    if batch_tokens is not None and batch_tokens < 1:
        raise ValueError(f"batch_tokens must be at least 1, not {batch_tokens}.")
    if greedy and lens:
        raise ValueError("What greedy decoding writes is of the last layer alone; give greedy or lens.")
    if not len(rows):
        return np.zeros((0, 1 + greedy))
    names = names or [f"sequence {i}" for i in range(len(rows))]
    rows = [np.asarray(row) for row in rows]
    check_rows(model, rows, names)
    for name, row, start in zip(names, rows, starts):
        if not 1 <= start < len(row):
            raise ValueError(
                f"What is scored of {name} begins at token {start} of {len(row)}: it has to be one of them, and not "
                "the first, which nothing stands before."
            )
    if device is not None:
        model.to(device)

    tokens, owners = unique_items(rows, starts)
    with scoring_mode(model), tqdm(total=len(tokens.flat), unit="token", disable=not progress) as bar:
        network = Network(model, batch_tokens, all_layers=lens is not None)
        output = _make_output(network, len(tokens.rows), greedy, lens)
        for members, scored in _passes(network, tokens, share_prefixes):
            grown = output.add(scored)
            if not np.isfinite(output.sums[grown]).all():
                raise _unusable(network, tokens, grown, owners, names, lens)
            bar.update(sum(len(tokens.rows[member]) for member in members))
        grown = output.finish()
        if not np.isfinite(output.sums[grown]).all():
            raise _unusable(network, tokens, grown, owners, names, lens)
    return output.sums[owners]


def _make_output(network: Network, items: int, greedy: bool, lens: LayerLens | None) -> OutputLayer:
    if lens is None:
        return OutputLayer(network.head, items, greedy)
    return LayerOutput(network, items, lens)


def _passes(network: Network, tokens: Tokens, share_prefixes: bool) -> Iterator[tuple[list[int], Scored]]:
    """Forward passes, and the items that each of them is done with; the largest first of either kind."""
    in_tree = tokens.lengths - 1 <= (network.longest_in_tree if share_prefixes else 0)
    others = np.flatnonzero(~in_tree).tolist()
    if share_prefixes and others and network.can_share:
        groups = group_by_prefix(tokens, others)
    else:
        groups = [Group((item,), int(tokens.lengths[item]) - 1) for item in others]
    for batch in make_batches(groups, tokens, network.batch_tokens):
        members = [member for group in batch for member in group.members]
        for scored in network.of_groups(batch, tokens):
            yield members, scored
            members = []
    trees = grow_trees(tokens, np.flatnonzero(in_tree).tolist())
    for batch in make_tree_batches(trees, network.batch_tokens):
        yield [member for tree in batch for member in tree.members], network.of_trees(batch, tokens)


def _unusable(network: Network, tokens: Tokens, items: np.ndarray, owners: np.ndarray, names, lens) -> ValueError:
    """The error about the first item that has no finite log-likelihood by itself: one spoils its whole tree."""
    for owner, item in enumerate(owners):
        if item in items:
            output = _make_output(network, len(tokens.rows), False, lens)
            for scored in network.of_groups([Group((item,), int(tokens.lengths[item]) - 1)], tokens):
                output.add(scored)
            output.finish()
            if not np.isfinite(sums := output.sums[item]).all():
                return ValueError(
                    f"The log-likelihood of {names[owner]} is {sums[~np.isfinite(sums)][0]}: the model's weights are "
                    "not usable (did its training diverge?)."
                )
    return ValueError("Log-likelihoods are not finite: the weights are not usable (did the training diverge?).")


def _row(bos: int, context, sequence) -> np.ndarray:
    row = np.empty(1 + len(context) + len(sequence), dtype=np.int64)
    row[0], row[1 : 1 + len(context)], row[1 + len(context) :] = bos, context, sequence
    return row


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


def _window(model) -> int | None:
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def check_rows(model, rows: Sequence[np.ndarray], names: Sequence[str]) -> None:
    """
    Refuse rows that a model cannot read.

    Args:
        model (`PreTrainedModel`): The model.
        rows (`Sequence[np.ndarray]`): Token ids, the first of a row included.
        names (`Sequence[str]`): What to call each row in an error.

    Raises:
        `ValueError`: If one is longer than the model's window or has an id outside its vocabulary.
    """
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
