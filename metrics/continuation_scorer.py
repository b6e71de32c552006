"""Log-likelihoods of texts that continue others, one at a time: short enough to check by eye, and slow. Where `evoslm`
is installed, its batched engine gives the same numbers.

id or folder -> [`pin_model`] -> [`load_scorer`] -> scores of continuations. The metrics `pelm` and
`continuation_perplexity` hold links to this file.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

_MODEL_FILES = ("config.json", "tokenizer*", "*.safetensors", "*.model", "vocab*", "merges.txt")


def pin_model(model_id: str, revision: str | None = None) -> dict[str, str | None]:
    """
    Say which weights a model is.

    Args:
        model_id (`str`): A causal language model, from the Hub or a folder.
        revision (`str`, *optional*): Its commit, branch or tag on the Hub.

    Returns:
        `dict[str, str]`: `model`, the id or the name of the folder; `revision`, the commit on the Hub; `fingerprint`,
        of the files of a folder. What does not apply is `None`.

    Raises:
        `ValueError`: If there is no such model, or a revision of a folder is asked for.
    """
    folder = Path(model_id)
    if folder.is_dir():
        if revision is not None:
            raise ValueError(f"{model_id} is a folder, which has no revision {revision!r}; give an id on the Hub.")
        return {"model": folder.resolve().name, "revision": None, "fingerprint": _fingerprint(folder)}
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(model_id, revision=revision)
    except (OSError, ValueError) as error:
        raise ValueError(f"There is no causal language model in safetensors at {model_id}.") from error
    return {"model": model_id, "revision": getattr(config, "_commit_hash", None), "fingerprint": None}


def load_scorer(
    model_id: str, device: str | None = None, batch_tokens: int | None = None, revision: str | None = None
) -> Callable[[list[str], list[str]], list[dict | None]]:
    """
    Load a judging model with its tokenizer.

    Args:
        model_id (`str`): A causal language model, from the Hub or a folder.
        device (`str`, *optional*): Where it runs; by default on a GPU if there is one.
        batch_tokens (`int`, *optional*): With `evoslm` installed: most positions in one forward pass.
        revision (`str`, *optional*): Its commit, branch or tag on the Hub.

    Returns:
        `Callable[[list[str], list[str]], list[dict]]`: From prompts and continuations to scores.

    Raises:
        `ValueError`: If there is no such model in safetensors, or it has no tokenizer.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise ValueError("Scoring needs torch and transformers: pip install torch transformers.") from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(model_id, revision=revision)
    except (OSError, ValueError) as error:
        raise ValueError(f"There is no tokenizer at {model_id}; give a language model with its tokenizer.") from error
    try:
        model = AutoModelForCausalLM.from_pretrained(
            model_id, revision=revision, dtype=torch.float32, use_safetensors=True
        )
    except (OSError, ValueError) as error:
        raise ValueError(f"There is no causal language model in safetensors at {model_id}.") from error
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        from evoslm.models.scoring import score_continuations as score
    except ImportError:
        score, options = score_continuations, {}
    else:
        options = {"batch_tokens": batch_tokens, "progress": True}
    return lambda prompts, continuations: score(model, tokenizer, prompts, continuations, device=device, **options)


def score_continuations(
    model, tokenizer, prompts: Sequence[str], continuations: Sequence[str], device: str = "cpu"
) -> list[dict | None]:
    """
    Sum of log P(token | BOS, prompt, tokens before it) over the tokens of each continuation: BOS (where there is none,
    the end-of-sequence token) and prompt are not scored, nothing is added at the end, and prompt and continuation are
    tokenised separately, the space between them with the continuation.

    Args:
        model (`PreTrainedModel`): A causal language model, in float32.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        prompts (`Sequence[str]`): What is continued, possibly nothing.
        continuations (`Sequence[str]`): A text for each prompt.
        device (`str`, *optional*, defaults to `"cpu"`): Where the model runs.

    Returns:
        `list[dict]`: `log_likelihood` (nats) and `tokens` of each; `None` for a continuation that is empty.

    Raises:
        `ValueError`: If a text is longer than the model's window, the tokenizer is not the model's, or a
            log-likelihood is not finite.
    """
    vocabulary = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > vocabulary:
        raise ValueError(f"The tokenizer has {len(tokenizer)} ids, the model {vocabulary}: it is not the model's own.")
    model, with_space, scored = model.to(device).eval(), _needs_space(tokenizer), []
    for number, (prompt, continuation) in enumerate(zip(prompts, continuations)):
        if not continuation.strip():
            scored.append(None)
            continue
        bare = prompt.rstrip() if with_space else prompt.rstrip(" ")
        if prompt and not with_space:
            continuation = continuation.lstrip(" ")
        elif prompt:
            continuation = (prompt[len(bare) :] or ("" if continuation[0].isspace() else " ")) + continuation
        context, ids = (tokenizer(text, add_special_tokens=False).input_ids for text in (bare, continuation))
        value = _log_likelihood(model, tokenizer, context if bare else [], ids, f"continuation {number}")
        scored.append({"log_likelihood": value, "tokens": len(ids)})
    return scored


def _fingerprint(folder: Path) -> str:
    """Sixteen hexadecimal digits for the files of a model and its tokenizer, wherever they lie."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _MODEL_FILES for path in folder.glob(pattern)}):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(2**24):
                digest.update(block)
    return digest.hexdigest()[:16]


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


def _log_likelihood(model, tokenizer, context: list[int], ids: list[int], name: str) -> float:
    import torch  # only needed to score a model, and slow to import

    inputs = [_bos(model, tokenizer), *context, *ids[:-1]]
    window = getattr(model.config.get_text_config(), "max_position_embeddings", None)
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
