"""Phone-Stretch is as long as Phone-Repeat on the whole, and has no durations."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoslm.datasets_scripts.phones.stretch import measure_stretch_factor, stretch_content
from evoslm.models.phones import ARPABET


def write_shard(folder, split, utterances):
    """One shard of utterances, given as seconds and numbers of phones."""
    rows = [
        {"duration": seconds, "phones": [{"phone": "AH0", "start": 0.0, "end": 0.0}] * phones}
        for seconds, phones in utterances
    ]
    schema = pa.schema(
        [
            ("duration", pa.float64()),
            ("phones", pa.list_(pa.struct([("phone", pa.string()), ("start", pa.float64()), ("end", pa.float64())]))),
        ]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / f"{split}-00000-of-00001.parquet")


def test_the_factor_is_the_mean_length_of_a_phone_and_never_nothing(tmp_path):
    write_shard(tmp_path, "train", [(8.0, 90), (0.46, 10)])  # 423 frames
    assert measure_stretch_factor(tmp_path) == 4
    assert measure_stretch_factor(tmp_path, frame_samples=640) == 2
    write_shard(tmp_path, "train", [(0.8, 100)])
    assert measure_stretch_factor(tmp_path) == 1


def test_the_factor_is_that_of_the_training_split(tmp_path):
    write_shard(tmp_path, "test", [(8.0, 10)])
    with pytest.raises(FileNotFoundError, match="no train-"):
        measure_stretch_factor(tmp_path)
    write_shard(tmp_path, "train", [(8.0, 0)])
    with pytest.raises(ValueError, match="have no phones; align them first"):
        measure_stretch_factor(tmp_path)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(ARPABET), max_size=60), st.integers(1, 6))
def test_a_stretched_content_has_every_phone_the_same_number_of_times(phones, factor):
    stretched = stretch_content(" ".join(phones), factor).split()
    assert all(stretched[repeat::factor] == phones for repeat in range(factor))
