"""Files that are written whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any


def read_json(path: str | Path) -> Any:
    """Read a JSON file that [`write_json`] wrote."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_json(path: str | Path, value: Any) -> None:
    """Write a JSON file so that a kill leaves the old file or the new one, never half of one."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def read_json_if_whole(path: Path) -> dict[str, Any] | None:
    """A JSON file's value, or `None` if it is missing or was cut off."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
