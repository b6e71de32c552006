"""Rows of utterances: their columns, which synthesis and recordings share."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

MAX_SECONDS = 30


UTTERANCE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("document", pa.string()),
        ("text", pa.string()),
        ("speaker", pa.string()),
        ("rate", pa.int32()),
        ("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("duration", pa.float64()),
        ("words", pa.list_(pa.struct([("word", pa.string()), ("start", pa.float64()), ("end", pa.float64())]))),
        ("phones", pa.list_(pa.struct([("phone", pa.string()), ("start", pa.float64()), ("end", pa.float64())]))),
    ]
)


def summarize_utterances(results: Sequence[dict], output_dir: str | Path) -> dict:
    """
    Count what is in shards of utterances.

    Args:
        results (`Sequence[dict]`): What [`build_shards`] returned for them.
        output_dir (`str` or `Path`): Where they lie.

    Returns:
        `dict`: Numbers of `utterances`, `seconds`, `words` and `skipped` items.
    """
    summary = {"utterances": 0, "seconds": 0.0, "words": 0, "skipped": 0}
    for result in results:
        columns = pq.read_table(Path(output_dir) / result["file"], columns=["text", "duration"]).to_pydict()
        summary["utterances"] += result["rows"]
        summary["seconds"] += sum(columns["duration"])
        summary["words"] += sum(len(text.split()) for text in columns["text"])
        summary["skipped"] += len(result["skipped"])
    return summary
