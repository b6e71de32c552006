"""SLUE: sentiment of VoxCeleb and named entities of VoxPopuli, from the Hub or from folders of its .tsv files.

`asapp/slue`, or `slue-voxpopuli_fine-tune.tsv`, ... -> [`read_slue`] -> examples with SLUE's merged labels.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...models.hub_commit import find_commit
from ..text.hub_rows import checked_hub_rows, open_hub_rows
from ..text.passages import SPLITS
from .entity_spans import read_entities
from .examples import CLASSIFICATION, SourceExample

DATASET = "asapp/slue"
SENTIMENTS = ("negative", "neutral", "positive")
MERGED_LABELS = {
    **dict.fromkeys(("GPE", "LOC", "PLACE"), "PLACE"),
    **dict.fromkeys(("DATE", "TIME", "WHEN"), "WHEN"),
    **dict.fromkeys(("CARDINAL", "ORDINAL", "QUANTITY", "MONEY", "PERCENT", "QUANT"), "QUANT"),
    **{label: label for label in ("NORP", "ORG", "LAW", "PERSON")},
}
"""Raw and merged labels -> merged ones."""
LEFT_OUT = ("FAC", "EVENT", "WORK_OF_ART", "PRODUCT", "LANGUAGE")
"""Raw labels that SLUE leaves out."""

_TEXT = "normalized_text"
_HUB = {"slue_sa": ("voxceleb", "sentiment"), "slue_ner": ("voxpopuli", "normalized_combined_ner")}
_FILES = {"slue_sa": "sentiment", "slue_ner": "normalized_ner"}
_FILE_SPLITS = {"fine-tune": "train", "finetune": "train", "train": "train", "dev": "validation", "test": "test"}


def read_slue(
    task: str,
    kind: str,
    dropped: Counter,
    source: str | Path = DATASET,
    revision: str | None = None,
) -> Iterator[SourceExample]:
    """
    Read a task of SLUE.

    Sentiments other than negative, neutral and positive (`<mixed>`, `Disagreement`) are left out and counted, as
    SLUE's own preparation does; raw entities become merged ones, and five kinds of them are no entities.

    Args:
        task (`str`): `"slue_sa"` or `"slue_ner"`.
        kind (`str`): `"classification"` or `"entities"`.
        dropped (`Counter`): Counts what is left out.
        source (`str` or `Path`, *optional*, defaults to `"asapp/slue"`): A dataset of the Hub of that form, or a
            folder with .tsv files whose names have `fine-tune`, `dev` or `test` in them.
        revision (`str`, *optional*): Commit, branch or tag on the Hub.

    Raises:
        `FileNotFoundError`: If there is no such dataset, or no such files in the folder.
        `ValueError`: If a column is missing, a label unknown, or an entity not in its text.
    """
    # A folder of parquet files is a copy of the dataset.
    has_tables = Path(source).is_dir() and not any(Path(source).rglob("*.parquet"))
    column = _FILES[task] if has_tables else _HUB[task][1]
    rows = _folder_rows(Path(source), column) if has_tables else _hub_rows(task, str(source), revision)
    for number, (split, row) in enumerate(rows):
        name, text = str(row.get("id") or f"{task}-{number:06d}"), row[_TEXT] or ""
        if kind == CLASSIFICATION:
            label = str(row[column]).strip().lower()
            if label not in SENTIMENTS:
                dropped["sentiment mixed or disagreed upon"] += 1
                continue
            yield SourceExample(name, text, label=label, split=split)
        else:
            entities = [
                entity._replace(label=_merged(entity.label, name))
                for entity in read_entities(row[column], text, name)
                if entity.label not in LEFT_OUT
            ]
            yield SourceExample(name, text, entities=entities, split=split)


def _merged(label: str, where: str) -> str:
    try:
        return MERGED_LABELS[label]
    except KeyError:
        raise ValueError(f"{label!r}, an entity of {where}, is no label of SLUE.") from None


def _hub_rows(task: str, dataset: str, revision: str | None) -> Iterator[tuple[str, Mapping]]:
    config, column = _HUB[task]
    revision = find_commit(dataset, revision)
    for split in SPLITS:
        rows = open_hub_rows(dataset, ("id", _TEXT, column), config, split, revision)
        for row in checked_hub_rows(rows, dataset, _TEXT):
            yield split, row


def _folder_rows(folder: Path, column: str) -> Iterator[tuple[str, Mapping]]:
    found = {}
    for path in sorted(folder.glob("*.tsv")):
        split = next((split for part, split in _FILE_SPLITS.items() if part in path.stem), None)
        if split and "blind" not in path.stem:
            found.setdefault(split, path)
    if "train" not in found:
        raise FileNotFoundError(f"There is no fine-tune .tsv file of SLUE in {folder}; its files are named by split.")
    for split in filter(found.get, SPLITS):
        with found[split].open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            for name in (_TEXT, column):
                if name not in (rows.fieldnames or ()):
                    raise ValueError(
                        f"{found[split]} has no column {name!r}; its columns are {', '.join(rows.fieldnames or ())}."
                    )
            for row in rows:
                yield split, row
