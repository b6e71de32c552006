"""What a run was made with, in one file."""

import datetime

from ...models.files import read_json, write_json
from ..arguments.study import Arguments
from ..stages.quantizer import describe_encoder, encoder_label
from .environment import describe_commit, describe_device, describe_versions
from .folder import Run
from .stage import read_stage
from .workers import resolve_device


def write_study_file(arguments: Arguments, run: Run) -> None:
    """Save configuration, versions, commit, device and the timings of the stages that are finished."""
    device = resolve_device(arguments.run.device)
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    if run.study_file.exists():
        started = read_json(run.study_file).get("started", started)
    stages = []
    for path in sorted(run.folder.glob("**/stage.json"), key=lambda path: path.stat().st_mtime):
        record = read_stage(path.parent)
        name = path.parent.relative_to(run.folder).as_posix()
        stages.append({"name": name, "seconds": record["seconds"], "peak_memory_mb": record["peak_memory_mb"]})
    write_json(
        run.study_file,
        {
            "configuration": arguments.to_dict(),
            "modalities": arguments.modalities,
            "seeds": arguments.run.training_seeds,
            "encoder": describe_encoder(arguments.units),
            "encoder_label": encoder_label(arguments.units),
            "versions": describe_versions(),
            "commit": describe_commit(),
            "device": describe_device(device),
            "started": started,
            "stages": stages,
        },
    )
