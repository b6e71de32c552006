"""Which files are published and what they may not say; what repositories are called; the package as a wheel."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from evoslm.training.release import ReleaseNames, ReleaseRepository
from evoslm.training.release.files import check_prepared
from evoslm.training.release.names import check_namespace
from evoslm.training.release.wheel import wheel_name, write_wheel
from evoslm.training.report.document import write_document
from evoslm.training.report.results import compute_results
from evoslm.training.report.run_folder import read_run
from evoslm.training.run.places import without_places


@pytest.mark.parametrize("namespace", ["", "a/b", "two words", "-x", "x-", "a..b", "a--b", "ü", "https://hub/x"])
def test_what_cannot_be_a_namespace_is_refused_before_anything_is_asked(namespace):
    with pytest.raises(ValueError, match="cannot be a namespace"):
        check_namespace(namespace)


def test_repositories_are_called_by_study_and_part(finished_run):
    names = ReleaseNames.of(finished_run, "some-user")
    assert names.repository("phone_raw") == "some-user/evoslm-smoke-phone-raw"
    assert ReleaseNames.of(finished_run, "user", "books.2").repository("units-wav2vec 2.0") == (
        "user/evoslm-books.2-units-wav2vec-2.0"
    )
    with pytest.raises(ValueError, match="cannot stand in the name"):
        ReleaseNames.of(finished_run, "user", "my books")
    with pytest.raises(ValueError, match="shorter --name"):
        ReleaseNames.of(finished_run, "user", "x" * 90).repository("phone_raw")


def test_places_of_a_machine_become_names_and_ids_on_the_hub_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "books").mkdir(parents=True)
    settings = {
        "text_dir": "texts/books/",
        "blimp": "nyu-mll/blimp",
        "encoder": "facebook/hubert-base-ls960",
        "other": ["/home/somebody/model", "~/model", "../model", "C:\\data\\model", "runs/books"],
        "characters": ["/", "a"],
        "number": 3,
    }
    assert without_places(settings) == settings | {
        "text_dir": "books",
        "other": ["model", "model", "model", "model", "books"],
    }


@pytest.mark.parametrize("name", ["optimizer.safetensors", "model.bin", "weights.pt", "state.pkl", "rng_state.json"])
def test_kinds_that_are_not_published_are_refused(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(ValueError, match=f"{name} is of a kind that is not published"):
        check_prepared([ReleaseRepository("user/x", "model", tmp_path)], Path("/nowhere"))


def test_a_link_is_no_file_to_publish(tmp_path):
    (tmp_path / "notes.md").symlink_to(__file__)
    with pytest.raises(ValueError, match="not published"):
        check_prepared([ReleaseRepository("user/x", "model", tmp_path)], Path("/nowhere"))


def test_a_file_that_names_a_folder_of_this_machine_is_refused(tmp_path):
    run, main = tmp_path / "a run", tmp_path / "main"
    main.mkdir()
    repository = ReleaseRepository("user/x", "model", main)
    (main / "notes.md").write_text(f"made in {run}ning, {run}.old and {run}-2")
    check_prepared([repository], run)
    (main / "notes.md").write_text(f"made in {run}/models")
    with pytest.raises(ValueError, match="names a folder of this machine"):
        check_prepared([repository], run)


def test_the_wheel_is_the_package_and_the_same_bytes_each_time(tmp_path):
    first, second = (write_wheel(tmp_path / name) for name in ("first", "second"))
    assert first.name == wheel_name() and first.read_bytes() == second.read_bytes()
    zipfile.ZipFile(first).extractall(tmp_path / "installed")
    code = (
        "import evoslm, importlib.metadata as m; from evoslm.training.cli import describe_commands; "
        "print(evoslm.__file__, 'release' in describe_commands(), evoslm.metric_path('swuggy')); "
        "print([e.value for e in m.distribution('evoslm').entry_points])"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120
    )
    lines = run.stdout.splitlines()
    assert lines[0].split()[0].startswith(str(tmp_path)) and " True " in lines[0], run.stderr
    assert lines[0].split()[2].startswith(str(tmp_path)) and "evoslm.training.cli:main" in lines[1]


def test_a_report_says_of_no_folder_where_it_lies(own_run):
    path = own_run / "study.json"
    study = json.loads(path.read_text())
    study["configuration"]["corpus"]["text_dir"] = "/home/somebody/texts/books"
    study["configuration"]["pairs"]["blimp"] = "/home/somebody/blimp"
    path.unlink()
    path.write_text(json.dumps(study))
    results = compute_results(read_run(own_run))
    assert "somebody" not in json.dumps(results["study"]) and "somebody" not in write_document(results, {})
    shown = results["study"]["configuration"]
    assert (shown["corpus"]["text_dir"], shown["pairs"]["blimp"]) == ("books", "blimp")
