"""Recordings of a Hugging Face dataset: streamed rows -> audio files in the cache -> `Recording`.

`load_dataset(..., streaming=True)` -> bytes as they are, not decoded -> a file each -> `Recording`.
The files are kept because shards are made by several processes, and made again where they stopped.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ...models.cache import default_cache_dir
from ...models.files import written_whole
from ...models.hub_commit import find_commit
from ..text.hub_rows import checked_hub_rows, open_hub_rows
from .sources import Recording, make_recording


def read_hub_recordings(
    dataset: str,
    text_column: str = "text",
    audio_column: str = "audio",
    id_column: str | None = None,
    speaker_column: str | None = None,
    document_column: str | None = None,
    topic_column: str | None = None,
    config: str | None = None,
    split: str = "train",
    revision: str | None = None,
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
        topic_column (`str`, *optional*): The column of topics, for instance the books of chapters.
        config (`str`, *optional*): Configuration of the dataset.
        split (`str`, *optional*, defaults to `"train"`): Split of the dataset. That of the recordings is left open.
        revision (`str`, *optional*): Commit, branch or tag on the Hub.
        max_recordings (`int`, *optional*): Read no more rows than this.
        cache_dir (`str` or `Path`, *optional*): Where the files go. Defaults to the environment variable
            `EVOSLM_CACHE`, else `~/.cache/evoslm`.

    Returns:
        `Iterator[Recording]`: Rows without transcript or audio are among them, with a `problem`. Transcripts in
        capitals become small letters.

    Raises:
        `FileNotFoundError`: If the dataset cannot be found or reached.
        `ValueError`: If it has no such configuration, split or column, or a row cannot be read.
        `OSError`: If the files cannot be written.
    """
    from datasets import Audio

    named = {"id": id_column, "speaker": speaker_column, "document": document_column, "topic": topic_column}
    wanted = list(dict.fromkeys([audio_column, text_column, *filter(None, named.values())]))
    revision = find_commit(dataset, revision)
    rows = open_hub_rows(dataset, wanted, config, split, revision).cast_column(audio_column, Audio(decode=False))
    key = hashlib.sha256(json.dumps([dataset, config, split, revision]).encode()).hexdigest()[:16]
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
    for i, row in enumerate(checked_hub_rows(rows, dataset, text_column)):
        own_name = f"row-{i:07d}"
        values = {key: str(row[column]) if column and row[column] is not None else "" for key, column in named.items()}
        yield make_recording(
            _keep(row[audio_column], folder / own_name),
            row[text_column],
            id=values["id"] or own_name,
            document=values["document"] or values["id"] or own_name,
            speaker=values["speaker"],
            topic=values["topic"] or None,
        )


def _keep(audio: Mapping | None, path: Path) -> Path | None:
    """The file of a row's audio: its bytes are written where there are any."""
    audio = audio or {}
    data, source = audio.get("bytes"), audio.get("path")
    if data is None:
        return Path(source) if source and Path(source).is_file() else None
    path = path.with_suffix(Path(source or "").suffix.lower())
    if not path.is_file() or path.stat().st_size != len(data) or path.read_bytes() != data:
        with written_whole(path) as partial:
            partial.write_bytes(data)
    return path
