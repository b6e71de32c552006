"""Examples of a task, spoken: shards of utterances as the corpus has them, and what was asked about each.

[`SluTask`] -> a passage an example, in voices of its split -> utterance shards, `task.jsonl`, `summary.json`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from ...models.files import write_json, write_json_lines
from ..phones.stretch import measure_stretch_factor
from ..shards.utterance_rows import MAX_SECONDS, build_utterance_shards
from ..shards.writing import SHARD_SIZE
from ..synthesis.by_name import ESPEAK, describe_synthesis, load_synthesizer, locate_synthesizer
from ..synthesis.utterances import make_utterance
from ..text.passages import SPLITS, Passage
from ..text.sentences import split_sentences
from .examples import SluTask

VERSION = 1
VOICES = {"train": "many", "validation": "many", "test": "held_out"}
"""Voices of each split: the corpus's, and for the test those that no utterance of a corpus has."""
TASK_FILE, SUMMARY_FILE = "task.jsonl", "summary.json"


def speak_task(
    task: SluTask,
    folder: str | Path,
    voices: Mapping[str, str] = VOICES,
    rate: str = "fixed",
    seed: int = 0,
    synthesizer: str = ESPEAK,
    num_proc: int = 1,
    shard_size: int = SHARD_SIZE,
    max_skipped_fraction: float = 0.05,
    max_seconds: float = MAX_SECONDS,
    progress: bool = True,
) -> dict:
    """
    Speak the examples of a task into shards of utterances, with the columns of `UTTERANCE_SCHEMA`, and the ids and
    texts of the examples.

    The same task, settings and seed give the same files whatever the number of processes, and whole shards of an
    earlier call are kept. An example that takes too long or cannot be spoken is skipped and listed in `skipped.jsonl`.

    Args:
        task ([`SluTask`]): The task. A split without examples is not spoken.
        folder (`str` or `Path`): Where `train-00000-of-00012.parquet`, ... go, and beside them `task.jsonl`, with
            `id`, `split`, `text`, `label` and `entities` of every example that was spoken, and `summary.json`.
        voices (`Mapping[str, str]`, *optional*): Of each split, `"one"`, `"many"` or `"held_out"`; by default the
            corpus's many voices, and for the test held-out ones. Piper's voices are `"one"` or `"many"`.
        rate (`str`, *optional*, defaults to `"fixed"`): `"fixed"` or `"random"`.
        seed (`int`, *optional*, defaults to 0): Seed of voices, pitches and rates.
        synthesizer (`str`, *optional*, defaults to `"espeak"`): `"espeak"`, or `"piper:VOICE"`.
        num_proc (`int`, *optional*, defaults to 1): How many processes speak.
        shard_size (`int`, *optional*, defaults to 128): Utterances a shard.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05): Largest share of examples that may be skipped.
        max_seconds (`float`, *optional*, defaults to 30): The longest utterance.
        progress (`bool`, *optional*, defaults to `True`): Whether to show a progress bar.

    Returns:
        `dict`: The summary: `task`, `kind`, `labels`, numbers of `utterances`, `seconds`, `words` and `skipped`
        examples, `examples` of each split that were spoken, `dropped` (what [`read_task`] left out) and, of a
        training split, the corpus's `stretch_factor`.

    Raises:
        `FileNotFoundError`: If there is no such voice of Piper.
        `ValueError`: If a split has no voices or the synthesizer none of that name, too many examples were skipped, or
            the folder holds shards of another task or settings.
        `OSError`: If the folder cannot be written or the disk is full.
    """
    for split in SPLITS:
        if split not in voices:
            raise ValueError(f"The split {split} has no voices; give them as well.")
    located, folder = locate_synthesizer(synthesizer), Path(folder)
    for name in dict.fromkeys(voices.values()):
        load_synthesizer(located).speaker_settings("", name, rate, seed)
    settings = {"version": VERSION, "voices": dict(voices), "rate": rate, "seed": seed}
    settings["synthesis"] = {name: describe_synthesis(name, synthesizer) for name in sorted(set(voices.values()))}
    if max_seconds != MAX_SECONDS:
        settings["max_seconds"] = max_seconds
    summary = build_utterance_shards(
        list(_passages(task)),
        _split_of,
        partial(make_spoken_example, synthesizer=located),
        settings,
        folder,
        num_proc=num_proc,
        shard_size=shard_size,
        max_skipped_fraction=max_skipped_fraction,
        progress=progress,
    )
    rows = list(_rows_of_task(task, folder))
    counts = Counter(row["split"] for row in rows)
    for split in SPLITS:
        if task.splits[split] and not counts[split]:
            raise ValueError(f"No example of {task.name} for {split} could be spoken; see skipped.jsonl in {folder}.")
    summary |= {"task": task.name, "kind": task.kind, "labels": list(task.labels)}
    summary |= {"examples": {split: counts[split] for split in SPLITS}, "dropped": task.dropped}
    if task.splits["train"]:
        summary["stretch_factor"] = measure_stretch_factor(folder)
    write_json(folder / SUMMARY_FILE, summary)
    write_json_lines(folder / TASK_FILE, rows)
    return summary


def make_spoken_example(passage: Passage, settings: dict, synthesizer: str = ESPEAK) -> list[dict]:
    """
    Speak an example as [`speak_task`] says.

    Args:
        passage (`Passage`): Its text.
        settings (`dict`): `rate`, `seed`, `voices` of each split and, where it is not 30, `max_seconds`.
        synthesizer (`str`, *optional*, defaults to `"espeak"`): A synthesizer that lies on this machine.

    Returns:
        `list[dict]`: The one row.

    Raises:
        `ValueError`: If it takes too long or cannot be spoken.
    """
    return make_utterance(passage, settings | {"voices": settings["voices"][passage.split]}, synthesizer)


def _passages(task: SluTask) -> Iterator[Passage]:
    for split in SPLITS:
        for example in task.splits[split]:
            sentences = tuple(split_sentences(example.text, abbreviations=False))
            yield Passage(example.id, example.id, task.name, split, sentences)


def _rows_of_task(task: SluTask, folder: Path) -> Iterator[dict]:
    """A row for each example that was spoken, in the order of the shards."""
    for split in SPLITS:
        examples = {example.id: example for example in task.splits[split]}
        for path in sorted(folder.glob(f"{split}-*.parquet")):
            for name in pq.read_table(path, columns=["id"])["id"].to_pylist():
                example = examples[name]
                entities = None if example.entities is None else [list(entity) for entity in example.entities]
                row = {"id": name, "split": split, "text": example.text}
                yield row | {"label": example.label, "entities": entities}


def _split_of(passage: Passage) -> str:
    return passage.split
