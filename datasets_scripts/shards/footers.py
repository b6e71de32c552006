"""What a shard says of itself, in the metadata of its parquet file, where it cannot be parted from the rows.

table and what it was made of -> [`with_footer`] -> a file -> [`read_footer`], or nothing where the file is damaged.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_FOOTER_KEY = b"evoslm"


def with_footer(table: pa.Table, footer: dict[str, Any]) -> pa.Table:
    """A table whose file will have a footer, of JSON values."""
    return table.replace_schema_metadata({_FOOTER_KEY: json.dumps(footer, ensure_ascii=False).encode()})


def read_footer(path: Path) -> dict[str, Any] | None:
    """What the footer of a file says: `{}` where it says nothing, `None` where there is no file or a damaged one."""
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
    return json.loads(metadata.get(_FOOTER_KEY, b"{}"))
