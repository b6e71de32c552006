"""What all tokenizers share: the special tokens, SentencePiece training and the form in which they are published.

contents -> SentencePiece pieces -> merges -> a `tokenizers.Tokenizer` -> [`finish_tokenizer`] -> a fast tokenizer that
saves as a plain `tokenizer.json`. The kinds themselves are in `text.py`, `phones.py` and `units.py`.
"""

import io
import random
import re
from collections.abc import Iterable

from tokenizers import Tokenizer, processors
from transformers import PreTrainedTokenizerFast

PAD_TOKEN, BOS_TOKEN, EOS_TOKEN, UNK_TOKEN = SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<unk>")

# What normalizers put in the place of a symbol outside the alphabet. It is in no vocabulary (SentencePiece cannot even
# hold it), so that whatever is unknown becomes `<unk>`, and nothing vanishes.
UNKNOWN_CHARACTER = "\0"

INPUT_SENTENCE_SIZE = 8_000
"""Contents that SentencePiece is trained on, at most: about 400,000 words of utterances."""
_SAMPLE_SEED = 0


def finish_tokenizer(backend: Tokenizer, has_words: bool = True) -> PreTrainedTokenizerFast:
    """
    Give a tokenizer its special tokens and everything that `AutoTokenizer` has to find in its folder.

    `tokenizer(content)` puts `<s>` in front and nothing behind: that is how a prompt starts, and how a sequence is
    scored. The end of an utterance is a matter of training, which adds `</s>` by itself. `tokenizer(context,
    continuation)` tokenises the two separately and gives one sequence, as they are scored.

    Special tokens written out in a content are content: `"<s>"` in a text is three characters, not the start of a
    sequence.

    Args:
        backend (`tokenizers.Tokenizer`): A tokenizer whose vocabulary holds the four special tokens.
        has_words (`bool`, *optional*, defaults to `True`): Whether its model is given words, which come again. It
            remembers 10,000 results; where they are of whole texts, these are 100 MB that nobody asks for.

    Returns:
        `PreTrainedTokenizerFast`: The tokenizer, to be saved with `save_pretrained`.
    """
    backend.post_processor = processors.TemplateProcessing(
        single=f"{BOS_TOKEN} $A",
        pair=f"{BOS_TOKEN} $A $B",
        special_tokens=[(BOS_TOKEN, backend.token_to_id(BOS_TOKEN))],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD_TOKEN,
        bos_token=BOS_TOKEN,
        eos_token=EOS_TOKEN,
        unk_token=UNK_TOKEN,
        # Llama takes no token types, and prompts of a batch have to end, not start, together.
        model_input_names=["input_ids", "attention_mask"],
        padding_side="left",
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,
    )
    if not has_words:
        tokenizer.backend_tokenizer.model._resize_cache(0)  # the backend was copied, without what its model was given
    return tokenizer


def sample_contents(contents: Iterable[str], size: int) -> list[str]:
    """
    Draw contents for SentencePiece, which keeps all that it is given in memory.

    The draw is uniform and its seed fixed (reservoir sampling: Vitter 1985, algorithm R). SentencePiece could draw by
    itself (`input_sentence_size`), but from a generator that it shares with all that is trained in the same process.

    Args:
        contents (`Iterable[str]`): Contents, read once.
        size (`int`): How many; all of them where there are no more.

    Returns:
        `list[str]`: Contents in their order.
    """
    rng = random.Random(_SAMPLE_SEED)
    kept: list[tuple[int, str]] = []
    for row, content in enumerate(contents):
        if row < size:
            kept.append((row, content))
        elif (place := rng.randrange(row + 1)) < size:
            kept[place] = (row, content)
    return [content for _, content in sorted(kept)]


def train_pieces(
    sentences: Iterable[str], vocab_size: int, alphabet: Iterable[str], name: str, is_text: bool, reserved: int = 0
) -> list[str]:
    """
    Train a SentencePiece BPE model and return its pieces.

    Nothing is normalised, no sentence is dropped for its length and every character of the alphabet gets a piece,
    seen or not. The result depends on the sentences alone, and not on their order.

    Args:
        sentences (`Iterable[str]`): What to train on, kept in memory; empty ones are left out.
        vocab_size (`int`): How many pieces, special tokens included.
        alphabet (`Iterable[str]`): Characters that get a piece in any case.
        name (`str`): What errors call the tokenizer.
        is_text (`bool`): Whether this is text: then a sentence starts a word, and pieces keep within words.
        reserved (`int`, *optional*, defaults to 0): How many entries the caller adds. They count in errors.

    Returns:
        `list[str]`: The pieces by id: the special tokens, then merged pieces by rank, then the characters of the
        sentences, then those that only the alphabet has.

    Raises:
        `ValueError`: If there is nothing to train on, or the vocabulary is too large or too small for it.
    """
    # Imported here: a tokenizer that only encodes does not need it.
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    sentences = [sentence for sentence in sentences if sentence]
    if not sentences:
        raise ValueError(f"{name}: there is nothing to train a tokenizer on; the corpus is empty.")
    # SentencePiece gives no piece to a character that it has not seen, asked for or not.
    unseen = sorted(set(alphabet).difference(*sentences))
    smallest = len(SPECIAL_TOKENS) + len(set(alphabet).union(*sentences, " " if is_text else ""))
    if vocab_size < smallest:
        raise ValueError(
            f"{name}: a vocabulary of {vocab_size + reserved} is too small, single symbols alone take "
            f"{smallest + reserved}; raise vocab_size (of a study --{_flag(name)})."
        )
    model = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size - len(unseen),
            character_coverage=1.0,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=is_text,
            split_by_unicode_script=is_text,
            split_by_number=is_text,
            # It drops longer lines: 4,192 bytes unless told otherwise, and an utterance in units is longer than that.
            max_sentence_length=1 << 30,
            num_threads=1,
            pad_id=0,
            bos_id=1,
            eos_id=2,
            unk_id=3,
            pad_piece=PAD_TOKEN,
            bos_piece=BOS_TOKEN,
            eos_piece=EOS_TOKEN,
            unk_piece=UNK_TOKEN,
            minloglevel=2,
        )
    except RuntimeError as error:
        largest = re.search(r"Vocabulary size too high .*<= (\d+)", str(error))
        if not largest:
            raise
        raise ValueError(
            f"{name}: a vocabulary of {vocab_size + reserved} is too large for this corpus, which yields "
            f"{int(largest[1]) + len(unseen) + reserved} at most; lower vocab_size (of a study --{_flag(name)}) or "
            "take a larger corpus."
        ) from error
    processor = SentencePieceProcessor(model_proto=model.getvalue())
    return [*(processor.id_to_piece(index) for index in range(processor.get_piece_size())), *unseen]


def _flag(name: str) -> str:
    """Of a study, what says how many pieces a tokenizer has."""
    return "unit_bpe_vocab_size" if name == "units_bpe" else "bpe_vocab_size"


def derive_merges(pieces: Iterable[str]) -> list[tuple[str, str]]:
    """
    Write SentencePiece pieces as the merges that build them, the best first.

    SentencePiece joins the pair whose result has the lowest rank, whichever pair that is, so every way to cut a piece
    in two is a merge of that rank.

    Args:
        pieces (`Iterable[str]`): Pieces by rank, without the special tokens.
    """
    pieces = list(pieces)
    known = set(pieces)
    cuts = ((piece[:cut], piece[cut:]) for piece in pieces for cut in range(1, len(piece)))
    return [(left, right) for left, right in cuts if left in known and right in known]
