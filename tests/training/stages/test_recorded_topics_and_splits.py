"""Topics and splits of recordings as their sources have them, from the source's own layout through to the pairs."""

import gzip
import json
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile
from recorded_stories import SPLITS, record_stories

from evoslm.datasets_scripts.text.passages import read_passages
from evoslm.training.arguments.parsing import parse_arguments
from evoslm.training.study import Study

MANIFESTS = {"train": "small", "validation": "dev", "test": "test_clean"}


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    """Stories that are read aloud: their folder, and each with its split."""
    folder = tmp_path_factory.mktemp("stories")
    told = record_stories(folder, 4500)
    (folder / "blimp").mkdir()
    unknown = {"sentence_good": "Zebras yawn.", "sentence_bad": "Zebras yawns.", "UID": "x", "pairID": "0"}
    (folder / "blimp" / "x.jsonl").write_text(json.dumps(unknown | {"linguistics_term": "agreement"}) + "\n")
    return folder, [(story, SPLITS[index % len(SPLITS)]) for index, story in enumerate(told)]


def study_of(folder, output_dir, *flags) -> Study:
    flags = ["--preset", "smoke", "--aligner", f"textgrid:{folder / 'grids'}", "--num_proc", "1", *flags]
    flags += ["--blimp", str(folder / "blimp"), "--pairs_per_task", "8", "--output_dir", str(output_dir)]
    study = Study(parse_arguments(flags, "build-dataset"))
    study.build_recordings()
    study.build_text()
    study.build_pair_texts()
    return study


def check(study: Study, stories) -> None:
    """Every utterance has the split and the topic of its story, and endings are set against those of other topics."""
    expected = {f"story-{index:04d}": (split, story.topic) for index, (story, split) in enumerate(stories)}
    found = {}
    for shard in study.run.utterances().glob("*.parquet"):
        for row in pq.read_table(shard, columns=["id", "topic"]).to_pylist():
            found[row["id"].rpartition("/")[2]] = (shard.name.split("-")[0], row["topic"])
    assert found == expected
    held_out = list(read_passages(study.run.passages / "held_out.parquet"))
    assert {passage.topic for passage in held_out} == {story.topic for story, split in stories if split == "test"}
    pairs = pd.read_parquet(study.run.pairs_text / "pairs.parquet")
    topics = pairs[pairs["task"] == "topic_sc"]
    assert len(topics) >= 4 and topics["group"].nunique() > 1


def test_topics_of_libriheavy_are_its_books(stories, tmp_path):
    folder, told = stories
    lines = {name: [] for name in MANIFESTS.values()}
    for index, (story, split) in enumerate(told):
        name = f"story-{index:04d}"
        source = f"small/100/{story.topic}/{index:02d}_chapter.flac"
        (tmp_path / "audio" / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "audio" / f"{name}.flac", tmp_path / "audio" / source)
        info = soundfile.info(folder / "audio" / f"{name}.flac")
        supervision = {"speaker": "100", "custom": {"texts": [story.text, story.text.upper()]}}
        recording = {"id": source.removesuffix(".flac"), "sources": [{"source": f"download/librilight/{source}"}]}
        cut = {"id": name, "start": 0, "duration": info.duration, "supervisions": [supervision]}
        lines[MANIFESTS[split]].append(json.dumps(cut | {"recording": recording}))
    (tmp_path / "manifests").mkdir()
    for name, cuts in lines.items():
        with gzip.open(tmp_path / "manifests" / f"libriheavy_cuts_{name}.jsonl.gz", "wt") as file:
            file.write("\n".join(cuts) + "\n")
    flags = ["--corpus", "libriheavy", "--manifest", str(tmp_path / "manifests")]
    check(study_of(folder, tmp_path / "run", *flags, "--audio_dir", str(tmp_path / "audio")), told)


@pytest.mark.parametrize("table", ["in each split", "of all"])
def test_topics_of_an_audiofolder_are_not_its_split_folders(stories, tmp_path, table):
    folder, told = stories
    names = {"train": "train", "validation": "dev", "test": "test"}
    rows = {}
    for index, (story, split) in enumerate(told):
        name = f"{story.topic}/story-{index:04d}.flac"
        (tmp_path / "audio" / names[split] / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "audio" / f"story-{index:04d}.flac", tmp_path / "audio" / names[split] / name)
        place = names[split] if table == "in each split" else "."
        file_name = name if table == "in each split" else f"{names[split]}/{name}"
        rows.setdefault(place, []).append(json.dumps({"file_name": file_name, "text": story.text}) + "\n")
    for place, lines in rows.items():
        (tmp_path / "audio" / place / "metadata.jsonl").write_text("".join(lines))
    check(study_of(folder, tmp_path / "run", "--corpus", "audio", "--audio_dir", str(tmp_path / "audio")), told)
