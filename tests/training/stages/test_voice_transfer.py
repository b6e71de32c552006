"""Matched and mismatched voices: recordings and synthetic speech of their transcripts, trained on and tested on."""

import json
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from recorded_stories import record_stories

from evoslm.datasets_scripts.pairs.texts import PairText
from evoslm.datasets_scripts.pairs.topics.context_overlap import overlap_votes
from evoslm.datasets_scripts.pairs.topics.recorded_topics import (
    RecordedPassage,
    TopicPair,
    build_recorded_topics,
    find_recorded_pairs,
    keep_balanced,
    noise_floor,
)
from evoslm.datasets_scripts.text.passages import Passage, read_passages
from evoslm.models.audio import decode_flac
from evoslm.training.arguments.parsing import parse_arguments
from evoslm.training.cli import main
from evoslm.training.run.folder import Run
from evoslm.training.stages.baselines import read_overlap

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
    assert main(["study", *flags_of(folder), "--output_dir", str(output_dir)]) == 0
    return Run(output_dir, "recorded")


def flags_of(folder) -> list[str]:
    flags = ["--preset", "smoke", "--corpus", "audio", "--audio_dir", str(folder / "audio")]
    flags += ["--aligner", f"textgrid:{folder / 'grids'}", "--blimp", str(folder / "blimp")]
    return [*flags, "--pairs_per_task", str(PAIRS), "--modalities", "speech_units", "speech_units_synthetic"]


def read_rows(folder) -> list[dict]:
    return [row for shard in sorted(folder.glob("*.parquet")) for row in pq.read_table(shard).to_pylist()]


def test_pairs_are_cut_out_of_what_one_reader_read(run, recordings):
    folder, stories = recordings
    rows = read_rows(run.recorded_pairs / "topic_sc")
    summary = json.loads((run.recorded_pairs / "summary.json").read_text())
    assert summary["pairs"] == len(read_pairs(run)[0]) and summary["rows"] == len(rows) > 0
    assert set(summary["left_out"]) <= {
        "the wrong ending is of another reader",
        "the words that it shares with its context would tell",
    }
    assert sum(summary["left_out"].values()) == summary["pairs"] - summary["rows"]
    assert set(pd.Series([row["cluster"] for row in rows]).value_counts()) == {2}  # with its twin
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
    votes = read_votes(run)
    summary = build_recorded_topics(pairs, held_out, run.utterances(), tmp_path, 4, votes, num_proc=2, progress=False)
    assert summary == json.loads((run.recorded_pairs / "summary.json").read_text())
    sounds = ["id", "voice", "context_audio", "positive_audio", "negative_audio", "context_phones"]
    first, second = (read_rows(folder / "topic_sc") for folder in (run.recorded_pairs, tmp_path))
    assert [{name: row[name] for name in sounds} for row in first] == [
        {name: row[name] for name in sounds} for row in second
    ]


def test_pairs_of_other_passages_are_left_out(run):
    pair = PairText("topic_sc-x", "topic_sc", "a", "", "One. Two. Three.", "Here it ends.", "No, it does not end.")
    found, left_out = find_recorded_pairs([pair], [], run.utterances())
    assert found == [] and left_out == {"it is not of these passages": 1}


def read_pairs(run) -> tuple[list, list]:
    pairs = [PairText(**row) for row in pq.read_table(run.pairs_text / "pairs.parquet").to_pylist()]
    return [pair for pair in pairs if pair.task == "topic_sc"], list(read_passages(run.passages / "held_out.parquet"))


def read_votes(run) -> dict:
    overlap = read_overlap(run.pairs_text)
    return dict(zip(overlap.index, overlap_votes(overlap)))


def test_what_was_recorded_is_balanced_anew(run):
    """Of the text's pairs some were read by two readers, and the others need not be in balance."""
    found = pd.DataFrame(read_rows(run.recorded_pairs / "topic_sc"))
    votes = np.array([read_votes(run)[name] for name in found["id"][found["band"] == "balanced"]]).reshape(-1, 3)
    assert (abs(votes.sum(axis=0)) <= 1).all()


def test_pairs_that_put_the_rules_out_of_balance_are_left_out_with_their_twins():
    place = RecordedPassage("p", "reader", (), 0, 0, 0, "")
    pairs, votes = [], {}
    for couple, vote in enumerate([1] * 60 + [-1] * 40 + [0] * 20):
        for twin in "ab":
            text = PairText(f"{couple}{twin}", "topic_sc", "x", "balanced", "C.", "P.", "N.", cluster=str(couple))
            pairs.append(TopicPair(text.id, text, place, place))
            votes[text.id] = (vote, 0, -vote)
    unbalanced = replace(pairs[0], id="u", text=replace(pairs[0].text, id="u", band="unbalanced", cluster="u"))
    kept, left_out = keep_balanced([*pairs, unbalanced], votes | {"u": (1, 1, 1)})
    balanced = np.array([votes[pair.id] for pair in kept if pair.id != "u"])
    assert abs(balanced.mean(axis=0)).max() / 2 <= 0.02 and kept[-1] == unbalanced
    assert 30 <= left_out <= 40 and len(kept) + left_out == len(pairs) + 1
    assert set(pd.Series([pair.text.cluster for pair in kept[:-1]]).value_counts()) == {2}


@pytest.fixture
def change_rows(run, tmp_path):
    """A copy of the utterances with rows that a function has changed."""

    def copy(change):
        for shard in run.utterances().glob("*.parquet"):
            table = pq.read_table(shard)
            rows = [change(row) for row in table.to_pylist()]
            pq.write_table(pa.Table.from_pylist(rows, table.schema), tmp_path / shard.name)
        return tmp_path

    return copy


def test_readers_that_nobody_names_are_not_taken_for_one(run, change_rows):
    pairs, passages = read_pairs(run)
    found, left_out = find_recorded_pairs(pairs, passages, change_rows(lambda row: row | {"speaker": ""}))
    assert found == [] and left_out == {"nobody says who reads": len(pairs)}


def test_a_pair_that_is_too_long_takes_its_twin_with_it(run, change_rows):
    pairs, passages = read_pairs(run)
    found, _ = find_recorded_pairs(pairs, passages, run.utterances())
    slow = found[0].true.id

    def stretch(row):
        if row["id"] != slow:
            return row
        words = [word | {"start": 2 * word["start"], "end": 2 * word["end"]} for word in row["words"]]
        return row | {"words": words, "duration": 2 * row["duration"]}

    kept, left_out = find_recorded_pairs(pairs, passages, change_rows(stretch))
    assert left_out["it takes more than 30 s"] == 1 and left_out["its twin is left out"] == 1
    assert {pair.text.cluster for pair in kept} == {pair.text.cluster for pair in found} - {found[0].text.cluster}


def test_the_context_that_is_heard_is_the_one_that_is_written(run):
    pairs, passages = read_pairs(run)
    found, _ = find_recorded_pairs(pairs, passages, run.utterances())
    # Another passage with the same ending, too short to make a pair of.
    double = Passage("double", "double", "topic", "test", ("Hello.", found[0].text.positive))
    again, _ = find_recorded_pairs(pairs, [*passages, double], run.utterances())
    assert again == found


def test_the_noise_floor_tells_recordings_apart():
    rng = np.random.default_rng(0)
    quiet, loud = (rng.normal(0, scale, 16_000).astype(np.int16) for scale in (30, 300))
    assert noise_floor(quiet) == pytest.approx(20 * np.log10(30 / 2**15), abs=1)
    assert noise_floor(loud) - noise_floor(quiet) == pytest.approx(20, abs=1)


def test_both_models_are_asked_about_both_kinds_of_speech(run):
    quality = json.loads((run.voice_transfer / "speech" / "units.json").read_text())
    assert set(quality) == {"speech_units", "speech_units_synthetic"}
    own = {
        (name, kind): json.loads((run.units(voices) / "utterances" / "quality.json").read_text())["pnmi"]
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
    scores = [pd.read_parquet(run.voice_transfer / "scores" / name / "seed-0" / "items.parquet") for name in quality]
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
    heard = [rows[(kind, "recorded")]["topic_sc"] for kind in ("recorded", "many")]
    matched, mismatched = (task["accuracy"]["value"] for task in heard)
    # One rule knows nothing of units, the others are of each model's own.
    assert heard[0]["noise_floor"] == heard[1]["noise_floor"] and "noise floor" in section
    assert all(set(task["baselines"]) >= {"ngram1", "ngram5", "fewer_tokens"} for task in heard)
    assert found["points"]["value"] == pytest.approx(matched - mismatched)
    assert "only the models trained on synthetic voices have heard" in report


def test_synthetic_corpora_have_no_recordings_to_compare():
    arguments = parse_arguments(["--preset", "smoke", "--modalities", "speech_units_synthetic"], "study")
    assert arguments.modalities == ["speech_units"]


def test_another_seed_is_added_and_fewer_modalities_are_reported(run, recordings, tmp_path, capsys):
    folder, _ = recordings
    shutil.copytree(run.folder, tmp_path / "run")
    speech = tmp_path / "run" / "voice_transfer" / "speech" / "stage.json"
    before = speech.stat().st_mtime_ns
    assert main(["study", *flags_of(folder), "--output_dir", str(tmp_path / "run"), "--training_seeds", "0", "1"]) == 0
    assert speech.stat().st_mtime_ns == before
    results = json.loads((tmp_path / "run" / "report" / "results.json").read_text())["transfer"]
    assert all(len(row["tasks"]["topic_sc"]["accuracy"]["seeds"]) == 2 for row in results["rows"])
    flags = [flag for flag in flags_of(folder) if flag != "speech_units_synthetic"]
    assert main(["study", *flags, "--output_dir", str(tmp_path / "run")]) == 0
    assert "Matched and mismatched" not in (tmp_path / "run" / "report" / "report.md").read_text()
