"""Tokenizers of text: SentencePiece BPE (Text-BPE), characters (Text-Raw) (2412.17048, Section 3.1), letters alone.

text -> one space in front -> pieces or characters -> ids, and back without the loss of a single space.
The space in front makes every text start a word, so that a continuation tokenised by itself goes on where its context
ended, and the two read as one text again when their ids are decoded together.
"""

import string
import unicodedata
from collections.abc import Iterable, Iterator

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from .base import (
    INPUT_SENTENCE_SIZE,
    SPECIAL_TOKENS,
    UNK_TOKEN,
    UNKNOWN_CHARACTER,
    derive_merges,
    finish_tokenizer,
    sample_contents,
    train_pieces,
)

# Always in the vocabulary, whatever the corpus has: a pseudo-word may have a letter that no word starts with.
BASE_CHARACTERS = string.ascii_letters + string.digits + ".,;:!?'\"-()"

# SentencePiece writes a space like this.
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
# What it has another use for, and drops without a word.
_KEPT_FOR_ITSELF = {_SPACE, "\u2585", "\n", UNKNOWN_CHARACTER}


def train_text_bpe(
    contents: Iterable[str], vocab_size: int = 2048, input_sentence_size: int = INPUT_SENTENCE_SIZE
) -> PreTrainedTokenizerFast:
    """
    Train the tokenizer of Text-BPE: SentencePiece BPE within words. Every character of the texts gets a piece.

    Args:
        contents (`Iterable[str]`): The texts of the training split, read once.
        vocab_size (`int`, *optional*, defaults to 2048): Number of ids, special tokens included (2412.17048, Table 2).
        input_sentence_size (`int`, *optional*, defaults to 8000): Texts that SentencePiece sees, drawn by a fixed
            seed where there are more.

    Returns:
        `PreTrainedTokenizerFast`: A tokenizer whose ids are those of the SentencePiece model.

    Raises:
        `ValueError`: If the vocabulary does not fit the corpus, or a text has a character that SentencePiece keeps
            for itself.
    """
    pieces, merges = train_text_pieces(contents, vocab_size, input_sentence_size)
    vocab = {piece: index for index, piece in enumerate(pieces)}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token=UNK_TOKEN))
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


def train_text_pieces(
    contents: Iterable[str], vocab_size: int, input_sentence_size: int = INPUT_SENTENCE_SIZE
) -> tuple[list[str], list[tuple[str, str]]]:
    """
    Train the SentencePiece BPE of Text-BPE, for it and for what reads text among other things.

    Args:
        contents (`Iterable[str]`): The texts of the training split, read once.
        vocab_size (`int`): Number of pieces, special tokens included.
        input_sentence_size (`int`, *optional*, defaults to 8000): Texts that SentencePiece sees, drawn by a fixed
            seed where there are more.

    Returns:
        `tuple[list[str], list[tuple[str, str]]]`: The pieces by id, and the merges that build them.

    Raises:
        `ValueError`: As [`train_text_bpe`].
    """
    characters: dict[str, int] = {}
    sentences = sample_contents(_note_characters(contents, characters), input_sentence_size)
    alphabet = {*BASE_CHARACTERS, *characters} - _KEPT_FOR_ITSELF - {" "}
    pieces = train_pieces(sentences, vocab_size, alphabet, name="text_bpe", is_text=True)
    _check_characters(characters, set(pieces))
    return pieces, derive_merges(pieces[len(SPECIAL_TOKENS) :])


def train_text_raw(contents: Iterable[str]) -> PreTrainedTokenizerFast:
    """
    Make the tokenizer of Text-Raw: one id a character, the space among them.

    Args:
        contents (`Iterable[str]`): The texts of the training split, read once. Characters that only they have are
            added to [`BASE_CHARACTERS`].

    Returns:
        `PreTrainedTokenizerFast`: A tokenizer of about 80 ids.
    """
    characters = set(BASE_CHARACTERS)
    for content in contents:
        characters.update(content)
    alphabet = sorted(characters - {" ", UNKNOWN_CHARACTER})
    vocab = {token: index for index, token in enumerate([*SPECIAL_TOKENS, " ", *alphabet])}
    # BPE without merges: it cuts a text into its characters, and is the one model that needs no pattern to do so.
    backend = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token=UNK_TOKEN))
    backend.normalizer = normalizers.Prepend(" ")
    backend.decoder = decoders.Sequence([decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return finish_tokenizer(backend, has_words=False)


def train_text_raw_no_space(contents: Iterable[str]) -> PreTrainedTokenizerFast:
    """
    Make the tokenizer of Text-Raw without spaces: one id a letter or digit. It passes over all other characters, so
    that text with its spaces and punctuation gives the same ids as the modality's content.

    Args:
        contents (`Iterable[str]`): The texts of the training split, read once. Letters that only they have are added
            to the English ones.

    Returns:
        `PreTrainedTokenizerFast`: A tokenizer of about 65 ids.
    """
    characters = set(string.ascii_letters + string.digits)
    for content in contents:
        characters.update(letters_of(content))
    vocab = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *sorted(characters)])}
    backend = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token=UNK_TOKEN))
    backend.normalizer = normalizers.Replace(Regex(r"[^\p{L}\p{M}\p{N}]"), "")
    backend.decoder = decoders.Fuse()
    return finish_tokenizer(backend, has_words=False)


def letters_of(text: str) -> str:
    """A text without its spaces and punctuation: letters with their marks, and digits."""
    return "".join(character for character in text if unicodedata.category(character)[0] in "LMN")


def _note_characters(contents: Iterable[str], first_rows: dict[str, int]) -> Iterator[str]:
    """Contents as they are; the number of the first row that has it is noted for each character."""
    for row, content in enumerate(contents):
        first_rows.update(dict.fromkeys(set(content).difference(first_rows), row))
        yield content


def _check_characters(characters: dict[str, int], vocab: set[str]) -> None:
    for character in sorted(characters.keys() - {" ", *vocab} | characters.keys() & {_SPACE}):
        raise ValueError(
            f"text_bpe: row {characters[character]} has the character {character!r} (U+{ord(character):04X}), which "
            "SentencePiece keeps for itself; take it out of the text."
        )
