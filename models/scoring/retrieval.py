"""Log-likelihoods of continuations after every context of their block: what context retrieval accuracy starts from.

rows of passages in blocks -> contents in one direction, as joint models read them -> ids -> log-likelihoods
(`likelihoods.py`, each context computed once) -> a square matrix a block.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..tokenizers.joint import (
    MODALITY_TOKENS,
    SPEECH_TOKEN,
    TEXT_TOKEN,
    TO_SPEECH_TOKEN,
    TO_TEXT_TOKEN,
    UNIT_MARK,
)
from .beginning import find_beginning
from .likelihoods import sequence_log_likelihoods

UNITS, TEXT = "units", "text"
DIRECTIONS = {"u2u": (UNITS, UNITS), "t2t": (TEXT, TEXT), "u2t": (UNITS, TEXT), "t2u": (TEXT, UNITS)}
"""What contexts are of and what continuations are of, by the names of 2310.08715."""

_FIRST_TOKENS = {UNITS: SPEECH_TOKEN, TEXT: TEXT_TOKEN}
_SWITCH_TOKENS = {UNITS: TO_SPEECH_TOKEN, TEXT: TO_TEXT_TOKEN}
_IS_UNITS = re.compile(f"(?:{UNIT_MARK}[0-9]+)+")


def score_blocks(
    model,
    tokenizer,
    rows: Iterable[Mapping],
    direction: str,
    *,
    batch_tokens: int | None = None,
    share_prefixes: bool = True,
    long_sequences: str = "error",
    device=None,
    progress: bool = False,
) -> list[dict]:
    """
    Log P(continuation | BOS, context) of every continuation after every context of its block.

    Context and continuation are tokenised separately, each behind the token of its modality as in training, so that a
    text begins with its space where the tokenizer writes one. Where the modality changes between them, the token that
    says so is conditioned on and not scored: it is the same for all contexts, and how surely a model expects a change
    there is not what is asked. Scored are the pieces of text or units alone, so that the sum over tokens compares like
    with like, and what the unconditional likelihood is subtracted from.

    Args:
        model (`PreTrainedModel`):
            A joint model of speech units and text.
        tokenizer (`PreTrainedTokenizerBase`):
            Its tokenizer, of [`~evoslm.models.tokenizers.joint.train_joint`].
        rows (`Iterable[Mapping]`):
            A row a passage: `id`, `block`, and in the modalities of the direction `context_text`, `context_units`,
            `continuation_text` and `continuation_units`, units as the tokenizer reads them (`"▪17▪942"`).
        direction (`str`):
            `"u2u"`, `"t2t"`, `"u2t"` or `"t2u"`: the modality of contexts, and that of continuations.
        batch_tokens, share_prefixes, long_sequences, device, progress (*optional*):
            As in [`sequence_log_likelihoods`].

    Returns:
        `list[dict]`: For each block, in their order:
        - `block`, `direction` and `ids`, of its N passages;
        - `log_likelihoods` (`list[list[float]]` of shape `(N, N)`): nats, a row a continuation, a column a context;
        - `unconditional` (`list[float]`): nats, of each continuation behind `<speech>` or `<text>` alone;
        - `tokens` (`list[int]`): how many of each continuation these sums are over.

    Raises:
        `ValueError`: If there is no such direction, the tokenizer is not the model's or that of no joint model, a
            passage lacks a content or has one of another modality, a continuation is its own context, blocks differ in
            size, or as [`sequence_log_likelihoods`]; the message names the passage.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"There is no direction {direction!r}; choose from {', '.join(DIRECTIONS)}.")
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        raise ValueError(
            f"The tokenizer has {len(tokenizer)} ids, but the model only "
            f"{model.get_input_embeddings().weight.shape[0]}: this is not the model's tokenizer."
        )
    blocks = _group_blocks(rows)
    before, after = DIRECTIONS[direction]
    passages = [row for own in blocks.values() for row in own]
    begin = {modality: _token_id(tokenizer, _FIRST_TOKENS[modality]) for modality in (after, before)}
    switch = [] if before == after else [_token_id(tokenizer, _SWITCH_TOKENS[after])]
    contexts = [[*ids, *switch] for ids in _encode(tokenizer, passages, "context", before)]
    continuations = [ids[1:] for ids in _encode(tokenizer, passages, "continuation", after)]
    _check_apart(passages)

    size = len(passages) // len(blocks)
    # Of each block every continuation after every context, and then every continuation by itself.
    sequences, prefixes, names = [], [], []
    for start in range(0, len(passages), size):
        own = range(start, start + size)
        for row in own:
            sequences += [continuations[row]] * (size + 1)
            prefixes += [*(contexts[column] for column in own), [begin[after]]]
            name = f"the continuation of passage {passages[row]['id']!r}"
            names += [*(f"{name} after the context of {passages[column]['id']!r}" for column in own), name]
    values = sequence_log_likelihoods(
        model,
        sequences,
        prefixes,
        bos_token_id=find_beginning(model.config, tokenizer).token_id,
        names=names,
        batch_tokens=batch_tokens,
        share_prefixes=share_prefixes,
        long_sequences=long_sequences,
        device=device,
        progress=progress,
    ).reshape(len(blocks), size, size + 1)
    tokens = np.array([len(ids) for ids in continuations]).reshape(len(blocks), size)
    return [
        {
            "block": block,
            "direction": direction,
            "ids": [row["id"] for row in own],
            "log_likelihoods": matrix[:, :-1].tolist(),
            "unconditional": matrix[:, -1].tolist(),
            "tokens": counts.tolist(),
        }
        for (block, own), matrix, counts in zip(blocks.items(), values, tokens)
    ]


def _group_blocks(rows: Iterable[Mapping]) -> dict[str, list[Mapping]]:
    """The rows of each block, all of as many."""
    blocks: dict[str, list[Mapping]] = {}
    for number, row in enumerate(rows):
        for column in ("id", "block"):
            if row.get(column) is None:
                raise ValueError(f"Row {number} of the blocks has no {column!r}.")
        blocks.setdefault(str(row["block"]), []).append(row)
    if not blocks:
        raise ValueError("There are no passages in the blocks that were given.")
    first = next(iter(blocks))
    for block, own in blocks.items():
        if len(own) != len(blocks[first]):
            raise ValueError(
                f"Block {block} has {len(own)} passages and block {first} has {len(blocks[first])}: all blocks are of "
                "one size, or chance is not one number."
            )
    return blocks


def _token_id(tokenizer, token: str) -> int:
    found = tokenizer.get_vocab().get(token)
    if found is None:
        raise ValueError(
            f"The tokenizer has no {token}: directions are asked of joint models of speech units and text."
        )
    return found


def _encode(tokenizer, passages: Sequence[Mapping], part: str, modality: str) -> list[list[int]]:
    """Ids of a part of all passages behind the token of its modality."""
    contents = [f"{_FIRST_TOKENS[modality]} {_content(row, part, modality)}" for row in passages]
    encoded = tokenizer(contents, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
    for row, ids in zip(passages, encoded):
        if tokenizer.unk_token_id in ids:
            raise ValueError(
                f"The {part} of passage {row['id']!r} has a symbol of {modality} that the tokenizer does not know."
            )
    return encoded


def _content(row: Mapping, part: str, modality: str) -> str:
    column = f"{part}_{modality}"
    content = row.get(column)
    if not isinstance(content, str) or not content.strip():
        raise ValueError(f"Passage {row['id']!r} has no {column!r}; drop its block, or make it again.")
    reserved = [mark for mark in (*MODALITY_TOKENS, UNIT_MARK) if mark in content]
    if (reserved != [UNIT_MARK] or not _IS_UNITS.fullmatch(content)) if modality == UNITS else reserved:
        raise ValueError(f"The {column!r} of passage {row['id']!r} is not of {modality}: {content[:40]!r}.")
    return content


def _check_apart(passages: Sequence[Mapping]) -> None:
    for row in passages:
        for modality in (UNITS, TEXT):
            if row.get(f"context_{modality}") and row[f"context_{modality}"] == row.get(f"continuation_{modality}"):
                raise ValueError(f"The continuation of passage {row['id']!r} is its own context; drop its block.")
