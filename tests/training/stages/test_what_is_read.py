"""What a stage reads is in its fingerprint: contents and relative names of files, voices, espeak's data."""

import json
from dataclasses import replace
from pathlib import Path

import espeakng_loader
import pytest

from evoslm.datasets_scripts.stories.generation import generate_stories
from evoslm.datasets_scripts.synthesis import espeak, utterances
from evoslm.datasets_scripts.synthesis.voices import VOICES
from evoslm.datasets_scripts.text.passages import SPLITS, Passage, read_passages, write_passages
from evoslm.training.run.execution import Execution
from evoslm.training.run.stage import Stage
from evoslm.training.stages.recordings import RecordingSettings
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
        monkeypatch.setitem(utterances.VOICES, "many", (replace(first, breath=3), *others))
    else:
        data = tmp_path / "data"
        source = Path(espeakng_loader.get_data_path())
        for name in espeak._DATA_FILES:
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).write_bytes((source / name).read_bytes() + b"x")
        digest = espeak.digest_data(data)
        monkeypatch.setattr(utterances, "digest_data", lambda: digest)
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
