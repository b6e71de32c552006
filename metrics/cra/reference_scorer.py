"""Log-likelihoods of continuations after every context of their block, one sequence at a time: short enough to check
by eye, and slow. Where `evoslm` is installed, its batched engine gives the same numbers.
"""

import re
from collections.abc import Iterable, Mapping

SPEECH, TEXT = "units", "text"
DIRECTIONS = {"u2u": (SPEECH, SPEECH), "t2t": (TEXT, TEXT), "u2t": (SPEECH, TEXT), "t2u": (TEXT, SPEECH)}
FIRST = {SPEECH: "<speech>", TEXT: "<text>"}
SWITCH = {SPEECH: "<text_to_speech>", TEXT: "<speech_to_text>"}
UNITS = re.compile(r"(▪[0-9]+)+")


def score_blocks(model, tokenizer, rows: Iterable[Mapping], direction: str, device: str = "cpu") -> list[dict]:
    """
    Sum of log P(continuation | BOS, context) for all continuations and contexts of each block. A token that says that
    the modality changes is of the context: it is not scored, and neither is anything at the end.

    Args:
        model (`PreTrainedModel`): A joint model of speech units and text, in float32.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        rows (`Iterable[Mapping]`): A row a passage: `id`, `block`, and `context_` and `continuation_` with `text` and
            `units`.
        direction (`str`): `"u2u"`, `"t2t"`, `"u2t"` or `"t2u"`: of contexts, and of continuations.
        device (`str`, *optional*, defaults to `"cpu"`): Where the model runs.

    Returns:
        `list[dict]`: For each block `block`, `direction`, `ids`, `log_likelihoods` (a row a continuation, a column a
        context), `unconditional` (behind `<speech>` or `<text>` alone) and `tokens` of each continuation.

    Raises:
        `ValueError`: If a content is missing, of another modality or longer than the model's window.
    """
    model = model.to(device).eval()
    before, after = DIRECTIONS[direction]
    switch = "" if before == after else SWITCH[after]
    blocks: dict[str, list[Mapping]] = {}
    for row in rows:
        blocks.setdefault(str(row["block"]), []).append(row)
    scored = []
    for block, own in blocks.items():
        contexts = [
            _ids(tokenizer, FIRST[before], _content(row, "context", before)) + _ids(tokenizer, switch) for row in own
        ]
        # Behind the token of its modality, too, so that a text begins as it does in training.
        continuations = [_ids(tokenizer, FIRST[after], _content(row, "continuation", after))[1:] for row in own]
        alone = _ids(tokenizer, FIRST[after])
        scored.append(
            {
                "block": block,
                "direction": direction,
                "ids": [row["id"] for row in own],
                "log_likelihoods": [
                    [_log_likelihood(model, tokenizer, context, continuation, block) for context in contexts]
                    for continuation in continuations
                ],
                "unconditional": [
                    _log_likelihood(model, tokenizer, alone, continuation, block) for continuation in continuations
                ],
                "tokens": [len(continuation) for continuation in continuations],
            }
        )
    return scored


def _content(row: Mapping, part: str, modality: str) -> str:
    content = row.get(f"{part}_{modality}") or ""
    if not content or (UNITS.fullmatch(content) is None) != (modality == TEXT):
        raise ValueError(f"The {part} of passage {row['id']!r} is not of {modality}: {content!r}.")
    return content


def _ids(tokenizer, *contents: str) -> list[int]:
    ids = tokenizer(" ".join(filter(None, contents)), add_special_tokens=False).input_ids if any(contents) else []
    if tokenizer.unk_token_id in ids:
        raise ValueError(f"The tokenizer does not know a symbol of {contents!r}.")
    return ids


def _log_likelihood(model, tokenizer, context: list[int], ids: list[int], block: str) -> float:
    import torch  # only needed to score a model, and slow to import

    inputs = [tokenizer.bos_token_id, *context, *ids[:-1]]
    if len(inputs) > model.config.max_position_embeddings:
        raise ValueError(
            f"A passage of block {block} takes {len(inputs)} positions, more than the model's window has."
        )
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([inputs], device=model.device), use_cache=False).logits[
            0, len(context) :
        ]
    log_probabilities = torch.log_softmax(logits.float(), dim=-1)
    targets = torch.tensor(ids, device=model.device)[:, None]
    return float(log_probabilities.gather(1, targets).double().sum())
