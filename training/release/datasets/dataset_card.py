"""What the cards of datasets say, written from the run's own summaries.

[`DatasetSource`] + configurations as they were written -> [`write_dataset_card`] -> `README.md`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....models.modalities import Modality
from ...report.formatting import markdown_table
from ...run.folder import Run
from ..card import TAGS, cite, code, license_text, write_card
from ..models.language_model_card import describe_data
from ..names import ReleaseNames
from .joint_contents import JointDraw
from .parquet import Configuration, card_metadata


@dataclass(frozen=True)
class DatasetSource:
    """
    A run, and what the cards of its datasets need to know.

    Args:
        run ([`Run`]): The run.
        study (`dict[str, Any]`): Its `study.json`.
        corpus (`dict[str, Any]`): The summary of its corpus.
        pairs (`dict[str, Any]`): The summary of its minimal pairs, by task.
        names ([`ReleaseNames`]): How repositories are called.
        modalities (`tuple[str, ...]`): Whose contents and units are published.
        license_id (`str`): On all cards.
        joint ([`JointDraw`], *optional*): How sequences of the joint models are drawn, where there are any.
        models (`tuple[str, ...]`, *optional*): Repositories of the models that are released with them; those of all
            modalities when not given.
        evaluation_framework (`str`, *optional*): By which the Hub takes the minimal pairs as a benchmark.
    """

    run: Run
    study: dict[str, Any]
    corpus: dict[str, Any]
    pairs: dict[str, Any]
    names: ReleaseNames
    modalities: tuple[str, ...]
    license_id: str
    joint: JointDraw | None = None
    models: tuple[str, ...] | None = None
    evaluation_framework: str | None = None

    def find_model(self, *parts: str) -> str | None:
        """The first of these repositories that is released, such as a modality's."""
        named = map(self.names.repository, parts)
        return next((name for name in named if self.models is None or name in self.models), None)

    def renderings(self) -> list[str]:
        """The sets of voices that the modalities are read from, the run's own first."""
        return list(dict.fromkeys([self.run.voices, *map(self.run.voices_of, self.modalities)]))

    def label(self, modality: Modality) -> str:
        """A modality's name in tables."""
        return modality.label.format(encoder=self.study.get("encoder_label") or "units")

    def describe_corpus(self) -> str:
        """Where text and speech come from, with their sizes."""
        return describe_data(self.study, self.corpus, self.names)

    def corpus_limits(self) -> str:
        """What nobody should conclude from it."""
        if self.study["configuration"]["corpus"]["corpus"] == "stories":
            return (
                "The stories are a small language that a grammar generates: few words, plain sentences, nobody's "
                "opinion and no knowledge of the world. The voices are synthetic. It shows what a model of so much "
                "data learns; it is no sample of English, nor of speech."
            )
        return (
            "Text and speech are as their source has them; nothing was filtered for what it says. Times of words and "
            "phones come from a synthesizer or an aligner, and are not corrected by hand."
        )


def write_dataset_card(
    folder: Path,
    source: DatasetSource,
    title: str,
    lead: str,
    configurations: Sequence[Configuration],
    metadata: dict[str, Any],
    columns: Mapping[str, str],
    use: tuple[str, str],
    made: str,
    limits: str,
    default: bool = False,
) -> None:
    """
    Write the card of a dataset.

    Args:
        folder (`Path`): The prepared folder.
        source ([`DatasetSource`]): The run.
        title (`str`): What it is, in a word or two.
        lead (`str`): What it is, in a few sentences.
        configurations (`Sequence[Configuration]`): As they were written.
        metadata (`dict[str, Any]`): `task_categories` and `tags`.
        columns (`Mapping[str, str]`): What each is.
        use (`tuple[str, str]`): A snippet, and a text below it.
        made (`str`): How it was made.
        limits (`str`): What it is not.
        default (`bool`, *optional*, defaults to `False`): Whether the first configuration is taken where none is asked
            for.
    """
    splits = list(dict.fromkeys(split for each in configurations for split in each.splits))
    rows = [
        (
            f"`{each.name}`",
            each.description,
            *(f"{each.splits[split][0]:,}" if split in each.splits else "–" for split in splits),
        )
        for each in configurations
    ]
    head = {"language": ["en"], "license": source.license_id, "pretty_name": f"EvoSLM {source.names.study}: {title}"}
    head |= metadata | {"tags": [*TAGS, *metadata["tags"]]}
    write_card(
        folder,
        head | card_metadata(configurations, default),
        f"EvoSLM {source.names.study}: {title}",
        lead,
        [
            ("Configurations", markdown_table(["configuration", "what it is", *splits], rows, left=2)),
            ("How to use", f"{code(use[0])}\n\n{use[1]}"),
            (
                "Columns",
                markdown_table(
                    ["column", "what it holds"], [(f"`{name}`", what) for name, what in columns.items()], 2
                ),
            ),
            ("How it was made", made),
            ("Limits", limits),
            cite(),
            ("License", license_text(source.license_id)),
        ],
    )
