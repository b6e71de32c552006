"""Datasets and models of a Hub are read at one commit, which is part of what was made of them; streams end early."""

import io
import json
import os
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hub_server import HubServer, Repository
from recorded_stories import record_stories
from transformers import HubertConfig, HubertModel

from evoslm.models.hub_commit import find_commit

CARD = b"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: part-*\n---\n"
MORE = """
from huggingface_hub import HfApi

def change(name, kind="dataset"):
    return HfApi().upload_file(path_or_fileobj=b"a word", path_in_repo="notes.txt", repo_id=name, repo_type=kind).oid

def refusal(work):
    try:
        work()
    except ValueError as error:
        return str(error)

def stop(*arguments, **options):
    raise KeyboardInterrupt

def interrupt(module, name, work):
    function = getattr(module, name)
    setattr(module, name, stop)
    try:
        work()
    except KeyboardInterrupt:
        pass
    setattr(module, name, function)
"""
TEXT = f"""{MORE}
import json, sys
from pathlib import Path
from evoslm.datasets_scripts.text import sources
from evoslm.training.run.execution import Execution
from evoslm.training.run.stage import read_stage
from evoslm.training.stages.text import TextSettings, TextSource, build_passages

folder, source, settings = Path(sys.argv[1]), TextSource(dataset="user/texts"), TextSettings(2_000, 0, 0.05)
build_passages(folder / "finished", source, settings, Execution())
begin = lambda: build_passages(folder / "begun", source, settings, Execution())
interrupt(sources, "passages_from_documents", begin)
first = read_stage(folder / "finished")["keys"]["configuration.source.revision"]
second = change("user/texts")
refused = [refusal(lambda: build_passages(folder / n, source, settings, Execution())) for n in ("finished", "begun")]
pinned = TextSource(dataset="user/texts", revision=first)
for name in ("finished", "begun"):
    build_passages(folder / name, pinned, settings, Execution())
print(json.dumps([first, second, refused]))
"""
SPEECH = f"""{MORE}
import json, sys
from pathlib import Path
from evoslm.datasets_scripts.recordings import utterances
from evoslm.training.run.execution import Execution
from evoslm.training.stages.recordings import RecordingSettings, RecordingSource, build_recordings

folder = Path(sys.argv[1])
source = RecordingSource(dataset="user/speech", audio_column="audio", topic_column="book")
settings = RecordingSettings(f"textgrid:{{folder / 'grids'}}", 0, 10_000, 0.05)
build_recordings(folder / "finished", source, settings, Execution())
begin = lambda: build_recordings(folder / "begun", source, settings, Execution())
interrupt(utterances, "build_recorded_utterances", begin)
first = json.loads((folder / "finished" / "stage.json").read_text())["keys"]["configuration.source.revision"]
second = change("user/speech")
refused = [refusal(lambda: build_recordings(folder / n, source, settings, Execution())) for n in ("finished", "begun")]
print(json.dumps([first, second, refused]))
"""
OTHERS = f"""{MORE}
import json, os, sys
from pathlib import Path
from evoslm.datasets_scripts.recordings.aligners.loading import pin_aligner
from evoslm.models.hub_commit import find_commit
from evoslm.training.run.stage import Stage
from evoslm.training.stages.pair_texts import PairTextSettings
from evoslm.training.stages.units.encoders import EncoderSettings

folder = Path(sys.argv[1])
made = {{
    "encoder": (("user/encoder", "model"), lambda: EncoderSettings("user/encoder").describe()),
    "aligner": (("user/encoder", "model"), lambda: pin_aligner("ctc:user/encoder")),
    "blimp": (("user/texts", "dataset"), lambda: PairTextSettings(8, 0, 99, blimp="user/texts").describe()),
}}
refused = []
for name, (repository, describe) in made.items():
    Stage(folder / name / "finished", 1, {{"what": describe()}}).run(lambda partial: None)
    try:
        Stage(folder / name / "begun", 1, {{"what": describe()}}).run(stop)
    except KeyboardInterrupt:
        pass
    change(*repository)
    for state in ("finished", "begun"):
        refused.append(refusal(lambda: Stage(folder / name / state, 1, {{"what": describe()}}).run(stop)))
print(json.dumps(refused))
"""


def run(code: str, hub: HubServer, folder) -> list:
    environment = {**os.environ, **hub.environment(folder / "hf"), "EVOSLM_CACHE": str(folder / "cache")}
    command = [sys.executable, "-c", code, str(folder)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def check(first: str, second: str, refused: list[str]) -> None:
    assert first != second
    for said, state in zip(refused, ("made", "begun"), strict=True):
        assert f"was {state} with another configuration: source.revision ({first} there, {second} now)" in said


def texts_of(parts: int, rows: int) -> dict[str, bytes]:
    """Files of rows of 200 words."""
    files = {"README.md": CARD}
    for part in range(parts):
        text = (
            " ".join(f"The farmer saw {'x' * (2 + row)}{'yz'[part % 2] * (1 + part)}{i} there." for i in range(40))
            for row in range(rows)
        )
        files[f"part-{part}.jsonl"] = "".join(json.dumps({"text": each}) + "\n" for each in text).encode()
    return files


def test_text_of_a_hub_is_of_one_commit_and_read_no_further_than_needed(tmp_path):
    with HubServer() as hub:
        # Of 300,000 words, some 78,000 are chosen from.
        hub.repositories["dataset", "user/texts"] = repository = Repository("dataset", "user/texts")
        commit = repository.commit("first", texts_of(parts=6, rows=250)).sha
        first, second, refused = run(TEXT, hub, tmp_path)
        assert first == commit
        check(first, second, refused)
        fetched = {request.rsplit("/", 1)[1].split()[0] for request in hub.requests if "GET /datasets" in request}
        assert {"part-0.jsonl", "part-1.jsonl"} <= fetched and not {"part-3.jsonl", "part-5.jsonl"} & fetched
    assert (tmp_path / "begun" / "passages.parquet").exists()


def test_recordings_of_a_hub_are_of_one_commit_and_fetched_once(tmp_path):
    stories = record_stories(tmp_path, 700)
    rows = []
    for index, story in enumerate(stories):
        name = f"story-{index:04d}"
        audio = {"bytes": (tmp_path / "audio" / f"{name}.flac").read_bytes(), "path": f"{name}.flac"}
        rows.append({"audio": audio, "text": story.text, "book": story.topic})
        shutil.move(tmp_path / "grids" / f"{name}.TextGrid", tmp_path / "grids" / f"row-{index:07d}.TextGrid")
    data = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), data)
    with HubServer() as hub:
        hub.repositories["dataset", "user/speech"] = repository = Repository("dataset", "user/speech")
        repository.commit("first", {"README.md": CARD, "part-0.parquet": data.getvalue()})
        first, second, refused = run(SPEECH, hub, tmp_path)
        check(first, second, refused)
        assert not any(f"resolve/{second}/part-0.parquet" in request for request in hub.requests)
    shards = [pq.read_table(path, columns=["topic"]) for path in (tmp_path / "finished").glob("*.parquet")]
    topics = [topic for shard in shards for topic in shard["topic"].to_pylist()]
    assert sorted(topics) == sorted(story.topic for story in stories)


def test_encoders_aligners_and_pairs_of_a_hub_are_of_one_commit(tmp_path):
    shape = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    HubertModel(HubertConfig(**shape, conv_dim=(16,) * 7, num_conv_pos_embedding_groups=4)).save_pretrained(
        tmp_path / "encoder"
    )
    with HubServer() as hub:
        for kind, name, files in (
            ("model", "user/encoder", {path.name: path.read_bytes() for path in (tmp_path / "encoder").iterdir()}),
            ("dataset", "user/texts", texts_of(parts=1, rows=1)),
        ):
            hub.repositories[kind, name] = Repository(kind, name)
            hub.repositories[kind, name].commit("first", files)
        refused = run(OTHERS, hub, tmp_path)
    for said, key in zip(refused, ("what.revision", "what", "what.blimp_revision"), strict=False):
        assert said is not None, key
    assert [said.split(" was ")[1].split()[0] for said in refused] == ["made", "begun"] * 3
    assert all("revision (" in said or "ctc:user/encoder@" in said for said in refused)


class TestCommit:
    def test_a_folder_has_none(self, tmp_path):
        assert find_commit(str(tmp_path)) is None
        with pytest.raises(ValueError, match="lies on this machine and has no revision 'v2'"):
            find_commit(str(tmp_path), "v2")

    def test_a_commit_is_itself(self):
        assert find_commit("user/name", "a" * 40) == "a" * 40

    def test_what_was_found_is_known_where_the_hub_cannot_be_reached(self, tmp_path):
        code = """
import json, os
from evoslm.models.hub_commit import find_commit
found = []
for name, revision in (("user/texts", None), ("user/texts", "v9"), ("user/none", None)):
    try:
        found.append(find_commit(name, revision))
    except FileNotFoundError as error:
        found.append(str(error))
print(json.dumps(found))
"""
        with HubServer() as hub:
            hub.repositories["dataset", "user/texts"] = repository = Repository("dataset", "user/texts")
            commit = repository.commit("first", {}).sha
            reached = run(code, hub, tmp_path)
        assert reached[0] == commit
        assert reached[1] == "The dataset 'user/texts' has no revision 'v9' on the Hub."
        assert reached[2] == "The dataset 'user/none' cannot be found, neither as a folder nor on the Hub."
        unreached = run(code, hub, tmp_path)
        assert unreached[0] == commit
        assert "the Hub cannot be asked for its commit" in unreached[1]

    def test_what_another_client_loaded_is_known_where_the_hub_cannot_be_reached(self, tmp_path):
        load = """
import json
from huggingface_hub import hf_hub_download
print(json.dumps(hf_hub_download("user/texts", "rows.csv", repo_type="dataset")))
"""
        find = """
import json
from evoslm.models.hub_commit import find_commit
print(json.dumps(find_commit("user/texts")))
"""
        with HubServer() as hub:
            hub.repositories["dataset", "user/texts"] = repository = Repository("dataset", "user/texts")
            commit = repository.commit("first", {"rows.csv": b"1,2"}).sha
            run(load, hub, tmp_path)
        assert run(find, hub, tmp_path) == commit
