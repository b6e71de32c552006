"""The tokenizer stages: one for each modality, with the ids of its utterances.

shards -> the modality's contents, a few rows at a time (its builder) -> tokenizer trained on the training split -> ids
of every split, written as they come and memory-mapped by training.
"""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...datasets_scripts.phones.lost import count_lost_phones
from ...datasets_scripts.text.passages import read_passages
from ...models.audio import FRAME_SAMPLES
from ...models.files import write_json
from ...models.modalities import get_modality
from ...models.tokenizers.base import INPUT_SENTENCE_SIZE
from ..run.execution import Execution
from ..run.folder import PASSAGES_FILE, SUMMARY_FILE
from ..run.stage import Stage
from .speech import read_stretch_factor


@dataclass(frozen=True)
class TokenizerSettings:
    """
    How contents become ids.

    Args:
        modality (`str`): The modality's name.
        vocab_size (`int`, *optional*): How many ids are asked for; `None` where the alphabet says it.
        num_units (`int`, *optional*): Clusters of the quantizer, for modalities of speech.
        input_sentence_size (`int`, *optional*, defaults to 8000): Utterances that SentencePiece sees.
        frame_samples (`float`, *optional*): Samples from one frame of the encoder to the next, for modalities of
            phones that are as long as its frames.
    """

    modality: str
    vocab_size: int | None = None
    num_units: int | None = None
    input_sentence_size: int = INPUT_SENTENCE_SIZE
    frame_samples: float | None = None


def tokenizer_stage(folder: Path, utterances: Path, units: Path | None, settings: TokenizerSettings) -> Stage:
    """What makes one modality's tokenizer; the arguments are those of [`build_tokenizer`]."""
    inputs = {"utterances": utterances} | ({"units": units} if units else {})
    return Stage(folder, 3, asdict(settings), inputs, packages=("sentencepiece", "tokenizers"))


def build_tokenizer(
    folder: Path,
    utterances: Path,
    units: Path | None,
    settings: TokenizerSettings,
    execution: Execution,
    report_progress=None,
) -> None:
    """
    Build one modality's tokenizer stage: the tokenizer, `<split>.ids.npy`, `<split>.offsets.npy` and `summary.json`.

    Args:
        folder (`Path`): Where to.
        utterances (`Path`): The speech stage that the modality is read from.
        units (`Path`, *optional*): The units of its utterances, for a modality of speech.
        settings ([`TokenizerSettings`]): How contents become ids.
        execution ([`Execution`]): How it is done.
        report_progress (`Callable[[float], None]`, *optional*): Not used: the stage takes seconds.
    """
    from ...datasets_scripts.builders import stream_contents
    from ...models.tokenizers import stream_ids, train_tokenizer
    from ..pretrain.data import write_ids

    name = settings.modality

    def build(partial: Path) -> None:
        options = {}
        if get_modality(name).column == "phones_stretch":
            options["stretch_factor"] = read_stretch_factor(utterances, settings.frame_samples)
        if get_modality(name).column == "phones_repeat":
            options["frame_samples"] = settings.frame_samples
        tokens = {}
        with tempfile.TemporaryDirectory(dir=partial) as cache:
            contents = stream_contents(name, units or utterances, cache, **options)
            sizes = {"vocab_size": settings.vocab_size, "num_units": settings.num_units}
            tokenizer = train_tokenizer(
                name, contents["train"], **sizes, input_sentence_size=settings.input_sentence_size
            )
            tokenizer.save_pretrained(partial)
            for split, rows in contents.items():
                # A character or phone that no training utterance has is <unk> in validation, and scored as such.
                unknown = "error" if split == "train" else "unk"
                tokens[split] = write_ids(partial, split, stream_ids(tokenizer, rows, unknown), len(tokenizer))
        seconds = {split: _seconds(utterances, split) for split in ("train", "validation")}
        lost = {}
        if get_modality(name).column == "phones_repeat" and settings.frame_samples > FRAME_SAMPLES:
            lost = count_lost_phones(utterances, settings.frame_samples)
        write_json(
            partial / SUMMARY_FILE,
            lost
            | {
                "modality": name,
                "vocab_size": len(tokenizer),
                "train_tokens": tokens["train"],
                "validation_tokens": tokens["validation"],
                "validation_seconds": seconds["validation"],
                "tokens_per_second": tokens["train"] / seconds["train"],
            },
        )

    tokenizer_stage(folder, utterances, units, settings).run(build, execution.overwrite)


def check_text_vocabulary(passages: Path, vocab_size: int) -> None:
    """
    Refuse a vocabulary that does not fit the corpus, before anything is spoken.

    Args:
        passages (`Path`): The stage of the text.
        vocab_size (`int`): Pieces that Text-BPE is asked for.

    Raises:
        `ValueError`: If single characters are more pieces, or the corpus yields fewer; the message says how many.
    """
    from ...models.tokenizers.text import train_text_pieces

    train = read_passages(passages / PASSAGES_FILE, "train")
    train_text_pieces((passage.text for passage in train), vocab_size)


def _seconds(utterances: Path, split: str) -> float:
    """Speech of a split in seconds."""
    shards = sorted(utterances.glob(f"{split}-*.parquet"))
    return sum(pc.sum(pq.read_table(shard, columns=["duration"])["duration"]).as_py() for shard in shards)
