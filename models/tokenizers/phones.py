"""Tokenizers of phones: one id a phone (Phone-Raw, Phone-Stretch, Phone-Repeat) and BPE over phones (Phone-BPE).

"SIL DH AH0 ... SIL" -> phones -> ids, and back (2412.17048, Section 3.1). For BPE every phone is written as one
private-use character, by the tokenizer's own normalizer, and written out again by its decoder.
"""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ..phones import ARPABET, SIL
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

# The basic plane's private-use area, one character a phone.
_CHARACTERS = {phone: chr(0xE000 + index) for index, phone in enumerate(ARPABET)}
_AREA = "\ue000-\uf8ff"


def train_phone_raw() -> PreTrainedTokenizerFast:
    """
    Make the tokenizer of Phone-Raw, Phone-Stretch and Phone-Repeat: one id for each of the 71 phones.

    The alphabet is fixed, so there is nothing to train on.

    Returns:
        `PreTrainedTokenizerFast`: A tokenizer of 75 ids.
    """
    return word_level_tokenizer(ARPABET)


def train_phone_bpe(
    contents: Iterable[str], vocab_size: int = 2048, input_sentence_size: int = INPUT_SENTENCE_SIZE
) -> PreTrainedTokenizerFast:
    """
    Train the tokenizer of Phone-BPE: SentencePiece BPE over phones.

    Phones carry no word boundaries, so a piece may cross words, as in the paper. It never crosses or holds a silence,
    which stays an id of its own.

    Args:
        contents (`Iterable[str]`): The phones of the training split, `"SIL DH AH0 ..."`, read once.
        vocab_size (`int`, *optional*, defaults to 2048): Number of ids, special tokens included (2412.17048, Table 2).
        input_sentence_size (`int`, *optional*, defaults to 8000): Contents that SentencePiece sees, drawn by a fixed
            seed where there are more.

    Returns:
        `PreTrainedTokenizerFast`: A tokenizer whose ids are those of the SentencePiece model.

    Raises:
        `ValueError`: If the vocabulary does not fit the corpus, or a content has a symbol that is no phone.
    """
    runs = []
    for row, content in enumerate(sample_contents(contents, input_sentence_size)):
        phones = content.split()
        if unknown := sorted(set(phones) - _CHARACTERS.keys()):
            raise ValueError(f"phone_bpe: row {row} has the symbol {unknown[0]!r}, which is no ARPAbet phone.")
        runs.extend("".join(_CHARACTERS[phone] for phone in phones).split(_CHARACTERS[SIL]))
    pieces = train_pieces(runs, vocab_size, _CHARACTERS.values(), name="phone_bpe", is_text=False)
    backend = Tokenizer(
        models.BPE(
            vocab={piece: index for index, piece in enumerate(pieces)},
            merges=derive_merges(pieces[len(SPECIAL_TOKENS) :]),
            unk_token=UNK_TOKEN,
        )
    )
    backend.normalizer = normalizers.Sequence(
        [
            # A private-use character in the content would pass for a phone.
            normalizers.Replace(Regex(f"[{_AREA}]"), UNKNOWN_CHARACTER),
            *symbol_boundaries(),
            # A whole symbol: behind it is the end, the next symbol's space or a symbol already replaced.
            *(
                normalizers.Replace(Regex(f" {phone}(?![^ {_AREA}])"), character)
                for phone, character in _CHARACTERS.items()
            ),
            normalizers.Replace(Regex(f" [^ {_AREA}]*"), UNKNOWN_CHARACTER),
        ]
    )
    # No piece holds a silence, so silences can be cut out first: what lies between is short, and quick to merge.
    backend.pre_tokenizer = pre_tokenizers.Split(_CHARACTERS[SIL], "isolated")
    backend.decoder = decoders.Sequence(
        [
            *(decoders.Replace(character, f" {phone}") for phone, character in _CHARACTERS.items()),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return finish_tokenizer(backend, has_words=False)


def word_level_tokenizer(symbols: Iterable[str]) -> PreTrainedTokenizerFast:
    """
    Make a tokenizer of symbols with spaces between them: the special tokens have ids 0 to 3, the symbols follow.

    Args:
        symbols (`Iterable[str]`): The alphabet, in the order of its ids.
    """
    vocab = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *symbols])}
    backend = Tokenizer(models.WordLevel(vocab=vocab, unk_token=UNK_TOKEN))
    # "<s>" in a content is an unknown symbol, not the start of a sequence.
    backend.normalizer = normalizers.Replace(Regex("[<>]"), UNKNOWN_CHARACTER)
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return finish_tokenizer(backend)


def symbol_boundaries() -> list[normalizers.Normalizer]:
    """The normalizers that put one space in front of each symbol and none behind the last."""
    return [normalizers.Strip(), normalizers.Prepend(" "), normalizers.Replace(Regex(r"\s+"), " ")]
