"""A model comes with what its configuration names, all of one quantizer, or is refused in a sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import HubServer, Repository
from tiny_joint_model import make_text_model
from tiny_unit_model import save_unit_models
from transformers import pipeline as transformers_pipeline

import evoslm
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel

TASK = "speech-continuation"
CONTINUE = """
import json, sys
import evoslm

found = []
for model, arguments in json.loads(sys.argv[1]):
    try:
        pipe = evoslm.pipeline("speech-continuation", model, **arguments)
        (continuation,) = pipe("The lion", max_seconds=0.5, stop_on_repetition=False)
        found.append([len(continuation.audio), len(continuation.units), type(continuation.text).__name__])
    except (ValueError, FileNotFoundError) as error:
        found.append(str(error))
print(json.dumps(found))
"""


def continue_on(hub: HubServer, folder: Path, *asked) -> list:
    environment = os.environ | hub.environment(folder / "hub") | {"EVOSLM_CACHE": str(folder / "evoslm")}
    command = [sys.executable, "-c", CONTINUE, json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def read_files(folder: Path, **keys) -> dict[str, bytes]:
    """The files of a model, some keys of its configuration changed; `None` takes one out."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    config = {name: value for name, value in (json.loads(files["config.json"]) | keys).items() if value is not None}
    return files | {"config.json": json.dumps(config).encode()}


def test_an_id_on_a_hub_is_all_that_it_takes(tmp_path):
    parts = save_unit_models(tmp_path / "first", "user")
    other = save_unit_models(tmp_path / "second", "user", seed=1)
    repositories = {name: Repository("model", f"user/{name}") for name in [*parts, "lost", "wrong"]}
    commits = {name: repositories[name].commit("first", read_files(folder)) for name, folder in parts.items()}
    repositories["model"].commit("worse", {"README.md": b"-"})
    repositories["lost"].commit("first", read_files(parts["model"], unit_quantizer=None))
    repositories["wrong"].commit("first", read_files(other["model"]))
    pinned = ("user/model", {"revision": commits["model"].sha})
    asked = [pinned, ("user/model", {}), ("user/lost", {}), ("user/wrong", {}), ("user/none", {})]
    with HubServer() as hub:
        hub.repositories |= {("model", repository.name): repository for repository in repositories.values()}
        whole, worse, lost, wrong, none = continue_on(hub, tmp_path, *asked)
    assert whole == [8_000, 25, "str"]
    assert "user/model is no language model" in worse
    assert "its quantizer is missing; give its id or folder" in lost
    assert "take both from one release" in wrong
    assert "cannot be found, neither as a folder nor on the Hub" in none


def test_parts_that_are_given_have_to_be_of_one_quantizer(tmp_path):
    parts, other = (save_unit_models(tmp_path / name, "user", seed) for seed, name in enumerate(("first", "second")))
    own = {name: parts[name] for name in ("quantizer", "vocoder", "transcriber")}
    pipe = evoslm.pipeline(TASK, parts["model"], **own)
    assert pipe("The lion", max_seconds=0.5)[0].text is not None
    for name in own:
        with pytest.raises(ValueError, match="take both from one release"):
            evoslm.pipeline(TASK, parts["model"], **own | {name: other[name]})
    # One that was never released has no hash in its configuration, and is told by its codebook all the same.
    unreleased = SpeechUnitModel(SpeechUnitConfig(num_units=20))
    with pytest.raises(ValueError, match="take both from one release"):
        evoslm.pipeline(TASK, parts["model"], **own | {"quantizer": unreleased})
    with pytest.raises(ValueError, match="no vocoder of speech units"):
        evoslm.pipeline(TASK, parts["model"], **own | {"vocoder": parts["model"]})
    with pytest.raises(FileNotFoundError, match="no model in"):
        evoslm.pipeline(TASK, tmp_path)
    with pytest.raises(ValueError, match="no task 'text-generation'"):
        evoslm.pipeline("text-generation", parts["model"])


def test_units_of_a_segmenting_quantizer_are_scored_and_written_but_not_heard(tmp_path):
    parts = save_unit_models(tmp_path, "user")
    ties = dict.fromkeys(("unit_quantizer_hash", "unit_vocoder", "unit_transcriber"))
    files = read_files(parts["model"], modality="speech_syllable_unsupervised", **ties)
    (parts["model"] / "config.json").write_bytes(files["config.json"])
    quantizer = SpeechUnitModel(SpeechUnitConfig(num_units=20, segment_parts=2, segmentation={}))
    pipe = evoslm.pipeline(TASK, parts["model"], quantizer=quantizer)
    assert not pipe.is_audible
    (continuation,) = pipe("The lion sings.", max_seconds=1)
    assert continuation.audio is None
    assert continuation.units


def test_the_task_is_one_of_transformers(tmp_path):
    parts = save_unit_models(tmp_path, "user")
    own = {name: parts[name] for name in ("quantizer", "vocoder", "transcriber")}
    settings = {"max_seconds": 0.5, "num_continuations": 2, "stop_on_repetition": False}
    pipe = transformers_pipeline(TASK, model=str(parts["model"]), device="cpu", **own)
    both = pipe(["The lion", "The otter"], **settings)
    expected = evoslm.pipeline(TASK, parts["model"], **own)("The otter", **settings)
    assert [continuation.ids for continuation in both[1]] == [continuation.ids for continuation in expected]
    chunks = list(pipe.stream("The otter", **settings))
    assert sum(len(chunk.audio) for chunk in chunks) == sum(len(own.audio) for own in expected)


def test_any_model_of_text_is_continued(tmp_path):
    pipe = evoslm.pipeline(TASK, make_text_model(tmp_path))
    (continuation,) = pipe("The lion sings", max_seconds=1, temperature=0)
    assert continuation.text
    assert pipe.score("The lion sings").total < 0
