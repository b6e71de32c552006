"""How a tokenizer numbers its units changes nothing: the renamed ones are the same to the byte."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evoslm.models.scoring.sides import PARTS
from evoslm.training.diagnose.canonical_units import UnitFolders, build_canonical_units
from evoslm.training.run.execution import Execution
from evoslm.training.run.stage import read_fingerprint

LENGTHS = {"train-00000-of-00002": (5, 9), "train-00001-of-00002": (7,), "validation-00000-of-00001": (6, 4)}


def write_units(folder, number, seed=0):
    """Units of utterances and of a pair without a context, numbered by `number`."""
    random, rows_of_units = np.random.default_rng(seed), pa.list_(pa.uint16())
    raw = UnitFolders(folder / "utterances", folder / "pairs")
    raw.utterances.mkdir(parents=True)
    for name, lengths in LENGTHS.items():
        units = [number[random.integers(20, size=length)] for length in lengths]
        ids = [f"{name}-{row}" for row in range(len(lengths))]
        pq.write_table(
            pa.table({"id": ids, "units": pa.array(units, rows_of_units)}), raw.utterances / f"{name}.parquet"
        )
    (raw.pairs / "swuggy").mkdir(parents=True)
    sides = {f"{part}_units": [number[random.integers(20, size=4)] for _ in range(2)] for part in PARTS}
    sides["context_units"] = [None, None]
    columns = {name: pa.array(rows, rows_of_units) for name, rows in sides.items()}
    pq.write_table(
        pa.table({"id": ["p0", "p1"], "voice": ["v", "v"]} | columns), raw.pairs / "swuggy/test-00000-of-00001.parquet"
    )
    return raw


def rename(folder, number, seed=0):
    raw = write_units(folder / "raw", number, seed)
    canonical = UnitFolders(folder / "canonical" / "utterances", folder / "canonical" / "pairs")
    return raw, canonical, build_canonical_units(raw, canonical, Execution())


@pytest.mark.parametrize("seed", range(3))
def test_a_permutation_of_ids_changes_no_byte_and_no_fingerprint(tmp_path, seed):
    permuted = np.random.default_rng(seed).permutation(60_000)[:20]
    _, one, count = rename(tmp_path / "one", np.arange(20))
    _, two, same = rename(tmp_path / "two", permuted)
    assert count == same <= 20
    for first, second in zip(one.shards(), two.shards()):
        assert pq.read_table(first[0]).equals(pq.read_table(second[0]))
    for folder in ("utterances", "pairs"):
        assert read_fingerprint(getattr(one, folder)) == read_fingerprint(getattr(two, folder))


def test_units_are_renamed_one_to_one_in_the_order_of_their_first_occurrence(tmp_path):
    raw, canonical, count = rename(tmp_path, np.arange(100, 120))
    first = pq.read_table(next(canonical.shards())[0])["units"].to_pylist()[0]
    assert first[0] == 0 and all(unit <= max(first[:place], default=-1) + 1 for place, unit in enumerate(first))
    pairs = set()
    for (before, _), (after, _) in zip(raw.shards(), canonical.shards()):
        for column in pq.read_table(before).column_names:
            if column.endswith("units"):
                rows = zip(*(pq.read_table(path)[column].to_pylist() for path in (before, after)))
                pairs |= {pair for old, new in rows if old is not None for pair in zip(old, new, strict=True)}
    assert len(pairs) == len({old for old, _ in pairs}) == len({new for _, new in pairs}) == count


def test_other_units_have_another_fingerprint(tmp_path):
    fingerprints = {
        read_fingerprint(rename(tmp_path / str(seed), np.arange(20), seed)[1].utterances) for seed in (0, 1)
    }
    assert len(fingerprints) == 2
