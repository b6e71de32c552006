"""Where the report on quantizers finds its recordings: shards of utterances, or sound files with a table of words.

folder of shards or CSV file -> [`open_recordings`] -> the documents with their splits, and what reads the recordings
of some of them in batches, as often as it is asked to: memory does not grow with their number.
"""

import csv
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ...datasets_scripts.recordings.reading import read_waveform
from ...datasets_scripts.text.passages import SPLITS
from ...models.audio import decode_flac

logger = logging.getLogger(__name__)

_TABLE_COLUMNS = ("file", "start", "end", "word", "speaker")
_UTTERANCE_COLUMNS = ("id", "document", "speaker", "audio", "words", "phones")
_ROWS_AT_A_TIME = 32


@dataclass
class MeasuredRecording:
    """
    A recording with what was said in it.

    Args:
        document (`str`): What it stays together with, a text or a file.
        speaker (`str`): Who speaks.
        words (`list[dict]`): `{"word", "start", "end"}` in seconds; words to be compared are spelled alike.
        phones (`list[dict]`): `{"phone", "start", "end"}` from the beginning to the end, or none.
        audio (`np.ndarray`): int16 samples at 16 kHz.
    """

    document: str
    speaker: str
    words: list[dict]
    phones: list[dict]
    audio: np.ndarray = field(repr=False)


def open_recordings(
    source: Path, splits: Sequence[str] | None = None
) -> tuple[Callable[[set[str]], Iterator[list[MeasuredRecording]]], dict[str, str]]:
    """
    Find recordings.

    Args:
        source (`Path`): A folder of utterance shards; or a CSV file with a row a word and the columns `file` (relative
            to the CSV file), `start`, `end` (seconds), `word` and `speaker`. A file that cannot be read is left out,
            with a warning.
        splits (`Sequence[str]`, *optional*): Splits that are asked for.

    Returns:
        `tuple[Callable, dict[str, str]]`: What reads the recordings of a set of documents, a batch at a time; and the
        documents with their splits (of a CSV file, its files and the empty string).

    Raises:
        `FileNotFoundError`: If there is no such source, or nothing in it can be read.
        `ValueError`: If a column is missing, a time is no number, a file has two speakers, or splits are asked for
            where there are none.
    """
    if source.is_dir():
        shards = {split: sorted(source.glob(f"{split}-*.parquet")) for split in SPLITS}
        if not any(shards.values()):
            raise FileNotFoundError(f"There are no shards of utterances (train-*.parquet, ...) in {source}.")
        for path in (path for paths in shards.values() for path in paths):
            if missing := sorted(set(_UTTERANCE_COLUMNS) - set(pq.read_schema(path).names)):
                raise ValueError(f"{path} has no column {missing[0]!r}: these are no utterances.")
        documents = {
            document: split
            for split, paths in shards.items()
            for path in paths
            for document in pq.read_table(path, columns=["document"])["document"].to_pylist()
        }
        paths = [path for paths in shards.values() for path in paths]
        return lambda wanted: _read_shards(paths, wanted), documents
    if not source.is_file():
        raise FileNotFoundError(f"There is no folder of utterances and no CSV file at {source}.")
    if splits is not None:
        raise ValueError(f"{source} has no splits; leave splits out.")
    rows = _without_unreadable(source.parent, _read_table(source))
    return lambda wanted: _read_files(source.parent, rows, wanted), dict.fromkeys(rows, "")


def _read_shards(shards: list[Path], wanted: set[str]) -> Iterator[list[MeasuredRecording]]:
    for shard in shards:
        for batch in pq.ParquetFile(shard).iter_batches(_ROWS_AT_A_TIME, columns=list(_UTTERANCE_COLUMNS)):
            kept = [row for row in batch.to_pylist() if row["document"] in wanted]
            if kept:
                yield [
                    MeasuredRecording(
                        row["document"],
                        row["speaker"],
                        row["words"] or [],
                        row["phones"] or [],
                        decode_flac(row["audio"]["bytes"]),
                    )
                    for row in kept
                ]


def _read_table(path: Path) -> dict[str, tuple[str, list[dict]]]:
    """The speaker and the words of each file."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        if missing := [column for column in _TABLE_COLUMNS if column not in (reader.fieldnames or ())]:
            raise ValueError(f"{path} has no column {missing[0]!r}, only {', '.join(reader.fieldnames or ())}.")
        rows: dict[str, tuple[str, list[dict]]] = {}
        for row in reader:
            speaker, words = rows.setdefault(row["file"], (row["speaker"], []))
            if speaker != row["speaker"]:
                raise ValueError(
                    f"{path}, line {reader.line_num}: {row['file']} has the speakers {speaker!r} and "
                    f"{row['speaker']!r}; cut it into files of one speaker."
                )
            try:
                words.append({"word": row["word"], "start": float(row["start"]), "end": float(row["end"])})
            except (TypeError, ValueError):
                raise ValueError(f"{path}, line {reader.line_num}: start and end have to be seconds.") from None
    return rows


def _without_unreadable(folder: Path, rows: dict) -> dict:
    """The recordings that can be read and hold something; the others are named in a warning."""
    import soundfile

    kept = {}
    for file, row in rows.items():
        try:
            if soundfile.info(folder / file).frames:
                kept[file] = row
                continue
            reason = "it is empty"
        except (soundfile.LibsndfileError, OSError) as error:
            reason = getattr(error, "error_string", None) or str(error)
        logger.warning("%s is left out: %s", folder / file, reason)
    if rows and not kept:
        raise FileNotFoundError(f"None of the {len(rows)} recordings, {next(iter(rows))} for instance, can be read.")
    return kept


def _read_files(folder: Path, rows: dict, wanted: set[str]) -> Iterator[list[MeasuredRecording]]:
    batch = []
    for file, (speaker, words) in rows.items():
        if file in wanted:
            batch.append(MeasuredRecording(file, speaker, words, [], read_waveform(folder / file, file)))
        if len(batch) == _ROWS_AT_A_TIME:
            yield batch
            batch = []
    if batch:
        yield batch
