"""A modality's dataset travels: built here, pushed to a Hub, loaded from it by a process that has no evoslm."""

import json
import os
import subprocess
import sys
from pathlib import Path

from hub_server import HubServer

from evoslm.datasets_scripts.phones.frames import repeat_content

PUSH = """
import sys
from evoslm.datasets_scripts.builders import prepare
from evoslm.datasets_scripts.builders.utterances import Utterances

shards, units, cache = sys.argv[1:]
for name, folder in (("phone_repeat", shards), ("speech_units", units)):
    prepare(name, folder, cache).push_to_hub("user/stories", name)
builder = Utterances(cache, data_dir=shards)
builder.download_and_prepare()
builder.as_dataset().push_to_hub("user/stories", "utterances")
"""

LOAD = """
import json, os, sys
sys.modules["evoslm"] = None  # importing it is an error
from datasets import Audio, get_dataset_config_names, load_dataset

phones = load_dataset("user/stories", "phone_repeat")
streamed = load_dataset("user/stories", "speech_units", split="test", streaming=True)
utterances = load_dataset("user/stories", "utterances", split="test")
assert isinstance(utterances.features["audio"], Audio)
print(json.dumps({
    "configurations": get_dataset_config_names("user/stories"),
    "phone_repeat": {split: list(rows["content"]) for split, rows in phones.items()},
    "speech_units": [row["content"] for row in streamed],
    "flac": [row["audio"]["bytes"][:4].decode() for row in utterances],
    "phones": utterances[0]["phones"],
}), flush=True)
os._exit(0)  # the thread that reads a stream ahead sometimes aborts an interpreter that ends in the usual way
"""


def run(code: str, environment: dict[str, str], *arguments: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, **environment, "USE_TORCH": "NO"},  # importing it takes longer than all the rest
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_datasets_are_pushed_and_loaded_without_this_package(tmp_path, tiny_utterances, tiny_units):
    rows = tiny_utterances(tmp_path / "shards", rows=2)
    units = tiny_units(tmp_path / "units", rows)
    with HubServer() as hub:
        run(PUSH, hub.environment(tmp_path / "pusher"), tmp_path / "shards", tmp_path / "units", tmp_path / "cache")
        loaded = json.loads(run(LOAD, hub.environment(tmp_path / "reader")))
        files = hub.repositories["dataset", "user/stories"].commits[-1].files

    assert sorted(loaded["configurations"]) == ["phone_repeat", "speech_units", "utterances"]
    assert loaded["phone_repeat"] == {
        split: [repeat_content(row["phones"], round(row["duration"] * 50)) for row in split_rows]
        for split, split_rows in rows.items()
    }
    assert loaded["speech_units"] == [" ".join(map(str, row["units"])) for row in units["test"]]
    assert loaded["flac"] == ["fLaC"] * len(rows["test"])
    assert loaded["phones"] == rows["test"][0]["phones"]
    assert "README.md" in files and not any(path.endswith(".py") for path in files)
