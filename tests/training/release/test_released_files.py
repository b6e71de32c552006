"""A file of a release that has the right length and other content is noticed by whatever of ours loads it."""

import shutil
import time
from pathlib import Path

import pytest
from hub_server import HubServer
from transformers import AutoModel, AutoModelForCausalLM

import evoslm
from evoslm.models import released_files
from evoslm.models.released_files import FileChanged, check_released_files
from evoslm.models.speech_units import SpeechUnitModel
from evoslm.training.release.push import push_release
from evoslm.training.score.pair_files import find_model

WEIGHTS = "model.safetensors"


def change(content: bytes) -> bytes:
    """Other content of the same length, which is still a file of weights."""
    return content[:-4] + bytes(byte ^ 1 for byte in content[-4:])


@pytest.fixture
def folder(by_name, tmp_path) -> Path:
    """A released model of text, as somebody has it who downloaded it into a folder."""
    return Path(shutil.copytree(by_name["text-raw"].folder, tmp_path / "model"))


def test_a_model_in_a_folder_is_checked_by_the_pipeline_and_not_by_transformers(folder):
    assert evoslm.pipeline("speech-continuation", model=folder)("The", max_seconds=0.2)
    (folder / WEIGHTS).write_bytes(change((folder / WEIGHTS).read_bytes()))
    message = (
        rf"{WEIGHTS} of {folder} is not the file that was released \(SHA-256 .*: download it again, or remove release"
    )
    with pytest.raises(ValueError, match=message):
        evoslm.pipeline("speech-continuation", model=folder)
    with pytest.raises(ValueError, match=message):
        find_model(str(folder))
    AutoModelForCausalLM.from_pretrained(folder)
    (folder / "release.json").unlink()  # it is one's own now
    assert evoslm.pipeline("speech-continuation", model=folder) and find_model(str(folder)) == folder


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_file_that_cannot_be_read_is_told_as_what_it_is(folder, name):
    (folder / name).write_bytes((folder / name).read_bytes().replace(b"{", b"[", 1))
    with pytest.raises(FileChanged, match=f"{name} of .* is not the file that was released"):
        evoslm.pipeline("speech-continuation", model=folder)


def test_what_is_no_release_of_ours_is_nobodys_business(folder):
    check_released_files("nobody/nothing-of-this-name", local_files_only=True)
    for content in ("{}", "[", '{"made_by": "somebody", "sha256": {"config.json": "0"}}'):
        (folder / "release.json").write_text(content)
        check_released_files(folder)
    (folder / "release.json").unlink()
    check_released_files(folder)


def test_a_file_is_read_once_in_a_process_until_it_changes(folder, monkeypatch):
    expected, read = released_files.read_manifest(folder / "release.json"), []

    def read_hash(path: Path) -> str:
        read.append(path.relative_to(folder).as_posix())
        return expected[read[-1]]

    monkeypatch.setattr(released_files, "hash_file", read_hash)
    check_released_files(folder)
    assert sorted(read) == sorted(expected)
    check_released_files(folder)
    assert len(read) == len(expected)
    (folder / "config.json").write_text("{}")
    check_released_files(folder)
    assert read[len(expected) :] == ["config.json"]


@pytest.mark.parametrize("load", [AutoModel.from_pretrained, SpeechUnitModel.from_pretrained])
def test_a_quantizer_of_a_hub_that_sends_other_content_is_not_loaded(by_name, tmp_path, monkeypatch, load):
    quantizer = by_name["units-mfcc"]
    with HubServer() as hub:
        hub.serve_this_process(monkeypatch)
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        push_release([quantizer], "user", report=lambda line: None)
        files = hub.repositories["model", quantizer.name].commits[-1].files
        right, files[WEIGHTS] = files[WEIGHTS], change(files[WEIGHTS])
        with pytest.raises(FileChanged, match=f"{WEIGHTS} of {quantizer.name} is not the file .*: remove ") as error:
            load(quantizer.name, cache_dir=tmp_path)
        kept = Path(str(error.value).split(": remove ")[1].removesuffix(" and load it again."))
        assert kept.parent == tmp_path
        files[WEIGHTS] = right
        shutil.rmtree(kept)
        loaded, own = load(quantizer.name, cache_dir=tmp_path), SpeechUnitModel.from_pretrained(quantizer.folder)
        assert (loaded.centroids == own.centroids).all()
