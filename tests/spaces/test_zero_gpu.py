"""The page where a Hub lends GPUs: models are loaded once, before it is served, and what computes is elsewhere."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import soundfile
import zero_gpu
from gradio_client import Client, handle_file
from served_space import free_port, wait_until_served

from evoslm.spaces.speech_continuation.continuing import gpu_seconds
from evoslm.spaces.speech_continuation.limits import MAX_CONTINUATIONS, MAX_MODELS, MAX_SECONDS, Drawing
from evoslm.spaces.speech_continuation.shelf import on_gpu

APP = Path(__file__).parents[2] / "spaces" / "speech_continuation" / "app.py"
ASKED = {"audio": None, "num_continuations": 2, "seconds": 1, "seed": 3, "api_name": "/continue"}


class Page(NamedTuple):
    url: str
    client: Client
    scheduler: zero_gpu.Scheduler
    process: int
    log: Path


@pytest.fixture(scope="module")
def models(finished_run) -> list[str]:
    """Ten folders of models, more than a page keeps where nothing is lent."""
    names = ("text_bpe", "text_raw", "phone_raw", "phone_bpe", "phone_stretch", "phone_repeat")
    names += ("speech_units", "speech_dedup", "speech_bpe", "speech_units_one_voice")
    folders = [finished_run / "models" / name / "seed-0" for name in names]
    assert all(folder.is_dir() for folder in folders)
    return [str(folder) for folder in folders]


@pytest.fixture(scope="module")
def page(models, tmp_path_factory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("zero-gpu")
    shutil.copy(APP, folder)
    (folder / "space.json").write_text(json.dumps({"models": models, "utterances": None}))
    url, log = f"http://127.0.0.1:{free_port()}", folder / "server.log"
    with zero_gpu.Scheduler() as scheduler, log.open("w") as output:
        environment = os.environ | scheduler.environment() | {"GRADIO_SERVER_PORT": url.rpartition(":")[2]}
        environment |= {"GRADIO_TEMP_DIR": str(folder / "temporary"), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, zero_gpu.__file__, str(folder / "app.py")]
        streams = {"stdout": output, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, **streams)
        try:
            wait_until_served(url, process, log)
            yield Page(url, Client(url, verbose=False), scheduler, process.pid, log)
        finally:
            process.terminate()
            process.wait(30)
            os.killpg(process.pid, signal.SIGKILL)  # the package leaves the processes that it forked behind


@pytest.fixture
def recording(tmp_path) -> Path:
    import numpy as np

    path = tmp_path / "prompt.wav"
    soundfile.write(path, np.sin(np.arange(16_000) / 5) / 2, 16_000)
    return path


@pytest.mark.end_to_end
def test_models_are_continued_in_processes_that_load_none(page, models, recording):
    chosen = [models[1], models[2], models[6]]
    files, records = page.client.predict(text="the dog", models=chosen, **ASKED)
    assert [record["model"] for record in records] == [model for model in chosen for _ in range(2)]
    assert all(record["tokens"] and record["stop_reason"] for record in records)
    assert len(files) == 6 and all(soundfile.info(file).duration > 0 for file in files)
    asked = ASKED | {"audio": handle_file(str(recording))}
    (_, (heard, _)) = page.client.predict(text="", models=[models[6]], **asked)
    assert heard["content"]
    again = page.client.predict(text="the dog", models=chosen, **ASKED)[1]
    assert [record["content"] for record in again] == [record["content"] for record in records]
    assert len(set(page.scheduler.processes)) == 3 and page.process not in page.scheduler.processes


@pytest.mark.end_to_end
def test_a_pair_is_scored_by_all_models(page, models):
    scores = page.client.predict("The dogs are hungry.", "The dogs is hungry.", models, api_name="/score_pair")
    assert {score["model"] for score in scores} == set(models) and all("difference" in score for score in scores)


@pytest.mark.end_to_end
def test_a_process_that_is_kept_knows_models_that_it_was_not_asked_for_before(page, models):
    page.scheduler.keeps_processes = True
    began = len(page.scheduler.processes)
    for model in models[2:5]:
        (record,) = page.client.predict(text="the dog", models=[model], **ASKED | {"num_continuations": 1})[1]
        assert record["tokens"]
    page.scheduler.keeps_processes = False
    assert len(page.scheduler.processes) - began <= 1


@pytest.mark.end_to_end
def test_a_refusal_comes_back_from_another_process_as_a_sentence(page, models, recording):
    with pytest.raises(Exception, match="Text-Raw: "):
        page.client.predict(text="", models=[models[1]], **ASKED | {"audio": handle_file(str(recording))})
    assert "Traceback" not in page.log.read_text()


@pytest.mark.end_to_end
def test_a_continuation_is_stopped_in_its_process_and_another_begun(page, browser):
    opened = browser.new_page()
    opened.set_default_timeout(300_000)
    opened.goto(page.url)
    opened.locator("#prompt-text textarea").fill("the dog")
    opened.get_by_text("How continuations are drawn").click()
    seconds, status = opened.locator("#seconds input[type=number]"), opened.locator("#status")
    seconds.fill("15")
    seconds.press("Tab")
    opened.locator("#run").click()
    opened.locator("#heading-0 h2").wait_for()
    opened.locator("#stop").click()
    opened.locator("#status", has_text="Stopped.").wait_for()
    seconds.fill("1")
    seconds.press("Tab")
    while "Stopped." in status.inner_text():  # a click counts once the other process has ended its step
        opened.locator("#run").click()
        opened.wait_for_timeout(2000)
    opened.locator("#status", has_text="Done:").wait_for()
    assert opened.locator("#line-0-0 svg").count() == 1
    opened.close()
    assert "Traceback" not in page.log.read_text()


@pytest.mark.end_to_end
def test_who_asks_for_more_asks_for_a_gpu_for_longer(page, models):
    page.client.predict(text="the dog", models=models[:1], **ASKED)
    page.client.predict(text="the dog", models=models[:3], **ASKED | {"seconds": 2})
    page.client.predict("The dog.", "The cat.", models, api_name="/score_pair")
    assert page.scheduler.seconds[-3:] == [12, 18, 20]


def test_the_longest_request_fits_into_what_a_visitor_has_a_day():
    longest = gpu_seconds([None] * MAX_MODELS, "", Drawing(MAX_CONTINUATIONS, MAX_SECONDS))
    assert MAX_MODELS * MAX_SECONDS < longest < 120
    assert gpu_seconds([None] * 2, "", Drawing()) < 60 / 2  # of what is asked for unless somebody says so


def test_where_no_gpus_are_lent_a_function_stays_as_it_is(tmp_path):
    def compute():
        yield 1

    assert on_gpu(lambda: 1)(compute) is compute  # with our own folder of that name, or none
    code = "import sys; from evoslm.spaces.speech_continuation.shelf import on_gpu\n"
    code += "def compute(): yield 1\nassert on_gpu(lambda: 1)(compute) is compute"
    for before in ("import spaces; spaces.GPU\n", "import sys; sys.modules['spaces'] = None\n"):
        subprocess.run([sys.executable, "-c", before + code], cwd=tmp_path, check=True, timeout=120)
