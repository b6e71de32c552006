"""Tokenizers by modality: trained on contents, and used to turn contents into ids.

contents -> [`train_tokenizer`] -> a folder with `tokenizer.json` -> `AutoTokenizer` -> [`encode_contents`] -> ids.
A new kind of tokenizer is one file, one name in `models/modalities.py` and one entry in `_TRAINERS`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from ..modalities import get_modality
from .base import INPUT_SENTENCE_SIZE
from .phones import train_phone_bpe, train_phone_raw
from .text import train_text_bpe, train_text_raw, train_text_raw_no_space
from .units import train_units, train_units_bpe

# Each with the arguments that it takes.
_TRAINERS = {
    "text_bpe": (train_text_bpe, {"contents", "vocab_size", "input_sentence_size"}),
    "text_raw": (train_text_raw, {"contents"}),
    "text_raw_no_space": (train_text_raw_no_space, {"contents"}),
    "phone_bpe": (train_phone_bpe, {"contents", "vocab_size", "input_sentence_size"}),
    "phone_raw": (train_phone_raw, set()),
    "units": (train_units, {"num_units"}),
    "units_bpe": (train_units_bpe, {"contents", "num_units", "vocab_size", "input_sentence_size"}),
}


def train_tokenizer(
    modality: str,
    contents: Iterable[str] = (),
    vocab_size: int | None = None,
    num_units: int | None = None,
    input_sentence_size: int = INPUT_SENTENCE_SIZE,
) -> PreTrainedTokenizerFast:
    """
    Train the tokenizer of a modality.

    There is no seed: the same contents give the same `tokenizer.json`, byte for byte.

    Args:
        modality (`str`): One of [`MODALITIES`].
        contents (`Iterable[str]`, *optional*): The contents of the training split, read once and not kept. Phones and
            units have fixed alphabets; their plain tokenizers do not read it.
        vocab_size (`int`, *optional*): Number of ids of a BPE tokenizer, special tokens included; by default 2,048 for
            text and phones and 10,000 for units. The others have the size of their alphabet.
        num_units (`int`, *optional*): K, for the modalities of speech.
        input_sentence_size (`int`, *optional*, defaults to 8000): Contents that SentencePiece sees of a BPE tokenizer,
            drawn by a fixed seed where there are more.

    Returns:
        `PreTrainedTokenizerFast`: A tokenizer to be saved with `save_pretrained`, and read by
        `AutoTokenizer.from_pretrained` without this package.

    Raises:
        `ValueError`: If there is no such modality, an argument does not go with it or is missing, the vocabulary
            does not fit the corpus, or a content has a symbol outside the alphabet.
    """
    kind = get_modality(modality).tokenizer
    train, accepted = _TRAINERS[kind]
    if vocab_size is not None and "vocab_size" not in accepted:
        raise ValueError(f"{modality} has one id a symbol of its alphabet; leave vocab_size out.")
    if num_units is None and "num_units" in accepted:
        raise ValueError(f"{modality} needs num_units, the number of clusters of its speech units.")
    given = {"contents": contents, "vocab_size": vocab_size, "num_units": num_units}
    given["input_sentence_size"] = input_sentence_size
    return train(**{name: given[name] for name in accepted if given[name] is not None})


def encode_contents(
    tokenizer: PreTrainedTokenizerBase, contents: Sequence[str], unknown: str = "error", batch_size: int = 1000
) -> list[np.ndarray]:
    """
    Turn contents into ids, without special tokens, and say so where a symbol is not in the vocabulary.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): A tokenizer with an unknown token.
        contents (`Sequence[str]`): One content a row.
        unknown (`str`, *optional*, defaults to `"error"`): What becomes of a symbol that the vocabulary lacks:
            `"error"` stops and names it, `"unk"` keeps it as the id of `<unk>`.
        batch_size (`int`, *optional*, defaults to 1000): How many rows are tokenised at a time.

    Returns:
        `list[np.ndarray]`: For each row its ids, int32 of shape `(length,)`.

    Raises:
        `ValueError`: If a symbol is unknown and `unknown="error"`, or `unknown` is neither of the two.
    """
    return list(stream_ids(tokenizer, contents, unknown, batch_size))


def stream_ids(
    tokenizer: PreTrainedTokenizerBase, contents: Iterable[str], unknown: str = "error", batch_size: int = 1000
) -> Iterator[np.ndarray]:
    """
    The same one row after the other, so that only those of a batch are held.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): As in [`encode_contents`].
        contents (`Iterable[str]`): One content a row, read once.
        unknown (`str`, *optional*, defaults to `"error"`): As in [`encode_contents`].
        batch_size (`int`, *optional*, defaults to 1000): As in [`encode_contents`].

    Yields:
        `np.ndarray`: Ids of a row, int32 of shape `(length,)`.

    Raises:
        `ValueError`: As [`encode_contents`].
    """
    if unknown not in ("error", "unk"):
        raise ValueError(f"unknown has to be 'error' or 'unk', not {unknown!r}.")
    row, contents = 0, iter(contents)
    while batch := list(islice(contents, batch_size)):
        encoded = tokenizer(batch, add_special_tokens=False, return_attention_mask=False)["input_ids"]
        for content, sequence in zip(batch, encoded):
            ids = np.array(sequence, dtype=np.int32)
            if unknown == "error" and (ids == tokenizer.unk_token_id).any():
                raise ValueError(
                    f"Row {row} has {_name_unknown(tokenizer, content)}, which the tokenizer does not know; train it "
                    "on a corpus that has it, or pass unknown='unk'."
                )
            yield ids
            row += 1


def _name_unknown(tokenizer: PreTrainedTokenizerBase, content: str) -> str:
    encoding = tokenizer(content, add_special_tokens=False, return_offsets_mapping=True)
    start, end = encoding["offset_mapping"][encoding["input_ids"].index(tokenizer.unk_token_id)]
    unknown = content[start:end].strip() or content[start:end]
    # A BPE reports the character that it could not read: show the symbol or word around it as well.
    around = re.match(r"\S*", content[:start][::-1])[0][::-1] + content[start:end] + re.match(r"\S*", content[end:])[0]
    return repr(unknown) if around.strip() in ("", unknown) else f"{unknown!r} (in {around.strip()!r})"
