"""Where the report on quantizers finds its recordings: shards of utterances, or sound files with a table of words.

folder of shards or CSV file -> [`open_recordings`] -> [`Recordings`]: the documents with their splits, what was left
out and why, and the recordings of some documents in batches, as often as they are asked for: memory does not grow with
their number.
"""

import csv
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ...datasets_scripts.recordings.containers import open_whole
from ...datasets_scripts.recordings.reading import read_waveform
from ...datasets_scripts.text.passages import SPLITS
from ...models.audio import FRAME_SAMPLES, SAMPLE_RATE, decode_flac
from ..external_units.tables import audio_name

logger = logging.getLogger(__name__)

_TABLE_COLUMNS = ("file", "start", "end", "word", "speaker")
_TIMES = ("start", "end")
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
        decode (`Callable[[], np.ndarray]`): Gives its int16 samples at 16 kHz.
        name (`str`, *optional*): What a table of units calls it.
    """

    document: str
    speaker: str
    words: list[dict]
    phones: list[dict]
    decode: Callable[[], np.ndarray] = field(repr=False)
    name: str = ""

    @property
    def audio(self) -> np.ndarray:
        """int16 samples at 16 kHz, decoded whenever they are asked for."""
        return self.decode()


@dataclass
class Recordings:
    """
    What there is to be measured.

    Args:
        documents (`dict[str, str]`): Documents with their splits; of a CSV file, its files and the empty string.
        read (`Callable[[set[str]], Iterator[list[MeasuredRecording]]]`): Gives the recordings of some documents, a
            batch at a time.
        skipped (`list[dict[str, str]]`): `{"file", "reason"}` of each recording that was left out.
    """

    documents: dict[str, str]
    read: Callable[[set[str]], Iterator[list[MeasuredRecording]]]
    skipped: list[dict[str, str]] = field(default_factory=list)


def open_recordings(source: Path, splits: Sequence[str] | None = None, min_samples: int = FRAME_SAMPLES) -> Recordings:
    """
    Find recordings.

    Args:
        source (`Path`): A folder of utterance shards; or a CSV file with a row a word and the columns `file` (relative
            to the CSV file), `start`, `end` (seconds), `word` and `speaker`. A file that cannot be read, is cut off or
            holds less than a frame is left out, with a warning.
        splits (`Sequence[str]`, *optional*): Splits that are asked for.
        min_samples (`int`, *optional*, defaults to 320): Samples of a frame at 16 kHz.

    Returns:
        [`Recordings`]

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
        return Recordings(documents, partial(_read_shards, [path for paths in shards.values() for path in paths]))
    if not source.is_file():
        raise FileNotFoundError(f"There is no folder of utterances and no CSV file at {source}.")
    if splits is not None:
        raise ValueError(f"{source} has no splits; leave splits out.")
    rows, skipped = _without_unreadable(source.parent, _read_table(source), min_samples)
    return Recordings(dict.fromkeys(rows, ""), partial(_read_files, source.parent, rows), skipped)


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
                        partial(decode_flac, row["audio"]["bytes"]),
                        audio_name(Path(shard).parent.name, row["id"]),
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
            words.append({"word": row["word"]} | {name: _read_seconds(row, name, path, reader) for name in _TIMES})
    return rows


def _read_seconds(row: dict, name: str, path: Path, reader: csv.DictReader) -> float:
    try:
        seconds = float(row[name])
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError(f"{path}, line {reader.line_num}: start and end have to be seconds.")
    return seconds


def _without_unreadable(folder: Path, rows: dict, min_samples: int) -> tuple[dict, list[dict[str, str]]]:
    """The recordings that can be read and hold a frame; and the others, each of which is named in a warning."""
    kept, skipped = {}, []
    for file, row in rows.items():
        if reason := _reason_to_skip(folder / file, file, min_samples):
            logger.warning("%s is left out: %s", folder / file, reason)
            skipped.append({"file": file, "reason": reason})
        else:
            kept[file] = row
    if rows and not kept:
        raise FileNotFoundError(
            f"None of the {len(rows)} recordings can be read; {skipped[0]['file']}, for instance: "
            f"{skipped[0]['reason']}"
        )
    return kept, skipped


def _reason_to_skip(path: Path, file: str, min_samples: int) -> str | None:
    """Why a recording is left out, in a sentence, if it is."""
    import soundfile

    if not path.is_file():
        return "There is no such file."
    if not path.stat().st_size:
        return "It is an empty file."
    try:
        with soundfile.SoundFile(open_whole(path, file)) as sound:
            samples, rate = sound.frames, sound.samplerate
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError) as error:
        return getattr(error, "error_string", None) or str(error) or "It cannot be read."
    if not samples:
        return "It has no samples."
    if samples * SAMPLE_RATE < min_samples * rate:
        return f"Its {1000 * samples / rate:.0f} ms are less than a frame."
    return None


def _read_files(folder: Path, rows: dict, wanted: set[str]) -> Iterator[list[MeasuredRecording]]:
    batch = []
    for file, (speaker, words) in rows.items():
        if file in wanted:
            batch.append(MeasuredRecording(file, speaker, words, [], partial(read_waveform, folder / file, file)))
        if len(batch) == _ROWS_AT_A_TIME:
            yield batch
            batch = []
    if batch:
        yield batch
