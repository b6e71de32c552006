"""What a part of the analysis is, and what it is given.

A part is a module of this room with the part's name and three functions:

    find_lack(run: AnalyzedRun, arguments: AnalyzeArguments) -> str | None
        What the run lacks for it, in one sentence with the way out; `None` where it lacks nothing. It is asked before
        anything is built, and refuses what is wrong with the part's own arguments by a `ValueError`.
    build(run: AnalyzedRun, arguments: AnalyzeArguments, execution: Execution) -> None
        Builds its stages under `run.folder(part)`, one a modality and seed where it can; what is finished stays.
    write_section(run: AnalyzedRun) -> Section | None
        Its part of the page, from what lies under `run.folder(part)` and from the run; `None` where nothing does.

Heavy imports (torch, transformers) belong into functions.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from ...models.files import read_json, write_json
from ..report.figures import Figure
from ..report.run_folder import FinishedRun, ModalityRun, read_run
from ..run.folder import Run
from ..run.stage import Stage

RESULTS_FILE = "results.json"


@dataclass(frozen=True)
class AnalyzedRun:
    """
    A finished run as the parts see it.

    Args:
        paths ([`Run`]): Where everything lies.
        finished ([`FinishedRun`]): What the report reads of it: `study`, and by modality `label`, `trainings`,
            `items`, `points` and `baselines`; only the modalities that are asked for.
    """

    paths: Run
    finished: FinishedRun

    def folder(self, part: str) -> Path:
        """Where the stages of a part lie."""
        return self.paths.folder / "analysis" / part

    def compute_part(
        self,
        part: str,
        compute: Callable[[], dict],
        version: int,
        seeds: Callable[[ModalityRun], Iterable[int]] | None = None,
        config: dict | None = None,
    ) -> None:
        """
        Compute a part that takes seconds, as it is now, and keep its numbers as one file.

        Args:
            part (`str`): The part.
            compute (`Callable[[], dict]`): Gives the numbers.
            version (`int`): Of the computation, for the stage's fingerprint.
            seeds (`Callable[[ModalityRun], Iterable[int]]`, *optional*): Which trainings of a modality it reads the
                scores and the record of.
            config (`dict`, *optional*): What else it depends on.
        """
        inputs = {}
        for name, modality in read_run(self.paths.folder).modalities.items() if seeds else ():
            for seed in seeds(modality):
                inputs[f"{name}/seed-{seed}"] = self.paths.scores(name, seed)
                inputs[f"{name}/seed-{seed}/model"] = self.paths.model(name, seed)
        stage = Stage(self.folder(part), version, config or {}, inputs)
        stage.run(lambda folder: write_json(folder / RESULTS_FILE, compute()), overwrite=True)

    def read_part(self, part: str) -> dict | None:
        """What [`~AnalyzedRun.compute_part`] kept of a part; `None` where nothing was computed."""
        path = self.folder(part) / RESULTS_FILE
        return read_json(path) if path.is_file() else None

    @property
    def labels(self) -> dict[str, str]:
        """Names of the modalities in tables and figures, in the order of the chain of factors."""
        return {name: part.label for name, part in self.finished.modalities.items()}

    @property
    def models(self) -> list[tuple[str, int]]:
        """Modality and training seed of each language model that was scored and whose weights are there."""
        return [
            (name, seed)
            for name, part in self.finished.modalities.items()
            for seed in part.items
            if (self.paths.model(name, seed) / "config.json").is_file()
        ]

    def seeds(self, modality: str) -> list[int]:
        """The training seeds of a modality's models."""
        return [seed for name, seed in self.models if name == modality]


@dataclass(frozen=True)
class Section:
    """
    A part of the page.

    Args:
        title (`str`): Its heading.
        paragraphs (`list[str]`): Markdown: sentences, tables, and for each figure what [`show`] gives.
        figures (`dict[str, Figure]`): Its figures by name; a name is `analysis_<part>`, with more behind it where
            there are several, so that it is none of the report's.
        results (`dict[str, Any]`): All numbers of its tables and figures, for `analysis.json`; fractions, nats.
    """

    title: str
    paragraphs: list[str]
    figures: dict[str, Figure] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)


def show(figure: Figure) -> str:
    """The Markdown of a figure: its image, and its caption below, as the page expects them."""
    return f"![{figure.caption}]({figure.name}.png)\n\n*{figure.caption}*"


def load_part(name: str) -> ModuleType:
    """The module of a part."""
    return import_module(f".{name}", __package__)
