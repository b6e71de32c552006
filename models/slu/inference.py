"""What a fine-tuned model says of contents.

contents -> [`encode_prompts`], cut to the window -> [`classify`] -> probabilities; or [`find_entities`] -> answers as
text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ..generation.continuation import LIMIT, Drawing, continue_prompts
from .configuration_slu import ENTITIES, SluConfig

_PROBE = "a"
"""Any text, of whose ids those that stand around it are looked at."""


@dataclass(frozen=True)
class Prompts:
    """
    Contents as ids.

    Args:
        ids (`list[list[int]]`): Of each, with what ends a prompt.
        num_cut (`int`): How many were longer than the window allows, and lost their end.
    """

    ids: list[list[int]]
    num_cut: int


@dataclass(frozen=True)
class Answer:
    """
    What a model wrote.

    Args:
        text (`str`): The entities, as [`~AnswerFormat.read`] writes them.
        is_cut (`bool`): Whether it did not end within the longest answer.
    """

    text: str
    is_cut: bool


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase, config: SluConfig, contents: Sequence[str], kind: str, window: int | None
) -> Prompts:
    """
    Tokenize contents as a fine-tuned model reads them.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's.
        config ([`SluConfig`]): What it does.
        contents (`Sequence[str]`): Of [`write_contents`].
        kind (`str`): `"text"` or `"speech"`.
        window (`int`, *optional*): Tokens that the model can read, `max_position_embeddings`.

    Returns:
        [`Prompts`]: Of what is too long the beginning is kept, and of entities the room for an answer.

    Raises:
        `ValueError`: If nothing of a content fits, or one has no token at all.
    """
    suffix = config.answers.suffix_ids(tokenizer, kind) if config.kind == ENTITIES else _end_ids(tokenizer, config)
    room = None if window is None else window - len(suffix)
    if room is not None and config.kind == ENTITIES:
        room -= config.max_new_tokens + 1
    if room is not None and room < 1:
        raise ValueError(
            f"The model reads {window} tokens and an answer may have {config.max_new_tokens}, which leaves none for "
            "the utterance; lower max_new_tokens."
        )
    rows = tokenizer(list(contents))["input_ids"] if contents else []
    rows = [row[:-1] if row and row[-1] == tokenizer.eos_token_id else row for row in rows]
    empty = next((place for place, row in enumerate(rows) if not row), None)
    if empty is not None:
        raise ValueError(f"Example {empty} is empty: there is nothing to read.")
    num_cut = sum(room is not None and len(row) > room for row in rows)
    return Prompts([row[:room] + suffix for row in rows], num_cut)


def write_end(tokenizer: PreTrainedTokenizerBase, config: SluConfig) -> None:
    """
    Have a tokenizer write by itself the end that the model reads, so that a plain `tokenizer(content)` gives its ids.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's, which is changed; but not where it does something of its
            own behind a text, or is not of the tokenizers library.
        config ([`SluConfig`]): What the model does.
    """
    backend, end = getattr(tokenizer, "backend_tokenizer", None), _end_ids(tokenizer, config)
    if config.kind == ENTITIES or backend is None or not end:
        return
    before, probed = backend.post_processor, tokenizer(_PROBE)["input_ids"]
    inner = tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
    first = probed[: len(probed) - len(inner)]
    if [*first, *inner] != probed:
        return
    names = tokenizer.convert_ids_to_tokens([*first, *end])
    around = " ".join([*names[:-1], "$A", names[-1]])
    backend.post_processor = TemplateProcessing(single=around, special_tokens=list(zip(names, [*first, *end])))
    if tokenizer(_PROBE)["input_ids"] != [*probed, *end]:
        backend.post_processor = before


def _end_ids(tokenizer: PreTrainedTokenizerBase, config: SluConfig) -> list[int]:
    """What ends an utterance whose class is told; nothing where models take that token for padding."""
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    return [] if not config.reads_end or end is None or pad in (None, end) else [end]


@torch.inference_mode()
def classify(model: PreTrainedModel, prompts: Sequence[Sequence[int]], batch_size: int = 32) -> np.ndarray:
    """
    Probabilities of the classes.

    Args:
        model (`PreTrainedModel`): For sequence classification.
        prompts (`Sequence[Sequence[int]]`): Ids of each example.
        batch_size (`int`, *optional*, defaults to 32): Examples at once, of like lengths.

    Returns:
        `np.ndarray` of shape `(num_examples, num_labels)`: float64, in the order of the examples.
    """
    order = sorted(range(len(prompts)), key=lambda place: (len(prompts[place]), place))
    found = np.zeros((len(prompts), model.config.num_labels))
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        batch = pad_right([prompts[place] for place in places], model.config.pad_token_id)
        logits = model(**{name: tensor.to(model.device) for name, tensor in batch.items()}, use_cache=False).logits
        found[places] = torch.softmax(logits.double(), dim=-1).cpu().numpy()
    return found


def find_entities(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    config: SluConfig,
    prompts: Sequence[Sequence[int]],
    batch_size: int = 32,
) -> list[Answer]:
    """
    What a model writes behind each prompt, the likeliest token after the other.

    Args:
        model (`PreTrainedModel`): A causal language model.
        tokenizer (`PreTrainedTokenizerBase`): The grown one.
        config ([`SluConfig`]): What it does.
        prompts (`Sequence[Sequence[int]]`): Ids of each example, `<entities>` last.
        batch_size (`int`, *optional*, defaults to 32): Examples at once.

    Returns:
        `list[Answer]`: In the order of the examples.
    """
    drawing = Drawing(max_new_tokens=config.max_new_tokens, temperature=0.0)
    written = continue_prompts(model, prompts, drawing, batch_size)
    return [Answer(config.answers.read(tokenizer, one.ids), one.reason == LIMIT) for one in written]


def pad_right(rows: Sequence[Sequence[int]], pad: int) -> dict[str, torch.Tensor]:
    """Ids as a batch, padded behind their end: `input_ids` and `attention_mask` of shape `(batch_size, longest)`."""
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.as_tensor(list(row))
        mask[place, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}
