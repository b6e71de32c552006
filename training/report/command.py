"""`evoslm report`: the report of a finished run, written again.

run folder -> [`rewrite_report`] -> its `report/`, as `evoslm study` would write it now.
"""

from dataclasses import dataclass
from pathlib import Path

from . import write_report


@dataclass
class ReportArguments:
    """
    A finished run.

    Args:
        run_dir (`str`): The folder of a run in which at least one modality was scored.
    """

    run_dir: str


def rewrite_report(arguments: ReportArguments) -> Path:
    """
    Write the report of a run again, from the scores that lie in it.

    Args:
        arguments ([`ReportArguments`]): Of the command.

    Returns:
        `Path`: `report/report.md` in the run.

    Raises:
        `FileNotFoundError`: If the folder is no run, or nothing was scored in it yet.
        `ValueError`: If one of its files cannot be read.
    """
    report = write_report(arguments.run_dir)
    print(f"The report is {report} (and report.html beside it).", flush=True)
    return report
