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

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from ...models.files import read_json, write_json
from ..report.figures import Figure
from ..report.run_folder import FinishedRun, ModalityRun, read_run
from ..run.folder import Run
from ..run.stage import Stage, read_stage
from .made_of import holds, is_made_of

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
                own = (f"{name}/seed-{seed}", f"{name}/seed-{seed}/model")
                inputs |= {each: self._folder_of(each) for each in own}
        stage = Stage(self.folder(part), version, config or {}, inputs)
        stage.run(lambda folder: write_json(folder / RESULTS_FILE, compute()), overwrite=True)

    def read_part(self, part: str) -> dict | None:
        """What [`~AnalyzedRun.compute_part`] kept of a part; `None` where nothing was computed."""
        path = self.folder(part) / RESULTS_FILE
        return read_json(path) if path.is_file() else None

    def is_computed_of_these(self, part: str) -> bool:
        """Whether [`~AnalyzedRun.compute_part`] read the scores and models of a part that the run has now."""
        keys = (read_stage(self.folder(part)) or {"keys": {}})["keys"]
        return self.has({name.removeprefix("inputs."): of for name, of in keys.items() if name.startswith("inputs.")})

    def has(self, fingerprints: Mapping[str, str]) -> bool:
        """
        Whether the run has these scores and models.

        Args:
            fingerprints (`Mapping[str, str]`): By `<modality>/seed-<n>`, with `/model` behind it of a model.
        """
        return all(holds(self._folder_of(name), each) for name, each in fingerprints.items())

    def find_current(
        self, folder: Path, inputs: Callable[[str, int], dict[str, Path | None]]
    ) -> tuple[dict[str, list[int]], list[str]]:
        """
        Which stages of models are of the models that the run has now.

        Args:
            folder (`Path`): Where they lie, as `<modality>/seed-<n>`.
            inputs (`Callable[[str, int], dict[str, Path]]`): From a modality and training seed to what its stage
                reads.

        Returns:
            `tuple[dict[str, list[int]], list[str]]`: Training seeds by modality, and the labels of the modalities of
            which some stage is of anything else.
        """
        current, earlier = {}, []
        for name, label in self.labels.items():
            stages = {seed: folder / name / f"seed-{seed}" for seed in self.seeds(name)}
            made = {seed: is_made_of(stage, inputs(name, seed)) for seed, stage in stages.items() if stage.is_dir()}
            current[name] = [seed for seed, is_current in made.items() if is_current]
            earlier += [] if all(made.values()) else [label]
        return current, earlier

    def _folder_of(self, name: str) -> Path:
        modality, seed, *model = name.split("/")
        seed = int(seed.removeprefix("seed-"))
        return self.paths.model(modality, seed) if model else self.paths.scores(modality, seed)

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


def with_left_out(section: Section | None, title: str, left_out: Sequence[str]) -> Section | None:
    """
    A section, and behind it what is left out of it.

    Args:
        section ([`Section`], *optional*): What there is.
        title (`str`): The heading of what there is not.
        left_out (`Sequence[str]`): Sentences, which stand alone where there is nothing else.
    """
    if not left_out:
        return section
    section = section or Section(title, [])
    return replace(section, paragraphs=[*section.paragraphs, *left_out])


def show(figure: Figure) -> str:
    """The Markdown of a figure: its image, and its caption below, as the page expects them."""
    return f"![{figure.caption}]({figure.name}.png)\n\n*{figure.caption}*"


def load_part(name: str) -> ModuleType:
    """The module of a part."""
    return import_module(f".{name}", __package__)
