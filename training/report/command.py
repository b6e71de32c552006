"""`evoslm report`: the report of a finished run, or over replicates of a study, written again.

folder -> [`rewrite_report`] -> its `report/`, as `evoslm study` would write it now.
"""

from dataclasses import dataclass
from pathlib import Path

from ..run.replicates_file import find_replicates, is_of_replicates
from . import write_report
from .comparison import write_comparison


@dataclass
class ReportArguments:
    """
    A finished run.

    Args:
        run_dir (`str`): The folder of a run in which at least one modality was scored, or of replicates.
    """

    run_dir: str


def rewrite_report(arguments: ReportArguments) -> Path:
    """
    Write the report of a run again, from the scores that lie in it, or that over replicates.

    Args:
        arguments ([`ReportArguments`]): Of the command.

    Returns:
        `Path`: `report/report.md` in the folder.

    Raises:
        `FileNotFoundError`: If the folder is no run, or nothing was scored in it yet.
        `ValueError`: If one of its files cannot be read, or fewer than two replicates are finished.
    """
    if is_of_replicates(arguments.run_dir):
        report = _rewrite_report_over_replicates(Path(arguments.run_dir))
    else:
        report = write_report(arguments.run_dir)
    print(f"The report is {report} (and report.html beside it).", flush=True)
    return report


def _rewrite_report_over_replicates(folder: Path) -> Path:
    """The report over those replicates of a study that are finished, which names the others."""
    finished, unfinished = find_replicates(folder)
    if len(finished) < 2:
        raise ValueError(
            f"{folder} has {len(finished)} finished of {len(finished) + len(unfinished)} replicates, and a report "
            "over them needs two; let `evoslm study` go on."
        )
    return write_comparison(finished, folder / "report", [path.name for path in unfinished])
