"""The loopback Hub answers the real client as a Hub does."""

import huggingface_hub
import pytest
from hub_server import HubServer
from huggingface_hub import HfApi
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    with HubServer() as server:
        yield server


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_a_folder_goes_up_and_comes_down_again(hub, tmp_path, kind):
    (tmp_path / "weights").mkdir()
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\n---\nA card.\n")
    (tmp_path / "weights" / "model.safetensors").write_bytes(bytes(range(256)) * 100)
    api = HfApi(endpoint=hub.url, token="hf_loopback")
    for _ in range(2):
        api.create_repo("user/thing", repo_type=kind, exist_ok=True, space_sdk="gradio" if kind == "space" else None)
    commit = api.upload_folder(repo_id="user/thing", repo_type=kind, folder_path=tmp_path)

    files = api.list_repo_files("user/thing", repo_type=kind)
    assert files == [".gitattributes", "README.md", "weights/model.safetensors"]
    assert api.repo_info("user/thing", repo_type=kind).sha == commit.oid
    assert any("/_lfs/" in request for request in hub.requests), "large files go through LFS"
    cache = tmp_path / "cache"
    for revision in ("main", commit.oid):
        folder = api.snapshot_download("user/thing", repo_type=kind, revision=revision, cache_dir=cache)
        for name in ("README.md", "weights/model.safetensors"):
            with open(f"{folder}/{name}", "rb") as file:
                assert file.read() == (tmp_path / name).read_bytes()
    api.delete_file("README.md", "user/thing", repo_type=kind)
    assert not api.file_exists("user/thing", "README.md", repo_type=kind)
    assert api.file_exists("user/thing", "README.md", repo_type=kind, revision=commit.oid)


def test_what_is_not_there_is_said_in_the_hubs_own_way(hub, tmp_path):
    api = HfApi(endpoint=hub.url, token="hf_loopback")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("user/nothing")
    api.create_repo("user/thing")
    with pytest.raises(RevisionNotFoundError):
        api.model_info("user/thing", revision="v2")
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download("user/thing", "config.json", cache_dir=tmp_path)
    with pytest.raises(HfHubHTTPError, match="401"):
        HfApi(endpoint=hub.url, token=False).create_repo("user/other")
