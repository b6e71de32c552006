"""A minimal pair of one's own, scored by models of every modality.

models + two texts -> [`score_pair`] -> for each model how likely it finds either of them, token by token.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .catalog import ModelEntry
from .shelf import GPU_BEGIN, PipelineShelf


@dataclass(frozen=True)
class PairScores:
    """
    What a model finds of two texts.

    Args:
        entry ([`ModelEntry`]): The model.
        sides (`tuple`, *optional*): The `TokenScores` of the first text and of the second.
        refusal (`str`, *optional*): Why it has none, in a sentence.
    """

    entry: ModelEntry
    sides: tuple[Any, Any] | None = None
    refusal: str | None = None

    @property
    def difference(self) -> float:
        """How much likelier the first text is, in nats."""
        return self.sides[0].total - self.sides[1].total

    def to_dict(self) -> dict[str, Any]:
        """For a program to read."""
        model = {"model": self.entry.key, "label": self.entry.label}
        if self.sides is None:
            return model | {"refusal": self.refusal}
        sides = [asdict(side) for side in self.sides]
        prefers = "first" if self.difference > 0 else "second" if self.difference < 0 else "neither"
        return model | {"first": sides[0], "second": sides[1], "difference": self.difference, "prefers": prefers}


def gpu_seconds(entries: Sequence[ModelEntry], first: str, second: str) -> int:
    """For how long a GPU is asked for [`score_pair`], whose arguments these are: a second a model."""
    return GPU_BEGIN + len(entries)


def score_pair(shelf: PipelineShelf, entries: Sequence[ModelEntry], first: str, second: str) -> Iterator[PairScores]:
    """
    Score two texts with one model after the other.

    Args:
        shelf ([`PipelineShelf`]): Where pipelines are.
        entries (`Sequence[ModelEntry]`): The models.
        first (`str`): A text.
        second (`str`): The other one.

    Yields:
        [`PairScores`]: Of each model; one that cannot read the texts says why.
    """
    for entry in entries:
        try:
            with shelf.lock:
                pipeline = shelf.get(entry)
                sides = pipeline.score(first), pipeline.score(second)
        except (ValueError, FileNotFoundError) as error:
            yield PairScores(entry, refusal=str(error))
        else:
            yield PairScores(entry, sides)
