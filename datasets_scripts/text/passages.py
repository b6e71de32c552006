"""Passages: what every text source yields and what speech synthesis reads.

A text source (stories, a folder of books, a Hub dataset) -> `Passage` -> one utterance, one row in every modality.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SPLITS = ("train", "validation", "test")

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


def write_passages(passages: Iterable[Passage], path: str | Path) -> int:
    """Write passages as one parquet file and return how many there are."""
    rows = [asdict(passage) for passage in passages]
    pq.write_table(pa.Table.from_pylist(rows, schema=PASSAGE_SCHEMA), path)
    return len(rows)


def read_passages(path: str | Path) -> Iterator[Passage]:
    """Yield the passages of a file that [`write_passages`] wrote, in its order."""
    for row in pq.read_table(path).to_pylist():
        row["sentences"] = tuple(row["sentences"])
        yield Passage(**row)
