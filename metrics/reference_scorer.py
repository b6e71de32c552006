"""Log-likelihoods of minimal pairs, one sequence at a time: short enough to check by eye, and slow.

The folders of the metrics hold links to this file, because the Hub loads each folder by itself. Where `evoslm` is
installed, its batched engine gives the same numbers.
"""

from collections.abc import Iterable, Mapping


def score_pairs(model, tokenizer, pairs: Iterable[Mapping], column: str, device: str = "cpu") -> list[dict]:
    """
    Sum of log p(side | BOS, context) of both sides of minimal pairs: BOS (where there is none, the end-of-sequence
    token) and context are not scored, nothing is added at the end, and context and sides are tokenised separately, the
    space between them with the side.

    Args:
        model (`PreTrainedModel`): A causal language model, in float32.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        pairs (`Iterable[Mapping]`): Rows with `positive_{column}`, `negative_{column}` and perhaps `context_{column}`.
        column (`str`): The form to read, such as `"text"` or `"units"`.
        device (`str`, *optional*, defaults to `"cpu"`): Where the model runs.

    Returns:
        `list[dict]`: `positive`, `negative` (nats), `positive_tokens`, `negative_tokens`, `positive_unconditional` and
        `negative_unconditional` (NaN without a context) of each row.

    Raises:
        `ValueError`: If a column is missing, a side is empty or longer than the model's window, a symbol is unknown,
            the tokenizer is not the model's, or a log-likelihood is not finite.
    """
    vocabulary = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > vocabulary:
        raise ValueError(f"The tokenizer has {len(tokenizer)} ids, the model {vocabulary}: it is not the model's own.")
    model = model.to(device).eval()
    needs_space = _needs_space(tokenizer)
    rows = []
    for index, pair in enumerate(pairs):
        name = f"pair {pair.get('pair_id', pair.get('id', index))!r}"
        context = pair.get(f"context_{column}") or ""
        bare = context.rstrip() if needs_space else context.rstrip(" ")
        context_ids = _ids(tokenizer, bare, name)
        row = {}
        for side in ("positive", "negative"):
            if f"{side}_{column}" not in pair:
                raise ValueError(f"The row of {name} has no column '{side}_{column}'.")
            content = pair[f"{side}_{column}"] or ""
            if context_ids and not needs_space:
                content = content.lstrip(" ")
            elif context_ids and content.strip():
                content = (context[len(bare) :] or ("" if content[0].isspace() else " ")) + content
            ids = _ids(tokenizer, content, name)
            if not ids:
                raise ValueError(f"The {side} side of {name} is empty: there is nothing to score; drop the pair.")
            row[side] = _log_likelihood(model, tokenizer, context_ids, ids, name)
            row[f"{side}_tokens"] = len(ids)
            alone = _log_likelihood(model, tokenizer, [], ids, name) if context_ids else float("nan")
            row[f"{side}_unconditional"] = alone
        rows.append(row)
    return rows


def _needs_space(tokenizer) -> bool:
    """Whether two texts, tokenised separately, read as one word unless the second has a space in front."""
    alone, spaced = tokenizer(["a", " a"], add_special_tokens=False).input_ids
    if alone == spaced or tokenizer.unk_token_id in spaced:
        return False
    return tokenizer.decode(alone + alone, clean_up_tokenization_spaces=False) == "aa"


def _bos(model, tokenizer) -> int:
    """The beginning-of-sequence token, else the end-of-sequence token; the tokenizer knows better than the model."""
    for owner in (tokenizer, model.config, model.config.get_text_config()):
        for key in ("bos_token_id", "eos_token_id"):
            found = getattr(owner, key, None)
            if found is not None and found != []:
                return found[0] if isinstance(found, (list, tuple)) else found
    raise ValueError("Neither the tokenizer nor the model has a beginning- or end-of-sequence token.")


def _ids(tokenizer, content: str, name: str) -> list[int]:
    ids = tokenizer(content, add_special_tokens=False).input_ids if content.strip() else []
    if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids:
        raise ValueError(f"There is a symbol in {name} that the tokenizer does not know: {content!r}.")
    return ids


def _log_likelihood(model, tokenizer, context: list[int], ids: list[int], name: str) -> float:
    import torch  # only needed to score a model, and slow to import

    bos = _bos(model, tokenizer)
    inputs = [bos, *context, *ids[:-1]]
    window = getattr(model.config, "max_position_embeddings", None)
    if window is not None and len(inputs) > window:
        raise ValueError(f"{name} takes {len(inputs)} positions, but the model's window has only {window}.")
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([inputs], device=model.device), use_cache=False).logits[
            0, len(context) :
        ]
    log_probabilities = torch.log_softmax(logits.float(), dim=-1)
    targets = torch.tensor(ids, device=model.device)[:, None]
    value = float(log_probabilities.gather(1, targets).double().sum())
    if value != value or value == float("-inf"):
        raise ValueError(f"The log-likelihood of {name} is {value}: the model's weights are not usable.")
    return value
