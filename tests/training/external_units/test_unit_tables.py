"""Tables of ids: either kind of file, names with or without folders, and what is wrong with one in a sentence."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evoslm.training.external_units.quantizers import load_quantizer, open_units, save_units
from evoslm.training.external_units.tables import audio_name

ROWS = {"a-1": [0, 3, 3], "b.2-context": [5], "c": [1, 2]}


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps({"file": file, "units": units}) + "\n" for file, units in rows))
    return str(path)


def test_names_and_contents_count_and_not_the_kind_of_file_or_its_order(tmp_path):
    first = open_units(write_jsonl(tmp_path / "a.jsonl", ROWS.items()), frame_rate=50)
    table = pa.table(
        {"file": [f"/data/wav/{name}.wav" for name in reversed(ROWS)], "units": list(ROWS.values())[::-1]}
    )
    pq.write_table(table, tmp_path / "b.parquet")
    second = open_units(str(tmp_path / "b.parquet"), frame_rate=50, name="Mine")
    assert first.names == second.names == sorted(ROWS)
    assert all(first[name].tolist() == second[name].tolist() == ids for name, ids in ROWS.items())
    assert first.config.describe() == second.config.describe() == {
        "frame_rate": 50, "num_units": 6, "table": first.config.fingerprint
    }  # fmt: skip
    assert (first.config.label, second.config.label) == ("a", "Mine")
    other = open_units(write_jsonl(tmp_path / "c.jsonl", (ROWS | {"c": [1, 3]}).items()), frame_rate=50)
    assert other.config.fingerprint != first.config.fingerprint


def test_a_table_is_looked_up_and_kept(tmp_path):
    units = open_units(write_jsonl(tmp_path / "a.jsonl", ROWS.items()), frame_rate=50, codebook_size=16)
    kept = units.select(["c", "a-1"])
    save_units(kept, tmp_path)
    loaded = load_quantizer(tmp_path)
    assert loaded.names == ["a-1", "c"] and loaded.config.num_units == 16
    audio = [np.zeros(960, np.int16), np.zeros(700, np.int16)]
    assert [row.tolist() for row in loaded.units(audio, names=["a-1", "c"])] == [[0, 3, 3], [1, 2]]
    with pytest.raises(
        ValueError, match="lacks 1 of 1 utterances .* 'b.2-context'; `evoslm export-audio RUN --to DIR`"
    ):
        loaded.units(audio[:1], names=["b.2-context"])
    with pytest.raises(ValueError, match="a.jsonl gives 2 ids for c, which is 1.00 s and has 50 frames at 50 Hz"):
        loaded.units([np.zeros(16_000, np.int16)], names=["c"])
    with pytest.raises(ValueError, match="has the ids of a run's own utterances and pairs; other audio"):
        loaded.units(audio)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"file": "a", "units": [1]}', '{"file": "x/a.wav", "units": [2]}'], "has 'a' twice; give one row"),
        (['{"file": "a", "units": [1, -1]}'], "gives the id -1 for 'a'; ids are 0 or above"),
        (['{"file": "a", "units": [1, 8]}'], "gives the id 8 for 'a', and has 8 different ids, 0 to 7"),
        (['{"file": "a", "units": [1, 70000]}'], "gives the id 70000 for 'a'; at most 65536"),
        (['{"file": "a", "units": [1.5]}'], "gives values of type float64 for 'a'; ids are whole numbers"),
        (['{"file": "a", "units": [1, null]}'], "gives values of type object for 'a'; ids are whole numbers"),
        (['{"file": "a", "units": []}'], "gives no ids for 'a'"),
        (['{"file": "a", "units": null}'], "gives nothing for 'a'"),
        (['{"file": "a", "units": [[1], [2, 3]]}'], "gives ids of rows of different lengths for 'a'"),
        (['{"file": 3, "units": [1]}'], "has a row whose `file` is 3"),
        (['{"file": "a", "units": [1]}', '{"audio": "b", "units": [1]}'], 'Line 2 of .* is not {"file"'),
        (['{"file": "a", '], "Line 1 of .* is no JSON"),
        ([], "has no rows; give one an utterance"),
    ],
)
def test_a_bad_row_is_named(tmp_path, lines, message):
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=message) as refused:
        open_units(str(path), frame_rate=50, codebook_size=8)
    assert "\n" not in str(refused.value)


def test_a_bad_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no table .*missing.parquet"):
        open_units(str(tmp_path / "missing.parquet"), frame_rate=50)
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(ValueError, match="text.parquet cannot be read as parquet"):
        open_units(str(tmp_path / "text.parquet"), frame_rate=50)
    pq.write_table(pa.table({"file": ["a"], "ids": [[1]]}), tmp_path / "names.parquet")
    with pytest.raises(ValueError, match="names.parquet has no column 'units'"):
        open_units(str(tmp_path / "names.parquet"), frame_rate=50)
    pq.write_table(pa.table({"file": ["a"], "units": ["1 2"]}), tmp_path / "strings.parquet")
    with pytest.raises(ValueError, match="column `units` of type string; it has to hold lists"):
        open_units(str(tmp_path / "strings.parquet"), frame_rate=50)
    with pytest.raises(ValueError, match="does not say how many ids a second has; give --units_frame_rate"):
        open_units(str(tmp_path / "strings.parquet"))


def test_every_set_of_voices_has_names_of_its_own():
    assert audio_name("utterances", "story-1") == "story-1"
    assert audio_name("utterances_one_voice", "story-1") == "story-1-one_voice"
    assert audio_name("rendered", "p/7", "en-us+f1", "context") == "p-7-en-us+f1-context"
    assert audio_name("rendered_one_voice", "p-7", "en-us", "positive") == "p-7-en-us-positive-one_voice"
