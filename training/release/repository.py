"""A repository of the Hub as it lies prepared on the disk: what is pushed is what is in its folders, to the byte.

run -> [`ReleaseRepository`]s, each a folder and a folder a revision -> the Hub.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KINDS = ("model", "dataset", "space")


@dataclass(frozen=True)
class ReleaseRepository:
    """
    One prepared repository.

    Args:
        name (`str`): Its id on the Hub, `"namespace/name"`.
        kind (`str`): `"model"`, `"dataset"` or `"space"`.
        folder (`Path`): What its main branch holds.
        revisions (`tuple[tuple[str, Path], ...]`, *optional*, defaults to `()`):
            Names of its other branches, such as `"seed-1"`, each with the folder of what it holds.
        title (`str`, *optional*, defaults to `""`): What it is, in a few words, for a list.
        note (`str`, *optional*, defaults to `""`): One sentence beside it in a collection.

    Raises:
        `ValueError`: If there is no such kind of repository.
    """

    name: str
    kind: str
    folder: Path
    revisions: tuple[tuple[str, Path], ...] = ()
    title: str = ""
    note: str = ""

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"{self.name} is of the kind {self.kind!r}; choose from {', '.join(KINDS)}.")

    @property
    def branches(self) -> tuple[tuple[str, Path], ...]:
        """All branches with their folders, `"main"` first."""
        return (("main", self.folder), *self.revisions)

    def files(self) -> Iterator[Path]:
        """Every file of every branch, in the order of its name."""
        for _, folder in self.branches:
            yield from sorted(path for path in folder.rglob("*") if path.is_file())
