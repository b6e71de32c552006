"""A task of one's own: texts with labels or entities, in files or a dataset of the Hub.

.csv, .tsv, .jsonl or .parquet, a folder of them, or an id -> rows by split -> [`read_table_task`] -> examples.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ...models.hub_commit import find_commit
from ..text.hub_rows import checked_hub_rows, hub_errors, open_hub_rows
from .entity_spans import read_entities
from .examples import CLASSIFICATION, ENTITIES, KINDS, SourceExample

_UNLABELLED = object()
"""A class of the Hub that is none of those that its dataset names, by which rows are published without one."""
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
_SPLITS = {
    **dict.fromkeys(("train", "training", "fine-tune"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "eval"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def read_table_task(
    source: str | Path,
    kind: str | None = None,
    text_column: str = "text",
    label_column: str = "label",
    entities_column: str = "entities",
    id_column: str | None = None,
    config: str | None = None,
    revision: str | None = None,
    dropped: Counter | None = None,
) -> tuple[str, Iterator[SourceExample]]:
    """
    Read rows of texts with a label, or with entities.

    Args:
        source (`str` or `Path`): A .csv, .tsv, .jsonl or .parquet file; a folder of them, whose splits are named as
            files or folders are (`train.csv`, `dev.jsonl`, `test/part-0.parquet`); or an id on the Hub.
        kind (`str`, *optional*): `"classification"` or `"entities"`. By default it is a classification where there is
            a column of labels, else one of entities.
        text_column (`str`, *optional*, defaults to `"text"`): The column of texts.
        label_column (`str`, *optional*, defaults to `"label"`): The column of classes.
        entities_column (`str`, *optional*, defaults to `"entities"`): The column of entities, in a form that
            [`read_entities`] takes.
        id_column (`str`, *optional*): The column of ids; without one they are the numbers of rows.
        config (`str`, *optional*): Configuration of a dataset of the Hub.
        revision (`str`, *optional*): Its commit, branch or tag.
        dropped (`Counter`, *optional*): Counts what is left out: rows of the Hub without a label (-1).

    Returns:
        `tuple[str, Iterator[SourceExample]]`: The kind, and the examples.

    Raises:
        `FileNotFoundError`: If there is no such file or dataset.
        `ValueError`: If a column is missing, a file cannot be read, or an entity is not in its text.
    """
    if kind not in (None, *KINDS):
        raise ValueError(f"The kind of {source} is {kind!r}; choose from {', '.join(KINDS)}.")
    table = _open(source, config, revision)
    if kind is None:
        has_only_entities = entities_column in table.columns and label_column not in table.columns
        kind = ENTITIES if has_only_entities else CLASSIFICATION
    target, option = (label_column, "label_column") if kind == CLASSIFICATION else (entities_column, "entities_column")
    wanted = {"text_column": text_column, option: target} | ({"id_column": id_column} if id_column else {})
    for name, column in wanted.items():
        if column not in table.columns:
            columns = ", ".join(table.columns) or "none"
            raise ValueError(f"{source} has no column {column!r}; its columns are {columns}: name one as {name}.")
    rows = ((split, row) for split, read in table.parts for row in read(tuple(wanted.values())))
    return kind, _examples(rows, kind, text_column, target, id_column, Counter() if dropped is None else dropped)


class _Table(NamedTuple):
    """A table in parts: its columns, and of each part the split and what reads some columns of it."""

    columns: Sequence[str]
    parts: list[tuple[str | None, Callable[[Sequence[str]], Iterable[Mapping]]]]


def _open(source: str | Path, config: str | None, revision: str | None) -> _Table:
    path = Path(source)
    if path.exists():
        files = _files(path)
        return _Table(_columns(files[0][0]), [(split, partial(_read_file, file)) for file, split in files])
    dataset, revision = str(source), find_commit(str(source), revision)
    splits = _hub_splits(dataset, config, revision)
    parts = [(split, partial(_hub_rows, dataset, config, name, revision)) for name, split in splits.items()]
    return _Table(_hub_columns(dataset, config, next(iter(splits)), revision), parts)


def _examples(
    rows: Iterable[tuple[str | None, Mapping]],
    kind: str,
    text_column: str,
    target: str,
    id_column: str | None,
    dropped: Counter,
) -> Iterator[SourceExample]:
    for number, (split, given) in enumerate(rows):
        row = {column: None if _is_missing(value) else value for column, value in given.items()}
        name = f"row-{number:06d}" if not id_column or row[id_column] is None else str(row[id_column])
        text = "" if row[text_column] is None else str(row[text_column])
        if kind == ENTITIES:
            yield SourceExample(name, text, entities=read_entities(row[target], text, name), split=split)
        elif row[target] is _UNLABELLED:
            dropped["without a label"] += 1
        elif row[target] is None or not str(row[target]).strip():
            raise ValueError(f"The row {name} has nothing in the column {target!r}; give its class.")
        else:
            yield SourceExample(name, text, label=str(row[target]).strip(), split=split)


def _is_missing(value: Any) -> bool:
    """Whether a cell is empty: `None`, or the NaN that tables are filled up with."""
    return value is None or (isinstance(value, float) and value != value)


def _files(path: Path) -> list[tuple[Path, str | None]]:
    """The files, and the split of each."""
    files = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES) if path.is_dir() else [path]
    if not files or files[0].suffix not in SUFFIXES:
        raise FileNotFoundError(f"There is no {', '.join(SUFFIXES)} file at {path}.")
    return [(file, _split_of(file, path) if path.is_dir() else None) for file in files]


def _split_of(file: Path, folder: Path) -> str | None:
    """`train` of `train.csv`, `train-00000-of-00002.parquet`, `train/part.csv`; `None` where no name says it."""
    for part in (*file.relative_to(folder).parent.parts, file.stem):
        for name in (part, part.split("-")[0], part.split("_")[0], part.rsplit("_")[-1]):
            if name.lower() in _SPLITS:
                return _SPLITS[name.lower()]
    return None


def _columns(file: Path) -> list[str]:
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_schema(file).names
    return list(next(_read_file(file, ()), {}))


def _read_file(file: Path, wanted: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    number = 0
    try:
        for number, row in enumerate(_rows_of(file, wanted), 1):
            for column in wanted:
                if column not in row:
                    raise ValueError(f"Row {number} of {file} has no {column!r}.")
            yield row
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 text; save it as UTF-8.") from error
    except csv.Error as error:
        raise ValueError(
            f"Row {number + 1} of {file} cannot be read ({error}); look for a quotation mark without its pair there."
        ) from error


def _rows_of(file: Path, wanted: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        missing = [column for column in wanted if column not in pq.read_schema(file).names]
        if missing:
            raise ValueError(f"{file} has no column {missing[0]!r}.")
        yield from pq.read_table(file, columns=list(wanted) or None).to_pylist()
        return
    with file.open(encoding="utf-8-sig", newline="") as lines:
        if file.suffix == ".jsonl":
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        yield json.loads(line)
                    except json.JSONDecodeError as error:
                        raise ValueError(f"Line {number} of {file} is not JSON: {error}.") from None
        elif file.suffix == ".tsv":  # in most of them a quotation mark is a character like any other
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                yield {_unquoted(name): _unquoted(value) for name, value in row.items()}
        else:
            yield from csv.DictReader(lines)


def _unquoted(value: Any) -> Any:
    """A cell without the quotation marks that it was written in whole."""
    if not isinstance(value, str) or len(value) < 2 or not value[0] == value[-1] == '"':
        return value
    inside = value[1:-1]
    return inside.replace('""', '"') if '"' not in inside.replace('""', "") else value


def _hub_splits(dataset: str, config: str | None, revision: str | None) -> dict[str, str | None]:
    """Splits of a dataset of the Hub, and what they are here."""
    from datasets import get_dataset_split_names

    with hub_errors(dataset, config, None):
        names = get_dataset_split_names(dataset, config, revision=revision)
    splits = {name: _SPLITS[name.lower()] for name in names if name.lower() in _SPLITS}
    return splits or dict.fromkeys(names)


def _hub_columns(dataset: str, config: str | None, split: str, revision: str | None) -> list[str]:
    from datasets import load_dataset

    with hub_errors(dataset, config, split):
        rows = load_dataset(dataset, config, split=split, revision=revision, streaming=True)
        return rows.column_names or list(next(iter(rows.take(1)), {}))


def _hub_rows(
    dataset: str, config: str | None, split: str, revision: str | None, columns: Sequence[str]
) -> Iterator[Mapping]:
    """Rows whose classes have names instead of numbers, where the dataset names them."""
    opened = open_hub_rows(dataset, columns, config, split, revision)
    text_column, target = columns[:2]
    names = getattr((opened.features or {}).get(target), "names", None)
    for row in checked_hub_rows(opened, dataset, text_column):
        label = row[target]
        if names is not None and label is not None:
            label = names[label] if label >= 0 else _UNLABELLED
        yield {**row, target: label}
