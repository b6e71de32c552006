"""Where a Hub fails while a released model is loaded, it is asked again or the error is clear; no half is loaded."""

import errno
import os
import subprocess
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
