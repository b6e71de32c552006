"""The report of a run: everything that it found, in one page that a person can read and one file that a program can.

In: a run's folder -> `read_run` -> `compute_results` -> tables, figures, sentences. Out: `report/{report.md,
report.html, results.json, *.png, *.svg}`.
"""

from pathlib import Path

from ..run.folder import Run
from .document import write_document
from .figures import draw_figures
from .page import write_files
from .results import compute_results
from .run_folder import read_run


def write_report(run_dir: str | Path) -> Path:
    """
    Write the report of a run.

    Args:
        run_dir (`str` or `Path`): The folder of a run in which at least one modality was scored.

    Returns:
        `Path`: `report/report.md` in that folder. Beside it lie `report.html` (the same, self-contained),
        `results.json` (all numbers of the tables) and the figures as png and svg.

    Raises:
        `FileNotFoundError`: If the folder is no run, or nothing was scored in it yet.
        `ValueError`: If one of its files cannot be read.
    """
    results = compute_results(read_run(run_dir))
    figures = draw_figures(results)
    return write_files(Run(Path(run_dir)).report, results, figures, write_document(results, figures))
