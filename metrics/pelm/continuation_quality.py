"""What can be said of generated continuations: how likely another model finds them, and what they suffer from.

texts and their log-likelihoods -> flags and nats of each -> perplexities and shares, with intervals over prompts.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

# `models/statistics.py`, under a name that hides no module of the standard library where a Space runs its folder.
from .bootstrap import resampled_means
from .continuation_texts import check_continuations, mark_continuations, words_of

# Words of a run that is looked for again, and of one in a continuation of fewer words than the last number.
_NGRAM, _SHORT_NGRAM, _SHORT = 4, 2, 8


def longest_common_run(first: Sequence, second: Sequence) -> int:
    """How many consecutive items two sequences have in common at most."""
    best, before = 0, [0] * (len(second) + 1)
    for item in first:
        now = [0] * (len(second) + 1)
        for place, other in enumerate(second, start=1):
            if item == other:
                now[place] = before[place - 1] + 1
        best, before = max(best, *now), now
    return best


def is_repeated(words: Sequence[str]) -> bool:
    """
    Whether a continuation repeats itself: half of its words or more are in 4-grams that come more than once in it. In
    one of fewer than 8 words, which has hardly any, in 2-grams.
    """
    size = _NGRAM if len(words) >= _SHORT else _SHORT_NGRAM
    grams = [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]
    counts = Counter(grams)
    again = {start + offset for start, gram in enumerate(grams) if counts[gram] > 1 for offset in range(size)}
    return bool(words) and 2 * len(again) >= len(words)


def is_copied(prompt: Sequence[str], words: Sequence[str]) -> bool:
    """Whether a continuation copies its prompt: half of its words or more are one run of the prompt's."""
    return bool(words) and 2 * longest_common_run(prompt, words) >= len(words)


def judge_continuations(
    prompts: Sequence[str],
    continuations: Sequence[str],
    scores: Sequence[Mapping | None],
    anchors: Mapping[str, Sequence[tuple[str, Mapping | None]]] | None = None,
    reasons: Sequence[str] | None = None,
    generated_tokens: Sequence[int] | None = None,
    silent: Sequence[bool] | None = None,
    cluster_ids: Sequence | None = None,
    seed: int = 0,
    return_outcomes: bool = False,
) -> dict:
    """
    Perplexities of continuations, and shares of those that are none or no good ones.

    Args:
        prompts (`Sequence[str]`): What was continued.
        continuations (`Sequence[str]`): What was written.
        scores (`Sequence[Mapping]`): `log_likelihood` (nats, given the prompt) and `tokens` of each; `None` for one
            that is empty, which is counted and not scored.
        anchors (`Mapping[str, Sequence[tuple[str, Mapping]]]`, *optional*): By name, such as `"true"`, a text for each
            prompt and its scores; `None` where there is none.
        reasons (`Sequence[str]`, *optional*): Why each ended, one of `REASONS`.
        generated_tokens (`Sequence[int]`, *optional*): Tokens that were drawn for each, whatever they say.
        silent (`Sequence[bool]`, *optional*): Whether the units of each say nothing.
        cluster_ids (`Sequence`, *optional*): What each prompt is drawn together with; by default itself.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap.
        return_outcomes (`bool`, *optional*, defaults to `False`): Whether the result has a row a continuation.

    Returns:
        `dict`: As the metric returns it. A perplexity of nothing is NaN.

    Raises:
        `ValueError`: If there are no prompts, lengths differ, or a reason is unknown.
    """
    given = {"generated_tokens": generated_tokens, "silent": silent, "cluster_ids": cluster_ids}
    check_continuations(prompts, continuations, scores, reasons, **given)
    words = [words_of(continuation) for continuation in continuations]
    flags = _flags(prompts, continuations, words, reasons, generated_tokens, silent)
    nats, counts, tokens = _columns(continuations, scores)
    scored = counts > 0
    not_copied = scored & ~flags["copied"]
    clean = not_copied & ~flags["repeated"] & ~flags["same"]
    # What is divided by what, before the exponential.
    ratios = {
        "": (nats, counts),
        "_token": (nats, tokens),
        "_prompt": (np.divide(nats, counts, out=np.zeros(len(nats)), where=scored), scored.astype(float)),
        "_not_copied": (nats * not_copied, counts * not_copied),
        "_clean": (nats * clean, counts * clean),
    }
    for name, rows in (anchors or {}).items():
        nats_of, counts_of, tokens_of = _columns([text or "" for text, _ in rows], [own for _, own in rows])
        ratios |= {f"_{name}": (nats_of, counts_of), f"_{name}_token": (nats_of, tokens_of)}
    columns = [*(column for ratio in ratios.values() for column in ratio), *flags.values()]
    values = np.stack(columns, axis=1).astype(np.float64)
    drawn, means = resampled_means(values, seed, cluster_ids=cluster_ids), values.mean(axis=0)
    result = {}
    for number, suffix in enumerate(ratios):
        top, below = 2 * number, 2 * number + 1
        result[f"perplexity{suffix}"] = float(_perplexity(means[None, top], means[None, below])[0])
        low, high = _interval(_perplexity(drawn[:, top], drawn[:, below]))
        result |= {f"ci_low{suffix}": low, f"ci_high{suffix}": high}
    result["shares"] = {}
    for number, name in enumerate(flags, start=2 * len(ratios)):
        low, high = _interval(drawn[:, number])
        result["shares"][name] = {"share": float(means[number]), "ci_low": low, "ci_high": high}
    result |= {"n": len(prompts), "n_scored": int(scored.sum()), "n_words": int(counts.sum())}
    result |= {"n_tokens": int(tokens.sum()), "n_not_copied": int(not_copied.sum()), "n_clean": int(clean.sum())}
    if return_outcomes:
        outcomes = {"log_likelihood": np.where(scored, -nats, np.nan)} | flags
        outcomes |= {"words": counts.astype(int), "tokens": tokens.astype(int)}
        result["outcomes"] = [
            dict(zip(outcomes, row)) for row in zip(*(column.tolist() for column in outcomes.values()))
        ]
    return result


def make_anchors(
    true: Sequence[str | None], seed: int = 0, prompts: Sequence[str] | None = None
) -> dict[str, list[str | None]]:
    """
    What a perplexity stands between: the true continuations, and each true one behind another's prompt.

    Args:
        true (`Sequence[str]`): The true continuations, `None` where there is none.
        seed (`int`, *optional*, defaults to 0): Of the order in which each prompt gets the next one's.
        prompts (`Sequence[str]`, *optional*): The prompts, of which several may be one; by default all differ.

    Returns:
        `dict[str, list[str]]`: `true` and `shuffled`, a text for each prompt, `None` where there is none; empty if
        there are no true ones at all.
    """
    prompts = range(len(true)) if prompts is None else prompts
    first: dict = {}
    for number, (prompt, text) in enumerate(zip(prompts, true)):
        if text is not None:
            first.setdefault(prompt, number)
    if not first:
        return {}
    order = np.random.default_rng(seed).permutation(list(first.values())).tolist()
    behind = {}
    if len(order) > 1:
        behind = {prompts[number]: true[other] for number, other in zip(order, [*order[1:], order[0]])}
    shuffled = [behind.get(prompt) if text is not None else None for prompt, text in zip(prompts, true)]
    return {"true": list(true), "shuffled": shuffled}


def score_with_anchors(
    score: Callable[[list[str], list[str]], list[dict | None]],
    prompts: list[str],
    continuations: list[str],
    anchors: Mapping[str, Sequence[str | None]],
) -> tuple[list[dict | None], dict[str, list[tuple[str | None, dict | None]]]]:
    """
    Scores of continuations and of anchors, in one call.

    Args:
        score (`Callable[[list[str], list[str]], list[dict]]`): Scores of continuations behind prompts.
        prompts (`list[str]`): The prompts.
        continuations (`list[str]`): What was written.
        anchors (`Mapping[str, Sequence[str]]`): By name, a text for each prompt, `None` where there is none.

    Returns:
        `tuple`: Scores and anchors, as [`judge_continuations`] takes them.
    """
    texts = [text or "" for own in (continuations, *anchors.values()) for text in own]
    scored = score(list(prompts) * (1 + len(anchors)), texts)
    first, *others = (scored[start : start + len(prompts)] for start in range(0, len(scored), len(prompts)))
    return first, {name: list(zip(own, part)) for (name, own), part in zip(anchors.items(), others)}


def _flags(prompts, continuations, words, reasons, generated_tokens, silent) -> dict[str, np.ndarray]:
    """What of it is known, by name, of each continuation."""
    behind = defaultdict(set)
    for prompt, own in zip(prompts, words):
        behind[tuple(own)].add(prompt)
    marks = mark_continuations(continuations, reasons, generated_tokens, silent)
    return {
        "empty": marks.pop("empty"),
        "repeated": np.array([is_repeated(own) for own in words]),
        "copied": np.array([is_copied(words_of(prompt), own) for prompt, own in zip(prompts, words)]),
        "same": np.array([bool(own) and len(behind[tuple(own)]) > 1 for own in words]),
    } | marks


def _columns(texts: Sequence[str], scores: Sequence[Mapping | None]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nats, words and tokens of each text; of one that is not scored 0."""
    rows = [
        (-own["log_likelihood"], max(1, len(words_of(text))), own["tokens"]) if own is not None else (0, 0, 0)
        for text, own in zip(texts, scores)
    ]
    return tuple(np.array(rows, np.float64).T)


def _perplexity(nats: np.ndarray, counts: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.exp(np.divide(nats, counts, out=np.full(len(nats), np.nan), where=counts > 0))


def _interval(values: np.ndarray) -> tuple[float, float]:
    if np.isnan(values).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)
