"""Passages: what every text source yields and what speech synthesis reads.

A text source (stories, a folder of books, a Hub dataset) -> `Passage` -> one utterance, one row in every modality.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SPLITS = ("train", "validation", "test")
_ROWS_AT_A_TIME = 1000

PASSAGE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("document", pa.string()),
        ("topic", pa.string()),
        ("split", pa.string()),
        ("sentences", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class Passage:
    """
    A few consecutive sentences of one document, spoken in at most 30 s.

    Args:
        id (`str`): Unique within a corpus.
        document (`str`): The story, book or dataset row that it comes from. All of a document lies in one split.
        topic (`str`): What Topic-SC takes the wrong ending from another of: the story's topic, or the book's name.
        split (`str`): One of `"train"`, `"validation"`, `"test"`.
        sentences (`tuple[str, ...]`): Sentences with case and punctuation, each ending in `.`, `!` or `?`.
    """

    id: str
    document: str
    topic: str
    split: str
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """The sentences joined by single spaces: the content of the text modalities."""
        return " ".join(self.sentences)


class PassageFile:
    """
    Passages of a file, read a few at a time whenever they are gone through.

    Args:
        path (`str` or `Path`): A file that [`write_passages`] wrote.
        split (`str`, *optional*): Only the passages of this split.
    """

    def __init__(self, path: str | Path, split: str | None = None):
        self._path, self._split = path, split

    def __iter__(self) -> Iterator[Passage]:
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(_ROWS_AT_A_TIME):
                for row in batch.to_pylist():
                    if self._split in (None, row["split"]):
                        yield Passage(**row | {"sentences": tuple(row["sentences"])})


def write_passages(passages: Iterable[Passage], path: str | Path) -> int:
    """Write passages as one parquet file, a few at a time, and return how many there are."""
    count, passages = 0, iter(passages)
    with pq.ParquetWriter(path, PASSAGE_SCHEMA) as writer:
        while rows := [asdict(passage) for passage in islice(passages, _ROWS_AT_A_TIME)]:
            writer.write_table(pa.Table.from_pylist(rows, schema=PASSAGE_SCHEMA))
            count += len(rows)
    return count


def read_passages(path: str | Path, split: str | None = None) -> PassageFile:
    """The passages of a file that [`write_passages`] wrote, in its order, or those of one split."""
    return PassageFile(path, split)
