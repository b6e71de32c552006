"""Scores of minimal pairs by any causal language model: what every metric and table starts from.

rows of pairs -> contents -> ids ([`encode_pairs`]) -> log-likelihoods (`likelihoods.py`) -> one dict of scores a row,
kept on disk chunk by chunk where that is asked for (`kept_scores.py`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from .beginning import find_beginning
from .kept_scores import KeptScores, fingerprint_chunk, fingerprint_model
from .layers import LayerLens
from .likelihoods import sequence_log_likelihoods
from .separation import needs_space, separate
from .sides import SIDES

__all__ = ["PairIds", "encode_pairs", "score_pairs", "sequence_log_likelihoods"]

_STRINGS_PER_CALL = 10_000


@dataclass(frozen=True)
class PairIds:
    """
    Minimal pairs as token ids, one entry a row in each list.

    Args:
        names (`list[str]`): What to call each pair in an error.
        contexts (`list[list[int]]`): What both sides continue; empty where a pair has no context.
        positives (`list[list[int]]`): The sides that a good model finds likelier.
        negatives (`list[list[int]]`): The other sides.
    """

    names: list[str]
    contexts: list[list[int]]
    positives: list[list[int]]
    negatives: list[list[int]]

    def __len__(self):
        return len(self.names)

    def __getitem__(self, rows: slice) -> "PairIds":
        return PairIds(self.names[rows], self.contexts[rows], self.positives[rows], self.negatives[rows])


def score_pairs(
    model,
    tokenizer,
    pairs: Iterable[Mapping],
    column: str | None = None,
    *,
    unconditional: bool = True,
    bos_token_id: int | None = None,
    batch_tokens: int | None = None,
    share_prefixes: bool = True,
    long_sequences: str = "error",
    lens: LayerLens | None = None,
    save_dir: str | Path | None = None,
    part: tuple[int, int] = (0, 1),
    device=None,
    progress: bool = False,
    report_progress: Callable[[float], None] | None = None,
) -> list[dict[str, float | int | list[float]]]:
    """
    Log-likelihoods of both sides of minimal pairs: log p(side | BOS, context), summed over the side's tokens.

    Args:
        model (`PreTrainedModel`):
            Any causal language model.
        tokenizer (`PreTrainedTokenizerBase`):
            Its tokenizer. Context and sides are tokenised separately, and the space between them is the side's: one
            that stands at the end of the context or is missing is put there, unless the tokenizer begins every text
            with a space of its own. Without a context a side is read as it is.
        pairs (`Iterable[Mapping]`):
            Rows with `positive_{column}`, `negative_{column}` and, where the pairs have contexts, `context_{column}`.
        column (`str`, *optional*):
            The form to read: `"text"`, `"phones"`, `"phones_stretch"`, `"phones_repeat"` or `"units"`. By default
            the columns are called `positive`, `negative` and `context`.
        unconditional (`bool`, *optional*, defaults to `True`):
            Whether sides that have a context are scored without it too, as pointwise mutual information needs.
        bos_token_id (`int`, *optional*):
            What every sequence starts with; by default the tokenizer's beginning-of-sequence token, else its
            end-of-sequence token, as in lm-evaluation-harness ([`find_beginning`]).
        batch_tokens (`int`, *optional*):
            As in [`sequence_log_likelihoods`].
        share_prefixes (`bool`, *optional*, defaults to `True`):
            As in [`sequence_log_likelihoods`].
        long_sequences (`str`, *optional*, defaults to `"error"`):
            What to do with pairs that are longer than the model's window, as in [`sequence_log_likelihoods`].
        lens ([`LayerLens`], *optional*):
            Read every layer in this way, in the same forward passes: each log-likelihood is then a list, that of the
            embeddings first and that of the last layer, which is the same as without, at the end.
        save_dir (`str` or `Path`, *optional*):
            A folder that keeps scores as they are made, 2,048 pairs a file. The same call goes on where one was
            stopped, and several processes can share it.
        part (`tuple[int, int]`, *optional*, defaults to `(0, 1)`):
            With `save_dir`: `(index, count)` of this process among those that share the work. It scores every
            `count`-th file from `index` on; afterwards a call without `part` finds all of them.
        device (`str` or `torch.device`, *optional*):
            Where to move the model first; by default it stays where it is.
        progress (`bool`, *optional*, defaults to `False`):
            Whether to show a progress bar.
        report_progress (`Callable[[float], None]`, *optional*):
            With `save_dir`: called with the share of this call's files that are done.

    Returns:
        `list[dict]`: For each row (of this part), in order: `positive`, `negative` (nats), `positive_tokens`,
            `negative_tokens`, and `positive_unconditional`, `negative_unconditional` (nats; NaN where there is no
            context, or if not wanted).

    Raises:
        `ValueError`: If a row lacks a column or has an empty side or a symbol that the tokenizer does not know, if the
            tokenizer does not belong to the model, if a pair is longer than the model's window, or if a
            log-likelihood is not finite; the message names the pair. If `save_dir` holds scores of other pairs or of
            another model.
        `FileNotFoundError`: If the parent of `save_dir` does not exist.
    """
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        raise ValueError(
            f"The tokenizer has {len(tokenizer)} ids, but the model only "
            f"{model.get_input_embeddings().weight.shape[0]}: this is not the model's tokenizer."
        )
    if save_dir is None and part != (0, 1):
        raise ValueError("Processes share the work through a folder: give save_dir with part.")
    ids = encode_pairs(tokenizer, pairs, column)
    bos = find_beginning(model.config, tokenizer, bos_token_id).token_id
    rule = {"unconditional": unconditional, "long_sequences": long_sequences, "bos_token_id": bos}
    score = partial(
        _score, model, **rule, lens=lens, batch_tokens=batch_tokens, share_prefixes=share_prefixes, device=device
    )
    if save_dir is None:
        return score(ids, progress=progress)
    kept, index, count, scores = KeptScores(save_dir, len(ids)), *part, []
    fingerprint = fingerprint_model(model)
    rule |= {"lens": lens.fingerprint()} if lens else {}
    chunks = range(index, len(kept), count)
    for done, chunk in enumerate(tqdm(chunks, unit="chunk", disable=not progress), start=1):
        own = ids[kept.rows(chunk)]
        key = fingerprint_chunk(fingerprint, (own.contexts, own.positives, own.negatives), rule)
        found = kept.read(chunk, key)
        if found is None:
            found = score(own)
            kept.write(chunk, key, found)
        scores += found
        if report_progress is not None:
            report_progress(done / len(chunks))
    return scores


def encode_pairs(tokenizer, pairs: Iterable[Mapping], column: str | None = None) -> PairIds:
    """
    Minimal pairs as the ids that a model reads.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        pairs (`Iterable[Mapping]`): Rows, as for [`score_pairs`].
        column (`str`, *optional*): The form to read, as for [`score_pairs`].

    Returns:
        [`PairIds`]: The ids, without special tokens.

    Raises:
        `ValueError`: If a row lacks a column or has an empty side or a symbol that the tokenizer does not know.
    """
    names, contents = [], {"context": [], "positive": [], "negative": []}
    for index, row in enumerate(pairs):
        names.append(_name(row, index))
        for part, column_contents in contents.items():
            column_contents.append(_content(row, part, column, names[-1]))
    _give_spaces_to_sides(tokenizer, contents)
    ids = {part: _encode(tokenizer, part_contents) for part, part_contents in contents.items()}
    for part, part_ids in ids.items():
        for name, content, tokens in zip(names, contents[part], part_ids):
            if tokenizer.unk_token_id in tokens and tokenizer.unk_token_id is not None:
                symbol = _unknown_symbol(tokenizer, content)
                raise ValueError(
                    f"The {part} of {name} has the symbol {symbol!r}, which the tokenizer does not know; is this the "
                    "column that the model reads?"
                )
            if not tokens and part != "context":
                raise ValueError(f"The {part} side of {name} is empty: there is nothing to score; drop the pair.")
    return PairIds(names, ids["context"], ids["positive"], ids["negative"])


def _score(model, ids: PairIds, *, unconditional: bool, **options) -> list[dict[str, float | int | list[float]]]:
    with_context = [i for i, context in enumerate(ids.contexts) if context] if unconditional else []
    # One call for everything, so that batches are full and what occurs twice is scored once.
    sequences, contexts, names = [], [], []
    for side, sides in zip(SIDES, (ids.positives, ids.negatives)):
        sequences += [*sides, *(sides[i] for i in with_context)]
        contexts += [*ids.contexts, *([] for _ in with_context)]
        labels = [f"the {side} side of {name}" for name in ids.names]
        names += [*labels, *(labels[i] for i in with_context)]
    values = sequence_log_likelihoods(model, sequences, contexts, names=names, **options)
    scores = {}
    for side, sides, part in zip(SIDES, (ids.positives, ids.negatives), np.split(values, 2)):
        alone = np.full((len(ids), *values.shape[1:]), np.nan)
        alone[with_context] = part[len(ids) :]
        scores[side], scores[f"{side}_unconditional"] = part[: len(ids)].tolist(), alone.tolist()
        scores[f"{side}_tokens"] = [len(tokens) for tokens in sides]
    keys = [*SIDES, *(f"{side}_tokens" for side in SIDES), *(f"{side}_unconditional" for side in SIDES)]
    return [dict(zip(keys, row)) for row in zip(*(scores[key] for key in keys))]


def _name(row: Mapping, index: int) -> str:
    for key in ("pair_id", "id"):
        if row.get(key) is not None:
            return f"pair {row[key]!r}" + (f" in the voice {row['voice']!r}" if row.get("voice") else "")
    return f"pair {index}"


def _content(row: Mapping, part: str, column: str | None, name: str) -> str:
    key = part if column is None else f"{part}_{column}"
    # Pairs of a task without contexts may have no such column at all.
    if part == "context" and not any(str(other).startswith("context") for other in row):
        return ""
    if key not in row:
        raise ValueError(f"The row of {name} has no column {key!r}; it has {', '.join(map(str, row))}.")
    content = row[key]
    if content is not None and not isinstance(content, str):
        raise ValueError(f"The column {key!r} of {name} holds a {type(content).__name__}, not a string of content.")
    return content if content and not content.isspace() else ""


def _give_spaces_to_sides(tokenizer, contents: dict[str, list[str]]) -> None:
    """The space between a context and a side begins the side, see `separation.py`."""
    if not any(contents["context"]):
        return
    with_space = needs_space(tokenizer)
    for index, context in enumerate(contents["context"]):
        for side in SIDES:
            contents["context"][index], contents[side][index] = separate(context, contents[side][index], with_space)


def _encode(tokenizer, contents: list[str]) -> list[list[int]]:
    """Ids of each content; equal contents (the same text in many voices) are tokenised once."""
    unique = [content for content in dict.fromkeys(contents) if content]
    known = {"": []}
    for start in range(0, len(unique), _STRINGS_PER_CALL):
        part = unique[start : start + _STRINGS_PER_CALL]
        # A long content is an error that the scoring names, not a warning here.
        encoded = tokenizer(part, add_special_tokens=False, return_attention_mask=False, verbose=False)
        known.update(zip(part, encoded["input_ids"]))
    return [known[content] for content in contents]


def _unknown_symbol(tokenizer, content: str) -> str:
    if not tokenizer.is_fast:
        return content
    encoded = tokenizer(content, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    start, end = encoded["offset_mapping"][encoded["input_ids"].index(tokenizer.unk_token_id)]
    return content[start:end].strip() or content
