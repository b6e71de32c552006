"""What each task of `evoslm encode-audio` does, whichever executor of datatrove runs it.

plan (`plan/plan.json`, one entry a shard) -> [`EncodeAudio`] of rank r takes shard r -> rows of audio, a few at a time
-> units -> `units/<shard>.parquet`, renamed when whole, whose footer names the quantizer and what was skipped.
"""

import io
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.stats import PipelineStats

from ...datasets_scripts.recordings.reading import read_speech
from ...datasets_scripts.shards.footers import read_footer, with_footer
from ...models.audio import SAMPLE_RATE
from ...models.files import remove_partial, written_whole
from ..external_units.quantizers import load_quantizer
from ..run.workers import Job, resolve_device, run_jobs
from .plan import read_plan

UNIT_SCHEMA = pa.schema([("id", pa.string()), ("units", pa.list_(pa.uint16()))])
"""Columns of a shard of units."""
SEGMENT_SCHEMA = UNIT_SCHEMA.append(pa.field("frames", pa.list_(pa.uint32())))
"""Columns where units are of segments: how many frames each unit lasts, too."""
UNITS_FOLDER = "units"
LOGS_FOLDER = "logs"
# An empty file `<shard>.<number>` for each shard that skipped any: a task learns the job's total from one listing.
SKIPS_FOLDER = "logs/skips"

_ROWS_AT_A_TIME = 32


class EncodeAudio(PipelineStep):
    """
    Encode the shard of audio that has the task's rank.

    Args:
        output_dir (`str`): Where the plan lies and the units go; every task sees it under this name.
        model_dir (`str`): The folder of the quantizer, likewise.
        quantizer (`str`): The quantizer's fingerprint when the job was planned.
        device (`str`, *optional*, defaults to `"auto"`): `auto`, `cpu` or `cuda`; `auto` is decided where it runs.
        precision (`str`, *optional*, defaults to `"fp32"`): Of an encoder with weights, `"fp32"` or `"bf16"`.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05): Share of bad rows above which every task stops.
    """

    name = "speech units"
    type = "ENCODER"

    def __init__(
        self,
        output_dir: str,
        model_dir: str,
        quantizer: str,
        device: str = "auto",
        precision: str = "fp32",
        max_skipped_fraction: float = 0.05,
    ):
        super().__init__()
        self.output_dir = output_dir
        self.model_dir = model_dir
        self.quantizer = quantizer
        self.device = device
        self.precision = precision
        self.max_skipped_fraction = max_skipped_fraction

    def run(self, data=None, rank: int = 0, world_size: int = 1) -> None:
        """
        Make the shards `rank`, `rank + world_size`, ... of the plan that are not there yet.

        Args:
            data (`Iterable`, *optional*): Not read: nothing stands before this step.
            rank (`int`, *optional*, defaults to 0): The task.
            world_size (`int`, *optional*, defaults to 1): The number of tasks; there are as many as shards.

        Raises:
            `ValueError`: If too many rows of the job were skipped, the quantizer is no longer the one that the job was
                planned with, or a shard of units is of another one.
        """
        plan = read_plan(self.output_dir)
        for shard in plan["shards"][rank::world_size]:
            target = Path(self.output_dir, UNITS_FOLDER, shard["name"])
            if read_summary(target, self.quantizer, self.precision, shard["items"]) is None:
                check_skipped(self.output_dir, plan["items"], self.max_skipped_fraction)
                with self.track_time("shard"):
                    self._encode(shard, target)
                check_skipped(self.output_dir, plan["items"], self.max_skipped_fraction)

    def _encode(self, shard: dict, target: Path) -> None:
        model = _load_quantizer(self.model_dir, self.quantizer, resolve_device(self.device), self.precision)
        schema = SEGMENT_SCHEMA if model.config.segment_parts else UNIT_SCHEMA
        encoded_rows, skipped, num_samples = [], [], 0
        for rows in _read_rows(Path(self.output_dir, shard["path"])):
            audio, readable = [], []
            for row in rows:
                try:
                    audio.append(_read_audio(row))
                    readable.append(row)
                except ValueError as error:
                    skipped.append({"id": row["id"], "reason": str(error)})
            for row, samples, encoded in zip(readable, audio, _encode_batch(model, audio, readable)):
                if isinstance(encoded, ValueError):
                    skipped.append({"id": row["id"], "reason": str(encoded)})
                else:
                    encoded_rows.append({"id": row["id"], **encoded})
                    num_samples += len(samples)
        summary = {
            "quantizer": self.quantizer,
            "precision": self.precision,
            "items": shard["items"],
            "rows": len(encoded_rows),
            "units": sum(len(row["units"]) for row in encoded_rows),
            "seconds": num_samples / SAMPLE_RATE,
            "skipped": skipped,
        }
        # Before the shard itself, so that no shard is ever there uncounted.
        note_skipped(self.output_dir, shard["name"], len(skipped))
        _write(target, pa.Table.from_pylist(encoded_rows, schema), summary)
        self.stat_update("rows", value=len(encoded_rows), unit="shard")
        self.stat_update("skipped", value=len(skipped), unit="shard")
        self.stat_update("seconds_of_audio", value=round(summary["seconds"]), unit="shard")


class LocalExecutor(LocalPipelineExecutor):
    """datatrove's local executor in worker processes of ours: its own pool waits for ever for one that was killed."""

    def run(self) -> None:
        """
        Run the tasks that are not completed.

        Raises:
            [`WorkFailed`]: If a worker was killed.
        """
        self.save_executor_as_json()
        sizes = [shard["size"] for shard in read_plan(self.pipeline[0].output_dir)["shards"]]
        ranks = self.get_incomplete_ranks()
        jobs = [Job(_run_rank, {"executor": self, "rank": rank}, sizes[rank]) for rank in ranks]
        run_jobs(jobs, self.workers, "units")
        stats = PipelineStats()
        for rank in range(self.world_size):
            with self.logging_dir.open(f"stats/{rank:05d}.json") as file:
                stats += PipelineStats.from_json(json.load(file))
        with self.logging_dir.open("stats.json", "wt") as file:
            stats.save_to_disk(file)


def read_summary(path: Path, quantizer: str, precision: str, items: int | None) -> dict | None:
    """
    What the footer of a shard of units says.

    Args:
        path (`Path`): The shard.
        quantizer (`str`): Fingerprint that it must have.
        precision (`str`): Precision that it must have.
        items (`int`, *optional*): Rows and skipped rows that it must have; `None` if it must not be there at all.

    Returns:
        `dict`, *optional*: `None` where there is no shard, or a damaged one.

    Raises:
        `ValueError`: If it is of another quantizer, precision or audio; names the file.
    """
    summary = read_footer(path)
    if summary is None:
        return None
    way_out = "choose another --output_dir, or remove the file"
    if summary.get("quantizer") != quantizer:
        other = summary.get("quantizer", "none")[:16]
        raise ValueError(f"{path} is of another quantizer ({other}, not {quantizer[:16]}); {way_out}.")
    if summary["precision"] != precision:
        raise ValueError(f"{path} was made with --encoder_precision {summary['precision']}; {way_out}.")
    if summary["items"] != items:
        raise ValueError(f"{path} is of other audio than this job's; {way_out}.")
    return summary


def note_skipped(output_dir: str | Path, shard: str, number: int) -> None:
    """Say how many rows of a shard were skipped, instead of what was said before."""
    folder = Path(output_dir, SKIPS_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.stem == shard and path.suffix != f".{number}":
            path.unlink(missing_ok=True)
    if number:
        (folder / f"{shard}.{number}").touch()


def check_skipped(output_dir: str | Path, items: int, max_skipped_fraction: float) -> None:
    """
    Stop if too many rows of the whole job were skipped so far.

    Raises:
        `ValueError`: If so; names one of them and its reason.
    """
    folder = Path(output_dir, SKIPS_FOLDER)
    notes = sorted(folder.iterdir()) if folder.is_dir() else []
    number = sum(int(path.suffix[1:]) for path in notes)
    if number <= max_skipped_fraction * items:
        return
    example = ""
    for note in notes:
        path = Path(output_dir, UNITS_FOLDER, note.stem)
        if path.exists():
            skip = read_footer(path)["skipped"][0]
            example = f"; {skip['id']}, for instance: {skip['reason']}"
            break
    raise ValueError(
        f"{number} of {items} recordings were skipped, more than --max_skipped_fraction {max_skipped_fraction} "
        f"allows{example}"
    )


def _run_rank(executor: LocalExecutor, rank: int, report_progress=None) -> None:
    from loguru import logger

    # An error is raised where the command was given; datatrove would print its trace there as well.
    logger.disable("datatrove")
    executor._run_for_rank(rank, local_rank=1)


@lru_cache(maxsize=1)
def _load_quantizer(model_dir: str, quantizer: str, device: str, precision: str):
    """The quantizer, kept for the next shard of this process."""
    import torch

    model = load_quantizer(Path(model_dir), use_safetensors=True)
    if model.fingerprint() != quantizer:
        raise ValueError(f"{model_dir} is no longer the quantizer that the job was started with; start it again.")
    if precision == "bf16":
        model = load_quantizer(Path(model_dir), use_safetensors=True, dtype=torch.bfloat16)
    return model.to(device)


def _read_rows(path: Path) -> Iterator[list[dict]]:
    """Rows of utterances or of a list of recordings, a few at a time."""
    file = pq.ParquetFile(path)
    columns = {"id", "speaker", "audio", "path", "start", "end", "problem"} & set(file.schema_arrow.names)
    for batch in file.iter_batches(_ROWS_AT_A_TIME, columns=sorted(columns)):
        yield batch.to_pylist()


def _read_audio(row: dict) -> np.ndarray:
    """Samples at 16 kHz of an utterance or a recording."""
    if "audio" not in row:
        if row["problem"]:
            raise ValueError(row["problem"])
        return read_speech(row["path"], row["start"], row["end"])
    import soundfile

    data = (row["audio"] or {}).get("bytes")
    if not data:
        raise ValueError("It has no bytes of audio.")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            promised, rate, channels = file.frames, file.samplerate, file.channels
            samples = file.read(dtype="int16")
    except soundfile.LibsndfileError as error:
        raise ValueError(f"It cannot be read as audio ({error.error_string.strip().rstrip('.')}).") from error
    if (rate, channels) != (SAMPLE_RATE, 1):
        raise ValueError(f"It has {rate} Hz and {channels} channels; utterances have {SAMPLE_RATE} Hz and one.")
    if len(samples) < promised:
        raise ValueError(f"It is truncated: it has {len(samples)} of {promised} samples.")
    return samples


def _encode_batch(model, audio: list[np.ndarray], rows: list[dict]) -> list:
    """Units of each, with the frames of each where they are of segments, or the error that says why there are none."""
    speakers = [row.get("speaker") or "" for row in rows]
    try:
        frames = model.find_segments(audio) if model.config.segment_parts else None
        units = model.units(audio, speakers, SAMPLE_RATE, frames) if audio else []
        columns = {"units": units} | ({} if frames is None else {"frames": frames})
        return [dict(zip(columns, row)) for row in zip(*columns.values())]
    except ValueError as error:
        if len(audio) == 1:
            return [error]
    return [_encode_batch(model, [samples], [row])[0] for samples, row in zip(audio, rows)]


def _write(path: Path, table: pa.Table, summary: dict) -> None:
    try:
        with written_whole(path, durable=True) as partial:
            pq.write_table(with_footer(table, summary), partial, compression="zstd")
    except FileNotFoundError:
        if not path.exists():  # else another task has made the same shard meanwhile, and swept up
            raise
    remove_partial(path.parent, path.name)  # of tasks that were killed
