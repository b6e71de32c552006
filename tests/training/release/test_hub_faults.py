"""Where a Hub fails while a release is loaded, it is asked again or the error is clear; no half is loaded."""

import errno
import json
import os
import subprocess
import sys
import time

import pytest
import torch
from hub_server import HubServer
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from evoslm.training.cli import main
from evoslm.training.release import ReleaseRepository
from evoslm.training.release.manifest import write_manifests
from evoslm.training.release.push import push_release

WEIGHTS = ".*/resolve/.*/model.safetensors"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of a megabyte, which comes in several pieces."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=2000, **shape)).save_pretrained(folder)
    repository = ReleaseRepository("user/model", "model", folder)
    write_manifests([repository])
    return repository


@pytest.fixture
def hub(model, monkeypatch):
    with HubServer() as server:
        server.serve_this_process(monkeypatch)
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        push_release([model], "user", report=lambda line: None)
        yield server


def load(cache) -> dict[str, torch.Tensor]:
    return AutoModelForCausalLM.from_pretrained("user/model", cache_dir=cache).state_dict()


def is_whole(weights: dict[str, torch.Tensor], model: ReleaseRepository) -> bool:
    expected = LlamaForCausalLM.from_pretrained(model.folder).state_dict()
    return weights.keys() == expected.keys() and all(torch.equal(weights[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("pattern", "kind", "times"),
    [
        (f"HEAD {WEIGHTS}", "status", 2),
        (f"GET {WEIGHTS}", "lost", 1),
        (f"GET {WEIGHTS}", "cut", 2),
        ("HEAD .*/config.json", "status", 1),
        ("GET .*/config.json", "cut", 1),
        (f"HEAD {WEIGHTS}", "etag", 1),
    ],
)
def test_what_fails_in_passing_is_asked_for_again(hub, model, tmp_path, pattern, kind, times):
    fault = hub.fail(pattern, kind, times)
    assert is_whole(load(tmp_path), model) and fault.times == 0
    assert is_whole(load(tmp_path), model)


@pytest.mark.parametrize(
    ("pattern", "kind", "message"),
    [
        (f"GET {WEIGHTS}", "status", "Server error '500 .* for url .*/model.safetensors"),
        (f"GET {WEIGHTS}", "truncated", "Consistency check failed: file should be of size"),
        ("HEAD .*/config.json", "status", "couldn't connect to .* to load the files"),
    ],
)
def test_what_goes_on_failing_is_an_error_and_leaves_nothing_half(hub, model, tmp_path, pattern, kind, message):
    fault = hub.fail(pattern, kind, times=999)
    with pytest.raises(OSError, match=message):
        load(tmp_path)
    fault.times = 0
    assert is_whole(load(tmp_path), model)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 300 kB; only who may mount one has it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if os.name != "posix" or os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_is_said_and_what_lies_there_is_no_model(hub, model, tmp_path, small_disk):
    with pytest.raises(OSError, match="No space left on device") as error:
        load(small_disk)
    assert error.value.errno == errno.ENOSPC or "28" in str(error.value)
    assert not list(small_disk.rglob("model.safetensors"))
    assert is_whole(load(tmp_path / "elsewhere"), model)


def test_a_release_onto_a_full_disk_ends_in_a_sentence_and_leaves_no_half_of_one(
    finished_run, tmp_path, monkeypatch, capsys
):
    def fill(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr("shutil.copyfile", fill)
    output = tmp_path / "release"
    flags = ("--dry_run", "--modalities", "text_raw", "--output_dir", str(output))
    assert main(["release", str(finished_run), "--namespace", "user", *flags]) == 2
    assert "The disk is full" in capsys.readouterr().err
    assert not [path for path in tmp_path.iterdir() if not path.name.endswith(".lock")]


READ = """
import io, json, os, shutil, sys, time
from urllib.request import Request, urlopen

import evaluate
import evoslm
from datasets import DownloadConfig, load_dataset

time.sleep = lambda seconds: None  # between two attempts
home, commits = os.environ["HF_HOME"], os.environ["EVOSLM_CACHE"] + "/commits"

def rows():
    rows = load_dataset("user/evoslm-smoke-pairs", "swuggy", split="test")
    return [len(rows), rows["positive_text"][:]]

def metric(**options):
    given = {"predictions": [{"positive": -1.0, "negative": -2.0}]}
    given["references"] = [{"positive_tokens": 1, "negative_tokens": 1}]
    return evaluate.load("user/swuggy", **options).compute(**given)["accuracy"]

def pipe():
    pipe = evoslm.pipeline("speech-continuation", model="user/evoslm-smoke-speech-units")
    (heard,) = pipe("The old man", max_seconds=0.3, seed=0)
    return [heard.ids, len(heard.audio)]

def attempt(load, **options):
    try:
        return ["loaded", load(**options)]
    except Exception as error:
        return [type(error).__name__, str(error)]

def fail(*faults):
    urlopen(Request(os.environ["HF_ENDPOINT"] + "/_faults", json.dumps(faults).encode(), method="PUT")).read()

found = []
for name, pattern, kind, times in json.loads(sys.argv[1]):
    for folder in (home, commits):
        shutil.rmtree(folder, ignore_errors=True)
    load = {"rows": rows, "metric": metric, "pipe": pipe}[name]
    fail(*([{"pattern": pattern, "kind": kind, "times": times}] if pattern else []))
    found.append([attempt(load)])
    fail()
    found[-1].append(attempt(load))
    if name == "metric":
        found[-1].append(attempt(load, download_config=DownloadConfig(force_download=True)))
print(json.dumps(found), flush=True)
os._exit(0)
"""
PARQUET, SCRIPT, PART = ".*/resolve/.*parquet", ".*/resolve/.*/swuggy.py", ".*/resolve/.*/pair_accuracy.py"
WEIGHTS_OF_UNITS, COMMIT = (
    ".*speech-units/resolve/.*/model.safetensors",
    ".*/api/models/user/evoslm-smoke-speech-units",
)
QUANTIZER, VOCODER = ".*units-mfcc/resolve/.*/model.safetensors", ".*vocoder/resolve/.*/config.json"
ALWAYS = 999
PASSING = [
    ("rows", f"HEAD {PARQUET}", "status", 1),
    ("rows", f"GET {PARQUET}", "cut", 1),
    ("rows", f"GET {PARQUET}", "lost", 1),
    ("rows", f"HEAD {PARQUET}", "etag", ALWAYS),
    ("metric", f"GET {SCRIPT}", "lost", 1),
    ("metric", f"HEAD {SCRIPT}", "etag", ALWAYS),
    ("pipe", f"GET {COMMIT}", "status", 2),
    ("pipe", f"GET {COMMIT}", "cut", 1),
    ("pipe", f"GET {COMMIT}", "lost", 1),
    ("pipe", f"GET {COMMIT}", "truncated", 1),
    ("pipe", f"HEAD {WEIGHTS_OF_UNITS}", "status", 1),
    ("pipe", f"GET {WEIGHTS_OF_UNITS}", "cut", 1),
    ("pipe", f"HEAD {WEIGHTS_OF_UNITS}", "etag", ALWAYS),
    ("pipe", f"GET {QUANTIZER}", "cut", 1),
    ("pipe", f"HEAD {VOCODER}", "status", 1),
]
LASTING = [
    ("rows", f"[GH]E[AT]D? {PARQUET}", "status", ALWAYS, "An error happened while trying to locate the file"),
    ("rows", f"GET {PARQUET}", "cut", ALWAYS, "peer closed connection without sending complete message body"),
    ("rows", f"GET {PARQUET}", "truncated", ALWAYS, "Consistency check failed"),
    ("rows", "GET .*/resolve/.*/README.md", "truncated", ALWAYS, "Consistency check failed"),
    ("metric", f"[GH]E[AT]D? {SCRIPT}", "status", ALWAYS, "Couldn't find a module script"),
    ("metric", f"GET {SCRIPT}", "cut", ALWAYS, "Connection broken: IncompleteRead"),
    ("metric", f"GET {PART}", "cut", ALWAYS, "Connection broken: IncompleteRead"),
    ("pipe", f"GET {COMMIT}", "status", ALWAYS, "the Hub cannot be asked for its commit (Server error"),
    ("pipe", f"GET {COMMIT}", "truncated", ALWAYS, "cannot be found: the Hub cannot be asked for its commit"),
    ("pipe", f"GET {WEIGHTS_OF_UNITS}", "truncated", ALWAYS, "is no language model with its tokenizer: Consistency"),
    ("pipe", f"GET {QUANTIZER}", "truncated", ALWAYS, "evoslm-smoke-units-mfcc cannot be loaded: Consistency"),
    ("pipe", f"[GH]E[AT]D? {VOCODER}", "status", ALWAYS, "user/evoslm-smoke-vocoder is no model that can be loaded"),
]
HALF_SCRIPTS = [
    ("metric", f"GET {SCRIPT}", "truncated", 1, "SyntaxError"),
    ("metric", "GET .*/resolve/.*/judging.py", "truncated", 1, "SyntaxError"),
    ("metric", f"GET {PART}", "truncated", 1, "ImportError"),  # whose half is valid Python
]


@pytest.fixture(scope="module")
def outcomes(by_name, tmp_path_factory) -> dict[tuple, list]:
    """By fault, what a process found that loaded a part of a release: with it, then without it."""
    folder = tmp_path_factory.mktemp("faults")
    unbroken = [(name, "", "", 0) for name in ("rows", "metric", "pipe")]
    asked = [*unbroken, *PASSING, *(fault[:4] for fault in (*LASTING, *HALF_SCRIPTS))]
    parts = ("speech-units", "units-mfcc", "vocoder", "transcriber", "pairs", "swuggy")
    with HubServer() as hub:
        with pytest.MonkeyPatch.context() as patch:
            hub.serve_this_process(patch)
            push_release([by_name[part] for part in parts], "user", report=lambda line: None)
        environment = {**os.environ, **hub.environment(folder / "cache"), "TQDM_DISABLE": "1"}
        environment["EVOSLM_CACHE"] = str(folder / "evoslm")
        command = [sys.executable, "-c", READ, json.dumps(asked)]
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    return dict(zip(map(tuple, asked), json.loads(done.stdout.strip().splitlines()[-1]), strict=True))


def right(outcomes, name: str) -> list:
    first, *again = outcomes[name, "", "", 0]
    assert first[0] == "loaded" and all(each == first for each in again)
    return first


@pytest.mark.end_to_end
@pytest.mark.parametrize("fault", PASSING)
def test_a_dataset_a_metric_and_a_pipeline_are_loaded_in_spite_of_what_passes(outcomes, fault):
    assert all(found == right(outcomes, fault[0]) for found in outcomes[fault])


@pytest.mark.end_to_end
@pytest.mark.parametrize("fault", LASTING)
def test_a_dataset_a_metric_and_a_pipeline_end_in_a_clear_error_and_are_whole_afterwards(outcomes, fault):
    *asked, message = fault
    broken, *later = outcomes[tuple(asked)]
    assert broken[0] != "loaded" and message in broken[1]
    assert all(found == right(outcomes, fault[0]) for found in later)


@pytest.mark.end_to_end
@pytest.mark.parametrize("fault", HALF_SCRIPTS)
def test_half_a_script_of_a_metric_is_no_metric_until_it_is_fetched_again(outcomes, fault):
    *asked, error = fault
    broken, kept, fetched = outcomes[tuple(asked)]
    assert broken[0] == kept[0] == error
    assert fetched == right(outcomes, "metric")
