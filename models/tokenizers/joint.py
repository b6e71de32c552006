"""The tokenizer of joint models: pieces of text and pieces of units in one vocabulary (2310.08715, Section 3).

"<text> The cat <text_to_speech> ▪17▪942" -> ids, and back. Text is cut as Text-BPE cuts it and units as Speech-BPE
does, so that a joint model reads what the models of one modality read; four tokens say which of the two follows.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from .base import INPUT_SENTENCE_SIZE, SPECIAL_TOKENS, UNK_TOKEN, UNKNOWN_CHARACTER, finish_tokenizer
from .text import train_text_pieces
from .units import digit_merges, integers_below, train_unit_pieces, unit_names

SPEECH_TOKEN, TEXT_TOKEN = "<speech>", "<text>"
"""What a sequence begins with: the modality of what follows."""
TO_TEXT_TOKEN, TO_SPEECH_TOKEN = "<speech_to_text>", "<text_to_speech>"
"""What stands where the modality changes."""
MODALITY_TOKENS = (SPEECH_TOKEN, TEXT_TOKEN, TO_TEXT_TOKEN, TO_SPEECH_TOKEN)

UNIT_MARK = "\N{BLACK SMALL SQUARE}"
"""What a unit is written with, so that it is no number of the text: ▪17."""

_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
_MODALITY_AFTER = {
    SPEECH_TOKEN: "speech",
    TO_SPEECH_TOKEN: "speech",
    TEXT_TOKEN: "text",
    TO_TEXT_TOKEN: "text",
}


LOSS_ON = ("all", "speech", "text", "target")
"""What of a sequence a model is trained to predict; see [`bears_loss`]."""


@dataclass(frozen=True)
class Segment:
    """
    What a joint sequence has in one modality, without the token in front of it.

    Args:
        modality (`str`): `"speech"` or `"text"`.
        start (`int`): Number of its first id in the sequence.
        end (`int`): Number behind its last.
        text (`str`, *optional*): The text, of text.
        units (`list[int]`, *optional*): The units, of speech.
    """

    modality: str
    start: int
    end: int
    text: str | None = None
    units: list[int] | None = None


def train_joint(
    texts: Iterable[str],
    unit_contents: Iterable[str],
    num_units: int,
    text_vocab_size: int = 2048,
    unit_vocab_size: int | None = 10_000,
    input_sentence_size: int = INPUT_SENTENCE_SIZE,
) -> PreTrainedTokenizerFast:
    """
    Train the tokenizer of joint models: SentencePiece BPE on text, and on units.

    Ids are in this order: the special tokens, those of modalities, the pieces of text, a mark that never comes out of
    it, and the units or their pieces.

    Args:
        texts (`Iterable[str]`): The texts of the training split, read once.
        unit_contents (`Iterable[str]`): The units of the training split, `"17 942 ..."`, each run once; read once.
        num_units (`int`): K, the size of the codebook.
        text_vocab_size (`int`, *optional*, defaults to 2048): Number of pieces of text, the four special tokens
            included, as in Text-BPE.
        unit_vocab_size (`int`, *optional*, defaults to 10000): Number of pieces of units, larger than K
            (2310.08715: "SP 10k"). `None`: one id a unit and no pieces.
        input_sentence_size (`int`, *optional*, defaults to 8000): Contents that SentencePiece sees of each, drawn by
            a fixed seed where there are more.

    Returns:
        `PreTrainedTokenizerFast`: A tokenizer that saves as one plain `tokenizer.json`.

    Raises:
        `ValueError`: If a vocabulary does not fit the corpus or K, or a content has a symbol that is no unit.
    """
    pieces = train_text_pieces(texts, text_vocab_size, input_sentence_size)
    return _join(*pieces, unit_contents, num_units, unit_vocab_size, input_sentence_size)


def join_units(
    text_tokenizer: PreTrainedTokenizerBase,
    unit_contents: Iterable[str],
    num_units: int,
    unit_vocab_size: int | None = 10_000,
    input_sentence_size: int = INPUT_SENTENCE_SIZE,
) -> PreTrainedTokenizerFast:
    """
    Make the tokenizer of joint models that go on from a model of text: its pieces of text, and units.

    A tokenizer of [`~evoslm.models.tokenizers.text.train_text_bpe`] gives its pieces to one as [`train_joint`] makes
    it. Any other keeps what it has, ids and all, and modality tokens and units are added to it, an id each; a sequence
    begins with its own token for that, or with the one for the end where it has none.

    Args:
        text_tokenizer (`PreTrainedTokenizerBase`): The tokenizer of the model of text.
        unit_contents (`Iterable[str]`): The units of the training split, `"17 942 ..."`, each run once; read once.
        num_units (`int`): K, the size of the codebook.
        unit_vocab_size (`int`, *optional*, defaults to 10000): Number of pieces of units. `None`: one id a unit and no
            pieces.
        input_sentence_size (`int`, *optional*, defaults to 8000): As in [`train_joint`].

    Returns:
        `PreTrainedTokenizerFast`: A tokenizer that saves as one plain `tokenizer.json`.

    Raises:
        `ValueError`: If the tokenizer is no fast one, has no token for the end of a sequence or has those of joint
            models already, or if pieces of units are asked for that it cannot have.
    """
    if not getattr(text_tokenizer, "is_fast", False):
        raise ValueError("A model of text needs a tokenizer.json to be gone on with; this one has a slow tokenizer.")
    if text_tokenizer.convert_tokens_to_ids(SPEECH_TOKEN) not in (None, text_tokenizer.unk_token_id):
        raise ValueError(f"The tokenizer has {SPEECH_TOKEN} already: its model is a joint one.")
    pieces = _text_bpe_pieces(text_tokenizer)
    if pieces is not None:
        return _join(*pieces, unit_contents, num_units, unit_vocab_size, input_sentence_size)
    if unit_vocab_size is not None:
        raise ValueError(
            "Pieces of units can be joined to a tokenizer of Text-BPE alone; to any other units are added one by one "
            "(unit_vocab_size None; of pretrain-joint --units runs)."
        )
    if text_tokenizer.eos_token is None:
        raise ValueError("The tokenizer of the model of text has no token for the end of a sequence (eos_token).")
    return _extend(text_tokenizer, num_units)


def _text_bpe_pieces(tokenizer: PreTrainedTokenizerBase) -> tuple[list[str], list[tuple[str, str]]] | None:
    """The pieces and merges of a tokenizer of Text-BPE; `None` of any other."""
    written = json.loads(tokenizer.backend_tokenizer.to_str())
    model, cut = written["model"], written["pre_tokenizer"]
    cuts_words = cut is not None and cut.get("pattern") == {"String": _SPACE}
    if (
        model["type"] != "BPE"
        or not cuts_words
        or [model["vocab"].get(token) for token in SPECIAL_TOKENS] != [0, 1, 2, 3]
    ):
        return None
    return sorted(model["vocab"], key=model["vocab"].get), [tuple(merge) for merge in model["merges"]]


def _extend(text_tokenizer: PreTrainedTokenizerBase, num_units: int) -> PreTrainedTokenizerFast:
    """A tokenizer of another make, with modality tokens and units added to what it has."""
    begin = text_tokenizer.bos_token or text_tokenizer.eos_token
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=text_tokenizer.backend_tokenizer,
        bos_token=begin,
        eos_token=text_tokenizer.eos_token,
        unk_token=text_tokenizer.unk_token,
        pad_token=text_tokenizer.pad_token or text_tokenizer.eos_token,
        model_input_names=["input_ids", "attention_mask"],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    # Text keeps the space in front of its first word: it is the word that the model knows within a sentence.
    tokenizer.add_tokens([AddedToken(token, lstrip=True, normalized=False) for token in MODALITY_TOKENS])
    names = (f"{UNIT_MARK}{unit}" for unit in unit_names(num_units))
    tokenizer.add_tokens([AddedToken(name, lstrip=True, normalized=False) for name in names])
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A $B", special_tokens=[(begin, tokenizer.bos_token_id)]
    )
    return tokenizer


def _join(
    pieces: list[str],
    merges: list[tuple[str, str]],
    unit_contents: Iterable[str],
    num_units: int,
    unit_vocab_size: int | None,
    input_sentence_size: int,
) -> PreTrainedTokenizerFast:
    """One BPE of pieces of text and of units, or of pieces of them."""
    if unit_vocab_size is None:
        units, unit_merges = (
            [f"{UNIT_MARK}{unit}" for unit in unit_names(num_units)],
            digit_merges(num_units, UNIT_MARK),
        )
    else:
        units, unit_merges = train_unit_pieces(
            unit_contents, num_units, unit_vocab_size, UNIT_MARK, input_sentence_size=input_sentence_size
        )
    steps = [token for token in (UNIT_MARK, *"0123456789") if token not in pieces]
    tokens = [*SPECIAL_TOKENS, *MODALITY_TOKENS, *pieces[len(SPECIAL_TOKENS) :], *steps, *units]
    # Units first: with a mark in front of them, digits never join as they do in text.
    backend = Tokenizer(
        models.BPE(
            vocab={token: index for index, token in enumerate(tokens)},
            merges=unit_merges + merges,
            unk_token=UNK_TOKEN,
        )
    )
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(_SPACE, UNKNOWN_CHARACTER),
            normalizers.Replace(
                Regex(f"{UNIT_MARK}(?!(?:{integers_below(num_units)})(?:{UNIT_MARK}|$))[0-9]*"), UNKNOWN_CHARACTER
            ),
            normalizers.Prepend(_SPACE),
            normalizers.Replace(" ", _SPACE),
            normalizers.Replace(Regex(f"^{_SPACE}(?={UNIT_MARK})"), ""),
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(f"(?:{UNIT_MARK}[0-9]+)+"), "isolated"),
            pre_tokenizers.Split(_SPACE, "merged_with_next"),
        ]
    )
    backend.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer = finish_tokenizer(backend, has_words=False)
    # Not special: `<s>` in a text is three characters, but these are written in contents, and shown when decoded.
    tokenizer.add_tokens([AddedToken(token, lstrip=True, rstrip=True, normalized=False) for token in MODALITY_TOKENS])
    return tokenizer


def split_segments(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[Segment]:
    """
    Read a joint sequence: what it has in text, what in speech, and where.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): One of [`train_joint`].
        ids (`Sequence[int]`): A sequence, `<s>` and `</s>` among them or not.

    Returns:
        `list[Segment]`: In their order. One that has nothing in it is among them.

    Raises:
        `ValueError`: If ids stand before the first token of a modality, a unit stands in text or text in speech.
    """
    tokens = tokenizer.convert_ids_to_tokens([int(index) for index in ids])
    skipped = _not_content(tokenizer)
    segments: list[tuple[str, int]] = []
    ends: list[int] = []
    for place, token in enumerate(tokens):
        if token in _MODALITY_AFTER:
            ends.append(place)
            segments.append((_MODALITY_AFTER[token], place + 1))
        elif token in skipped:
            continue
        elif not segments:
            raise ValueError(f"{token!r} stands before the first of {', '.join(MODALITY_TOKENS)}.")
    ends = [*ends[1:], len(tokens)]
    return [_read_segment(tokenizer, tokens, modality, start, end) for (modality, start), end in zip(segments, ends)]


def bears_loss(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], loss_on: str = "all") -> np.ndarray:
    """
    Say which ids of a joint sequence a model is trained to predict.

    A token that ends a segment, a switch or `</s>`, is of the segment that it ends: a model of text learns where text
    stops. The first token, `<speech>` or `<text>`, is of neither.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): One of [`train_joint`].
        ids (`Sequence[int]`): A sequence with `<s>` in front.
        loss_on (`str`, *optional*, defaults to `"all"`): `"all"`; `"speech"` or `"text"`, what is of that modality;
            `"target"`, what is behind the first switch, or all of a sequence without one.

    Returns:
        `np.ndarray` of shape `(len(ids),)`: bool, `False` for `<s>`.

    Raises:
        `ValueError`: If `loss_on` is none of these.
    """
    if loss_on not in LOSS_ON:
        raise ValueError(f"loss_on has to be one of {', '.join(LOSS_ON)}, not {loss_on!r}.")
    ids = np.asarray(ids)
    codes = {"speech": 1, "text": 2}
    modality_of = {tokenizer.convert_tokens_to_ids(token): codes[own] for token, own in _MODALITY_AFTER.items()}
    changes = np.isin(ids, list(modality_of))
    places = np.flatnonzero(changes)
    # How many modality tokens are in front of each id: what it is of is the modality of the last of them.
    number = np.cumsum(changes) - changes
    modalities = np.array([0, *(modality_of[int(index)] for index in ids[places])])[number]
    if loss_on in codes:
        bears = modalities == codes[loss_on]
    elif loss_on == "target" and len(places) > 1:
        bears = number > 1
    else:
        bears = np.ones(len(ids), dtype=bool)
    bears[0] = False
    return bears


def _not_content(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Tokens that begin, end or fill a sequence."""
    return {tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token}


def _read_segment(
    tokenizer: PreTrainedTokenizerBase, tokens: list[str], modality: str, start: int, end: int
) -> Segment:
    skipped = _not_content(tokenizer)
    own = [token for token in tokens[start:end] if token not in skipped]
    for token in own:
        if token.startswith(UNIT_MARK) != (modality == "speech"):
            raise ValueError(f"{token!r} stands in {modality}, where it does not belong.")
    if modality == "text":
        return Segment(modality, start, end, text=tokenizer.convert_tokens_to_string(own).removeprefix(" "))
    return Segment(modality, start, end, units=[int(unit) for unit in "".join(own).split(UNIT_MARK)[1:]])
