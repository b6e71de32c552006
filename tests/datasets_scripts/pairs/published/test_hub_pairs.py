"""Recorded pairs of others, from a Hub, become rows like the project's own."""

import io
import json
import os
import subprocess
import sys

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from hub_server import HubServer

from evoslm.datasets_scripts.pairs.published.hub import build_hub_pairs
from evoslm.datasets_scripts.pairs.rendering import PAIR_SCHEMA

PUSH = """
import sys
import datasets
datasets.load_from_disk(sys.argv[1]).push_to_hub("user/sBLIMP")
"""
BUILD = """
import json, sys
sys.modules["torchcodec"] = None  # what would decode audio
from evoslm.datasets_scripts.pairs.published.hub import build_hub_pairs
print(json.dumps(build_hub_pairs("user/sBLIMP", sys.argv[1], progress=False)))
"""


def wav(seed, seconds=0.3, rate=8_000):
    file = io.BytesIO()
    samples = np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate))
    soundfile.write(file, samples, rate, format="WAV")
    return file.getvalue()


def make_dataset(rows, sides=("positive", "negative"), **columns):
    audio = {
        side: [{"bytes": wav(10 * index + number), "path": None} for index in range(rows)]
        for number, side in enumerate(sides)
    }
    features = datasets.Features(
        {name: datasets.Value("int64" if name == "id" else "string") for name in columns}
        | {side: datasets.Audio(sampling_rate=16_000) for side in audio}
    )
    # As Arrow: what makes a dataset of Python objects wants to encode audio.
    return datasets.Dataset(pa.table(columns | audio, schema=features.arrow_schema))


@pytest.fixture
def sblimp():
    """The columns of `speed/sBLIMP`."""
    return make_dataset(
        4,
        id=[0, 0, 1, 1],
        voice=["a", "b", "a", "b"],
        positive_transcription=["The dogs bark."] * 2 + ["She sees herself."] * 2,
        negative_transcription=["The dogs barks."] * 2 + ["She sees himself."] * 2,
        type=["agreement"] * 4,
        subtype=["plural"] * 2 + ["anaphor"] * 2,
    )


def save(dataset, folder):
    folder.mkdir(parents=True)
    dataset.to_parquet(folder / "train-00000-of-00001.parquet")
    return folder


def read_rows(folder):
    return [row for shard in sorted(folder.rglob("test-*.parquet")) for row in pq.read_table(shard).to_pylist()]


def test_a_dataset_of_the_hub_becomes_pairs_and_nothing_is_decoded(sblimp, tmp_path):
    sblimp.save_to_disk(tmp_path / "dataset")
    with HubServer() as hub:
        environment = {**os.environ, **hub.environment(tmp_path / "cache"), "USE_TORCH": "NO"}
        for script, argument in ((PUSH, tmp_path / "dataset"), (BUILD, tmp_path / "pairs")):
            done = subprocess.run(
                [sys.executable, "-c", script, str(argument)],
                capture_output=True,
                text=True,
                env=environment,
                timeout=120,
            )
            assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "pairs": 4,
        "rows": 4,
        "skipped": 0,
        "without_text": 0,
        "without_phones": 0,
    }
    shard = next((tmp_path / "pairs" / "sblimp").glob("*.parquet"))
    assert pq.read_schema(shard).remove_metadata().equals(PAIR_SCHEMA)
    rows = read_rows(tmp_path / "pairs")
    assert [(row["id"], row["cluster"], row["group"], row["voice"]) for row in rows[1:3]] == [
        ("sblimp-agreement-plural-0", "sblimp-agreement-plural-0", "agreement/plural", "b"),
        ("sblimp-agreement-anaphor-1", "sblimp-agreement-anaphor-1", "agreement/anaphor", "a"),
    ]
    assert rows[0]["negative_text"] == "The dogs barks."
    assert rows[0]["positive_phones"].startswith("SIL DH") and rows[0]["positive_phones_repeat"] is None
    samples, rate = soundfile.read(io.BytesIO(rows[3]["negative_audio"]["bytes"]))
    assert (rate, len(samples)) == (16_000, 4_800)


def test_a_bad_recording_is_skipped_by_name(sblimp, tmp_path):
    rows = sblimp.data.to_pylist()
    rows[2]["negative"] = {"bytes": b"no sound", "path": None}
    rows[3]["positive"] = None
    broken = datasets.Dataset(pa.Table.from_pylist(rows, schema=sblimp.features.arrow_schema))
    folder = save(broken, tmp_path / "sBLIMP")
    summary = build_hub_pairs(folder, tmp_path / "pairs", max_skipped_fraction=0.5, progress=False)
    assert (summary["rows"], summary["skipped"]) == (2, 2)
    lines = (tmp_path / "pairs" / "sblimp" / "skipped.jsonl").read_text().splitlines()
    reasons = [json.loads(line)["reason"] for line in lines]
    assert reasons[0].startswith("The recording in the column 'negative' of row 2 cannot be read")
    assert reasons[1] == "Row 3 has no recording in the column 'positive'."


def test_columns_by_other_names_and_pairs_without_text(tmp_path):
    dataset = make_dataset(2, word=["a", "b"], often=["3", "200"]).rename_columns(
        {"positive": "real", "negative": "fake"}
    )
    summary = build_hub_pairs(
        save(dataset, tmp_path / "sWUGGY"),
        tmp_path / "pairs",
        columns={"positive": "real", "negative": "fake", "frequency": "often"},
        progress=False,
    )
    assert summary == {"pairs": 2, "rows": 2, "skipped": 0, "without_text": 2, "without_phones": 2}
    rows = read_rows(tmp_path / "pairs" / "swuggy")
    assert [(row["id"], row["band"], row["group"]) for row in rows] == [
        ("swuggy-0", "1-5", "1-5"),
        ("swuggy-1", ">100", ">100"),
    ]
    assert rows[0]["positive_text"] is None and rows[0]["positive_phones"] is None


def test_recordings_of_one_id_without_a_voice_are_voices(tmp_path):
    folder = save(make_dataset(3, id=[7, 7, 8]), tmp_path / "pairs_of_others")
    build_hub_pairs(folder, tmp_path / "pairs", task="swuggy", progress=False)
    rows = read_rows(tmp_path / "pairs")
    assert [(row["id"], row["voice"]) for row in rows] == [("swuggy-7", ""), ("swuggy-7", "2"), ("swuggy-8", "")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"columns": {"positive": "good"}}, "has no column 'good', only id, "),
        ({"columns": {"context": "voice"}}, "The column 'voice' of the dataset .* holds no audio"),
        ({"columns": {"speaker": "voice"}}, "no column 'speaker' to be named; choose from context, positive"),
        ({"split": "dev"}, "cannot be read with configuration None and split 'dev': "),
    ],
)
def test_a_mistake_is_one_sentence(sblimp, tmp_path, arguments, message):
    folder = save(sblimp, tmp_path / "sBLIMP")
    with pytest.raises(ValueError, match=message):
        build_hub_pairs(folder, tmp_path / "pairs", progress=False, **arguments)


def test_an_id_that_stands_twice_in_a_voice_is_named(tmp_path):
    folder = save(make_dataset(2, id=[7, 7], voice=["a", "a"]), tmp_path / "swuggy")
    with pytest.raises(ValueError, match="Two pairs have the id 'swuggy-7' in the voice 'a'"):
        build_hub_pairs(folder, tmp_path / "pairs", progress=False)


def test_a_context_and_what_follows_have_one_pause_between_them_as_in_an_utterance(tmp_path):
    dataset = make_dataset(
        1,
        sides=("positive", "negative", "context"),
        context_text=["A cat sat."],
        positive_text=["It purred."],
        negative_text=["It barked."],
    )
    folder = save(dataset, tmp_path / "tStoryCloze")
    build_hub_pairs(folder, tmp_path / "pairs", stretch_factor=2, progress=False)
    (row,) = read_rows(tmp_path / "pairs")
    assert row["context_text"] == "A cat sat." and row["context_audio"]["bytes"]
    assert row["context_phones"].endswith("SIL") and not row["positive_phones"].startswith("SIL")
    assert row["positive_phones_stretch"].split()[:2] == [row["positive_phones"].split()[0]] * 2
