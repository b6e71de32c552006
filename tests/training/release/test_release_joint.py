"""Joint models are released with the sequences that they read: one draw, as its own configurations of the contents."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml
from hub_server import HubServer
from transformers import AutoTokenizer

from evoslm.datasets_scripts.builders import prepare
from evoslm.models.tokenizers.joint import split_segments
from evoslm.training.release import ReleaseChoice, ReleaseNames, prepare_release, push_release
from evoslm.training.release.datasets import prepare_dataset_repositories
from evoslm.training.release.manifest import list_files
from evoslm.training.release.plan import plan_repositories
from evoslm.training.run.study_file import open_run

READ = """
import json, os, sys

sys.modules["evoslm"] = None  # importing it is an error
from datasets import get_dataset_config_names, load_dataset
from transformers import AutoTokenizer

name = "user/evoslm-smoke-contents"
found = {"configurations": get_dataset_config_names(name)}
for kind in ("joint_cst", "joint_ast"):
    rows = load_dataset(name, kind, split="test")
    found[kind] = [rows["id"][:], rows["content"][:]]
    found[f"streamed {kind}"] = list(load_dataset(name, kind, split="test", streaming=True))
exec(open(sys.argv[1]).read())  # the card's own
found["snippet"] = tokenizer(contents[0]["content"])["input_ids"]
print(json.dumps(found), flush=True)
os._exit(0)  # the thread that reads a stream ahead sometimes aborts an interpreter that ends in the usual way
"""


@pytest.fixture(scope="module")
def run(complete_run, tmp_path_factory):
    """The joint models of a study, and nothing else that was trained in it."""
    folder = tmp_path_factory.mktemp("joint") / "run"
    folder.mkdir()
    for part in complete_run.iterdir():
        if part.is_dir() and part.name not in ("models", "report", "transcribers"):
            shutil.copytree(part, folder / part.name, copy_function=os.link)
    shutil.copy(complete_run / "study.json", folder)
    return folder


@pytest.fixture(scope="module")
def released(run, tmp_path_factory):
    return prepare_release(run, "user", tmp_path_factory.mktemp("released") / "release")


@pytest.fixture(scope="module")
def contents(released):
    return next(each for each in released if each.name == "user/evoslm-smoke-contents").folder


def test_the_joint_sequences_are_those_of_the_builders_drawn_once(contents, run, tmp_path):
    head = yaml.safe_load((contents / "README.md").read_text().split("---\n")[1])
    assert {"joint_cst", "joint_ast", "text_raw"} <= {each["config_name"] for each in head["configs"]}
    of_run = open_run(run)
    folders = of_run.utterances(), of_run.units() / "utterances"
    options = {"units_dir": folders[1], "seed": 0, "epoch": 0}
    rules = {"joint_ast": {"rule": "per_word", "rule_options": {"probability": 0.5}}, "joint_cst": {}}
    tokenizer = AutoTokenizer.from_pretrained(run / "joint" / "tokenizer")
    for name, rule in rules.items():
        expected = prepare(name, folders[0], tmp_path / "cache", **options, **rule)
        files = [file for file in list_files(contents) if file.startswith(f"{name}/")]
        assert {file.split("/")[1].split("-")[0] for file in files} == set(expected) == {"train", "validation", "test"}
        for split, rows in expected.items():
            published = _read(contents, name, split, tmp_path)
            assert published.to_list() == rows.to_list() and len(rows)
            assert tokenizer.unk_token_id not in tokenizer(published[0]["content"])["input_ids"]
        if name == "joint_ast":  # both modalities are in most of them, and a rule of other lengths gives other rows
            ids = tokenizer(rows["content"][:50])["input_ids"]
            kinds = [{segment.modality for segment in split_segments(tokenizer, row)} for row in ids]
            assert sum(len(found) == 2 for found in kinds) > 0.7 * len(kinds)
            other = prepare(name, folders[0], tmp_path / "cache", **options)
            assert other["test"]["content"][:] != rows["content"][:]


def _read(folder, name, split, tmp_path):
    from datasets import load_dataset

    return load_dataset(str(folder), name, split=split, cache_dir=str(tmp_path / "read"))


def test_what_is_released_of_joint_models_is_known_before(released, run):
    planned = plan_repositories(run, ReleaseNames.of(run, "user"))
    assert sorted(planned) == sorted((each.kind, each.name) for each in released)
    assert ("model", "user/evoslm-smoke-joint-cst-ast") in planned


def test_the_card_says_that_it_is_one_draw_and_names_models_that_are_there(contents, released):
    card = (contents / "README.md").read_text()
    assert "one draw, of seed 0 and epoch 0: a training draws anew" in card
    assert "changing by the rule `per_word`; each run of equal units once. One draw, of seed 0." in card
    names = {each.name for each in released}
    for repository in released:
        if repository.kind == "dataset":
            text = (repository.folder / "README.md").read_text()
            python = "\n".join(block.split("```")[0] for block in text.split("```python\n")[1:])
            named = {word.strip("\"',()[]") for word in python.replace("(", " ").split() if "user/" in word}
            assert named <= names, repository.name
            assert "<language model>" not in text


def test_models_that_read_one_modality_alone_have_no_joint_sequences(run, tmp_path):
    joint = tmp_path / "joint"
    shutil.copytree(run / "joint", joint, copy_function=os.link)
    results = json.loads((joint / "results.json").read_text())
    results["configuration"]["models"] = ["text"]
    (joint / "results.json").unlink()
    (joint / "results.json").write_text(json.dumps(results))
    choice = ReleaseChoice(modalities=["text_raw"], joint_dir=joint)
    made = prepare_dataset_repositories(run, ReleaseNames.of(run, "user"), tmp_path / "out", choice, [])
    head = yaml.safe_load((made[1].folder / "README.md").read_text().split("---\n")[1])
    assert [each["config_name"] for each in head["configs"]] == ["text_raw"]


def test_joint_models_of_another_runs_units_are_refused(run, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(run, other, copy_function=os.link)
    path = other / "units" / "speech_units" / "utterances" / "stage.json"
    stage = json.loads(path.read_text()) | {"fingerprint": "0" * 16}
    path.unlink()
    path.write_text(json.dumps(stage))
    with pytest.raises(ValueError, match=r"joint/tokenizer was made with another units than .*; make it again"):
        prepare_release(other, "user", tmp_path / "release")


@pytest.mark.end_to_end
def test_joint_sequences_load_from_a_hub_plain_and_streaming(released, contents, tmp_path, monkeypatch):
    with HubServer() as hub:
        with monkeypatch.context() as patch:
            hub.serve_this_process(patch)
            push_release(released, "user", report=lambda line: None)
        snippet = tmp_path / "snippet.py"
        snippet.write_text((contents / "README.md").read_text().split("```python\n")[1].split("```")[0])
        environment = {**os.environ, **hub.environment(tmp_path / "cache"), "TQDM_DISABLE": "1"}
        command = [sys.executable, "-c", READ, str(snippet)]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    for kind in ("joint_cst", "joint_ast"):
        ids, rows = found[kind]
        assert ids and rows == _read(contents, kind, "test", tmp_path)["content"][:]
        assert [(row["id"], row["content"]) for row in found[f"streamed {kind}"]] == list(zip(ids, rows))
    assert found["snippet"][0] == 1 and {"joint_cst", "joint_ast"} <= set(found["configurations"])
