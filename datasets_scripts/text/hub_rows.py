"""Rows of a Hugging Face dataset, streamed: one way to open it, and errors that name the dataset.

name, columns, configuration, split, revision -> [`open_hub_rows`] -> [`checked_hub_rows`] -> recordings or documents.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...models.hub_commit import find_commit


def open_hub_rows(dataset: str, columns: Sequence[str], config: str | None, split: str, revision: str | None = None):
    """
    Open some columns of a Hugging Face dataset, to be streamed.

    Args:
        dataset (`str`): Name on the Hub, or a local folder with files that `load_dataset` reads.
        columns (`Sequence[str]`): The columns.
        config (`str` or `None`): Configuration of the dataset.
        split (`str`): Split of the dataset.
        revision (`str`, *optional*): Its commit, branch or tag on the Hub.

    Returns:
        `datasets.IterableDataset`: The rows, with these columns only.

    Raises:
        `FileNotFoundError`: If the dataset cannot be found or reached.
        `ValueError`: If it has no such configuration, split or column.
    """
    from datasets import load_dataset

    with hub_errors(dataset, config, split):
        rows = load_dataset(dataset, config, split=split, revision=revision, streaming=True)
        present = rows.column_names or list(next(iter(rows.take(1)), {}))
    for column in columns:
        if column not in present:
            raise ValueError(
                f"The dataset {dataset!r} has no column {column!r}; its columns are "
                f"{', '.join(sorted(present)) or 'none'}."
            )
    return rows.select_columns(list(columns))


def describe_dataset(dataset: str, revision: str | None = None) -> dict[str, str | None]:
    """
    What a dataset is, wherever it lies: part of a stage's fingerprint.

    Args:
        dataset (`str`): Name on the Hub, or a local folder.
        revision (`str`, *optional*): Its commit, branch or tag on the Hub.

    Returns:
        `dict`: `dataset`, and the commit (`revision`) or a digest of the names and contents of the folder's `files`.

    Raises:
        `FileNotFoundError`, `ValueError`: As [`find_commit`].
    """
    commit = find_commit(dataset, revision)
    if commit is not None:
        return {"dataset": dataset, "revision": commit}
    place, digest = Path(dataset), hashlib.sha256()
    paths = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
    for path in paths:
        name = path.relative_to(place)
        if not any(part.startswith(".") for part in name.parts):
            with path.open("rb") as file:
                digest.update(name.as_posix().encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return {"dataset": place.name, "files": digest.hexdigest()[:16]}


@contextmanager
def hub_errors(dataset: str, config: str | None, split: str | None) -> Iterator[None]:
    """What `datasets` raises where it opens a dataset, as a `FileNotFoundError` or `ValueError` that names it."""
    try:
        yield
    except OSError as error:
        raise FileNotFoundError(f"The dataset {dataset!r} cannot be found: {_first_line(error)}") from error
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"The dataset {dataset!r} cannot be read with configuration {config!r} and split {split!r}: "
            f"{_first_line(error)}"
        ) from error


def checked_hub_rows(rows: Iterable[Mapping], dataset: str, text_column: str) -> Iterator[Mapping]:
    """Rows as they are; a `ValueError` names the first that cannot be read, or the column if it holds other things."""
    iterator = iter(rows)
    for i in itertools.count():
        try:
            row = next(iterator)
        except StopIteration:
            return
        except (OSError, ValueError, RuntimeError) as error:
            raise ValueError(f"Row {i} of the dataset {dataset!r} cannot be read: {_first_line(error)}") from error
        text = row[text_column]
        if text is not None and not isinstance(text, str):
            raise ValueError(
                f"The column {text_column!r} of the dataset {dataset!r} holds {type(text).__name__} values; name one "
                "that holds text."
            )
        yield row


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
