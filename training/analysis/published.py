"""The part of other people's figures: what such models are known to reach, and how far a run is from there.

`published_figures.yaml` + the first paper's figures -> a table of their own, never beside a run's; a run's hours of
speech and weights -> one sentence on the distance.
"""

from functools import lru_cache
from pathlib import Path

import yaml

from ...metrics.tasks import TASKS
from ...models.modalities import MODALITIES
from ..report.formatting import MISSING, count, markdown_table, number
from ..report.results import load_paper_figures
from ..report.run_folder import FinishedRun, read_run
from ..run.execution import Execution
from .arguments import AnalyzeArguments
from .parts import AnalyzedRun, Section

PART = "published"
SOURCES_FILE = "published_figures.yaml"
_VERSION = 1


def find_lack(run: AnalyzedRun, arguments: AnalyzeArguments) -> str | None:
    """Nothing: the figures come with the package."""
    return None


def build(run: AnalyzedRun, arguments: AnalyzeArguments, execution: Execution) -> None:
    """Keep what the distance is measured by."""
    numbers = measure_run(read_run(run.paths.folder)) | load_published_figures()
    run.compute_part(PART, lambda: numbers, _VERSION, config=numbers)


def write_section(run: AnalyzedRun) -> Section | None:
    """The table, and how far the run is from it, as it is now."""
    results = run.read_part(PART)
    if results is None:
        return None
    results |= measure_run(run.finished)
    sources = [f"[{source['name']}]({source['url']}): {source['setting']}." for source in results["sources"]]
    paper = load_paper_figures()
    sources.append(f"[{paper['paper']}]({paper['url']}), Table 4: {paper['setting']}.")
    about = (
        "None of these figures was measured here, and none is of this run's items, texts or models, so no number of "
        "this page or of the report is to be held against one of them. What they show is what of such an effect there "
        "is to be found: HuBERT units reach 66 on sWUGGY elsewhere, the layer that is clustered decides (and may "
        "leave an accuracy below 50), the number of clusters hardly matters, and each ten times as much speech buys "
        "less."
    )
    paragraphs = [about, say_distance(results), published_table(results), " ".join(sources)]
    return Section("Other people's figures", paragraphs, {}, results)


@lru_cache(maxsize=1)
def load_published_figures() -> dict:
    """Read other people's figures: `sources`, each with `name, url, setting, weights, rows`, and `paper`."""
    return yaml.safe_load((Path(__file__).parent / SOURCES_FILE).read_text(encoding="utf-8"))


def measure_run(run: FinishedRun) -> dict:
    """
    What the distance to other people's models is measured by.

    Args:
        run (`FinishedRun`): A finished run.

    Returns:
        `dict`: `hours` of speech in the training split, and `weights` of the largest model; `None` where not known.
    """
    seconds = run.corpus.get("seconds", {}).get("train")
    trainings = [training for part in run.modalities.values() for training in part.trainings.values()]
    weights = [training["parameters"] for training in trainings if "parameters" in training]
    return {"hours": seconds / 3600 if seconds else None, "weights": max(weights, default=None)}


def say_distance(results: dict) -> str:
    """In one sentence, how far this run is from where speech units are known to learn words."""
    rows = [row | {"weights": source["weights"]} for source in results["sources"] for row in source["rows"]]
    units = [row for row in rows if row.get("is_speech")]
    system = units[0]["system"]
    same = sorted((row for row in units if row["system"] == system), key=lambda row: row["hours"])
    least, most = same[0], same[-1]
    if not (results["hours"] and results["weights"]):
        return "How much speech this run was trained on is not known, nor how far it is from these models, therefore."
    known = (
        f"{system.split(',')[0]} units are known to tell words from pseudo-words in {number(least['swuggy'])} % from "
        f"{count(least['hours'])} h of speech and {number(most['swuggy'])} % from {count(most['hours'])} h"
    )
    had = f"{count(results['weights'])} weights, and {number(results['hours'])} h of speech"
    own = f"This run's largest model has {had}"
    less, fewer = least["hours"] / results["hours"], least["weights"] / results["weights"]
    size = f"{count(fewer)} times fewer weights" if fewer > 1.5 else ""
    if results["hours"] >= least["hours"]:
        but = f", but {size}" if size else ""
        return (
            f"**{own}, as much speech as the smallest of these models had{but}**: {known}, with "
            f"{count(least['weights'])} weights."
        )
    size = f" and {size}" if size else ""
    return (
        f"**{own}: {count(less)} times less speech{size} than the smallest of these models**, where {known}; that "
        "units fail here says nothing about units at that size."
    )


def published_table(results: dict) -> str:
    """Other people's figures, in italics, as everywhere."""
    rows = []
    for source in results["sources"]:
        for row in source["rows"]:
            rows.append([source["name"], row["system"], count(row["hours"]), *_cells(row)])
    paper, size = load_paper_figures(), results["paper"]
    for name, row in paper["accuracies"].items():
        system = MODALITIES[name].label.format(encoder="HuBERT large, K = 2,048, 50 Hz")
        rows.append([paper["paper"], system, f"about {count(size['hours'])}", *_cells(row)])
    header = ["Source", "Model of", "hours", "*sWUGGY*", "*sBLIMP*", "*topics*"]
    return markdown_table(header, rows, left=2)


def _cells(row: dict) -> list[str]:
    return [f"*{number(row[task])}*" if row.get(task) is not None else MISSING for task in TASKS]
