"""`evoslm encode-audio`: units of very much audio, by datatrove on one machine, a SLURM cluster or a Ray cluster.

audio -> plan ([`make_plan`]) -> one task a shard ([`EncodeAudio`]) -> `units/<shard>.parquet` (`id, units`) ->
`skipped.jsonl`, `summary.json`. The same command goes on after any kill.
"""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

from ...datasets_scripts.shards.footers import read_footer
from ...datasets_scripts.shards.worker_pool import WorkFailed
from ...models.audio import SAMPLE_RATE
from ...models.files import write_json, write_json_lines
from ..arguments.fields import check_values
from ..external_units.quantizers import has_quantizer, load_quantizer
from ..run.environment import describe_versions
from ..run.folder import MODEL_FOLDER
from ..run.study_file import open_run
from ..run.workers import count_cores, resolve_device
from .plan import make_plan

SUMMARY_FILE = "summary.json"
SKIPPED_FILE = "skipped.jsonl"


@dataclass
class EncodeArguments:
    """
    Audio, a quantizer, and who does the work.

    Args:
        output_dir (`str`): Where the units go. With several machines, a folder that all of them see.
        run_dir (`str`, *optional*): A finished run, whose quantizer is taken.
        model_dir (`str`, *optional*): Instead of a run, the folder of a quantizer (`units/.../model` of a run).
        utterances_dir (`str`, *optional*): Shards of utterances, with `id`, `speaker` and `audio`.
        audio_dir (`str`, *optional*): Instead of them, a folder of recordings, with transcripts or without.
        manifest (`str`, *optional*): LibriHeavy's manifests of `audio_dir`: a file or a folder of them.
        shard_size (`int`, *optional*, defaults to 1000): Recordings a shard; utterances keep their shards.
        executor (`str`, *optional*, defaults to `"local"`): Where the work is done: on this machine, or on a cluster.
        num_proc (`int`, *optional*): Shards that are worked on at a time; the number of cores when not given, on SLURM
            as many as it lets run.
        device (`str`, *optional*, defaults to `"auto"`): Where encoders run; `auto` takes a GPU where there is one.
        encoder_precision (`str`, *optional*, defaults to `"fp32"`): Of an encoder with weights.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05): Share of bad recordings above which it stops.
        gpus_per_task (`int`, *optional*): GPUs of a SLURM or Ray task; 1 with `--device cuda`, else 0.
        mem_per_cpu_gb (`int`, *optional*, defaults to 4): Memory of a core of a SLURM or Ray task.
        ray_address (`str`, *optional*): Of a Ray cluster, or `auto`; one is started here when not given.
        slurm_partition (`str`, *optional*): Where the job runs.
        slurm_time (`str`, *optional*, defaults to `"24:00:00"`): Time limit of a task.
        slurm_cpus (`int`, *optional*, defaults to 1): Cores of a task.
        slurm_qos (`str`, *optional*): Quality of service; the cluster's own when not given.
        slurm_shards_per_task (`int`, *optional*, defaults to 1): Shards that a task makes one after the other.
        slurm_max_array_size (`int`, *optional*, defaults to 1001): Tasks of an array; more become several arrays.
        slurm_job_name (`str`, *optional*, defaults to `"evoslm-units"`): The job's name.
        slurm_env_command (`str`, *optional*): What a task runs first; puts this Python first in PATH when not given.
        slurm_options (`list[str]`, *optional*): More options of sbatch, as `account=speech`.
    """

    output_dir: str
    run_dir: str | None = None
    model_dir: str | None = None
    utterances_dir: str | None = None
    audio_dir: str | None = None
    manifest: str | None = None
    shard_size: int = field(default=1000, metadata={"least": 1})
    executor: Literal["local", "slurm", "ray"] = "local"
    num_proc: int | None = field(default=None, metadata={"least": 1})
    device: Literal["auto", "cpu", "cuda"] = "auto"
    encoder_precision: Literal["fp32", "bf16"] = "fp32"
    max_skipped_fraction: float = field(default=0.05, metadata={"least": 0, "most": 1})
    gpus_per_task: int | None = field(default=None, metadata={"least": 0})
    mem_per_cpu_gb: int = field(default=4, metadata={"least": 1})
    ray_address: str | None = None
    slurm_partition: str | None = None
    slurm_time: str = "24:00:00"
    slurm_cpus: int = field(default=1, metadata={"least": 1})
    slurm_qos: str | None = None
    slurm_shards_per_task: int = field(default=1, metadata={"least": 1})
    slurm_max_array_size: int = field(default=1001, metadata={"least": 1})
    slurm_job_name: str = "evoslm-units"
    slurm_env_command: str | None = None
    slurm_options: list[str] | None = None


def encode_audio(arguments: EncodeArguments) -> Path:
    """
    Encode the shards that are missing; on SLURM, hand them in as a job and come back at once.

    Args:
        arguments ([`EncodeArguments`]): Of the command.

    Returns:
        `Path`: The output folder: `units/` with a parquet file a shard and, once all are there, `skipped.jsonl` and
        `summary.json`.

    Raises:
        `ValueError`: If arguments do not go together, the folder holds units of other audio or of another quantizer,
            or too many recordings were skipped.
        `FileNotFoundError`: If there is no such audio or quantizer, or no sbatch.
        [`WorkFailed`]: If a worker was killed or tasks failed; what they had finished stays.
    """
    check_values(arguments)
    arguments = _with_quantizer(arguments)
    _check(arguments)
    from .steps import UNITS_FOLDER, EncodeAudio, check_skipped

    quantizer = _fingerprint(arguments.model_dir)
    folder = Path(arguments.output_dir).resolve()
    plan = make_plan(folder, arguments.utterances_dir, arguments.audio_dir, arguments.manifest, arguments.shard_size)
    missing = _find_missing(folder, plan, quantizer, arguments.encoder_precision)
    if missing:
        check_skipped(folder, plan["items"], arguments.max_skipped_fraction)
        step = EncodeAudio(
            str(folder),
            str(Path(arguments.model_dir).resolve()),
            quantizer,
            arguments.device,
            arguments.encoder_precision,
            arguments.max_skipped_fraction,
        )
        try:
            job = _run(arguments, step, folder, len(plan["shards"]))
        finally:
            _write_skipped(folder, plan)
        if job is not None:
            print(
                f"{len(missing)} shards were handed in as SLURM job {job}; its logs are {folder / 'logs'}. Run the "
                "same command when it has ended, to check the units and to make what is missing.",
                flush=True,
            )
            return folder
        missing = _find_missing(folder, plan, quantizer, arguments.encoder_precision)
    check_skipped(folder, plan["items"], arguments.max_skipped_fraction)
    if missing:
        raise WorkFailed(
            f"{len(missing)} of {len(plan['shards'])} shards could not be made, {missing[0]} for instance; "
            f"{folder / 'logs'} says why. Run the same command to go on."
        )
    summary = _summarize(folder, plan, quantizer, arguments.encoder_precision)
    write_json(folder / SUMMARY_FILE, summary)
    print(
        f"The units are {folder / UNITS_FOLDER}: {summary['rows']:,} rows, {summary['seconds'] / 3600:,.1f} h, "
        f"{summary['skipped']:,} skipped.",
        flush=True,
    )
    return folder


def _with_quantizer(arguments: EncodeArguments) -> EncodeArguments:
    if (arguments.run_dir is None) == (arguments.model_dir is None):
        raise ValueError(
            "Give either a finished run (`evoslm encode-audio RUN`) or --model_dir, a quantizer's folder."
        )
    if arguments.model_dir is not None:
        return arguments
    return replace(arguments, model_dir=str(open_run(arguments.run_dir).units() / MODEL_FOLDER))


def _check(arguments: EncodeArguments) -> None:
    if (arguments.utterances_dir is None) == (arguments.audio_dir is None):
        raise ValueError("Give either --utterances_dir, shards of utterances, or --audio_dir, a folder of recordings.")
    if arguments.manifest and not arguments.audio_dir:
        raise ValueError("--manifest needs --audio_dir, the folder where the long recordings lie.")
    try:
        import datatrove  # noqa: F401
    except ImportError as error:
        raise ValueError("encode-audio needs datatrove; install it with `pip install 'evoslm[scale]'`.") from error
    if arguments.executor == "slurm":
        if not arguments.slurm_partition:
            raise ValueError("--executor slurm needs --slurm_partition, where the job runs.")
        wrong = [option for option in arguments.slurm_options or [] if "=" not in option]
        if wrong:
            raise ValueError(f"--slurm_options has {wrong[0]!r}; write options as name=value.")
        if shutil.which("sbatch") is None:
            raise FileNotFoundError("There is no sbatch here; start the job where SLURM is, or use --executor local.")
    else:
        given = [item.name for item in fields(arguments) if item.name.startswith("slurm_")]
        given = [name for name in given if getattr(arguments, name) != getattr(EncodeArguments, name)]
        if given:
            raise ValueError(f"--{given[0]} says something of --executor slurm; give both or neither.")
    if arguments.executor == "ray":
        try:
            import ray  # noqa: F401
        except ImportError as error:
            raise ValueError("--executor ray needs Ray; install it with `pip install ray`.") from error


def _fingerprint(model_dir: str) -> str:
    if not has_quantizer(Path(model_dir)):
        raise FileNotFoundError(f"{model_dir} is not the folder of a quantizer; give the one that fit-units made.")
    model = load_quantizer(Path(model_dir), use_safetensors=True)
    if getattr(model.config, "kind", None) == "table":
        raise ValueError(f"{model_dir} has a table of the ids of a run's own audio; give a quantizer that can hear.")
    if model.config.sampling_rate != SAMPLE_RATE:
        raise ValueError(f"{model_dir} reads {model.config.sampling_rate} Hz; audio is read at {SAMPLE_RATE} Hz here.")
    if model.config.segment_parts and model.config.segmentation is None:
        raise ValueError(f"{model_dir} reads aligned syllables, and nothing is aligned here; give another.")
    return model.fingerprint()


def _find_missing(folder: Path, plan: dict, quantizer: str, precision: str) -> list[str]:
    """Names of the shards to make; what datatrove and the notes say of them is taken back."""
    from .steps import LOGS_FOLDER, SKIPS_FOLDER, UNITS_FOLDER, note_skipped, read_summary

    units = folder / UNITS_FOLDER
    units.mkdir(parents=True, exist_ok=True)
    numbers = {shard["name"]: shard["items"] for shard in plan["shards"]}
    for path in sorted(units.glob("*.parquet")):
        read_summary(path, quantizer, precision, numbers.get(path.name))
    noted = {path.stem for path in (folder / SKIPS_FOLDER).glob("*.parquet.*")}
    missing = []
    for rank, shard in enumerate(plan["shards"]):
        if read_summary(units / shard["name"], quantizer, precision, shard["items"]) is None:
            missing.append(shard["name"])
            (units / shard["name"]).unlink(missing_ok=True)  # a damaged one
            (folder / LOGS_FOLDER / "completions" / f"{rank:05d}").unlink(missing_ok=True)
            if shard["name"] in noted:
                note_skipped(folder, shard["name"], 0)
    return missing


def _run(arguments: EncodeArguments, step, folder: Path, tasks: int) -> str | None:
    """Run the tasks, or hand them in: then the job's number."""
    from .steps import LOGS_FOLDER

    logs = str(folder / LOGS_FOLDER)
    gpus = arguments.gpus_per_task
    if gpus is None:
        gpus = int(arguments.device == "cuda")
    if arguments.executor == "slurm":
        return _hand_in(arguments, step, logs, tasks, gpus)
    if arguments.executor == "ray":
        _run_on_ray(arguments, step, logs, tasks, gpus)
        return None
    from .steps import LocalExecutor

    step.device = resolve_device(arguments.device)
    workers = 1 if step.device == "cuda" else arguments.num_proc or count_cores()
    LocalExecutor([step], tasks, workers, logs).run()
    return None


def _hand_in(arguments: EncodeArguments, step, logs: str, tasks: int, gpus: int) -> str:
    from datatrove.executor.slurm import SlurmPipelineExecutor

    executor = SlurmPipelineExecutor(
        [step],
        tasks,
        arguments.slurm_time,
        arguments.slurm_partition,
        cpus_per_task=arguments.slurm_cpus,
        mem_per_cpu_gb=arguments.mem_per_cpu_gb,
        gpus_per_task=gpus,
        workers=arguments.num_proc or -1,
        job_name=arguments.slurm_job_name,
        qos=arguments.slurm_qos,
        # A job's shell may find another Python than the one that has this package.
        env_command=arguments.slurm_env_command or f'export PATH="{Path(sys.executable).parent}:$PATH"',
        sbatch_args=dict(option.split("=", 1) for option in arguments.slurm_options or []),
        max_array_size=arguments.slurm_max_array_size,
        logging_dir=logs,
        tasks_per_job=arguments.slurm_shards_per_task,
    )
    executor.run()
    return str(executor.job_id)


def _run_on_ray(arguments: EncodeArguments, step, logs: str, tasks: int, gpus: int) -> None:
    import ray
    from datatrove.executor.ray import RayPipelineExecutor

    started = not ray.is_initialized()
    if started:
        cores = None if arguments.ray_address else arguments.num_proc or count_cores()
        ray.init(arguments.ray_address, num_cpus=cores, include_dashboard=False, log_to_driver=False)
    try:
        RayPipelineExecutor(
            [step],
            tasks,
            # On a cluster, what runs at a time is for its resources to say.
            workers=arguments.num_proc or -1,
            logging_dir=logs,
            mem_per_cpu_gb=arguments.mem_per_cpu_gb,
            gpus_per_task=gpus,
        ).run()
    finally:
        if started:
            ray.shutdown()


def _summaries(folder: Path, plan: dict) -> Iterator[dict]:
    from .steps import UNITS_FOLDER

    for shard in plan["shards"]:
        footer = read_footer(folder / UNITS_FOLDER / shard["name"])
        if footer is not None:
            yield footer


def _write_skipped(folder: Path, plan: dict) -> None:
    skips = [skip for summary in _summaries(folder, plan) for skip in summary["skipped"]]
    write_json_lines(folder / SKIPPED_FILE, skips)


def _summarize(folder: Path, plan: dict, quantizer: str, precision: str) -> dict:
    _write_skipped(folder, plan)
    summary = {"shards": len(plan["shards"]), "items": plan["items"], "rows": 0, "units": 0, "seconds": 0.0}
    summary["skipped"] = 0
    for part in _summaries(folder, plan):
        for name in ("rows", "units", "seconds"):
            summary[name] += part[name]
        summary["skipped"] += len(part["skipped"])
    return summary | {"quantizer": quantizer, "encoder_precision": precision, "versions": describe_versions()}
