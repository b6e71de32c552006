"""Rows of utterances, which synthesis and recordings share: their columns, their longest, and their shards.

passages or recordings -> [`build_utterance_shards`] -> rows of `UTTERANCE_SCHEMA` in shards, and what they amount to.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .writing import build_shards

MAX_SECONDS = 30
"""The longest utterance, in every modality alike."""
UTTERANCE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("document", pa.string()),
        ("topic", pa.string()),
        ("text", pa.string()),
        ("speaker", pa.string()),
        ("rate", pa.int32()),
        ("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("duration", pa.float64()),
        ("words", pa.list_(pa.struct([("word", pa.string()), ("start", pa.float64()), ("end", pa.float64())]))),
        ("phones", pa.list_(pa.struct([("phone", pa.string()), ("start", pa.float64()), ("end", pa.float64())]))),
    ]
)


def build_utterance_shards(
    items: Iterable[Any],
    split_of: Callable[[Any], str],
    make_rows: Callable[[Any, dict], list[dict]],
    settings: dict,
    output_dir: str | Path,
    **build_arguments,
) -> dict:
    """
    Make shards of utterances, and count what is in them.

    Args:
        items (`Iterable`): Passages or recordings.
        split_of (`Callable[[Any], str]`): Names the split of an item.
        make_rows (`Callable[[Any, dict], list[dict]]`): Turns an item and `settings` into rows of `UTTERANCE_SCHEMA`.
        settings (`dict`): What the rows depend on besides the items; JSON values.
        output_dir (`str` or `Path`): Where the shards go.
        build_arguments (*optional*): Further arguments of [`build_shards`].

    Returns:
        `dict`: Numbers of `utterances`, `seconds`, `words` and `skipped` items.

    Raises:
        `ValueError`, `OSError`: As [`build_shards`].
    """
    results = build_shards(items, split_of, make_rows, settings, UTTERANCE_SCHEMA, output_dir, **build_arguments)
    summary = {"utterances": 0, "seconds": 0.0, "words": 0, "skipped": 0}
    for result in results:
        columns = pq.read_table(Path(output_dir) / result["file"], columns=["text", "duration"]).to_pydict()
        summary["utterances"] += result["rows"]
        summary["seconds"] += sum(columns["duration"])
        summary["words"] += sum(len(text.split()) for text in columns["text"])
        summary["skipped"] += len(result["skipped"])
    return summary
