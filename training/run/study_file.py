"""What a run was made with, in one file: `study.json`, which the report and the commands on a finished run read.

configuration + versions + commit + device + the records of finished stages -> [`write_study`] -> [`read_study`].
"""

import datetime
from pathlib import Path
from typing import Any

from ...models.files import read_json_if_whole, write_json
from .environment import describe_commit, describe_device, describe_versions
from .folder import STUDY_FILE, Run
from .replicates_file import is_of_replicates
from .stage import read_stage

FORMAT = 2
"""Of a run's folder: raised when what lies where, or what a file says, changes."""


def write_study(run: Run, made_with: dict[str, Any], device: str) -> None:
    """
    Save what a run is made with, and the timings of the stages that are finished.

    Args:
        run ([`Run`]): The run.
        made_with (`dict[str, Any]`): Its configuration, modalities, seeds and encoder.
        device (`str`): `"cpu"` or `"cuda"`.

    Raises:
        `ValueError`: If the folder holds a run of another format.
    """
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    if run.study_file.exists():
        started = read_study(run.folder).get("started", started)
    stages = []
    for path in sorted(run.folder.glob("**/stage.json"), key=lambda path: path.stat().st_mtime):
        record = read_stage(path.parent)
        name = path.parent.relative_to(run.folder).as_posix()
        stages.append({"name": name, "seconds": record["seconds"], "peak_memory_mb": record["peak_memory_mb"]})
    write_json(
        run.study_file,
        {"format": FORMAT}
        | made_with
        | {
            "versions": describe_versions(),
            "commit": describe_commit(),
            "device": describe_device(device),
            "started": started,
            "stages": stages,
        },
    )


def read_study(folder: str | Path) -> dict[str, Any]:
    """
    What a run was made with.

    Args:
        folder (`str` or `Path`): The run's folder.

    Returns:
        `dict`: `configuration` (arguments by group), `modalities`, `seeds`, `encoder`, `encoder_label`, `versions`,
        `commit`, `device`, `started` and `stages`.

    Raises:
        `FileNotFoundError`: If it is not the folder of a run.
        `ValueError`: If an earlier or later version of evoslm made it.
    """
    path = Path(folder) / STUDY_FILE
    if not path.is_file():
        if is_of_replicates(folder):
            raise FileNotFoundError(f"{folder} holds replicates of a study; give the folder of one of them.")
        raise FileNotFoundError(f"{folder} is not the folder of a run; give one that `evoslm study` made.")
    study = read_json_if_whole(path)
    if study is None:
        raise ValueError(f"{path} is not readable as JSON; remove it and run the study again.")
    if study.get("format") != FORMAT:
        raise ValueError(
            f"{folder} was made by another version of evoslm, whose folders this one does not read; choose another "
            "folder, or run the study again."
        )
    return study


def read_encoder_precision(folder: str | Path) -> str:
    """
    What the encoder of a run's units computes in.

    Args:
        folder (`str` or `Path`): The run's folder.

    Returns:
        `str`: `"fp32"` or `"bf16"`.

    Raises:
        `FileNotFoundError`, `ValueError`: As [`read_study`].
    """
    units = read_study(folder).get("configuration", {}).get("units", {})
    return units.get("encoder_precision", "fp32")


def open_run(folder: str | Path) -> Run:
    """
    A run that commands of its own work on.

    Args:
        folder (`str` or `Path`): The folder of a run that a study, or a part of one, made.

    Returns:
        [`Run`]

    Raises:
        `FileNotFoundError`: If it is not the folder of a run.
        `ValueError`: If an earlier or later version of evoslm made it.
    """
    return Run(Path(folder), read_study(folder)["voices"])
