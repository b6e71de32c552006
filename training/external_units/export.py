"""`evoslm export-audio`: what a table of ids has to be made of, as wav files with the names that its rows must have.

a run's utterances and pairs, in every set of voices -> `utterances/<name>.wav`, `pairs/<name>.wav` and `files.jsonl`,
which has a line a file.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ...models.audio import SAMPLE_RATE, decode_flac
from ...models.files import read_json_lines, write_json_lines, written_whole
from ..run.folder import Run
from ..run.stage import STAGE_FILE, Stage
from ..run.study_file import open_run
from ..run.workers import Job, count_cores, run_jobs
from ..stages.units.external import read_pairs, read_utterances

FILES_FILE = "files.jsonl"


@dataclass
class ExportArguments:
    """
    A run whose audio is written.

    Args:
        run_dir (`str`): The folder of a run, of which `build-dataset` is enough.
        to (`str`): The folder to write to.
        num_proc (`int`, *optional*): Worker processes; the number of cores when not given.
        overwrite (`bool`, *optional*, defaults to `False`): Replace the audio of another run.
    """

    run_dir: str
    to: str
    num_proc: int | None = field(default=None, metadata={"least": 1})
    overwrite: bool = False


def export_audio(arguments: ExportArguments) -> Path:
    """
    Write every utterance and every part of a minimal pair, contexts included, as 16-bit wav at 16 kHz. The folder is
    written whole; a command that was killed goes on.

    Args:
        arguments ([`ExportArguments`]): Of the command.

    Returns:
        `Path`: The folder. `files.jsonl` has `file` (the name that a table has to have), `path` and `seconds` of each.

    Raises:
        `FileNotFoundError`: If the folder is no run, or the run has no pairs yet.
        `ValueError`: If two rows have the same name, or the folder holds something else.
    """
    run, folder = open_run(arguments.run_dir), Path(arguments.to)
    stages = _spoken(run)

    def build(partial: Path) -> None:
        jobs = [Job(write_stage, {"stage": stage, "kind": kind, "folder": partial}) for stage, kind in stages]
        run_jobs(jobs, arguments.num_proc or count_cores(), "wav files")
        lists = [partial / f"{stage.name}.{FILES_FILE}" for stage, _ in stages]
        rows = [row for path in lists for row in read_json_lines(path)]
        names = Counter(row["file"] for row in rows)
        if twice := [name for name, number in names.items() if number > 1]:
            raise ValueError(f"{len(twice)} names stand for two recordings each, such as {twice[0]!r}; rename one.")
        write_json_lines(partial / FILES_FILE, rows)
        for path in lists:
            path.unlink()

    Stage(folder, 1, {}, {stage.name: stage for stage, _ in stages}).run(build, arguments.overwrite)
    print(f"The audio is {folder}; {folder / FILES_FILE} lists the names that a table of ids must have.")
    return folder


def write_stage(stage: Path, kind: str, folder: Path, report_progress=None) -> None:
    """
    The job of a worker: one set of voices of the utterances or of the pairs.

    Args:
        stage (`Path`): Where they are spoken.
        kind (`str`): `"utterances"` or `"pairs"`, the folder of the files.
        folder (`Path`): What that is made in.
        report_progress (`Callable[[float], None]`, *optional*): Not used: how many there are is known at the end.
    """
    import soundfile

    (folder / kind).mkdir(exist_ok=True)
    rows = []
    for name, data in read_utterances(stage) if kind == "utterances" else read_pairs(stage):
        samples, path = decode_flac(data), folder / kind / f"{name}.wav"
        if not path.exists():
            with written_whole(path) as partial:
                soundfile.write(partial, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
        rows.append({"file": name, "path": f"{kind}/{name}.wav", "seconds": len(samples) / SAMPLE_RATE})
    write_json_lines(folder / f"{stage.name}.{FILES_FILE}", rows)


def _spoken(run: Run) -> list[tuple[Path, str]]:
    """The stages of utterances and of pairs, in every set of voices that the run has."""
    own = {"utterances": run.utterances(), "pairs": run.pairs()}
    stages = []
    for kind, stage in own.items():
        if not (stage / STAGE_FILE).is_file():
            raise FileNotFoundError(f"There is no {stage}; `evoslm build-dataset` makes it.")
        stages += [(path.parent, kind) for path in sorted(stage.parent.glob(f"{stage.name}*/{STAGE_FILE}"))]
    return stages
