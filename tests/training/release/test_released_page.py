"""The page of a release, as its Space holds it, started with an empty cache and models that are on a Hub."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from gradio_client import Client, handle_file
from hub_server import HubServer
from served_space import free_port, wait_until_served

import evoslm
from evoslm.training.external_units.tables import audio_name
from evoslm.training.release import push_release

pytestmark = pytest.mark.end_to_end
PREFIX = "user/evoslm-smoke"
TEXT, PHONES, UNITS = (f"{PREFIX}-{name}" for name in ("text-bpe", "phone-raw", "speech-units"))
OFFLINE = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"), "1")


@pytest.fixture(scope="module")
def hub(released) -> Iterator[HubServer]:
    with HubServer() as hub:
        with pytest.MonkeyPatch.context() as patch:
            hub.serve_this_process(patch)
            push_release(released, "user", report=lambda line: None)
        yield hub


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "prompt.wav"
    times = np.arange(24_000) / 16_000
    soundfile.write(path, 0.3 * np.sin(900 * times * times), 16_000)
    return path


@contextmanager
def served_page(folder: Path, environment: dict[str, str], log: Path) -> Iterator[Client]:
    """The Space's `app.py`, in its folder and a process of its own, and a client of it."""
    url = f"http://127.0.0.1:{free_port()}"
    environment = {**os.environ, **environment, "GRADIO_SERVER_PORT": url.rpartition(":")[2]}
    environment |= {"GRADIO_TEMP_DIR": str(log.parent / "temporary"), "GRADIO_ANALYTICS_ENABLED": "False"}
    with log.open("w") as output:
        command = [sys.executable, "app.py"]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_until_served(url, process, log)
        yield Client(url, verbose=False, download_files=log.parent / "downloads")
    finally:
        process.terminate()
        process.wait(30)


def ask(client: Client, recording: Path) -> dict:
    """What the page answers: models, continuations of a text and of a sound, and scores of a pair."""
    usual = {"num_continuations": 1, "seconds": 1, "seed": 3, "api_name": "/continue"}
    found = {"models": [model["model"] for model in client.predict(api_name="/list_models")]}
    files, found["text"] = client.predict(text="The old man", audio=None, models=[TEXT, PHONES, UNITS], **usual)
    sound = handle_file(str(recording))
    more, found["sound"] = client.predict(text="", audio=sound, models=[UNITS, PHONES], **usual)
    found["seconds"] = [soundfile.info(file).duration for file in (*files, *more)]
    pair = ("The dogs are hungry.", "The dogs is hungry.", [TEXT, UNITS])
    found["pair"] = client.predict(*pair, api_name="/score_pair")
    return found


def test_the_page_is_served_from_a_hub_and_then_offline(hub, by_name, cache, recording, tmp_path, finished_run):
    page = by_name["evoslm-speech-continuation"].folder
    log = tmp_path / "online" / "log"
    log.parent.mkdir()
    with served_page(page, hub.environment(cache), log) as client:
        found = ask(client, recording)
        measured = client.predict(
            units=handle_file(str(units_of(finished_run, tmp_path))), rate=50, api_name="/measure_units"
        )
        examples = [part for part in client.config["components"] if part["type"] == "dataset"]
    assert "Traceback" not in log.read_text() and "cannot be read" not in log.read_text()
    assert found["models"] == json.loads((page / "space.json").read_text())["models"]
    assert [record["model"] for record in found["text"]] == [TEXT, PHONES, UNITS]
    heard, refused = found["sound"]
    assert heard["content"] and refused["refusal"].startswith("Phone-Raw: ")
    assert len(found["seconds"]) == 4 and min(found["seconds"]) > 0
    assert all(score["prefers"] for score in found["pair"])
    assert measured["known"] == measured["utterances"] > 1  # whose words are those of the dataset on the Hub
    assert len(examples) == 1

    own = evoslm.pipeline("speech-continuation", finished_run / "models" / "text_bpe" / "seed-0")
    assert own("The old man", max_seconds=1.0, seed=3)[0].content == found["text"][0]["content"]

    asked, log = len(hub.requests), tmp_path / "offline" / "log"
    log.parent.mkdir()
    with served_page(page, hub.environment(cache) | OFFLINE, log) as client:
        again = ask(client, recording)
    assert hub.requests[asked:] == [] and again == found


def units_of(run: Path, folder: Path) -> Path:
    """A table of somebody's units of held-out utterances of a run."""
    (shard,) = (run / "units" / "speech_units" / "utterances").glob("test-*.parquet")
    rows = (
        {"file": audio_name("utterances", row["id"]), "units": row["units"]}
        for row in pq.read_table(shard).to_pylist()
    )
    path = folder / "mine.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path
