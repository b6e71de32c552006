"""The part of layers: what the output layer would say of each layer's states, by task and modality.

models of a run + its minimal pairs -> scores of every layer, a stage a model -> accuracies by layer.
"""

from ..run.execution import Execution
from .arguments import AnalyzeArguments
from .parts import AnalyzedRun, Section

PART = "layers"


def find_lack(run: AnalyzedRun, arguments: AnalyzeArguments) -> str | None:
    """What the run lacks: models and the pairs that they were asked."""
    if not run.models:
        return f"{run.paths.folder} has no language models; let `evoslm study` make them."
    return None


def build(run: AnalyzedRun, arguments: AnalyzeArguments, execution: Execution) -> None:
    """Score the pairs by every layer of each model."""


def write_section(run: AnalyzedRun) -> Section | None:
    """Accuracies by layer."""
    return None
