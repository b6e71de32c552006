"""Continuations in the modality that is asked for: of text or units by a joint model, of text by any other.

contents -> ids that begin with their modality, and change it where asked -> [`continue_prompts`], which draws pieces
of one modality alone -> text, or units.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..scoring.retrieval import DIRECTIONS, TEXT, UNITS
from ..tokenizers.joint import (
    MODALITY_TOKENS,
    SPEECH_TOKEN,
    TEXT_TOKEN,
    TO_SPEECH_TOKEN,
    TO_TEXT_TOKEN,
    UNIT_MARK,
    split_segments,
)
from .continuation import Continuation, Drawing, continue_prompts

_FIRST_TOKENS = {UNITS: SPEECH_TOKEN, TEXT: TEXT_TOKEN}
_SWITCH_TOKENS = {UNITS: TO_SPEECH_TOKEN, TEXT: TO_TEXT_TOKEN}
_PIECE_OF_UNITS = re.compile(f"(?:{UNIT_MARK}[0-9]+)+")


@dataclass(frozen=True)
class WrittenContinuation:
    """
    What a model wrote behind a content.

    Args:
        reason (`str`): Why it ended, one of `REASONS`; `"stop"` is a token that changes the modality.
        tokens (`int`): How many were drawn before it ended.
        text (`str`, *optional*): The text, of text.
        units (`list[int]`, *optional*): The units, of units.
    """

    reason: str
    tokens: int
    text: str | None = None
    units: list[int] | None = None


def continue_contents(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    contents: Sequence[str],
    direction: str,
    drawing: Drawing | None = None,
    batch_size: int = 32,
) -> list[WrittenContinuation]:
    """
    Continue contents in their own modality or, behind the token that says so, in the other.

    Only pieces of the modality that is asked for are drawn, `</s>`, and of a joint model a token that changes the
    modality, which ends a continuation, too.

    Args:
        model (`PreTrainedModel`): A joint model of speech units and text; for `"t2t"` any causal language model.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        contents (`Sequence[str]`): Texts, or units as a joint tokenizer reads them (`"▪17▪942"`), without the token of
            their modality.
        direction (`str`): `"u2u"`, `"t2t"`, `"u2t"` or `"t2u"`: the modality of contents, and that of continuations.
        drawing ([`Drawing`], *optional*): How tokens are drawn; `stop_ids` and `suppressed_ids` are added to its own.
        batch_size (`int`, *optional*, defaults to 32): Contents at once.

    Returns:
        `list[WrittenContinuation]`: In the order of the contents.

    Raises:
        `ValueError`: If there is no such direction, the model is no joint one and units are asked for, or as
            [`continue_prompts`].
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"There is no direction {direction!r}; choose from {', '.join(DIRECTIONS)}.")
    drawing = drawing or Drawing()
    stops, suppressed = drawable_ids(tokenizer, DIRECTIONS[direction][1])
    drawing = replace(
        drawing,
        stop_ids=(*drawing.stop_ids, *stops),
        suppressed_ids=tuple(sorted({*drawing.suppressed_ids, *suppressed})),
    )
    written = continue_prompts(model, prompt_ids(tokenizer, contents, direction), drawing, batch_size)
    return [_read(tokenizer, continuation, DIRECTIONS[direction][1]) for continuation in written]


def prompt_ids(tokenizer: PreTrainedTokenizerBase, contents: Sequence[str], direction: str) -> list[list[int]]:
    """
    Write contents as prompts: `<s> <speech> ▪17▪942 <speech_to_text>` for `"u2t"`.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): A joint tokenizer, or for `"t2t"` any.
        contents (`Sequence[str]`): Texts or units.
        direction (`str`): One of `DIRECTIONS`.

    Returns:
        `list[list[int]]`: Ids, with what begins a sequence.

    Raises:
        `ValueError`: If the tokenizer is no joint one and units are asked for.
    """
    before, after = DIRECTIONS[direction]
    if not _is_joint(tokenizer):
        if direction != "t2t":
            raise ValueError(
                f"{direction} is asked of joint models of speech units and text; this one knows t2t alone."
            )
        return tokenizer(list(contents), return_attention_mask=False, verbose=False).input_ids
    switch = "" if before == after else f" {_SWITCH_TOKENS[after]}"
    prompts = [f"{_FIRST_TOKENS[before]} {content}{switch}" for content in contents]
    return tokenizer(prompts, return_attention_mask=False, verbose=False).input_ids


def drawable_ids(tokenizer: PreTrainedTokenizerBase, modality: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """
    Say which ids end a continuation in a modality, beside `</s>`, and which are never drawn.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): A joint tokenizer, or any of text.
        modality (`str`): `"units"` or `"text"`.

    Returns:
        `tuple[tuple[int, ...], tuple[int, ...]]`: The tokens that change the modality; and special tokens, those that
        begin a sequence, and all pieces of the other modality.
    """
    vocabulary, end = tokenizer.get_vocab(), tokenizer.eos_token_id
    special = set(tokenizer.all_special_ids) - {end}
    if not _is_joint(tokenizer):
        return (), tuple(sorted(special))
    stops = {vocabulary[TO_TEXT_TOKEN], vocabulary[TO_SPEECH_TOKEN]}

    def is_drawn(token: str, index: int) -> bool:
        if index in stops or index == end:
            return True
        if index in special or token in MODALITY_TOKENS:
            return False
        return (_PIECE_OF_UNITS.fullmatch(token) is not None) if modality == UNITS else UNIT_MARK not in token

    suppressed = {index for token, index in vocabulary.items() if not is_drawn(token, index)}
    return tuple(sorted(stops)), tuple(sorted(suppressed))


def _is_joint(tokenizer: PreTrainedTokenizerBase) -> bool:
    return TEXT_TOKEN in tokenizer.get_vocab()


def _read(tokenizer: PreTrainedTokenizerBase, written: Continuation, modality: str) -> WrittenContinuation:
    if not _is_joint(tokenizer):
        text = tokenizer.decode(written.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return WrittenContinuation(written.reason, len(written.ids), text=text)
    first = tokenizer.convert_tokens_to_ids(_FIRST_TOKENS[modality])
    segment = split_segments(tokenizer, [first, *written.ids])[0]
    return WrittenContinuation(written.reason, len(written.ids), text=segment.text, units=segment.units)
