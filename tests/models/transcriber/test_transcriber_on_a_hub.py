"""A model comes from a Hub at one commit, which is recorded, and in safetensors alone."""

import json
import os
import subprocess
import sys

from hub_server import HubServer, Repository
from tiny_recognizers import save_whisper

LOAD = """
import json, sys
from evoslm.models.transcriber import Transcriber

found = []
for model_id, revision in json.loads(sys.argv[1]):
    try:
        found.append(Transcriber.from_pretrained(model_id, revision, device="cpu").source["revision"])
    except (ValueError, FileNotFoundError) as error:
        found.append(str(error))
print(json.dumps(found))
"""


def load(hub, folder, *models, **variables):
    """The commit that each model was read from, or what was said instead."""
    environment = os.environ | hub.environment(folder / "hub") | {"EVOSLM_CACHE": str(folder / "evoslm")}
    environment |= variables
    command = [sys.executable, "-c", LOAD, json.dumps(models)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_commit_that_is_read_is_recorded(tmp_path):
    files = {path.name: path.read_bytes() for path in save_whisper(tmp_path / "whisper").iterdir()}
    pickled = {name: data for name, data in files.items() if name != "model.safetensors"}
    whisper, other = Repository("model", "user/whisper"), Repository("model", "user/pickled")
    first, second = whisper.commit("first", files), whisper.commit("second", files | {"README.md": b"-"})
    other.commit("pickled", pickled | {"pytorch_model.bin": b"-"})
    asked = [("user/whisper", None), ("user/whisper", first.sha), ("user/pickled", None), ("user/nothing", None)]
    with HubServer() as hub:
        hub.repositories |= {("model", repository.name): repository for repository in (whisper, other)}
        latest, pinned, refused, missing = load(hub, tmp_path, *asked)
    assert (latest, pinned) == (second.sha, first.sha)
    assert "user/pickled has no weights in safetensors" in refused
    assert "cannot be found, neither as a folder nor on the Hub" in missing
    # What was read before is read without a network.
    assert load(hub, tmp_path, asked[0], HF_HUB_OFFLINE="1") == [second.sha]
