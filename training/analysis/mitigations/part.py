"""The part `mitigations` of the analysis: its stages and its place on the page.

a run with several kinds of units, and further runs -> [`~building.build_table`] -> `results.json` -> a [`Section`].
"""

from ....models.files import read_json_if_whole
from ...run.execution import Execution
from ..arguments import AnalyzeArguments
from ..made_of import say_left_out
from ..parts import AnalyzedRun, Section, show

PART = "mitigations"
_TITLE = "What each mitigation recovers, and what it costs"


def find_lack(run: AnalyzedRun, arguments: AnalyzeArguments) -> str | None:
    """As in [`parts`](../parts.py)."""
    from .building import find_lack_of

    return find_lack_of(run.paths, run.finished, arguments.runs or [], arguments.unit_bpe_sizes or [])


def build(run: AnalyzedRun, arguments: AnalyzeArguments, execution: Execution) -> None:
    """As in [`parts`](../parts.py)."""
    from .building import build_table

    build_table(
        run.paths,
        run.finished,
        run.folder(PART),
        arguments.runs or [],
        arguments.unit_bpe_sizes or [],
        arguments.transcriber,
        arguments.num_heard,
        execution,
    )


def write_section(run: AnalyzedRun) -> Section | None:
    """As in [`parts`](../parts.py)."""
    from .results import RESULTS_FILE

    results = read_json_if_whole(run.folder(PART) / RESULTS_FILE)
    if results is None:
        return None
    if not run.has(results.get("made_of", {})):
        return Section(_TITLE, [say_left_out(PART)])
    from .document import write_paragraphs
    from .figure import draw_trade_off

    figure = draw_trade_off(results)
    paragraphs = write_paragraphs(results, show(figure))
    return Section(_TITLE, paragraphs, {figure.name: figure}, results)
