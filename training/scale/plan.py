"""The plan of `evoslm encode-audio`: which shards of units are to be made of what audio.

shards of utterances, or recordings cut into lists of a fixed number -> [`make_plan`] -> `plan/plan.json`, one entry a
shard, and `plan/recordings-*.parquet` -> [`read_plan`] in every task.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ...datasets_scripts.recordings.sources import (
    AUDIO_SUFFIXES,
    MANIFEST_FILES,
    Recording,
    read_audio_folder,
    read_libriheavy,
)
from ...models.files import read_json, write_json

PLAN_FOLDER = "plan"
PLAN_FILE = f"{PLAN_FOLDER}/plan.json"
_READ = (*AUDIO_SUFFIXES, ".trans.txt", "metadata.csv", "metadata.tsv", "metadata.jsonl")

_RECORDING_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("speaker", pa.string()),
        ("path", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("problem", pa.string()),
    ]
)


def make_plan(
    output_dir: str | Path,
    utterances_dir: str | Path | None,
    audio_dir: str | Path | None,
    manifest: str | Path | None,
    shard_size: int,
) -> dict:
    """
    The plan that lies in the folder, or a new one; it is whole or not there.

    Args:
        output_dir (`str` or `Path`): Where the plan lies and the units go.
        utterances_dir (`str` or `Path`, *optional*): Shards of utterances, which stay as they are.
        audio_dir (`str` or `Path`, *optional*): Without them, a folder of recordings.
        manifest (`str` or `Path`, *optional*): LibriHeavy's manifests of `audio_dir`.
        shard_size (`int`): Recordings a shard.

    Returns:
        `dict`: As [`read_plan`] gives it, and its `source`.

    Raises:
        `FileNotFoundError`: If there is no such audio.
        `ValueError`: If a shard of utterances is damaged or lacks a column, or the folder holds the plan of other
            audio, or of recordings that have been added or replaced since.
    """
    folder = Path(output_dir)
    path = folder / PLAN_FILE
    old = read_json(path) if path.is_file() else None
    if utterances_dir is not None:
        plan = _plan_utterances(Path(utterances_dir))
        source = {"utterances": [[shard["name"], shard["items"], shard["size"]] for shard in plan["shards"]]}
    else:
        source = {"audio_dir": str(Path(audio_dir).resolve()), "shard_size": shard_size}
        source["manifest"] = str(Path(manifest).resolve()) if manifest else None
        source["files"] = _state_of(Path(audio_dir), manifest)
    if old is not None:
        # Plans from before the files were among it do not say which they were.
        if any(old["source"].get(name, value) != value for name, value in source.items()):
            raise ValueError(
                f"{folder} holds the plan of other audio, or of files as they no longer are; choose another "
                "--output_dir."
            )
        if audio_dir is not None:
            return old
    partial = folder / f".{PLAN_FOLDER}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if audio_dir is not None:
        plan = _plan_recordings(_recordings(Path(audio_dir), manifest), partial, shard_size)
    plan |= {"items": sum(shard["items"] for shard in plan["shards"]), "source": source}
    write_json(partial / path.name, plan)
    shutil.rmtree(path.parent, ignore_errors=True)
    partial.replace(path.parent)
    read_plan.cache_clear()
    return plan


@lru_cache(maxsize=1)
def read_plan(output_dir: str) -> dict:
    """What the job is to make: `items` in all, and `name`, `path`, `items` and `size` of each of its `shards`."""
    return read_json(Path(output_dir, PLAN_FILE))


def _state_of(folder: Path, manifest: str | Path | None) -> str:
    """A digest of the manifests, or else of the recordings and their transcripts: names, sizes and times of change."""
    if manifest:
        source = Path(manifest).resolve()
        files = source.glob(MANIFEST_FILES) if source.is_dir() else [source]
    else:
        files = (file for file in folder.resolve().rglob("*") if file.name.lower().endswith(_READ))
    found = sorted(file for file in files if file.is_file())
    state = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in found]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]


def _plan_utterances(source: Path) -> dict:
    paths = sorted(source.resolve().glob("*-*.parquet"))
    if not paths:
        raise FileNotFoundError(f"No shards of utterances (train-*.parquet, ...) are in {source}; give their folder.")
    shards = []
    for path in paths:
        try:
            file = pq.ParquetFile(path)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path} is not a whole parquet file; make it again.") from error
        absent = {"id", "audio"} - set(file.schema_arrow.names)
        if absent:
            raise ValueError(f"{path} has no column {min(absent)!r}; shards of utterances have id, speaker and audio.")
        size = path.stat().st_size
        shards.append({"name": path.name, "path": str(path), "items": file.metadata.num_rows, "size": size})
    return {"shards": shards}


def _recordings(folder: Path, manifest: str | Path | None) -> Iterable[Recording]:
    if manifest:
        return read_libriheavy(manifest, folder)
    try:
        return read_audio_folder(folder)
    except FileNotFoundError:
        # Units need no transcripts; where there are some, they say who speaks.
        files = sorted(folder.rglob("*")) if folder.is_dir() else []
        audio = [file for file in files if file.suffix.lower() in AUDIO_SUFFIXES and not file.name.startswith(".")]
        if not audio:
            raise FileNotFoundError(f"No audio files are in {folder}; give the folder of the recordings.") from None
        names = [file.relative_to(folder).as_posix() for file in audio]
        return [Recording(name, name, "", "", str(file)) for name, file in zip(names, audio)]


def _plan_recordings(recordings: Iterable[Recording], folder: Path, shard_size: int) -> dict:
    """Write the recordings of each shard, so that a task need not go through all of them."""
    rows: Iterator[dict] = map(_describe, recordings)
    shards = []
    while part := list(islice(rows, shard_size)):
        name = f"recordings-{len(shards):05d}.parquet"
        pq.write_table(pa.Table.from_pylist(part, schema=_RECORDING_SCHEMA), folder / name, compression="zstd")
        # Relative to the output folder, which may be moved.
        shards.append({"name": name, "path": f"{PLAN_FOLDER}/{name}", "items": len(part), "size": len(part)})
    return {"shards": shards}


def _describe(recording: Recording) -> dict:
    row = {name: getattr(recording, name) for name in ("id", "speaker", "start", "end")}
    path = os.path.abspath(recording.path) if recording.path else ""
    # What is wrong with a transcript is none of our business; a missing file is.
    problem = None if path else recording.problem
    return row | {"path": path, "problem": problem}
