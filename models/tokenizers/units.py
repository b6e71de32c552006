"""Tokenizers of speech units: one id a unit, and SentencePiece BPE over units (2310.08715, Section 3).

"17 17 942 ..." -> units -> ids, and back. All K units have an id, whether the corpus has them or not. A piece of the
BPE reads as the units that it holds, `▁17▁942`, so that nothing but merges is needed to get there from the content.
"""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers
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
from .phones import symbol_boundaries, word_level_tokenizer

_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
_DIGITS = "0123456789"

# SentencePiece sees each unit as one character of a private-use plane, which has room for 65,534.
_PLANE = 0xF0000
_MAX_UNITS = 0xFFFE


def train_units(num_units: int) -> PreTrainedTokenizerFast:
    """
    Make the tokenizer of units and collapsed units: one id for each of the `num_units` clusters.

    Args:
        num_units (`int`): K, the size of the codebook. Contents are written in the integers from 0 to K - 1.

    Returns:
        `PreTrainedTokenizerFast`: A tokenizer of K + 4 ids.

    Raises:
        `ValueError`: If `num_units` is not a positive number.
    """
    return word_level_tokenizer(unit_names(num_units))


def train_units_bpe(
    contents: Iterable[str],
    num_units: int,
    vocab_size: int = 10_000,
    input_sentence_size: int = INPUT_SENTENCE_SIZE,
) -> PreTrainedTokenizerFast:
    """
    Train the tokenizer of Speech-BPE: SentencePiece BPE over units.

    It is SentencePiece's segmentation, reached in one pass: merges of the lowest ranks put the digits of a unit
    together, `▁1` + `7`, and the learned ones follow. Eleven ids, the digits and the space, are steps on that way and
    never come out of it. A normalizer with one rule a unit would take ten times as long at K = 2,048.

    Args:
        contents (`Iterable[str]`): The units of the training split, `"17 942 ..."`, read once.
        num_units (`int`): K, the size of the codebook.
        vocab_size (`int`, *optional*, defaults to 10000): Number of ids, special tokens and the eleven included.
            It has to be larger than K (2310.08715: "SP 10k").
        input_sentence_size (`int`, *optional*, defaults to 8000): Contents that SentencePiece sees, drawn by a fixed
            seed where there are more.

    Returns:
        `PreTrainedTokenizerFast`: The tokenizer.

    Raises:
        `ValueError`: If the vocabulary does not fit the corpus or K, or a content has a symbol that is no unit.
    """
    steps = [_SPACE, *_DIGITS]
    others = [*SPECIAL_TOKENS, *steps]
    num_pieces = vocab_size - len(others)
    pieces, merges = train_unit_pieces(contents, num_units, num_pieces, _SPACE, len(others), input_sentence_size)
    vocab = {token: index for index, token in enumerate([*others, *pieces])}

    backend = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token=UNK_TOKEN))
    backend.normalizer = normalizers.Sequence(
        [
            *symbol_boundaries(),
            normalizers.Replace(Regex(f" (?!(?:{integers_below(num_units)})(?: |$))[^ ]*"), UNKNOWN_CHARACTER),
            normalizers.Replace(" ", _SPACE),
        ]
    )
    backend.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return finish_tokenizer(backend, has_words=False)


def unit_steps(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """
    The ids that are but steps on the way to a piece of units, and that no content has.

    Args:
        tokenizer (`PreTrainedTokenizerFast`): One of [`train_units_bpe`].

    Returns:
        `list[int]`: Those of the digits and the space.
    """
    return tokenizer.convert_tokens_to_ids([_SPACE, *_DIGITS])


def train_unit_pieces(
    contents: Iterable[str],
    num_units: int,
    num_pieces: int,
    mark: str,
    reserved: int = 0,
    input_sentence_size: int = INPUT_SENTENCE_SIZE,
) -> tuple[list[str], list[tuple[str, str]]]:
    """
    Train SentencePiece BPE over units, and write its pieces and merges with a mark before each unit, `▁17▁942`.

    Args:
        contents (`Iterable[str]`): Units, `"17 942 ..."`, read once.
        num_units (`int`): K, the size of the codebook.
        num_pieces (`int`): How many pieces, larger than K.
        mark (`str`): One character, which is written in front of each unit.
        reserved (`int`, *optional*, defaults to 0): How many entries the caller adds. They count in errors.
        input_sentence_size (`int`, *optional*, defaults to 8000): Contents that SentencePiece sees, drawn by a fixed
            seed where there are more.

    Returns:
        `tuple[list[str], list[tuple[str, str]]]`: The pieces by rank, and the merges that build them out of marks and
        digits, those of single units first.

    Raises:
        `ValueError`: If the vocabulary does not fit the corpus or K, or a content has a symbol that is no unit.
    """
    characters = {unit: chr(_PLANE + int(unit)) for unit in unit_names(num_units)}
    sentences = []
    for row, content in enumerate(sample_contents(contents, input_sentence_size)):
        units = content.split()
        if unknown := sorted(set(units) - characters.keys()):
            raise ValueError(
                f"units_bpe: row {row} has the symbol {unknown[0]!r}, which is no unit below {num_units}."
            )
        sentences.append("".join(characters[unit] for unit in units))
    special = len(SPECIAL_TOKENS)
    learned = train_pieces(
        sentences,
        num_pieces + special,
        characters.values(),
        name="units_bpe",
        is_text=False,
        reserved=reserved - special,
    )[special:]
    units_of = {character: f"{mark}{unit}" for unit, character in characters.items()}
    readable = {piece: "".join(units_of[character] for character in piece) for piece in learned}
    piece_merges = [(readable[left], readable[right]) for left, right in derive_merges(learned)]
    return list(readable.values()), digit_merges(num_units, mark) + piece_merges


def digit_merges(num_units: int, mark: str) -> list[tuple[str, str]]:
    """
    The merges that put a mark and the digits of a unit together: `▁1` + `7`.

    Args:
        num_units (`int`): K, the size of the codebook.
        mark (`str`): One character, which is written in front of each unit.
    """
    # Shorter ones first: 17 has to stand before 171 can be made of it.
    units = sorted((f"{mark}{unit}" for unit in unit_names(num_units)), key=lambda unit: (len(unit), unit))
    return [(unit[:-1], unit[-1]) for unit in units]


def unit_names(num_units: int) -> list[str]:
    """
    The units as they are written in contents.

    Args:
        num_units (`int`): K, the size of the codebook.

    Raises:
        `ValueError`: If it is no size of a codebook.
    """
    if not 0 < num_units <= _MAX_UNITS:
        raise ValueError(f"num_units has to be between 1 and {_MAX_UNITS}, not {num_units}.")
    return [str(unit) for unit in range(num_units)]


def integers_below(bound: int) -> str:
    """
    Write a regular expression that matches the decimal integers from 0 to `bound - 1`, without leading zeros.

    Args:
        bound (`int`): A positive number.
    """
    largest = str(bound - 1)
    patterns = ["0", *(f"[1-9][0-9]{{{length - 1}}}" for length in range(1, len(largest))), largest]
    for position, digit in enumerate(largest):
        # The same digits as the largest up to here, a smaller one here, any behind.
        lowest = 1 if position == 0 else 0
        if int(digit) > lowest:
            free = len(largest) - position - 1
            patterns.append(f"{largest[:position]}[{lowest}-{int(digit) - 1}][0-9]{{{free}}}")
    return "|".join(patterns)
