"""The report over several finished runs: what holds in all of them, and how far one differs from another.

In: folders of runs -> `read_runs` -> `compare_runs` -> sentences, tables, a figure. Out: `{report.md, report.html,
results.json, steps.png, steps.svg}` in a folder of their own.
"""

from collections.abc import Sequence
from pathlib import Path

from ..page import write_files
from .document import write_document
from .figure import draw_figures
from .results import compare_runs
from .runs import read_runs


def write_comparison(folders: Sequence[str | Path], output_dir: str | Path, missing: Sequence[str] = ()) -> Path:
    """
    Write the report over several runs.

    Args:
        folders (`Sequence[str]` or `Sequence[Path]`): Runs in which at least one modality was scored.
        output_dir (`str` or `Path`): Where to.
        missing (`Sequence[str]`, *optional*): Replicates that were asked for and are not finished, which the report
            names.

    Returns:
        `Path`: `report.md` in that folder.

    Raises:
        `FileNotFoundError`: If a folder is no run, or nothing was scored in it yet.
        `ValueError`: If there are fewer than two runs, one is given twice, they have no task in common, or a file
            cannot be read.
    """
    results = compare_runs(read_runs(folders, output_dir)) | {"missing": list(missing)}
    figures = draw_figures(results)
    return write_files(Path(output_dir), results, figures, write_document(results, figures))
