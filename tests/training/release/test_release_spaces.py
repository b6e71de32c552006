"""Spaces of a release are whole by themselves: metrics without links, and the page with its models and the package."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from evoslm.metrics.tasks import TASKS
from evoslm.training.release.files import check_prepared
from evoslm.training.release.metric_cards import CardExamples
from evoslm.training.release.names import ReleaseNames
from evoslm.training.release.repository import ReleaseRepository
from evoslm.training.release.spaces import prepare_space_repositories

ROOT = Path(__file__).parents[3]
SECRET = "/home/somebody/my books"


@pytest.fixture(scope="module")
def run(finished_run, tmp_path_factory):
    """A run whose configuration and report name a place of somebody's machine."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "report").mkdir()
    study = json.loads((finished_run / "study.json").read_text())
    study["configuration"]["corpus"]["text_dir"] = SECRET
    (folder / "study.json").write_text(json.dumps(study))
    report = (finished_run / "report" / "report.md").read_text()
    (folder / "report" / "report.md").write_text(f"{report}\n| text_dir | {SECRET} |\n")
    for figure in (finished_run / "report").glob("*.png"):
        shutil.copy(figure, folder / "report")
    return folder


@pytest.fixture(scope="module")
def prepared(run, finished_run, tmp_path_factory):
    """The Spaces beside two models, of which one goes on with a prompt."""
    models = [
        ReleaseRepository("user/speaks", "model", finished_run / "models" / "text_raw" / "seed-0"),
        ReleaseRepository("user/quantizes", "model", finished_run / "units" / "speech_units" / "model"),
    ]
    folder = tmp_path_factory.mktemp("release")
    found = prepare_space_repositories(run, ReleaseNames.of(run, "user"), folder, models)
    return {repository.name.removeprefix("user/"): repository for repository in found}


def head_of(folder: Path) -> dict:
    return yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])


def test_a_metric_is_its_folder_with_files_where_it_has_links(prepared):
    assert {*TASKS, "cra", "pelm", "continuation_perplexity", "entity_f1", "evoslm-speech-continuation"} == set(
        prepared
    )
    for name in set(prepared) - {"evoslm-speech-continuation"}:
        folder = prepared[name].folder
        assert prepared[name].kind == "space" and head_of(folder)["sdk"] == "gradio"
        assert f'evaluate.load("user/{name}")' in (folder / "README.md").read_text()
        for path in (ROOT / "metrics" / name).iterdir():
            if path.suffix == ".py":
                copy, is_script = folder / path.name, path.stem == name
                content = copy.read_bytes()
                assert not copy.is_symlink() and content.startswith(path.read_bytes())
                assert (content != path.read_bytes()) == is_script  # which looks whether its parts are whole


def test_cards_of_metrics_name_models_and_pairs_of_the_release(prepared):
    for task in TASKS:
        card = (prepared[task].folder / "README.md").read_text()
        assert f'load_dataset("user/evoslm-smoke-pairs", "{task}", split="test")' in card
        assert f'{task}.compute(model_id="user/speaks", pairs=pairs, modality="text")' in card
        assert '("user/speaks", "user/<other model>")' in card  # it has no second one
    assert 'model_id="user/speaks",' in (prepared["pelm"].folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("modalities", "expected"),
    [
        (["text_bpe", "phone_bpe", "phone_raw"], '"user/phone_raw" "user/phone_bpe" modality="phones" "swuggy"'),
        (["text_raw", "joint"], '"user/text_raw" "user/<other model>" modality="text" "swuggy"'),
        (
            ["speech_dedup", "speech_units"],
            '"user/speech_units" "user/<other model>" modality="units" "swuggy_units"',
        ),
        (["joint"], '"user/<model>" "user/<other model>" modality="phones" "swuggy"'),
    ],
)
def test_a_card_asks_for_the_form_that_its_models_read(modalities, expected):
    card = '"<namespace>/<model>" "<namespace>/<other model>" modality="phones", "swuggy", split="test")'
    models = {f"user/{modality}": modality for modality in modalities}
    filled = CardExamples(ReleaseNames("user", "tiny"), models).fill(card, "swuggy")
    assert filled == expected.replace(' "swuggy', ', "swuggy') + ', split="test")'


def test_the_page_has_the_models_that_can_go_on_and_what_it_needs(prepared):
    folder = prepared["evoslm-speech-continuation"].folder
    space = json.loads((folder / "space.json").read_text())
    assert space == {"models": ["user/speaks"], "utterances": "user/evoslm-smoke-utterances"}
    head, card = head_of(folder), (folder / "README.md").read_text()
    assert head["app_file"] == "app.py" and head["models"] == ["user/speaks"]
    assert head["datasets"] == ["user/evoslm-smoke-utterances"] and "<namespace>" not in card
    requirements = (folder / "requirements.txt").read_text().splitlines()
    names = [line.split(">")[0].split("<")[0] for line in requirements]
    assert {"gradio", "torch", "transformers", "espeakng-loader"} <= set(names) and len(names) == len(set(names))
    assert "evoslm" not in names and not any("extra" in line for line in requirements)


def test_the_package_in_the_page_is_whole(prepared):
    code = "import evoslm, evoslm.models.modalities, evoslm.training as t; print(evoslm.__file__, t.__file__)"
    folder = prepared["evoslm-speech-continuation"].folder
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [str(folder / "evoslm" / name) for name in ("__init__.py", "training/__init__.py")]
    assert (folder / "evoslm" / "training" / "presets" / "laptop.yaml").is_file()
    assert (folder / "evoslm" / "spaces" / "speech_continuation" / "layout.py").is_file()


def test_the_report_shows_no_place_of_the_machine(prepared, run):
    report = prepared["evoslm-speech-continuation"].folder / "report"
    text = (report / "report.md").read_text()
    assert "/home/somebody" not in text and "| text_dir | my books |" in text
    assert {path.name for path in report.iterdir()} == {path.name for path in (run / "report").iterdir()}
    check_prepared(prepared.values(), run)


def test_a_release_without_language_models_has_no_page(run, finished_run, tmp_path):
    model = ReleaseRepository("user/quantizes", "model", finished_run / "units" / "speech_units" / "model")
    found = prepare_space_repositories(run, ReleaseNames.of(run, "user"), tmp_path, [model])
    assert [repository.name for repository in found] == [
        f"user/{name}"
        for name in ("continuation_perplexity", "cra", "entity_f1", "pelm", "sblimp", "swuggy", "topic_sc")
    ]
