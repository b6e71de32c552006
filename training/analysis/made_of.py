"""Whether what an analysis keeps is of what the run holds now.

the record of a stage (`stage.json`) + the folders that it was made of -> [`is_made_of`]; what is of earlier models is
left out of the page, in whose place [`say_left_out`] stands.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..report.formatting import listing
from ..run.stage import read_stage


def is_made_of(
    folder: Path, inputs: Mapping[str, Path | None], configuration: Mapping[str, Any] | None = None
) -> bool:
    """
    Whether a stage is finished and was made of what other folders hold now.

    Args:
        folder (`Path`): Of the stage.
        inputs (`Mapping[str, Path]`): Stages by the names that its record has for them; `None` of what it does not
            read.
        configuration (`Mapping[str, Any]`, *optional*): What it must have been told, too; only these keys are
            compared.

    Returns:
        `bool`: `False` as well where one of the folders holds no finished stage.
    """
    record = read_stage(folder)
    if record is None:
        return False
    recorded = {name.removeprefix("inputs."): of for name, of in record["keys"].items() if name.startswith("inputs.")}
    told = (record["keys"].get(f"configuration.{name}") == value for name, value in (configuration or {}).items())
    given = {name: path for name, path in inputs.items() if path is not None}
    return all(told) and all(name in recorded and holds(path, recorded[name]) for name, path in given.items())


def holds(folder: Path, fingerprint: str) -> bool:
    """Whether a folder holds the finished stage of a fingerprint."""
    record = read_stage(folder)
    return record is not None and record["fingerprint"] == fingerprint


def say_left_out(part: str, names: Iterable[str] = (), flags: str = "") -> str:
    """
    What stands on the page in the place of numbers of earlier models.

    Args:
        part (`str`): The part of the analysis.
        names (`Iterable[str]`, *optional*): Labels of the modalities that are left out; the part is when not given.
        flags (`str`, *optional*): Flags of the command that makes it anew, beside `--parts`.
    """
    command = " ".join(filter(None, [f"evoslm analyze RUN --parts {part}", flags]))
    what = f"Left out: {listing(names)}. What lies there" if (names := list(names)) else "Left out: what lies here"
    return f"{what} is of earlier models, or is not whole; `{command}` makes it anew."
