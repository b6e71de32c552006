"""`evoslm compare`: what several finished runs agree on.

run folders, or folders of replicates -> [`compare_finished_runs`] -> one report over all.
"""

from dataclasses import dataclass
from pathlib import Path

from ...run.replicates_file import find_replicates, is_of_replicates
from . import write_comparison


@dataclass
class CompareArguments:
    """
    Finished runs, and where their comparison goes.

    Args:
        run_dirs (`list[str]`, *optional*): Folders of finished runs, or of replicates (`evoslm study --replicates`).
        output_dir (`str`, *optional*, defaults to `"runs/comparison"`): Where the report over all of them is written.
    """

    run_dirs: list[str] | None = None
    output_dir: str = "runs/comparison"


def compare_finished_runs(arguments: CompareArguments) -> Path:
    """
    Write the report over several finished runs.

    Args:
        arguments ([`CompareArguments`]): Of the command.

    Returns:
        `Path`: `report.md` in the output folder.

    Raises:
        `FileNotFoundError`: If a folder is no run, or nothing was scored in it yet.
        `ValueError`: If there are fewer than two runs, they have nothing in common, or a file cannot be read.
    """
    folders, missing = [], []
    for folder in map(Path, arguments.run_dirs or ()):
        if is_of_replicates(folder):
            finished, unfinished = find_replicates(folder)
            folders += finished
            missing += [path.name for path in unfinished]
        else:
            folders.append(folder)
    report = write_comparison(folders, arguments.output_dir, missing)
    print(f"The report is {report} (and report.html beside it).", flush=True)
    return report
