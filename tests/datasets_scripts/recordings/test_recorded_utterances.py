import io
import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from evoslm.datasets_scripts.recordings.aligners.alignment import spoken_text
from evoslm.datasets_scripts.recordings.aligners.pocketsphinx import PocketSphinxAligner
from evoslm.datasets_scripts.recordings.reading import read_speech
from evoslm.datasets_scripts.recordings.sources import Recording, read_audio_folder
from evoslm.datasets_scripts.recordings.utterances import (
    build_recorded_utterances,
    cut_at_pauses,
    make_recorded_utterances,
)
from evoslm.datasets_scripts.shards.utterance_rows import UTTERANCE_SCHEMA
from evoslm.models.phones import ARPABET, SIL, SPN

SETTINGS = {"aligner": "pocketsphinx", "min_score": None}


def check(row: dict) -> None:
    """What must hold for every utterance."""
    samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
    phones = row["phones"]
    assert rate == 16_000
    assert len(samples) % 320 == 0
    assert row["duration"] == len(samples) / rate <= 30
    assert (phones[0]["start"], phones[-1]["end"]) == (0, row["duration"])
    assert all(phone["end"] == following["start"] for phone, following in pairwise(phones))
    assert all(phone["end"] - phone["start"] > 0.0199 for phone in phones)
    assert not any(phone["phone"] == following["phone"] == SIL for phone, following in pairwise(phones))
    assert {phone["phone"] for phone in phones} <= set(ARPABET)
    assert [word["word"] for word in row["words"]] == row["text"].split()


def rows_of(folder: Path) -> list[dict]:
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def skipped_in(folder: Path) -> dict[str, str]:
    lines = (folder / "skipped.jsonl").read_text(encoding="utf-8").splitlines()
    return {skip["id"]: skip["reason"] for skip in map(json.loads, lines)}


def errors(phones: list[str], reference: list[str]) -> int:
    row = list(range(len(reference) + 1))
    for i, phone in enumerate(phones, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(reference, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (phone != other))
    return row[-1]


@pytest.fixture(scope="module")
def ljspeech(shared_data) -> Path:
    return shared_data / "ljspeech"


def a_corpus(folder: Path, ljspeech: Path, numbers: list[int]) -> Path:
    """A folder in LJSpeech's layout with some of its recordings."""
    (folder / "wavs").mkdir(parents=True)
    names = [f"LJ001-{number:04d}" for number in numbers]
    for name in names:
        shutil.copy(ljspeech / "flac" / f"{name}.flac", folder / "wavs")
    lines = (ljspeech / "metadata.csv").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.split("|")[0] in names]
    (folder / "metadata.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    return folder


def test_real_recordings_become_utterances(ljspeech, tmp_path):
    recordings = read_audio_folder(a_corpus(tmp_path / "lj", ljspeech, list(range(1, 33))))
    summary = build_recorded_utterances(recordings, tmp_path / "out", shard_size=10, progress=False)
    assert (summary["utterances"], summary["skipped"]) == (32, 0)
    rows = rows_of(tmp_path / "out")
    assert pq.read_schema(next((tmp_path / "out").glob("*.parquet"))).equals(UTTERANCE_SCHEMA)
    references = {}
    for name in ("phones_train.txt", "phones_val.txt"):
        for line in (ljspeech / name).read_text(encoding="utf-8").splitlines():
            key, _, phones, _ = line.split("|", 3)
            references[key] = [phone for phone in phones.strip("{}").split() if phone not in ("sp", "spn", "sil")]
    wrong = wrong_with_stress = total = 0
    for row in rows:
        check(row)
        assert row["speaker"] == "LJSpeech"
        assert 100 < row["rate"] < 250
        reference = references[row["id"]]
        phones = [phone["phone"] for phone in row["phones"] if phone["phone"] not in (SIL, SPN)]
        total += len(reference)
        wrong_with_stress += errors(phones, reference)
        wrong += errors([phone.rstrip("012") for phone in phones], [phone.rstrip("012") for phone in reference])
    assert wrong / total < 0.03
    assert wrong_with_stress / total < 0.12


def test_any_number_of_processes_writes_the_same_files(ljspeech, tmp_path):
    recordings = read_audio_folder(a_corpus(tmp_path / "lj", ljspeech, [2, 8, 13, 20]))
    for num_proc in (1, 2):
        folder = tmp_path / f"{num_proc}"
        build_recorded_utterances(recordings, folder, shard_size=1, num_proc=num_proc, progress=False)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / n).iterdir()} for n in "12")
    assert len(one) == 5
    assert one == two


def test_what_cannot_be_used_is_skipped_by_name(ljspeech, tmp_path):
    folder = a_corpus(tmp_path / "lj", ljspeech, [2, 8, 13])
    noise = np.random.default_rng(0).laplace(scale=0.05, size=16_000)
    soundfile.write(folder / "wavs" / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(folder / "wavs" / "clipped.wav", np.clip(100 * noise, -1, 1), 16_000)
    soundfile.write(folder / "wavs" / "untold.wav", noise, 16_000)
    (folder / "wavs" / "text.wav").write_text("not a sound")
    shutil.copy(folder / "wavs" / "LJ001-0008.flac", folder / "wavs" / "other.flac")
    shutil.copy(folder / "wavs" / "LJ001-0008.flac", folder / "wavs" / "none.flac")
    shutil.copy(folder / "wavs" / "LJ001-0008.flac", folder / "wavs" / "greek.flac")
    with (folder / "metadata.csv").open("a", encoding="utf-8") as file:
        for name in ("silent", "clipped", "text", "missing"):
            file.write(f"{name}|Some words.|Some words.\n")
        file.write("other|In being modern.|In being modern.\nnone||\ngreek|αβγ|αβγ\n")
    with pytest.raises(ValueError, match="more than max_skipped_fraction=0.05 allows"):
        build_recorded_utterances(read_audio_folder(folder), tmp_path / "strict", progress=False)
    # Each split has one that can be used.
    splits = {"LJ001-0008": "validation", "LJ001-0013": "test"}
    recordings = [replace(one, split=splits.get(one.id, "train")) for one in read_audio_folder(folder)]
    summary = build_recorded_utterances(recordings, tmp_path / "out", max_skipped_fraction=0.9, progress=False)
    assert (summary["utterances"], summary["skipped"]) == (3, 8)
    reasons = skipped_in(tmp_path / "out")
    assert {name: reason for name, reason in reasons.items() if name not in ("clipped", "text", "other")} == {
        "silent": "silent.wav is silent.",
        "missing": "Its audio file is missing.",
        "none": "Its transcript is empty.",
        "greek": "No words are in 'αβγ'.",
        "wavs/untold.wav": "It has no transcript.",
    }
    assert reasons["clipped"].startswith("clipped.wav is clipped: ")
    assert reasons["text"].startswith("text.wav cannot be read as audio")
    assert reasons["other"].startswith("The transcript does not match the recording")


def test_text_grids_are_taken_over(tmp_path):
    (tmp_path / "anna").mkdir()
    noise = np.random.default_rng(0).laplace(scale=0.05, size=24_000)
    soundfile.write(tmp_path / "anna" / "a.wav", noise, 24_000)
    tiers = {"words": [("hi", 0.2, 0.8)], "phones": [("sil", 0.0, 0.2), ("HH", 0.2, 0.4), ("AY1", 0.4, 0.8)]}
    lines = ['"ooTextFile"', '"TextGrid"', "item []:"]
    for name, intervals in tiers.items():
        lines += ['class = "IntervalTier"', f'name = "{name}"']
        lines += [
            f'xmin = {start}\nxmax = {end}\ntext = "{label}"' for label, start, end in (*intervals, ("", 0.8, 1.0))
        ]
    (tmp_path / "grids" / "anna").mkdir(parents=True)
    (tmp_path / "grids" / "anna" / "a.TextGrid").write_text("\n".join(lines))
    (tmp_path / "grids" / "a.TextGrid").write_text("of another recording")
    recording = Recording("1", "d", "anna", "Hi!", str(tmp_path / "anna" / "a.wav"))
    (row,) = make_recorded_utterances(recording, {"aligner": f"textgrid:{tmp_path / 'grids'}", "min_score": None})
    check(row)
    assert [phone["phone"] for phone in row["phones"]] == [SIL, "HH", "AY1", SIL]
    assert row["words"] == [{"word": "Hi!", "start": 0.2, "end": 0.8}]


class TestLongRecordings:
    @pytest.fixture(scope="class")
    def long_file(self, ljspeech, tmp_path_factory) -> tuple[Path, str]:
        """Sentences read one after the other, with second-long breaks before the first and behind the last."""
        lines = (ljspeech / "metadata.csv").read_text(encoding="utf-8").splitlines()[:32]
        texts = {line.split("|")[0]: line.split("|")[2].rstrip(".,;:") + "." for line in lines}
        names = [f"LJ001-{number:04d}" for number in (2, 8, 13, 20)]
        pause = np.random.default_rng(0).integers(-9, 9, 6400).astype(np.int16)
        clips = [clip for name in names for clip in (read_speech(ljspeech / "flac" / f"{name}.flac"), pause)]
        path = tmp_path_factory.mktemp("long") / "book.flac"
        soundfile.write(path, np.concatenate([np.tile(pause, 3), *clips, np.tile(pause, 3)]), 16_000)
        return path, " ".join(texts[name][0].upper() + texts[name][1:] for name in names)

    def test_they_are_cut_where_sentences_end_in_pauses(self, long_file):
        path, text = long_file
        audio, spoken = read_speech(path), spoken_text(text)
        alignment = PocketSphinxAligner().align(audio, spoken)
        pieces = cut_at_pauses(audio, spoken, alignment, max_seconds=6)
        assert " ".join(own for own, _ in pieces) == spoken
        assert 3 <= len(pieces) <= 4
        for own, rendering in pieces:
            assert own.endswith(".")
            assert rendering.duration <= 6
            assert rendering.phones[0]["phone"] == rendering.phones[-1]["phone"] == SIL
            assert [word["word"] for word in rendering.words] == own.split()
        with pytest.raises(ValueError, match=r"longer than 1\.5 s, and has \d\.\d s without a pause"):
            cut_at_pauses(audio, spoken, alignment, max_seconds=1.5)

    def test_long_silence_at_the_edges_is_cut(self, long_file):
        path, text = long_file
        (row,) = make_recorded_utterances(Recording("a", "d", "s", text, str(path)), SETTINGS)
        check(row)
        edges = [phone["end"] - phone["start"] for phone in (row["phones"][0], row["phones"][-1])]
        assert all(0.4 < edge < 0.52 for edge in edges)

    def test_a_recording_longer_than_30_s_gives_several_rows(self, long_file, tmp_path):
        path, text = long_file
        samples, rate = soundfile.read(path)
        soundfile.write(tmp_path / "a.flac", np.tile(samples, 3), rate)
        recording = Recording("a", "d", "s", " ".join([text] * 3), str(tmp_path / "a.flac"))
        rows = make_recorded_utterances(recording, SETTINGS)
        for row in rows:
            check(row)
        assert [row["id"] for row in rows] == ["a/000", "a/001"]
        assert {row["document"] for row in rows} == {"d"}
        assert " ".join(row["text"] for row in rows) == spoken_text(recording.text)

    def test_a_cut_of_a_long_file_is_an_utterance(self, long_file):
        path, text = long_file
        first = spoken_text(text).split(".")[0] + "."
        recording = Recording("a", "d", "s", first, str(path), start=1.0, end=3.2)
        (row,) = make_recorded_utterances(recording, SETTINGS)
        check(row)
        assert row["text"] == first


def test_a_split_of_which_nothing_is_left_is_named(tmp_path):
    recordings = [Recording(f"{i}", f"{i}", "", "Words.", "nowhere.wav") for i in range(3)]
    with pytest.raises(ValueError, match=r"No recording of the train split could be used: .*skipped\.jsonl says why"):
        build_recorded_utterances(recordings, tmp_path, max_skipped_fraction=1.0, progress=False)


def test_an_unknown_aligner_stops_before_any_work(tmp_path):
    with pytest.raises(ValueError, match="Unknown aligner 'kaldi'"):
        build_recorded_utterances([], tmp_path / "out", aligner="kaldi")
    assert not (tmp_path / "out").exists()
