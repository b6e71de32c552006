"""The report of a run: everything that it found, in one page that a person can read and one file that a program can.

In: a run's folder -> `read_run` -> `compute_results` -> tables, figures, sentences. Out: `report/{report.md,
report.html, results.json, *.png, *.svg}`.
"""

import math
from pathlib import Path

from ...models.files import write_json
from ..run.folder import Run
from .document import write_document
from .figures import draw_figures
from .page import render_page
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
    folder = Run(Path(run_dir)).report
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures.values():
        figure.save(folder)
    write_json(folder / "results.json", _plain(results))
    markdown = write_document(results, figures)
    (folder / "report.html").write_text(render_page(markdown, figures), encoding="utf-8")
    report = folder / "report.md"
    report.write_text(markdown, encoding="utf-8")
    return report


def _plain(value):
    """The same numbers as strict JSON: no NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
