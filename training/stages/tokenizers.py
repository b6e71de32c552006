"""The tokenizer stages: one for each modality, with the ids of its utterances.

shards -> the modality's dataset (its builder) -> tokenizer trained on the training split -> ids of every split,
written once and memory-mapped by training.
"""

import shutil
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...models.files import read_json, write_json
from ...models.modalities import Modality, get_modality
from ..arguments.study import Arguments
from ..run.folder import SUMMARY_FILE, Run
from ..run.stage import Stage


def build_tokenizer(arguments: Arguments, run: Run, modality: str, report_progress=None) -> Path:
    """
    Build one modality's tokenizer stage: the tokenizer, `<split>.ids.npy`, `<split>.offsets.npy` and `summary.json`.

    Args:
        arguments ([`Arguments`]): Of the command.
        run ([`Run`]): Where to.
        modality (`str`): The modality's name.
        report_progress (`Callable[[float], None]`, *optional*): Not used: the stage takes seconds.

    Returns:
        `Path`: The stage's folder.
    """
    from ...datasets_scripts.builders.by_name import prepare
    from ...models.tokenizers.by_modality import encode_contents, train_tokenizer
    from ..pretrain.data import write_ids

    entry = get_modality(modality)
    data_dir, _ = modality_source(run, entry)
    stage = tokenizer_stage(arguments, run, modality)
    configuration = stage.configuration
    vocab_size = configuration["vocab_size"]

    def build(folder: Path) -> None:
        cache = folder / "cache"
        dataset = prepare(modality, data_dir, cache, **configuration["builder"])
        num_units = arguments.units.codebook_size(entry.unit_of) if entry.is_speech else None
        tokenizer = train_tokenizer(modality, dataset["train"]["content"], vocab_size=vocab_size, num_units=num_units)
        tokenizer.save_pretrained(folder)
        tokens = {}
        for split, rows in dataset.items():
            # A character or phone that no training utterance has is <unk> in validation, and scored as such.
            unknown = "error" if split == "train" else "unk"
            tokens[split] = write_ids(folder, split, encode_contents(tokenizer, rows["content"], unknown=unknown))
        utterances = run.utterances(run.voices_of(modality))
        seconds = {split: _seconds(utterances, split) for split in ("train", "validation")}
        write_json(
            folder / SUMMARY_FILE,
            {
                "modality": modality,
                "vocab_size": len(tokenizer),
                "train_tokens": tokens["train"],
                "validation_tokens": tokens["validation"],
                "validation_seconds": seconds["validation"],
                "tokens_per_second": tokens["train"] / seconds["train"],
            },
        )
        del dataset
        shutil.rmtree(cache)

    stage.run(build, arguments.run.overwrite)
    return run.tokenizer(modality)


def _seconds(utterances: Path, split: str) -> float:
    """Speech of a split in seconds."""
    shards = sorted(utterances.glob(f"{split}-*.parquet"))
    return sum(pc.sum(pq.read_table(shard, columns=["duration"])["duration"]).as_py() for shard in shards)


def tokenizer_stage(arguments: Arguments, run: Run, modality: str) -> Stage:
    """What makes one modality's tokenizer."""
    entry = get_modality(modality)
    configuration = {
        "modality": modality,
        "vocab_size": requested_vocabulary(arguments, entry),
        "builder": builder_arguments(run, entry),
    }
    return Stage(run.tokenizer(modality), 1, configuration, modality_source(run, entry)[1])


def modality_source(run: Run, modality: Modality) -> tuple[Path, dict[str, Path]]:
    """The folder of shards that a modality's builder reads, and the stages that made it."""
    if modality.is_speech:
        units = run.units_of(modality.name)
        return units / "utterances", {"units": units}
    return run.utterances(), {"utterances": run.utterances()}


def builder_arguments(run: Run, modality: Modality) -> dict:
    """What the modality's builder needs to know beside its shards."""
    if modality.column == "phones_stretch":
        return {"stretch_factor": read_json(run.utterances() / SUMMARY_FILE)["stretch_factor"]}
    return {}


def requested_vocabulary(arguments: Arguments, modality: Modality) -> int | None:
    """How many ids the modality's tokenizer is asked for; `None` where its alphabet says it."""
    return {
        "text_bpe": arguments.model.bpe_vocab_size,
        "phone_bpe": arguments.model.bpe_vocab_size,
        "units_bpe": arguments.model.unit_bpe_vocab_size,
    }.get(modality.tokenizer)
