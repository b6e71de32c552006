"""Units under names that do not depend on how a tokenizer numbers them.

units of utterances and pairs -> ids renamed in the order in which they first occur (training utterances, validation,
test, pairs) -> the same shards. Two tokenizers that differ by a permutation of their ids give the same bytes here, and
so the same fingerprints, the same models and the same scores: what a permutation changes is nothing at all. Ids that
never occur are left out, so that a codebook of which little is used costs no more than what is used.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...datasets_scripts.text.passages import SPLITS
from ...models.files import read_json, write_json
from ...models.scoring.sides import PARTS
from ..external_units.ids import MAX_UNITS
from ..run.execution import Execution
from ..run.folder import SUMMARY_FILE
from ..run.stage import Stage

_COLUMNS = ("units", *(f"{part}_units" for part in PARTS))


@dataclass(frozen=True)
class UnitFolders:
    """
    Where the units of a tokenizer lie.

    Args:
        utterances (`Path`): Of utterances: `<split>-*.parquet` of `id` and `units`.
        pairs (`Path`): Of minimal pairs: `<task>/test-*.parquet` of `id`, `voice` and `<part>_units`.
    """

    utterances: Path
    pairs: Path

    def shards(self) -> Iterator[tuple[Path, Path]]:
        """Every shard with the folder that it belongs to, in the order in which ids get their names."""
        for split in SPLITS:
            yield from ((path, self.utterances) for path in sorted(self.utterances.glob(f"{split}-*.parquet")))
        yield from ((path, self.pairs) for path in sorted(self.pairs.glob("*/test-*.parquet")))


def build_canonical_units(raw: UnitFolders, canonical: UnitFolders, execution: Execution) -> int:
    """
    Rename the units of a tokenizer.

    Args:
        raw ([`UnitFolders`]): Units as the tokenizer numbers them.
        canonical ([`UnitFolders`]): Where to; two stages, which are told apart by the renamed units alone.
        execution ([`Execution`]): How it is done.

    Returns:
        `int`: How many different units occur.
    """
    names = np.full(MAX_UNITS, -1, np.int64)
    named, digests = 0, {raw.utterances: hashlib.sha256(), raw.pairs: hashlib.sha256()}
    for path, folder in raw.shards():
        table = pq.read_table(path)
        digests[folder].update(path.name.encode())
        for column in _COLUMNS:
            if column not in table.column_names:
                continue
            values = _values(table[column])
            distinct, first = np.unique(values, return_index=True)
            unknown = distinct[np.argsort(first)]
            unknown = unknown[names[unknown] < 0]
            names[unknown] = np.arange(named, named + len(unknown))
            named += len(unknown)
            digests[folder].update(names[values].astype("<u2").tobytes())
            digests[folder].update(_lengths(table[column]).astype("<i8").tobytes())

    for source, target in ((raw.utterances, canonical.utterances), (raw.pairs, canonical.pairs)):

        def build(partial: Path, source=source) -> None:
            for path, folder in raw.shards():
                if folder == source:
                    (partial / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
                    pq.write_table(_renamed(pq.read_table(path), names), partial / path.relative_to(source))
            write_json(partial / SUMMARY_FILE, {"num_units": named})

        described = {"num_units": named, "units": digests[source].hexdigest()[:16]}
        Stage(target, 1, described).run(build, execution.overwrite)
    return named


def count_canonical_units(canonical: UnitFolders) -> int:
    """How many different units a tokenizer has that was renamed."""
    return read_json(canonical.utterances / SUMMARY_FILE)["num_units"]


def _renamed(table: pa.Table, names: np.ndarray) -> pa.Table:
    for column in set(_COLUMNS) & set(table.column_names):
        rows = [None if row is None else names[np.asarray(row, np.int64)] for row in table[column].to_pylist()]
        place = table.column_names.index(column)
        table = table.set_column(place, column, pa.array(rows, pa.list_(pa.uint16())))
    return table


def _values(column: pa.ChunkedArray) -> np.ndarray:
    """All units of a column, one row behind another."""
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.int64)


def _lengths(column: pa.ChunkedArray) -> np.ndarray:
    """Units of each row, -1 where there is none."""
    lengths = column.combine_chunks().value_lengths()
    return lengths.fill_null(-1).to_numpy(zero_copy_only=False)
