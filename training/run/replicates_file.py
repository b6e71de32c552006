"""Which replicates of a study a folder holds, in one file: `replicates.json`, which the report over them reads.

names -> [`write_replicates`] -> [`is_of_replicates`], [`find_replicates`] -> folders of runs.
"""

from collections.abc import Sequence
from pathlib import Path

from ...models.files import read_json, write_json

_FILE = "replicates.json"


def is_of_replicates(folder: str | Path) -> bool:
    """Whether a folder holds replicates of a study, not a run of its own."""
    return (Path(folder) / _FILE).is_file()


def write_replicates(folder: Path, names: Sequence[str]) -> None:
    """Note which replicates a study is made of; others that lie in the folder are none of it."""
    write_json(folder / _FILE, {"replicates": list(names)})


def find_replicates(folder: str | Path) -> tuple[list[Path], list[Path]]:
    """
    The replicates of a study.

    Args:
        folder (`str` or `Path`): A folder that [`is_of_replicates`].

    Returns:
        `tuple[list[Path], list[Path]]`: Folders of those that have ended in a report of their own, and of the others.

    Raises:
        `ValueError`: If the file that names them cannot be read.
    """
    path = Path(folder) / _FILE
    try:
        folders = [Path(folder) / name for name in read_json(path)["replicates"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not readable ({error}); remove it and run the study again.") from None
    finished = [each for each in folders if (each / "report" / "results.json").is_file()]
    return finished, [each for each in folders if each not in finished]
