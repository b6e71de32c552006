"""Tokenizers of text: SentencePiece BPE (Text-BPE) and characters (Text-Raw) (2412.17048, Section 3.1).

text -> one space in front -> pieces or characters -> ids, and back without the loss of a single space.
The space in front makes every text start a word, so that a continuation tokenised by itself goes on where its context
ended, and the two read as one text again when their ids are decoded together.
"""

import string
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from .base import SPECIAL_TOKENS, UNK_TOKEN, UNKNOWN_CHARACTER, derive_merges, finish_tokenizer, train_pieces

# Always in the vocabulary, whatever the corpus has: a pseudo-word may have a letter that no word starts with.
BASE_CHARACTERS = string.ascii_letters + string.digits + ".,;:!?'\"-()"

# SentencePiece writes a space like this.
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"


def train_text_bpe(contents: Iterable[str], vocab_size: int = 2048) -> PreTrainedTokenizerFast:
    """
    Train the tokenizer of Text-BPE: SentencePiece BPE within words.

    Args:
        contents (`Iterable[str]`): The texts of the training split.
        vocab_size (`int`, *optional*, defaults to 2048): Number of ids, special tokens included (2412.17048, Table 2).

    Returns:
        `PreTrainedTokenizerFast`: A tokenizer whose ids are those of the SentencePiece model.

    Raises:
        `ValueError`: If the vocabulary does not fit the corpus, or a text has a character that SentencePiece keeps
            for itself.
    """
    contents = list(contents)
    pieces = train_pieces(contents, vocab_size, BASE_CHARACTERS, name="text_bpe", is_text=True)
    vocab = {piece: index for index, piece in enumerate(pieces)}
    _check_characters(contents, vocab)

    backend = Tokenizer(
        models.BPE(vocab=vocab, merges=derive_merges(pieces[len(SPECIAL_TOKENS) :]), unk_token=UNK_TOKEN)
    )
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(_SPACE, UNKNOWN_CHARACTER),
            normalizers.Prepend(_SPACE),
            normalizers.Replace(" ", _SPACE),
        ]
    )
    # No piece crosses a word, so words can be cut first: the model then merges within a word, and remembers words.
    backend.pre_tokenizer = pre_tokenizers.Split(_SPACE, "merged_with_next")
    backend.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return finish_tokenizer(backend)


def train_text_raw(contents: Iterable[str]) -> PreTrainedTokenizerFast:
    """
    Make the tokenizer of Text-Raw: one id a character, the space among them.

    Args:
        contents (`Iterable[str]`): The texts of the training split. Characters that only they have are added to
            [`BASE_CHARACTERS`].

    Returns:
        `PreTrainedTokenizerFast`: A tokenizer of about 80 ids.
    """
    characters = sorted(set(BASE_CHARACTERS).union(*contents) - {" ", UNKNOWN_CHARACTER})
    vocab = {token: index for index, token in enumerate([*SPECIAL_TOKENS, " ", *characters])}
    # BPE without merges: it cuts a text into its characters, and is the one model that needs no pattern to do so.
    backend = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token=UNK_TOKEN))
    backend.normalizer = normalizers.Prepend(" ")
    backend.decoder = decoders.Sequence([decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return finish_tokenizer(backend)


def _check_characters(contents: list[str], vocab: dict[str, int]) -> None:
    # SentencePiece drops what it has another use for (U+2585, NUL, an end of line) without a word.
    characters = set().union(*contents)
    for character in sorted(characters - {" ", *vocab} | characters & {_SPACE}):
        row = next(row for row, content in enumerate(contents) if character in content)
        raise ValueError(
            f"text_bpe: row {row} has the character {character!r} (U+{ord(character):04X}), which SentencePiece keeps "
            "for itself; take it out of the text."
        )
