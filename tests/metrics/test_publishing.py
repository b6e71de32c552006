"""A metric's folder is complete wherever it lies: its links are files once it is installed or pushed to a Hub."""

import importlib
import os
import subprocess
import sys
import venv
from pathlib import Path

import evaluate
import pytest
from hub_server import HubServer

import evoslm
from evoslm.metrics.tasks import TASKS

ROOT = Path(__file__).parents[2]
FOLDER = Path(evoslm.metric_path("swuggy")).parent
METRICS = tuple(TASKS)
LINKS = {
    f"{name}.py": f"../{name}.py"
    for name in ("bootstrap", "judging", "pair_accuracy", "pair_app", "reference_scorer", "tasks")
}
CONTENTS = {path: (FOLDER / path).read_bytes() for path in LINKS}

JUDGE = """
import sys
{before}
import evaluate
for name in ("swuggy", "sblimp", "topic_sc"):
    metric = evaluate.load({path})
    result = metric.compute(
        predictions=[{{"positive": -1.0, "negative": -2.0}}],
        references=[{{"positive_tokens": 1, "negative_tokens": 1}}],
        return_outcomes=True,
    )
    print(metric.name, result["accuracy"], result["outcomes"][0]["margin_sum"])
"""
JUDGED = "\n".join(f"{name} 1.0 1.0" for name in METRICS)

PUSH = """
import sys
from huggingface_hub import HfApi
api = HfApi()
for folder in sys.argv[1:]:
    repository = "user/" + folder.rpartition("/")[2]
    api.create_repo(repository, repo_type="space", space_sdk="gradio")
    api.upload_folder(repo_id=repository, repo_type="space", folder_path=folder)
"""


def run(code: str, *arguments: str, python: str = sys.executable, cwd: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        [python, "-c", code, *arguments],
        env={**os.environ, **environment, "USE_TORCH": "NO"},  # importing it takes longer than all the rest
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.strip()


@pytest.mark.parametrize("name", METRICS)
def test_what_metrics_share_is_a_link_to_one_file(name):
    if FOLDER.name != "metrics":
        pytest.skip("the package is not installed from a checkout")
    for file, target in LINKS.items():
        link = FOLDER / name / file
        assert link.is_symlink(), (
            f"{link} is no symbolic link: this checkout was made without them; clone the repository again with "
            "`git -c core.symlinks=true clone`, on a file system that has links."
        )
        assert os.readlink(link) == target and link.is_file()
    assert (FOLDER / "bootstrap.py").resolve() == FOLDER.parent / "models" / "statistics.py"


def test_a_checkout_without_links_says_so_in_a_sentence(tmp_path, monkeypatch):
    package = tmp_path / "linkless_metrics"
    package.mkdir()
    (package / "__init__.py").write_bytes((FOLDER / "__init__.py").read_bytes())
    (package / "bootstrap.py").write_text("../models/statistics.py")  # as git writes links there
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match="made without symbolic links.* clone it again with `git -c core.symlinks"):
        importlib.import_module("linkless_metrics")


@pytest.mark.parametrize("place", ["the checkout", "elsewhere"])
def test_metrics_load_by_their_folders(place, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT if place == "the checkout" else tmp_path)
    for name in METRICS:
        folder = f"metrics/{name}" if place == "the checkout" else evoslm.metric_path(name)
        metric = evaluate.load(folder, cache_dir=str(tmp_path / "cache"))
        pair = {"predictions": [{"positive": -1.0, "negative": -2.0}]}
        pair["references"] = [{"positive_tokens": 1, "negative_tokens": 1}]
        assert metric.name == name and metric.compute(**pair)["accuracy"] == 1


def test_pushed_folders_load_from_the_hub_without_this_package(tmp_path):
    with HubServer() as hub:
        run(PUSH, *(str(FOLDER / name) for name in METRICS), **hub.environment(tmp_path / "pusher"))
        for name in METRICS:
            files = hub.repositories["space", f"user/{name}"].commits[-1].files
            assert {path: files[path] for path in LINKS} == CONTENTS
        code = JUDGE.format(path="'user/' + name", before='sys.modules["evoslm"] = None')
        assert run(code, cwd=tmp_path, **hub.environment(tmp_path / "reader")) == JUDGED


@pytest.mark.end_to_end
def test_an_installed_wheel_has_files_where_the_checkout_has_links(tmp_path):
    build = [sys.executable, "-m", "build", "--outdir", str(tmp_path / "dist"), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:]
    # An environment with this package from the wheel, and what it needs from the environment of the tests.
    venv.create(tmp_path / "env", with_pip=True)
    python = str(tmp_path / "env" / "bin" / "python")
    wheel = next((tmp_path / "dist").glob("*.whl"))
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", str(wheel)], check=True, timeout=300)
    installed = Path(run("import sysconfig; print(sysconfig.get_path('purelib'))", python=python, cwd=tmp_path))
    (installed / "needed.pth").write_text(f"{Path(evaluate.__file__).parents[1]}\n")
    code = JUDGE.format(path="evoslm.metric_path(name)", before="import evoslm")
    assert run(code, python=python, cwd=tmp_path, HF_MODULES_CACHE=str(tmp_path / "modules")) == JUDGED
    for name in METRICS:
        folder = installed / "evoslm" / "metrics" / name
        assert not any(path.is_symlink() for path in folder.iterdir())
        assert {path: (folder / path).read_bytes() for path in LINKS} == CONTENTS
