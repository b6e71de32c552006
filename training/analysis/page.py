"""The page of an analysis: a section a part, in the look of the report.

[`Section`] of each part that has a result -> `report/analysis.{md,html,json}`, figures; the report links there.
"""

from pathlib import Path
from typing import get_args

from ...models.files import read_json_if_whole
from ..arguments.study import AnalysisPart
from ..report import write_report
from ..report.formatting import NBSP, listing
from ..report.page import write_files
from ..report.run_folder import ANALYSIS_FILE
from ..run.environment import describe_commit, describe_versions
from .made_of import say_left_out
from .parts import AnalyzedRun, Section, load_part

TITLE = "Why the models of this run are as good as they are"


def write_analysis(run: AnalyzedRun) -> Path:
    """
    Write the page with all parts that have a result, whichever command made it.

    Args:
        run ([`AnalyzedRun`]): The run.

    Returns:
        `Path`: `report/analysis.md`; beside it `analysis.html`, `analysis.json` and the figures.
    """
    sections = {part: _write_section(run, part) for part in get_args(AnalysisPart)}
    sections = {part: section for part, section in sections.items() if section is not None}
    linked = read_json_if_whole(run.paths.report / ANALYSIS_FILE) or {}
    parts = {part: {"title": section.title} | section.results for part, section in sections.items()}
    results = {"parts": parts, "versions": describe_versions(), "commit": describe_commit()}
    figures = {name: figure for section in sections.values() for name, figure in section.figures.items()}
    page = write_files(run.paths.report, results, figures, _write_document(run, sections), name="analysis")
    if _titles(linked) != _titles(results):  # the report says what is on the page
        write_report(run.paths.folder)
    return page


def _write_section(run: AnalyzedRun, part: str) -> Section | None:
    """The section of a part, or in its place that it is of earlier models."""
    section = load_part(part).write_section(run)
    if section is None or run.is_computed_of_these(part):
        return section
    return Section(section.title, [say_left_out(part)])


def _titles(results: dict) -> list[str]:
    return [part["title"] for part in results.get("parts", {}).values()]


def _write_document(run: AnalyzedRun, sections: dict[str, Section]) -> str:
    seeds = sorted({seed for _, seed in run.models})
    trainings = "one training" if len(seeds) == 1 else f"{len(seeds)} trainings"
    paragraphs = [
        f"# {TITLE}",
        f"Of {trainings} of each modality; what was trained on what is in [the report](report.md). All numbers are in "
        "[analysis.json](analysis.json).",
    ]
    if missing := run.finished.missing:
        paragraphs.append(f"Not on this page, since their present models have no scores: {listing(missing)}.")
    for section in sections.values():
        paragraphs += [f"## {section.title}", *section.paragraphs]
    return "\n\n".join(paragraphs).replace(" %", f"{NBSP}%") + "\n"
