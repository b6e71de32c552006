"""`evoslm analyze RUN`: what a finished run's models know, part by part.

run + parts -> what each lacks, said first -> their stages -> the page.
"""

from dataclasses import replace
from pathlib import Path
from typing import get_args

from ...models.modalities import get_modality
from ..arguments.fields import check_values
from ..arguments.study import AnalysisPart
from ..report.run_folder import read_run
from ..run.execution import Execution
from ..run.study_file import open_run
from ..run.workers import count_cores, resolve_device
from .arguments import AnalyzeArguments
from .page import write_analysis
from .parts import AnalyzedRun, load_part


def analyze(arguments: AnalyzeArguments) -> Path:
    """
    Build the parts of the analysis, or go on with those that were interrupted, and write the page.

    Args:
        arguments ([`AnalyzeArguments`]): Of the command.

    Returns:
        `Path`: `report/analysis.md` of the run.

    Raises:
        `FileNotFoundError`: If the folder is no run, or nothing was scored in it yet.
        `ValueError`: If an argument is out of range, a part is asked for that the run lacks something for, no part can
            be built, or one was made with another configuration and `overwrite` is not set.
    """
    check_values(arguments)
    execution = Execution(arguments.num_proc or count_cores(), resolve_device(arguments.device), arguments.overwrite)
    run = read_analyzed(arguments.run_dir, arguments.modalities)
    for part in _choose(run, arguments):
        print(f"evoslm: {part}", flush=True)
        load_part(part).build(run, arguments, execution)
    page = write_analysis(read_analyzed(arguments.run_dir))
    print(f"The analysis is {page} (and analysis.html beside it).", flush=True)
    return page


def read_analyzed(run_dir: str, modalities: list[str] | None = None) -> AnalyzedRun:
    """
    Read a finished run.

    Args:
        run_dir (`str`): Its folder.
        modalities (`list[str]`, *optional*): Names of modalities; all that were scored, when not given.

    Raises:
        `FileNotFoundError`: If the folder is no run, or nothing was scored in it yet.
        `ValueError`: If there is no such modality, or the run has no scores of it.
    """
    paths, finished = open_run(run_dir), read_run(run_dir)
    if modalities is not None:
        for name in modalities:
            if get_modality(name).name not in finished.modalities:
                raise ValueError(
                    f"{run_dir} has no scores of {name}; choose from {', '.join(finished.modalities)}, or let "
                    "`evoslm study` make them."
                )
        asked = {name: part for name, part in finished.modalities.items() if name in modalities}
        finished = replace(finished, modalities=asked)
    return AnalyzedRun(paths, finished)


def _choose(run: AnalyzedRun, arguments: AnalyzeArguments) -> list[str]:
    """The parts to build: those that are asked for, which the run must have all for, or those it has all for."""
    asked = [part for part in get_args(AnalysisPart) if part in (arguments.parts or get_args(AnalysisPart))]
    lacks = {part: load_part(part).find_lack(run, arguments) for part in asked}
    lacks = {part: lack for part, lack in lacks.items() if lack is not None}
    if lacks and (arguments.parts or len(lacks) == len(asked)):
        raise ValueError(next(iter(lacks.values())))
    for part, lack in lacks.items():
        print(f"evoslm: without {part}: {lack}", flush=True)
    return [part for part in asked if part not in lacks]
