"""Log-likelihoods of texts that continue others: what the perplexity of generated continuations starts from.

prompts and continuations -> ids, each tokenised by itself -> log-likelihoods (`likelihoods.py`) -> a dict of scores a
continuation, `None` for one that is empty.
"""

from collections.abc import Sequence

from .beginning import find_beginning
from .likelihoods import sequence_log_likelihoods
from .separation import needs_space, separate


def score_continuations(
    model,
    tokenizer,
    prompts: Sequence[str],
    continuations: Sequence[str],
    *,
    batch_tokens: int | None = None,
    share_prefixes: bool = True,
    long_sequences: str = "error",
    device=None,
    progress: bool = False,
) -> list[dict[str, float | int] | None]:
    """
    Log P(continuation | BOS, prompt) of texts, summed over the continuation's tokens.

    Prompt and continuation are tokenised separately, and the space between them is the continuation's, as in
    [`score_pairs`]. Nothing is added at the end. A symbol that the tokenizer does not know is scored as its unknown
    token: what a model has written may be anything.

    Args:
        model (`PreTrainedModel`):
            Any causal language model.
        tokenizer (`PreTrainedTokenizerBase`):
            Its tokenizer.
        prompts (`Sequence[str]`):
            What is continued, possibly nothing.
        continuations (`Sequence[str]`):
            A text for each prompt; one that is empty or white space is not scored.
        batch_tokens, share_prefixes, long_sequences, device, progress (*optional*):
            As in [`sequence_log_likelihoods`].

    Returns:
        `list[dict]`: For each continuation `log_likelihood` (nats) and `tokens`, over how many of them it is summed;
            `None` for one that is empty.

    Raises:
        `ValueError`: If there are not as many prompts as continuations, the tokenizer does not belong to the model, or
            as [`sequence_log_likelihoods`]; the message names the continuation.
    """
    if len(prompts) != len(continuations):
        raise ValueError(
            f"There are {len(prompts)} prompts and {len(continuations)} continuations; give one for each."
        )
    vocabulary = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > vocabulary:
        raise ValueError(
            f"The tokenizer has {len(tokenizer)} ids, but the model only {vocabulary}: this is not the model's "
            "tokenizer."
        )
    with_space = needs_space(tokenizer)
    numbers = [number for number, continuation in enumerate(continuations) if continuation.strip()]
    texts = [separate(prompts[number], continuations[number], with_space) for number in numbers]
    contexts, sequences = (_encode(tokenizer, own) for own in zip(*texts)) if texts else ([], [])
    values = sequence_log_likelihoods(
        model,
        sequences,
        contexts,
        bos_token_id=find_beginning(model.config, tokenizer).token_id,
        names=[f"continuation {number}" for number in numbers],
        batch_tokens=batch_tokens,
        share_prefixes=share_prefixes,
        long_sequences=long_sequences,
        device=device,
        progress=progress,
    )
    scored: list[dict[str, float | int] | None] = [None] * len(continuations)
    for number, value, ids in zip(numbers, values.tolist(), sequences):
        scored[number] = {"log_likelihood": value, "tokens": len(ids)}
    return scored


def _encode(tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Ids of texts. A long text is an error that the scoring names, not a warning here; of nothing there are none."""
    encoded = tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False, verbose=False)
    return [ids if text else [] for text, ids in zip(texts, encoded["input_ids"])]
