"""A task as a model reads it: each split's contents and answers, of text or of speech.

a name, a file or a folder that was spoken -> [`open_task`] -> [`SluTask`]; its examples + units by id ->
[`keep_spoken`] -> those that have what is read -> [`contents_of`], [`answers_of`] -> what is trained and tested on.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ...datasets_scripts.slu import SluExample, SluTask, read_task
from ...datasets_scripts.slu.spoken import SUMMARY_FILE, TASK_FILE
from ...metrics.entity_f1.entity_text import canonical_label
from ...models.files import read_json, read_json_lines
from ...models.slu.configuration_slu import CLASSIFICATION
from ...models.slu.contents import SPEECH, write_contents


def open_task(task: str, seed: int = 0, limit: int | None = None, source: str | None = None) -> SluTask:
    """
    Read a task, or the folder that one was spoken into.

    Args:
        task (`str`): As for [`read_task`], or a folder with `task.jsonl`.
        seed (`int`, *optional*, defaults to 0): Of what is told and drawn; a folder has its splits.
        limit (`int`, *optional*): Examples that are kept; not of a folder.
        source (`str`, *optional*): Where the data of a named task lies.

    Raises:
        `FileNotFoundError`, `ValueError`: As [`read_task`], or if a folder is to be limited.
    """
    folder = Path(task)
    if not (folder / TASK_FILE).is_file():
        return read_task(task, seed=seed, limit=limit, **({} if source is None else {"source": source}))
    if limit is not None or source is not None:
        raise ValueError(f"{folder} was spoken with the examples that it has; leave --limit and --source out.")
    summary = read_json(folder / SUMMARY_FILE)
    splits: dict[str, list[SluExample]] = {}
    for row in read_json_lines(folder / TASK_FILE):
        entities = row["entities"]
        if entities is not None:
            entities = tuple((canonical_label(label), phrase) for label, phrase in entities)
        splits.setdefault(row["split"], []).append(SluExample(row["id"], row["text"], row["label"], entities))
    labels = summary["labels"]
    if summary["kind"] != CLASSIFICATION:
        labels = sorted(set(map(canonical_label, labels)))
    return SluTask(summary["task"], summary["kind"], tuple(labels), splits)


def keep_spoken(
    examples: Sequence[SluExample], units: Mapping[str, np.ndarray] | None
) -> tuple[list[SluExample], int]:
    """
    The examples of a split that have been spoken.

    Args:
        examples (`Sequence[SluExample]`): The split.
        units (`Mapping[str, np.ndarray]`, *optional*): Units by id; `None` where nothing is read as speech.

    Returns:
        `tuple`: Those that have units, and how many have none.
    """
    if units is None:
        return list(examples), 0
    kept = [example for example in examples if example.id in units and len(units[example.id])]
    return kept, len(examples) - len(kept)


def contents_of(
    modality: str | None,
    kind: str,
    examples: Sequence[SluExample],
    units: Mapping[str, np.ndarray] | None,
    collapse: bool,
) -> list[str]:
    """
    Examples as a model reads them.

    Args:
        modality (`str`, *optional*): The model's.
        kind (`str`): `"text"` or `"speech"`.
        examples (`Sequence[SluExample]`): The examples.
        units (`Mapping[str, np.ndarray]`, *optional*): Units by id, for speech.
        collapse (`bool`): Of a joint model, whether a run of equal units is written once.
    """
    given = [units[example.id] if kind == SPEECH else example.text for example in examples]
    return write_contents(modality, kind, given, collapse)


def answers_of(kind: str, labels: Sequence[str], examples: Iterable[SluExample]) -> list:
    """The number of each example's class among the labels, or its entities that have one of the labels."""
    if kind == CLASSIFICATION:
        return [labels.index(example.label) for example in examples]
    return [[list(entity) for entity in example.entities or () if entity[0] in labels] for example in examples]
