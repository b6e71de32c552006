"""Generated continuations as texts: what is given of them, in which form they are read, and what is none at all.

The metrics `pelm` and `continuation_perplexity` hold links to this file.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

REASONS = ("end", "stop", "limit")
"""Why a continuation ended: its model ended the sequence, wrote a token that stops, or wrote as much as allowed."""
FORMS = ("text", "words")
"""What is judged: texts as they are, or their words in lower case without punctuation, as transcripts have them."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """
    Words of a text in lower case, without punctuation.

    Args:
        text (`str`): Any text.

    Returns:
        `list[str]`: Runs of letters and digits, with the apostrophes inside of them.
    """
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


def write_form(text: str, form: str) -> str:
    """
    Write a text in one of `FORMS`.

    Raises:
        `ValueError`: If there is no such form.
    """
    if form not in FORMS:
        raise ValueError(f"There is no form {form!r}; choose from {', '.join(FORMS)}.")
    return text if form == "text" else " ".join(words_of(text))


def read_references(predictions: Sequence[str] | None, references: Sequence[Mapping] | None) -> list[dict]:
    """
    References with all keys, as `evaluate` stores them: a true continuation that is not there is `""`.

    Raises:
        `ValueError`: If one of the two is missing, lengths differ, or a reference has no prompt.
    """
    if predictions is None or references is None:
        raise ValueError("Both predictions and references are needed: generated texts, and their prompts.")
    if len(predictions) != len(references):
        raise ValueError(
            f"There are {len(predictions)} predictions and {len(references)} references; give one for each."
        )
    read = []
    for number, (prediction, reference) in enumerate(zip(predictions, references)):
        if not isinstance(prediction, str):
            raise ValueError(f"Prediction {number} is no text but {prediction!r}; an empty continuation is ''.")
        if not isinstance(reference, Mapping) or not isinstance(reference.get("prompt"), str):
            raise ValueError(f"Reference {number} has no text under 'prompt': {reference!r}.")
        read.append({"prompt": reference["prompt"], "continuation": reference.get("continuation") or ""})
    return read


def check_continuations(
    prompts: Sequence[str],
    continuations: Sequence[str],
    scores: Sequence[Mapping | None] | None = None,
    reasons: Sequence[str] | None = None,
    **others: Sequence | None,
) -> None:
    """
    Refuse what cannot be judged.

    Args:
        prompts (`Sequence[str]`): What was continued.
        continuations (`Sequence[str]`): What was written.
        scores (`Sequence[Mapping]`, *optional*): Scores of each.
        reasons (`Sequence[str]`, *optional*): Why each ended.
        others (`Sequence`, *optional*): By name, anything else that is given for each.

    Raises:
        `ValueError`: If there are no prompts, lengths differ, or a reason is unknown.
    """
    if not len(prompts):
        raise ValueError("There are no prompts, and so nothing to judge.")
    given = {"predictions": continuations, "scores": scores, "reasons": reasons} | others
    for name, values in given.items():
        if values is not None and len(values) != len(prompts):
            raise ValueError(f"There are {len(prompts)} prompts and {len(values)} {name}; give one for each.")
    for reason in reasons or ():
        if reason not in REASONS:
            raise ValueError(f"There is no reason {reason!r} to end; choose from {', '.join(REASONS)}.")


def mark_continuations(
    continuations: Sequence[str],
    reasons: Sequence[str] | None = None,
    generated_tokens: Sequence[int] | None = None,
    silent: Sequence[bool] | None = None,
) -> dict[str, np.ndarray]:
    """
    Say which continuations are none, or were not ended by their model.

    Args:
        continuations (`Sequence[str]`): What was written.
        reasons (`Sequence[str]`, *optional*): Why each ended, one of `REASONS`.
        generated_tokens (`Sequence[int]`, *optional*): Tokens that were drawn for each, whatever they say.
        silent (`Sequence[bool]`, *optional*): Whether the units of each say nothing.

    Returns:
        `dict[str, np.ndarray]`: By name a bool a continuation: `empty` (no text); with `reasons` `limit`; with
        `generated_tokens` `instant` (no token before the end); with that or `silent` `silent` (tokens, and no text, or
        units that say nothing).
    """
    empty = np.array([not continuation.strip() for continuation in continuations], bool)
    marks = {"empty": empty}
    if reasons is not None:
        marks["limit"] = np.array([reason == "limit" for reason in reasons], bool)
    if generated_tokens is not None:
        marks["instant"] = np.array([count == 0 for count in generated_tokens], bool)
    if generated_tokens is not None or silent is not None:
        said_nothing = empty & ~marks.get("instant", empty)
        marks["silent"] = said_nothing | np.array(silent if silent is not None else np.zeros(len(empty)), bool)
    return marks
