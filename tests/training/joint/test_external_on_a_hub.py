"""A judge comes from a Hub at one commit, without what is no part of a model, and from then on without a network."""

import json
import os
import subprocess
import sys
from pathlib import Path

from hub_server import HubServer, Repository
from tiny_joint_model import make_text_model

FIND = """
import json, sys
from evoslm.training.joint.external import external_language_model

found = []
for source in sys.argv[1:]:
    try:
        folder = external_language_model(source)
        found.append([folder.name, sorted(path.name for path in folder.iterdir())])
    except (ValueError, FileNotFoundError) as error:
        found.append(str(error))
print(json.dumps(found))
"""


def find(hub, folder, *sources, **variables):
    """The name and files of each judge's folder, or what was said instead."""
    environment = os.environ | hub.environment(folder / "hub") | {"EVOSLM_CACHE": str(folder / "evoslm")} | variables
    done = subprocess.run(
        [sys.executable, "-c", FIND, *sources], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_judge_is_taken_from_a_hub(tmp_path):
    made = Path(make_text_model(tmp_path / "made"))
    files = {path.name: path.read_bytes() for path in made.iterdir()}
    judge, pickled = Repository("model", "user/judge"), Repository("model", "user/pickled")
    commit = judge.commit("first", files | {"README.md": b"-", "pytorch_model.bin": b"-", "modeling_x.py": b"-"})
    pickled.commit("pickled", {name: own for name, own in files.items() if "safetensors" not in name})
    with HubServer() as hub:
        hub.repositories |= {("model", repository.name): repository for repository in (judge, pickled)}
        found, refused, missing = find(hub, tmp_path, "user/judge", "user/pickled", "user/nothing")
    assert found == [commit.sha, sorted(files)]
    assert "user/pickled has no language model in safetensors" in refused
    assert "cannot be found, neither as a folder nor on the Hub" in missing
    assert find(hub, tmp_path, "user/judge", HF_HUB_OFFLINE="1") == [[commit.sha, sorted(files)]]
