"""`evoslm export-units`: a run's units of the recordings of a benchmark, in the files that the benchmark takes.

a benchmark's folder -> sets of recordings -> units of the run's quantizer -> a file a set, or a recording.
Formats are those that the benchmarks' own programs read: discophon's `read_submitted_units`, the validator of
ZeroSpeech 2021's phonetic task, and BabySLM's `load_quantized_units`; docs/recordings.md says where they stand.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from ...datasets_scripts.recordings.reading import read_waveform
from ...models.files import read_json_if_whole, write_json, written_whole
from ...models.modalities import get_modality
from ..external_units.quantizers import has_quantizer, is_external, load_quantizer, read_quantizer_config
from ..run.environment import describe_commit, describe_versions
from ..run.stage import fingerprint_files
from ..run.study_file import open_run, read_encoder_precision
from ..run.workers import Job, count_cores, resolve_device, run_jobs

SUMMARY_FILE = "export.json"
MADE_OF_FILE = "made_of.json"
DISCOPHON_UNITS = 256
"""Units that discophon's many-to-one benchmark allows."""
_PHONETIC_SETS = ("dev-clean", "dev-other", "test-clean", "test-other")
_SPLITS = ("dev", "test")


@dataclass
class ExportUnitsArguments:
    """
    A run's quantizer and a benchmark's recordings.

    Args:
        run_dir (`str`): The folder of a run.
        benchmark_dir (`str`): The benchmark's folder: of discophon the one with `audio/<language>/<split>`, of
            ZeroSpeech 2021 that with `phonetic`, of BabySLM that with `lexical` and `syntactic`.
        to (`str`): The folder to write to.
        benchmark (`str`, *optional*, defaults to `"discophon"`): Whose recordings and files.
        modality (`str`, *optional*, defaults to `"speech_units"`): The modality of speech whose quantizer is used.
        num_proc (`int`, *optional*): Worker processes; the number of cores when not given.
        device (`str`, *optional*, defaults to `"auto"`): Where encoders run; `auto` takes a GPU where there is one.
    """

    run_dir: str
    benchmark_dir: str
    to: str
    benchmark: Literal["discophon", "zerospeech2021", "babyslm"] = "discophon"
    modality: str = "speech_units"
    num_proc: int | None = field(default=None, metadata={"least": 1})
    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True)
class RecordedSet:
    """
    Recordings that stand together in a benchmark.

    Args:
        name (`str`): Its name.
        folder (`Path`): Where they lie.
        target (`Path`): The file, or of ZeroSpeech the folder, that its units go to, below the output folder.
    """

    name: str
    folder: Path
    target: Path


def export_units(arguments: ExportUnitsArguments) -> Path:
    """
    Encode the recordings of every set that the benchmark's folder has; sets that are there are not made again, and
    are refused where they are of another quantizer or of other recordings.

    Args:
        arguments ([`ExportUnitsArguments`]): Of the command.

    Returns:
        `Path`: The output folder. Of discophon `units-<language>-<split>.jsonl`, a line `{"file": ..., "units":
        [...]}` a recording; of ZeroSpeech 2021 `phonetic/<set>/<recording>.txt`, a row a frame with a 1 in the unit's
        column; of BabySLM `<task>/<split>/quantized_outputs.txt`, `name<tab>1,2,3`. `export.json` says what was made,
        and `made_of.json` of what.

    Raises:
        `FileNotFoundError`: If the folder is no run, has no such quantizer, or the benchmark's has no recordings.
        `ValueError`: If units of this modality are none of frames, are a table, a recording cannot be read, or the
            output folder holds units of something else.
    """
    run, device = open_run(arguments.run_dir), resolve_device(arguments.device)
    modality = get_modality(arguments.modality)
    if not modality.is_speech or modality.unit_of == "syllable":
        raise ValueError(f"{modality.name} has no units of any recording; give a modality of speech, speech_units.")
    quantizer = run.quantizer(modality.name)
    if not has_quantizer(quantizer):
        raise FileNotFoundError(f"{run.folder} has no quantizer of {modality.name}; `evoslm fit-units` makes one.")
    config = read_quantizer_config(quantizer)
    if getattr(config, "kind", None) == "table":
        raise ValueError(
            f"The units of {run.folder} are a table of its own audio; encode {arguments.benchmark_dir} by its maker."
        )
    if config.segment_parts:
        raise ValueError(
            f"The units of {modality.name} are of segments, and a benchmark wants one a frame; give another."
        )
    folder, sets = Path(arguments.to), list(find_sets(arguments.benchmark, Path(arguments.benchmark_dir)))
    if not sets:
        raise FileNotFoundError(f"There are no recordings of {arguments.benchmark} in {arguments.benchmark_dir}.")
    if arguments.benchmark == "discophon" and config.num_units > DISCOPHON_UNITS:
        warnings.warn(
            f"discophon's many-to-one track allows {DISCOPHON_UNITS} units, and this quantizer has "
            f"{config.num_units}; give --num_units 256 to evoslm fit-units for a submission.",
            stacklevel=2,
        )
    precision = read_encoder_precision(run.folder)
    made_of = {
        "benchmark": arguments.benchmark,
        "modality": modality.name,
        "quantizer": fingerprint_files(quantizer),
        "encoder_precision": precision,
    }
    _keep_apart(folder, sets, made_of)
    common = {"quantizer": quantizer, "benchmark": arguments.benchmark, "device": device, "precision": precision}
    jobs = [
        Job(_encode_set, common | {"recorded": each, "target": folder / each.target}, len(_recordings(each.folder)))
        for each in sets
        if not _is_there(each, folder / each.target, arguments.benchmark)
    ]
    run_jobs(jobs, 1 if device == "cuda" else arguments.num_proc or count_cores(), "units")
    write_json(
        folder / SUMMARY_FILE,
        {
            "benchmark": arguments.benchmark,
            "sets": {each.name: len(_recordings(each.folder)) for each in sets},
            "num_units": config.num_units,
            "step_ms": 1000 / config.frame_rate,
            "versions": describe_versions(),
            "commit": describe_commit(),
        },
    )
    print(f"The units are {folder} ({', '.join(each.name for each in sets)}).", flush=True)
    return folder


def find_sets(benchmark: str, folder: Path) -> Iterator[RecordedSet]:
    """
    The sets of recordings that a benchmark's folder has.

    Args:
        benchmark (`str`): `"discophon"`, `"zerospeech2021"` or `"babyslm"`.
        folder (`Path`): The benchmark's folder.
    """
    if benchmark == "discophon":
        for path in sorted(path for split in _SPLITS for path in folder.glob(f"audio/*/{split}")):
            name = f"{path.parent.name}-{path.name}"
            yield from _set(name, path, Path(f"units-{name}.jsonl"))
    elif benchmark == "zerospeech2021":
        for name in _PHONETIC_SETS:
            yield from _set(name, folder / "phonetic" / name, Path("phonetic", name))
    else:
        for task in ("lexical", "syntactic"):
            for split in _SPLITS:
                yield from _set(f"{task}-{split}", folder / task / split, Path(task, split, "quantized_outputs.txt"))


def _set(name: str, folder: Path, target: Path) -> Iterator[RecordedSet]:
    if _recordings(folder):
        yield RecordedSet(name, folder, target)


def _recordings(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.wav"))


def _keep_apart(folder: Path, sets: list[RecordedSet], made_of: dict[str, str]) -> None:
    """Note what each set is made of before it is, and refuse those that are there and of something else."""
    noted = read_json_if_whole(folder / MADE_OF_FILE) or {}
    for each in sets:
        target, now = folder / each.target, made_of | {"recordings": _fingerprint(each)}
        there = noted.get(each.name, {}) if target.exists() else now
        differing = [name for name, value in now.items() if there.get(name) != value]
        if differing:
            raise ValueError(
                f"{target} is there, but not of what is asked for ({', '.join(differing)}); choose another --to, or "
                "remove it."
            )
        noted[each.name] = now
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / MADE_OF_FILE, noted)


def _fingerprint(recorded: RecordedSet) -> str:
    """Of the names of a set's recordings and their sizes."""
    paths = _recordings(recorded.folder)
    files = [(path.relative_to(recorded.folder).as_posix(), path.stat().st_size) for path in paths]
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]


def _encode_set(
    quantizer: Path,
    benchmark: str,
    recorded: RecordedSet,
    target: Path,
    device: str,
    precision: str,
    report_progress: Callable[[float], None],
) -> None:
    """The job of a worker: one set, whole or not at all."""
    import torch

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model, paths = load_quantizer(quantizer, dtype=dtype).to(device), _recordings(recorded.folder)

    def encode(path: Path) -> np.ndarray:
        named = {"names": [path.name]} if is_external(quantizer) else {}
        return model.units([read_waveform(path, path.name)], **named)[0]

    if benchmark == "zerospeech2021":
        for index, path in enumerate(paths):
            _write_one_hot(
                target / _one_hot_name(recorded, path), lambda path=path: encode(path), model.config.num_units
            )
            report_progress((index + 1) / len(paths))
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(target) as partial, partial.open("w", encoding="utf-8") as file:
        for index, path in enumerate(paths):
            file.write(_line(benchmark, path.stem, encode(path).tolist()))
            report_progress((index + 1) / len(paths))


def _is_there(recorded: RecordedSet, target: Path, benchmark: str) -> bool:
    if benchmark != "zerospeech2021":
        return target.is_file()
    return all((target / _one_hot_name(recorded, path)).is_file() for path in _recordings(recorded.folder))


def _one_hot_name(recorded: RecordedSet, path: Path) -> Path:
    return path.relative_to(recorded.folder).with_suffix(".txt")


def _write_one_hot(path: Path, encode: Callable[[], np.ndarray], num_units: int) -> None:
    """A row a frame, of which the unit's column is 1, unless it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            np.savetxt(partial, np.eye(num_units, dtype=np.int8)[encode()], fmt="%d")


def _line(benchmark: str, name: str, units: list[int]) -> str:
    if benchmark == "discophon":
        return json.dumps({"file": name, "units": units}) + "\n"
    return f"{name}\t{','.join(map(str, units))}\n"
