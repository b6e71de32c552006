"""Recordings of a Hugging Face dataset: streamed rows -> audio files in the cache -> `Recording`.

`load_dataset(..., streaming=True)` -> bytes as they are, not decoded -> a file each -> `Recording`.
The files are kept because shards are made by several processes, and made again where they stopped.
"""

import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .audio_sources import Recording, make_recording
from .lexicon import default_cache_dir


def read_hub_recordings(
    dataset: str,
    text_column: str = "text",
    audio_column: str = "audio",
    id_column: str | None = None,
    speaker_column: str | None = None,
    document_column: str | None = None,
    config: str | None = None,
    split: str = "train",
    max_recordings: int | None = None,
    cache_dir: str | Path | None = None,
) -> Iterator[Recording]:
    """
    Stream the recordings of a Hugging Face dataset, one a row, and keep their files.

    Args:
        dataset (`str`): Name on the Hub, or a local folder with files that `load_dataset` reads.
        text_column (`str`, *optional*, defaults to `"text"`): The column of transcripts.
        audio_column (`str`, *optional*, defaults to `"audio"`): The column of audio.
        id_column (`str`, *optional*): The column of ids; without one they are `row-0000000`, ...
        speaker_column (`str`, *optional*): The column of speakers.
        document_column (`str`, *optional*): The column of documents; without one each row is one.
        config (`str`, *optional*): Configuration of the dataset.
        split (`str`, *optional*, defaults to `"train"`): Split of the dataset. That of the recordings is left open.
        max_recordings (`int`, *optional*): Read no more rows than this.
        cache_dir (`str` or `Path`, *optional*): Where the files go. Defaults to the environment variable
            `EVOSLM_CACHE`, else `~/.cache/evoslm`.

    Returns:
        `Iterator[Recording]`: Rows without transcript or audio are among them, with a `problem`.

    Raises:
        `FileNotFoundError`: If the dataset cannot be found or reached.
        `ValueError`: If it has no such configuration, split or column, or a row cannot be read.
        `OSError`: If the files cannot be written.
    """
    from datasets import Audio, load_dataset

    try:
        rows = load_dataset(dataset, config, split=split, streaming=True)
        columns = rows.column_names or list(next(iter(rows.take(1)), {}))
    except OSError as error:
        raise FileNotFoundError(f"The dataset {dataset!r} cannot be found: {_first_line(error)}") from error
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"The dataset {dataset!r} cannot be read with configuration {config!r} and split {split!r}: "
            f"{_first_line(error)}"
        ) from error
    wanted = [column for column in (audio_column, text_column, id_column, speaker_column, document_column) if column]
    for column in wanted:
        if column not in columns:
            raise ValueError(
                f"The dataset {dataset!r} has no column {column!r}; its columns are "
                f"{', '.join(sorted(columns)) or 'none'}."
            )
    rows = rows.select_columns(wanted).cast_column(audio_column, Audio(decode=False))
    named = {"id": id_column, "speaker": speaker_column, "document": document_column}
    key = hashlib.sha256(json.dumps([dataset, config, split]).encode()).hexdigest()[:16]
    name = re.sub(r"[^A-Za-z0-9]+", "-", dataset).strip("-")[-40:]
    folder = Path(cache_dir or default_cache_dir()) / "recordings" / f"{name}-{key}"
    return _read_rows(itertools.islice(rows, max_recordings), dataset, text_column, audio_column, named, folder)


def _read_rows(
    rows: Iterable[Mapping],
    dataset: str,
    text_column: str,
    audio_column: str,
    named: Mapping[str, str | None],
    folder: Path,
) -> Iterator[Recording]:
    folder.mkdir(parents=True, exist_ok=True)
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
        own_name = f"row-{i:07d}"
        values = {key: str(row[column]) if column and row[column] is not None else "" for key, column in named.items()}
        yield make_recording(
            _keep(row[audio_column], folder / own_name),
            text,
            id=values["id"] or own_name,
            document=values["document"] or values["id"] or own_name,
            speaker=values["speaker"],
        )


def _keep(audio: Mapping | None, path: Path) -> Path | None:
    """The file of a row's audio: its bytes are written where there are any."""
    audio = audio or {}
    data, source = audio.get("bytes"), audio.get("path")
    if data is None:
        return Path(source) if source and Path(source).is_file() else None
    path = path.with_suffix(Path(source or "").suffix.lower())
    if not path.is_file() or path.stat().st_size != len(data):
        partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        partial.write_bytes(data)
        partial.replace(path)
    return path


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
