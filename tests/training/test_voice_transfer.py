"""Matched and mismatched voices: recordings and synthetic speech of their transcripts, trained on and tested on."""

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile
from recorded_stories import record_stories

from evoslm.datasets_scripts.audio_reading import decode_flac
from evoslm.datasets_scripts.pairs_text import PairText
from evoslm.datasets_scripts.passages import read_passages
from evoslm.datasets_scripts.recorded_topics import build_recorded_topics, find_recorded_pairs
from evoslm.training.argument_parsing import parse_arguments
from evoslm.training.cli import main
from evoslm.training.run import Run

PAIRS = 10


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Stories by two readers."""
    folder = tmp_path_factory.mktemp("recordings")
    stories = record_stories(folder, 4500, ("one", "other"))
    return folder, stories


@pytest.fixture(scope="module")
def run(recordings, tmp_path_factory):
    folder, _ = recordings
    output_dir = tmp_path_factory.mktemp("run")
    (folder / "blimp").mkdir()
    unknown = {"sentence_good": "Zebras yawn.", "sentence_bad": "Zebras yawns.", "UID": "x", "pairID": "0"}
    (folder / "blimp" / "x.jsonl").write_text(json.dumps(unknown | {"linguistics_term": "agreement"}) + "\n")
    flags = ["--preset", "smoke", "--corpus", "audio", "--audio_dir", str(folder / "audio")]
    flags += ["--aligner", f"textgrid:{folder / 'grids'}", "--blimp", str(folder / "blimp")]
    flags += ["--pairs_per_task", str(PAIRS), "--modalities", "speech_units", "speech_units_synthetic"]
    assert main(["study", *flags, "--output_dir", str(output_dir)]) == 0
    return Run(output_dir, "recorded")


def read_rows(folder) -> list[dict]:
    return [row for shard in sorted(folder.glob("*.parquet")) for row in pq.read_table(shard).to_pylist()]


def test_pairs_are_cut_out_of_what_one_reader_read(run, recordings):
    folder, stories = recordings
    rows = read_rows(run.recorded_pairs / "topic_sc")
    summary = json.loads((run.recorded_pairs / "summary.json").read_text())
    assert summary["pairs"] == PAIRS and summary["rows"] == len(rows) > 0
    assert summary["left_out"] == {"the wrong ending is of another reader": PAIRS - len(rows)}
    by_ending = {story.sentences[-1]: (index, story) for index, story in enumerate(stories)}
    for row in rows:
        audio = {side: decode_flac(row[f"{side}_audio"]["bytes"]) for side in ("context", "positive", "negative")}
        index, story = by_ending[row["positive_text"]]
        wrong, _ = by_ending[row["negative_text"]]
        assert row["voice"] == ("one", "other")[index % 2] == ("one", "other")[wrong % 2]
        # Context and true ending, one behind the other, are the end of the recording.
        recorded = soundfile.read(folder / "audio" / f"story-{index:04d}.flac", dtype="int16")[0]
        joined = np.concatenate([audio["context"], audio["positive"]])
        assert np.array_equal(recorded[-len(joined) :], joined)
        other = soundfile.read(folder / "audio" / f"story-{wrong:04d}.flac", dtype="int16")[0]
        assert np.array_equal(other[-len(audio["negative"]) :], audio["negative"])
        for side, samples in audio.items():
            phones = row[f"{side}_phones_repeat"].split()
            assert len(samples) == 320 * len(phones) and row[f"{side}_phones"].split()[-1] == "SIL"
            assert all(pair != ("SIL", "SIL") for pair in pairwise(row[f"{side}_phones"].split()))
        num_words = len(row["context_text"].split()) + len(row["positive_text"].split())
        assert story.text.split()[-num_words:] == f"{row['context_text']} {row['positive_text']}".split()


def test_the_same_pairs_are_made_by_any_number_of_processes(run, tmp_path):
    pairs = [PairText(**row) for row in pq.read_table(run.pairs_text / "pairs.parquet").to_pylist()]
    held_out = list(read_passages(run.passages / "held_out.parquet"))
    summary = build_recorded_topics(pairs, held_out, run.utterances(), tmp_path, 4, num_proc=2, progress=False)
    assert summary == json.loads((run.recorded_pairs / "summary.json").read_text())
    sounds = ["id", "voice", "context_audio", "positive_audio", "negative_audio", "context_phones"]
    first, second = (read_rows(folder / "topic_sc") for folder in (run.recorded_pairs, tmp_path))
    assert [{name: row[name] for name in sounds} for row in first] == [
        {name: row[name] for name in sounds} for row in second
    ]


def test_pairs_of_other_passages_are_left_out(run):
    pair = PairText("topic_sc-x", "topic_sc", "a", "", "One. Two. Three.", "Here it ends.", "No, it does not end.")
    found, left_out = find_recorded_pairs([pair], [], run.utterances())
    assert found == [] and left_out == {"its passages are not in the recordings": 1}


def test_both_models_are_asked_about_both_kinds_of_speech(run):
    quality = json.loads((run.voice_transfer / "units.json").read_text())
    assert set(quality) == {"speech_units", "speech_units_synthetic"}
    own = {
        (name, kind): json.loads((run.units(voices) / "quality.json").read_text())["pnmi"]
        for name, kind, voices in (
            ("speech_units", "recorded", "recorded"),
            ("speech_units_synthetic", "many", "many"),
        )
    }
    for (name, kind), pnmi in own.items():
        assert quality[name][kind]["pnmi"] == pytest.approx(pnmi, abs=1e-12)
    # A quantizer of one clear voice knows that voice better than one of 24 others does.
    assert quality["speech_units"]["recorded"]["pnmi"] > quality["speech_units_synthetic"]["recorded"]["pnmi"] + 0.01
    ids = [row["id"] for row in read_rows(run.recorded_pairs / "topic_sc")]
    scores = [pd.read_parquet(run.voice_transfer / name / "seed-0" / "items.parquet") for name in quality]
    assert all(frame["pair_id"].tolist() == ids and (frame["positive"] < 0).all() for frame in scores)
    assert not np.allclose(scores[0]["positive"], scores[1]["positive"])


def test_the_report_has_one_table_of_matched_and_mismatched_voices(run):
    report = (run.folder / "report" / "report.md").read_text()
    section = report.split("## Matched and mismatched voices")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith(("| recordings | ", "| synthetic voices | "))]
    kinds = [tuple(cell.strip() for cell in line.split("|")[1:4]) for line in lines[:4]]
    assert kinds == [
        ("recordings", "recordings", "matched"),
        ("synthetic voices", "recordings", "mismatched"),
        ("recordings", "synthetic voices", "mismatched"),
        ("synthetic voices", "synthetic voices", "matched"),
    ]
    results = json.loads((run.folder / "report" / "results.json").read_text())["transfer"]
    changes = {(change["tested_on"], change["task"]): change for change in results["matched_minus_mismatched"]}
    (found,) = (change for key, change in changes.items() if key == ("recorded", "topic_sc"))
    rows = {(row["trained_on"], row["tested_on"]): row["tasks"] for row in results["rows"]}
    matched, mismatched = (rows[(kind, "recorded")]["topic_sc"]["value"] for kind in ("recorded", "many"))
    assert found["points"]["value"] == pytest.approx(matched - mismatched)
    assert "only the models trained on synthetic voices have heard" in report


def test_synthetic_corpora_have_no_recordings_to_compare():
    arguments = parse_arguments(["--preset", "smoke", "--modalities", "speech_units_synthetic"], "study")
    assert arguments.modalities == ["speech_units"]
