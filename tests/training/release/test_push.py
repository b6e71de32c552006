"""A release is pushed whole, once, and only where it may be; what breaks on the way is completed by pushing again."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
from hub_handler import READ_TOKEN
from hub_repositories import Commit
from hub_server import TOKEN, HubServer, Repository

from evoslm.models.files import read_json, write_json
from evoslm.training.cli import main
from evoslm.training.release.choice import ReleaseChoice
from evoslm.training.release.manifest import write_manifests
from evoslm.training.release.names import ReleaseNames
from evoslm.training.release.plan import plan_repositories
from evoslm.training.release.push import PushFailed, push_release
from evoslm.training.release.repository import ReleaseRepository


@pytest.fixture
def hub(monkeypatch, tmp_path):
    groups = {"lab": "contributor", "club": "read"}
    with HubServer(organizations=groups, others=("stranger",)) as server:
        server.serve_this_process(monkeypatch)
        monkeypatch.setattr(time, "sleep", lambda seconds: None)  # the Hub's client waits a second before it retries
        yield server


@pytest.fixture
def release(tmp_path):
    return prepare(tmp_path / "release")


def prepare(folder: Path, namespace: str = "user", weights: bytes = b"weights") -> list[ReleaseRepository]:
    """A model with a branch, a dataset and a Space."""
    files = {
        "model": {"README.md": b"A model.", "config.json": b"{}", "model.safetensors": weights * 1000},
        "model-seed-1": {"README.md": b"A model.", "config.json": b"{}", "model.safetensors": weights * 2000},
        "dataset": {"README.md": b"Rows.", "data/train-00000-of-00001.parquet": weights * 3000},
        "space": {"README.md": b"---\nsdk: gradio\n---\n", "app.py": b"print(1)"},
    }
    for name, contents in files.items():
        for file, content in contents.items():
            (folder / name / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / file).write_bytes(content)
    branch = ("seed-1", folder / "model-seed-1")
    repositories = [
        ReleaseRepository(f"{namespace}/model", "model", folder / "model", (branch,), title="A model"),
        ReleaseRepository(f"{namespace}/rows", "dataset", folder / "dataset", title="Rows", note="What it read."),
        ReleaseRepository(f"{namespace}/demo", "space", folder / "space", title="A demo"),
    ]
    write_manifests(repositories)
    return repositories


def state(hub: HubServer) -> dict:
    """The files of every branch of every repository."""
    return {
        (*key, branch): repository.find(branch).files
        for key, repository in hub.repositories.items()
        for branch in ("main", *repository.branches)
    }


def expected(repositories: list[ReleaseRepository]) -> dict:
    return {
        (repository.kind, repository.name, branch): {".gitattributes": b""}
        | {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for repository in repositories
        for branch, folder in repository.branches
    }


def commits(hub: HubServer) -> int:
    return sum(
        len(history)
        for repository in hub.repositories.values()
        for history in (repository.commits, *repository.branches.values())
    )


def writes(hub: HubServer) -> list[str]:
    return [
        request
        for request in hub.requests
        if not request.startswith(("GET", "HEAD")) and "/paths-info/" not in request
    ]


def test_all_of_it_is_pushed_in_one_commit_a_branch_and_not_twice(hub, release):
    lines = []
    pushed = push_release(release, "user", title="A study", report=lines.append)
    assert state(hub) == expected(release)
    assert [len(hub.repositories[key].commits) for key in hub.repositories] == [2, 2, 2]
    assert len(hub.repositories["model", "user/model"].branches["seed-1"]) == 3  # it begins where main is
    assert all(commit for each in pushed for commit in each.commits.values())
    (collection,) = hub.collections.values()
    assert [(item["type"], item["id"]) for item in collection["items"]] == [(each.kind, each.name) for each in release]
    assert [item["note"]["text"] for item in collection["items"]] == ["A model", "What it read.", "A demo"]

    made, hub.requests[:] = commits(hub), []
    again = push_release(release, "user", title="A study", report=lines.append)
    assert commits(hub) == made and not writes(hub) and list(hub.collections.values()) == [collection]
    assert [each.commits for each in again] == [{"main": None, "seed-1": None}, {"main": None}, {"main": None}]
    assert [line.rpartition(": ")[2] for line in lines] == [
        *("pushed main, seed-1", "pushed main", "pushed main", "all of it"),
        *("unchanged", "unchanged", "unchanged", "all of it"),
    ]
    assert not any(TOKEN in line for line in lines)


def test_only_what_differs_is_sent_and_what_is_no_longer_released_is_removed(hub, release, tmp_path):
    push_release(release, "user", report=lambda line: None)
    made = commits(hub)
    later = prepare(tmp_path / "later")
    (later[0].folder / "config.json").unlink()
    (later[0].folder / "model.safetensors").write_bytes(b"better weights")
    write_manifests(later)
    hub.requests.clear()
    pushed = push_release(later, "user", report=lambda line: None)
    assert state(hub) == expected(later) and commits(hub) == made + 1
    assert [name for each in pushed for name, commit in each.commits.items() if commit] == ["main"]
    assert len([request for request in hub.requests if request.startswith("PUT /_lfs/")]) == 1


@pytest.mark.parametrize("kind", [None, "status", "lost"])
def test_branches_that_are_no_longer_released_are_removed_and_others_left(hub, release, kind):
    lines = []
    push_release(release, "user", report=lambda line: None)
    model = hub.repositories["model", "user/model"]
    model.branches["my-own"] = list(model.commits)
    model.branches["my-own"].append(Commit("1" * 40, "notes", model.commits[-1].files | {"notes.md": b"Mine."}))
    model.branches["empty"] = model.commits[:1]
    if kind:
        hub.fail("DELETE .*/branch/", kind, 1)
    later = [replace(release[0], revisions=()), *release[1:]]
    pushed = push_release(later, "user", report=lines.append)
    assert (pushed[0].removed, pushed[0].left) == (("seed-1",), ("my-own", "empty"))
    assert set(model.branches) == {"my-own", "empty"}
    assert lines[0].endswith(
        "removed seed-1, no longer released (left as they are, since no release made them: my-own, empty)"
    )
    assert push_release(later, "user", report=lambda line: None)[0].removed == ()


@pytest.mark.parametrize(
    ("pattern", "kind", "times"),
    [
        ("GET /api/whoami", "status", 1),
        ("GET /api/models/user/model/tree", "cut", 1),
        ("POST /api/repos/create", "lost", 1),
        ("POST .*/branch/", "status", 1),
        ("POST .*/preupload/", "status", 1),
        ("POST .*/objects/batch", "status", 1),
        ("PUT /_lfs/", "status", 2),
        ("PUT /_lfs/", "lost", 1),
        ("POST .*/commit/", "status", 3),
        ("POST .*/commit/", "lost", 1),
        ("POST /api/collections", "status", 1),
    ],
)
def test_what_fails_in_passing_is_tried_again(hub, release, pattern, kind, times):
    fault = hub.fail(pattern, kind, times)
    push_release(release, "user", title="A study", report=lambda line: None)
    assert fault.times == 0 and state(hub) == expected(release)
    assert [len(hub.repositories[key].commits) for key in hub.repositories] == [2, 2, 2]
    assert len(hub.collections) == 1


@pytest.mark.parametrize(
    "pattern",
    ["POST /api/repos/create", "POST .*/branch/", "PUT /_lfs/", "POST .*datasets.*/commit/", "POST .*/commit/seed-1"],
)
def test_a_push_that_broke_is_completed_by_pushing_again(hub, release, pattern):
    fault = hub.fail(pattern, times=99)
    with pytest.raises(PushFailed, match=r"failed: the Hub answered 500 .*; push again to go on"):
        push_release(release, "user", title="A study", report=lambda line: None)
    for key, files in state(hub).items():  # each branch is as the Hub made it, as it was, or as it should be
        others = [{".gitattributes": b""}, expected(release)[(*key[:2], "main")], expected(release)[key]]
        assert files in others
    fault.times = 0
    push_release(release, "user", title="A study", report=lambda line: None)
    assert state(hub) == expected(release)
    made = commits(hub)
    push_release(release, "user", title="A study", report=lambda line: None)
    assert commits(hub) == made and len(hub.collections) == 1


def test_a_push_that_was_interrupted_between_two_repositories_goes_on(hub, release):
    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        push_release(release, "user", report=stop)
    assert len(hub.repositories) == 1
    pushed = push_release(release, "user", report=lambda line: None)
    assert state(hub) == expected(release) and set(pushed[0].commits.values()) == {None}


def foreign_repository(hub: HubServer, files: dict[str, bytes]) -> Repository:
    repository = hub.repositories["dataset", "user/rows"] = Repository("dataset", "user/rows")
    repository.commit("initial commit", {".gitattributes": b""})
    repository.commit("rows of my own", {".gitattributes": b"*.csv text"} | files)
    return repository


@pytest.mark.parametrize(
    "files", [{"rows.csv": b"1,2"}, {"README.md": b"My rows."}, {"rows.csv": b"1", "release.json": b'{"made_by": 1}'}]
)
def test_what_somebody_else_wrote_is_not_replaced_without_force(hub, release, files):
    repository = foreign_repository(hub, files)
    with pytest.raises(ValueError, match=r"Nothing was pushed, .* dataset user/rows \(\S+.*\). .* --force"):
        push_release(release, "user")
    assert list(hub.repositories.values()) == [repository] and len(repository.commits) == 2 and not hub.collections
    push_release(release, "user", force=True, report=lambda line: None)
    found = state(hub)
    assert found.pop(("dataset", "user/rows", "main")).pop(".gitattributes") == b"*.csv text"
    assert found == {key: files for key, files in expected(release).items() if key[0] != "dataset"}


def test_a_card_that_was_edited_on_the_hub_is_not_lost(hub, release, tmp_path):
    push_release(release, "user", report=lambda line: None)
    model = hub.repositories["model", "user/model"]
    model.commit("a better card", model.commits[-1].files | {"README.md": b"My words.", "notes.md": b"More."})
    later = prepare(tmp_path / "later", weights=b"other weights")
    with pytest.raises(ValueError, match=r"model user/model \(README.md, notes.md\)"):
        push_release(later, "user")
    push_release(later, "user", force=True, report=lambda line: None)
    assert state(hub) == expected(later)


def test_a_repository_that_is_empty_yet_is_nobodys(hub, release):
    api = huggingface_hub.HfApi(token=TOKEN)
    for each in release:
        api.create_repo(each.name, repo_type=each.kind, space_sdk="gradio" if each.kind == "space" else None)
    push_release(release, "user", report=lambda line: None)
    assert state(hub) == expected(release)


def test_where_one_may_not_write_nothing_is_pushed(hub, tmp_path, monkeypatch):
    wrong = {
        "nobody": (FileNotFoundError, "no user or organisation nobody on the Hub; give user or lab as --namespace"),
        "stranger": (ValueError, "stranger is somebody else's on the Hub, and user may not write there"),
        "club": (ValueError, "user may only read in club; ask its owner"),
    }
    for namespace, (kind, message) in wrong.items():
        with pytest.raises(kind, match=message):
            push_release(prepare(tmp_path / namespace, namespace), namespace)
    with pytest.raises(ValueError, match="user/model was prepared for user, not for lab"):
        push_release(prepare(tmp_path / "user"), "lab")
    monkeypatch.setenv("HF_TOKEN", READ_TOKEN)
    with pytest.raises(ValueError, match="The token of user may only read: run `hf auth login`"):
        push_release(prepare(tmp_path / "read"), "user")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    with pytest.raises(ValueError, match="no token of the Hub on this machine: run `hf auth login`"):
        push_release(prepare(tmp_path / "none"), "user")
    assert not hub.repositories and not writes(hub)


def test_an_organisation_in_which_one_may_write(hub, tmp_path):
    repositories = prepare(tmp_path / "lab", "lab")
    push_release(repositories, "lab", private=True, title="A study", report=lambda line: None)
    assert state(hub) == expected(repositories)
    assert all(repository.private for repository in hub.repositories.values())
    assert [each["private"] for each in hub.collections.values()] == [True]


def test_what_should_be_private_is_not_pushed_to_where_everybody_sees_it(hub, release):
    push_release(release[:1], "user", report=lambda line: None)
    with pytest.raises(ValueError, match="everybody can see user/model; make that private"):
        push_release(release, "user", private=True)
    assert len(hub.repositories) == 1


def test_what_is_not_prepared_to_the_end_is_refused(hub, release):
    (release[1].folder / "release.json").unlink()
    with pytest.raises(FileNotFoundError, match="has no release.json, so it is not prepared to the end"):
        push_release(release, "user")
    shutil.rmtree(release[0].folder)
    assert not hub.repositories


def test_the_manifest_names_every_file_with_its_hash(release):
    manifest = json.loads((release[1].folder / "release.json").read_text())
    assert manifest["made_by"] == "evoslm" and set(manifest["sha256"]) == {
        "README.md",
        "data/train-00000-of-00001.parquet",
    }


def test_the_command_pushes_what_it_prepared_and_asks_before_it_prepares(hub, own_run, tmp_path, capsys):
    command = ["release", str(own_run), "--modalities", "text_raw", "--output_dir", str(tmp_path / "release")]
    assert main([*command, "--namespace", "nobody"]) == 2
    assert "There is no user or organisation nobody on the Hub" in capsys.readouterr().err
    assert not (tmp_path / "release").exists() and not hub.repositories

    foreign = hub.repositories["dataset", "user/evoslm-smoke-pairs"] = Repository("dataset", "user/evoslm-smoke-pairs")
    foreign.commit("initial commit", {".gitattributes": b""})
    foreign.commit("rows of my own", {".gitattributes": b"", "rows.csv": b"1,2"})
    assert main([*command, "--namespace", "user"]) == 2
    printed = capsys.readouterr()
    assert "Nothing was pushed, since no release wrote what it would replace: dataset" in printed.err
    assert "user/evoslm-smoke-pairs (rows.csv). Move that elsewhere" in printed.err and "preparing" not in printed.out
    assert not (tmp_path / "release").exists() and not writes(hub) and list(hub.repositories.values()) == [foreign]
    hub.repositories.clear()

    assert main([*command, "--namespace", "user"]) == 0
    printed = capsys.readouterr()
    files = hub.repositories["model", "user/evoslm-smoke-text-raw"].commits[-1].files
    assert {"config.json", "model.safetensors", "tokenizer.json", "release.json", "README.md"} <= set(files)
    assert {"user/evoslm-smoke-utterances", "user/evoslm-smoke-pairs"} <= {name for _, name in hub.repositories}
    assert len(hub.collections) == 1 and TOKEN not in printed.out + printed.err

    made = commits(hub)
    assert main([*command, "--namespace", "user"]) == 0 and commits(hub) == made

    capsys.readouterr()
    shutil.rmtree(tmp_path / "release")
    assert main([*command, "--namespace", "user", "--private"]) == 2
    assert "since everybody can see user/evoslm-smoke-text-raw" in capsys.readouterr().err
    model = hub.repositories["model", "user/evoslm-smoke-text-raw"]
    model.commit("a better card", model.commits[-1].files | {"README.md": b"My words."})
    assert main([*command, "--namespace", "user"]) == 2
    assert "model user/evoslm-smoke-text-raw (README.md)" in capsys.readouterr().err
    assert not (tmp_path / "release").exists() and commits(hub) == made + 1


def take_away_scores(run: Path) -> None:
    (run / "scores" / "text_raw" / "seed-0" / "best" / "items.parquet").unlink()


def take_away_results(run: Path) -> None:
    results = read_json(run / "report" / "results.json")
    del results["accuracies"]["text_raw"]
    (run / "report" / "results.json").unlink()
    write_json(run / "report" / "results.json", results)


def take_away_quantizer(run: Path) -> None:
    shutil.rmtree(run / "units" / "speech_units" / "model")


@pytest.mark.parametrize(
    ("damage", "modality", "message"),
    [
        (take_away_scores, "text_raw", "is not finished: it has no scores of text_raw with training seed 0"),
        (take_away_results, "text_raw", "the report has no results of text_raw"),
        (take_away_quantizer, "speech_dedup", "The quantizer of speech_dedup is missing"),
    ],
)
def test_of_what_cannot_be_released_the_hub_gets_nothing(hub, own_run, tmp_path, capsys, damage, modality, message):
    damage(own_run)
    command = ["release", str(own_run), "--namespace", "user", "--modalities", modality]
    assert main([*command, "--output_dir", str(tmp_path / "release")]) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("evoslm: error:") == 1 and TOKEN not in "".join(printed)
    assert not hub.repositories and not hub.collections and not hub.large_files and not writes(hub)
    assert any("/api/whoami-v2" in request for request in hub.requests)  # it was no dry run
    assert not [path for path in tmp_path.iterdir() if path.name != "run" and not path.name.endswith(".lock")]


@pytest.mark.parametrize(
    ("namespace", "pattern", "status", "message"),
    [
        ("user", "POST .*/commit/", 500, "the Hub answered 500"),
        ("user", "POST .*/commit/", 400, "the Hub answered 400"),
        ("user", "GET /api/whoami", 401, "token"),
        ("user", "PUT /_lfs/", 403, "the Hub answered 403"),
        ("stranger", None, None, "stranger is somebody else's on the Hub"),
    ],
)
def test_an_error_says_nothing_of_the_token(hub, tmp_path, caplog, namespace, pattern, status, message):
    if pattern:
        hub.fail(pattern, "status", 99, status)
    lines = []
    with caplog.at_level("DEBUG"), pytest.raises((ValueError, PushFailed), match=message) as error:
        push_release(prepare(tmp_path / "release", namespace), namespace, title="A study", report=lines.append)
    told = [str(error.value), repr(error.value), *lines, caplog.text]
    assert not [text for text in told if TOKEN in text] and not hub.told_token


def test_what_a_release_consists_of_is_known_before_it_is_prepared(released, complete_run, own_run):
    names = ReleaseNames.of(complete_run, "user")
    planned = plan_repositories(complete_run, names)
    assert sorted(planned) == sorted((each.kind, each.name) for each in released)
    few = plan_repositories(own_run, names, ReleaseChoice(["text_raw"]))
    assert set(few) < set(planned) and ("model", "user/evoslm-smoke-vocoder") not in few
    report = own_run / "report" / "results.json"
    results = read_json(report)
    results["modalities"]["text_raw"]["scores"] = dict.fromkeys(results["modalities"]["text_raw"]["scores"], "earlier")
    report.unlink()
    write_json(report, results)
    with pytest.raises(ValueError, match="is not of the present scores of text_raw with training seed 0; run `evoslm"):
        plan_repositories(own_run, names)
    shutil.rmtree(own_run / "scores")
    with pytest.raises(FileNotFoundError, match="is not finished: it has no scores of"):
        plan_repositories(own_run, names)
