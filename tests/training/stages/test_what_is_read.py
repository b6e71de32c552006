"""What a stage reads is in its fingerprint: contents and relative names of files, voices, espeak's data."""

import json
from dataclasses import replace
from pathlib import Path

import espeakng_loader
import pytest

from evoslm.datasets_scripts.recordings import utterances as recorded_utterances
from evoslm.datasets_scripts.stories.rich.generation import generate_stories
from evoslm.datasets_scripts.synthesis import by_name, espeak
from evoslm.datasets_scripts.synthesis.voices import VOICES
from evoslm.datasets_scripts.text.passages import SPLITS, Passage, read_passages, write_passages
from evoslm.training.run.execution import Execution
from evoslm.training.run.stage import Stage
from evoslm.training.stages import recordings
from evoslm.training.stages.recordings import RecordingSettings, RecordingSource, build_recordings
from evoslm.training.stages.speech import SpeechSettings, build_utterances
from evoslm.training.stages.text import TextSettings, TextSource, build_passages

SPEECH = SpeechSettings("many", "fixed", 0, 0.05, 30.0)


def stop(folder):
    raise KeyboardInterrupt


def test_a_text_folder_is_its_files_by_their_names_in_it(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("One.")
    (tmp_path / "B.TXT").write_text("Two.")
    source = TextSource(text_dir=str(tmp_path))
    seen = [source.describe()]
    (tmp_path / "B.TXT").write_text("Three.")
    seen.append(source.describe())
    (tmp_path / "sub" / "a.txt").rename(tmp_path / "a.txt")
    seen.append(source.describe())
    assert len({str(each) for each in seen}) == 3
    moved = tmp_path.with_name("elsewhere")
    tmp_path.rename(moved)
    assert TextSource(text_dir=str(moved)).describe() == seen[-1]


@pytest.mark.parametrize("state", ["finished", "begun"])
def test_a_file_that_is_renamed_stops_a_stage_that_read_it(tmp_path, state):
    text = "\n\n".join(f"The farmer number {'x' * (i % 40)} sees a dog behind the old barn." * 20 for i in range(60))
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "a.txt").write_text(text)
    source, settings = TextSource(text_dir=str(tmp_path / "books")), TextSettings(4_000, 0, 0.05)
    folder = tmp_path / "passages"
    if state == "finished":
        Stage(folder, 3, {"source": source.describe()}).run(lambda partial: None)
    else:
        with pytest.raises(KeyboardInterrupt):
            Stage(folder, 3, {"source": source.describe()}).run(
                lambda partial: (_ for _ in ()).throw(KeyboardInterrupt)
            )
    (tmp_path / "books" / "a.txt").rename(tmp_path / "books" / "b.txt")
    with pytest.raises(ValueError, match=r"source\.files \(\w+ there, \w+ now\)"):
        build_passages(folder, source, settings, Execution())


def test_the_split_of_a_dataset_that_is_asked_for_is_read(tmp_path):
    (tmp_path / "data").mkdir()
    for seed, split in enumerate(("train", "validation")):
        rows = (json.dumps({"text": story.text}) + "\n" for story in generate_stories(6_000, seed))
        (tmp_path / "data" / f"{split}.jsonl").write_text("".join(rows))
    for split in ("train", "validation"):
        source = TextSource(dataset=str(tmp_path / "data"), split=split)
        assert source.describe()["split"] == split
        build_passages(tmp_path / split, source, TextSettings(3_000, 0, 0.05), Execution())
        found = list(read_passages(tmp_path / split / "passages.parquet"))
        stories = (tmp_path / "data" / f"{split}.jsonl").read_text()
        assert len(found) > 10 and all(each.sentences[0] in stories for each in found)


def test_the_first_passages_that_are_held_out_are_of_many_books(tmp_path):
    (tmp_path / "books").mkdir()
    for book in range(8):
        text = "\n\n".join(story.text for story in generate_stories(12_000, book))
        (tmp_path / "books" / f"{book}.txt").write_text(text)
    source = TextSource(text_dir=str(tmp_path / "books"))
    build_passages(tmp_path / "passages", source, TextSettings(10_000, 0, 0.05), Execution())
    held_out = list(read_passages(tmp_path / "passages" / "held_out.parquet"))
    assert len({passage.topic for passage in held_out[: len(held_out) // 2]}) >= 4


@pytest.mark.parametrize("changed", ["a voice", "espeak's data"])
def test_speech_by_another_voice_or_another_espeak_is_refused(tmp_path, monkeypatch, changed):
    passages = tmp_path / "passages"
    said = [Passage(split, split, "dogs", split, ("The dog saw a cat.",)) for split in SPLITS]
    Stage(passages, 1, {}).run(lambda folder: write_passages(said, folder / "passages.parquet"))
    build_utterances(tmp_path / "speech", passages, SPEECH, Execution())
    if changed == "a voice":
        first, *others = VOICES["many"]
        monkeypatch.setitem(by_name.VOICES, "many", (replace(first, breath=3), *others))
    else:
        data = tmp_path / "data"
        source = Path(espeakng_loader.get_data_path())
        for name in espeak._DATA_FILES:
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).write_bytes((source / name).read_bytes() + b"x")
        digest = espeak.digest_data(data)
        monkeypatch.setattr(by_name, "digest_data", lambda: digest)
    with pytest.raises(ValueError, match=r"synthesis\.(voices|espeak) \(\w+ there, \w+ now\)"):
        build_utterances(tmp_path / "speech", passages, SPEECH, Execution())


def test_the_files_of_an_aligner_count_and_not_where_they_lie(tmp_path):
    (tmp_path / "grids" / "reader").mkdir(parents=True)
    grid = tmp_path / "grids" / "reader" / "a.TextGrid"
    grid.write_text("one")
    described = []
    for _ in range(2):
        described.append(RecordingSettings(f"textgrid:{tmp_path / 'grids'}", 0, 100, 0.05).describe())
        grid.write_text("two")
    assert described[0] != described[1] and str(tmp_path) not in str(described)
    pinned = f"ctc:user/name@{'0' * 40}"
    assert RecordingSettings(pinned, 0, 100, 0.05).describe()["aligner"] == pinned


def record(folder: Path, changed: str = "") -> None:
    """Three recordings, as a folder and as LibriHeavy's manifest."""
    folder.mkdir(exist_ok=True)
    lines, cuts = ["file_name,text"], []
    for name in "abc":
        sound = "x" if (name, changed) == ("b", "a file of the same size") else name
        (folder / f"{name}.wav").write_bytes(sound.encode() * 100)
        text = "Four." if (name, changed) == ("c", "a transcript") else "One."
        lines.append(f"{name}.wav,{text}")
        recording = {"id": f"small/1/emma/{name}", "sources": [{"source": f"small/1/emma/{name}.wav"}]}
        cut = {"id": name, "start": 0, "duration": 1, "supervisions": [{"custom": {"texts": [text]}}]}
        cuts.append(json.dumps(cut | {"recording": recording}))
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    (folder / "libriheavy_cuts_small.jsonl").write_text("\n".join(cuts) + "\n")


@pytest.mark.parametrize("kind", ["audio", "libriheavy"])
@pytest.mark.parametrize("changed", ["a file of the same size", "a transcript"])
def test_recordings_that_changed_stop_a_stage_that_read_them(tmp_path, monkeypatch, kind, changed):
    def build(name: str) -> None:
        source = RecordingSource(audio_dir=str(tmp_path / "audio"))
        if kind == "libriheavy":
            source = replace(source, manifest=str(tmp_path / "audio" / "libriheavy_cuts_small.jsonl"))
        build_recordings(tmp_path / name, source, RecordingSettings("pocketsphinx", 0, 100, 0.05), Execution())

    record(tmp_path / "audio")
    monkeypatch.setattr(recordings, "measure_stretch_factor", lambda folder: 4)
    monkeypatch.setattr(recorded_utterances, "build_recorded_utterances", lambda *arguments, **options: {})
    build("finished")
    monkeypatch.setattr(recorded_utterances, "build_recorded_utterances", lambda *arguments, **options: stop(None))
    with pytest.raises(KeyboardInterrupt):
        build("begun")
    record(tmp_path / "audio")
    build("finished")
    record(tmp_path / "audio", changed)
    for name, state in (("finished", "made"), ("begun", "begun")):
        with pytest.raises(ValueError, match=rf"was {state} with another .*: source\.digest \(\w+ there, \w+ now\)"):
            build(name)


def test_a_dataset_in_a_folder_is_its_files(tmp_path):
    (tmp_path / "data").mkdir()
    described = []
    for text in ("One.", "Two.", "Two."):
        (tmp_path / "data" / "train.jsonl").write_text(json.dumps({"text": text}) + "\n")
        described.append(TextSource(dataset=str(tmp_path / "data")).describe())
    assert described[0] != described[1] == described[2] and str(tmp_path) not in str(described)
    with pytest.raises(ValueError, match="lies on this machine and has no revision 'v2'"):
        TextSource(dataset=str(tmp_path / "data"), revision="v2").describe()
