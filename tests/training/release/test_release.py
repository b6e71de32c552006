"""A finished run becomes repositories that others load: weights, ties, cards, and nothing of this machine."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from evoslm.metrics.tasks import TASKS
from evoslm.models.modalities import MODALITIES, get_modality
from evoslm.models.speech_units import SpeechUnitModel
from evoslm.models.speech_units.identity import check_same_quantizer, quantizer_hash
from evoslm.training.cli import main
from evoslm.training.release.files import is_allowed
from evoslm.training.release.manifest import list_files
from evoslm.training.release.models.eval_results import write_joint_eval_results
from evoslm.training.release.models.language_model_card import Branch, LanguageModelCard, describe_content
from evoslm.training.release.models.ties import UnitTies
from evoslm.training.release.names import ReleaseNames

SECTIONS = ("Intended use", "How to use", "Limits", "Citation", "License")


def branch(repository, name="main") -> Path:
    return dict(repository.branches)[name]


def models_of(by_name) -> dict:
    return {name: by_name[name.replace("_", "-")] for name in MODALITIES if name.replace("_", "-") in by_name}


def blocks(card: str, language: str = "python") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)\n```", card, re.DOTALL)


def test_every_modality_has_a_model_with_seeds_and_points_each_with_its_tokenizer(by_name, finished_run):
    study = json.loads((finished_run / "study.json").read_text())
    models = models_of(by_name)
    assert set(models) == set(study["modalities"])
    for name, repository in models.items():
        for seed in study["seeds"]:
            source = finished_run / "models" / name / f"seed-{seed}"
            points = sorted((source / "points").iterdir())
            steps = [int(point.name.removeprefix("updates-")) for point in points]
            expected = {f"seed-{seed}-step-{step}": point for step, point in zip(steps, points)}
            expected["main" if seed == study["seeds"][0] else f"seed-{seed}"] = source
            for revision, made_from in expected.items():
                folder = branch(repository, revision)
                assert (folder / "model.safetensors").read_bytes() == (made_from / "model.safetensors").read_bytes()
                assert AutoConfig.from_pretrained(folder).modality == name
                vocabulary = AutoTokenizer.from_pretrained(folder).get_vocab()
                assert vocabulary == AutoTokenizer.from_pretrained(source).get_vocab()


def test_what_is_of_one_quantizer_carries_one_hash(by_name, finished_run):
    hash_of = {}
    for name, repository in models_of(by_name).items():
        config = AutoConfig.from_pretrained(branch(repository))
        if not get_modality(name).is_speech:
            assert not hasattr(config, "unit_quantizer_hash")
            continue
        quantizer = by_name[config.unit_quantizer.split("/")[1].removeprefix("evoslm-smoke-")]
        model = SpeechUnitModel.from_pretrained(branch(quantizer))
        assert model.config.unit_quantizer_hash == config.unit_quantizer_hash == quantizer_hash(model)
        check_same_quantizer(config, model.config)
        hash_of[config.unit_quantizer] = config.unit_quantizer_hash
        if config.unit_vocoder:
            check_same_quantizer(config, AutoConfig.from_pretrained(branch(by_name["vocoder"])))
    assert len(set(hash_of.values())) == len(hash_of) > 1
    one, other = (AutoConfig.from_pretrained(branch(by_name[name])) for name in ("speech-units", "speech-syllable"))
    with pytest.raises(ValueError, match="take both from one release"):
        check_same_quantizer(one, other)
    main_quantizer = SpeechUnitModel.from_pretrained(finished_run / "units" / "speech_units" / "model")
    assert one.unit_quantizer_hash == quantizer_hash(main_quantizer)


def test_nothing_names_this_machine_and_nothing_is_unpickled(released, complete_run):
    for repository in released:
        for path in repository.files():
            assert is_allowed(path)
            content = path.read_bytes()
            for place in (complete_run, Path.home() / "", Path.cwd()):
                assert str(place).encode() + b"/" not in content, path
                assert f'"{place}"'.encode() not in content, path


def test_the_same_run_gives_the_same_bytes_without_a_network(released, complete_run, tmp_path, monkeypatch, capsys):
    def refuse(*arguments):
        raise AssertionError("a dry run asked for a network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    before = set(list_files(complete_run))
    command = ["release", str(complete_run), "--namespace", "user", "--dry_run", "--output_dir", str(tmp_path / "out")]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "Nothing was pushed" in printed and all(repository.name in printed for repository in released)
    first, second = released[0].folder.parents[1], tmp_path / "out"
    assert list_files(first) == list_files(second) and set(list_files(complete_run)) == before
    for name in list_files(first):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    listed = json.loads((second / "repositories.json").read_text())
    assert [each["name"] for each in listed] == [repository.name for repository in released]


def test_cards_say_what_the_run_measured(by_name, finished_run):
    results = json.loads((finished_run / "report" / "results.json").read_text())
    for name, repository in models_of(by_name).items():
        card = ModelCard.load(branch(repository) / "README.md")
        found = results["accuracies"][name]
        assert card.data.license == "apache-2.0" and card.data.library_name == "transformers"
        assert {result.dataset_config: result.metric_value for result in card.data.eval_results} == {
            task: round(100 * part["headline"]["value"], 2) for task, part in found.items()
        }
        for task, part in found.items():
            estimate = part["headline"]
            cell = f"{100 * estimate['value']:.1f} [{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"
            assert f"| {TASKS[task].label} | {TASKS[task].rule} | {cell} |" in card.text.replace("\u00a0", " ")
            (entry,) = parse_eval_result_entries(
                yaml.safe_load((branch(repository) / ".eval_results" / f"{task}.yaml").read_text())
            )
            of_seed = estimate["seeds"][0] if "seeds" in estimate else estimate["value"]
            assert (entry.task_id, entry.value) == (task, round(100 * of_seed, 2))
            assert entry.dataset_id == "user/evoslm-smoke-pairs" and TASKS[task].rule in entry.notes
        for other in repository.revisions:
            assert f"`{other[0]}`" in card.text
            assert f'revision="{other[0]}"' in (other[1] / "README.md").read_text()


def test_joint_models_say_what_was_measured_in_the_forms_of_the_hub(by_name, complete_run):
    results = json.loads((complete_run / "joint" / "results.json").read_text())["models"]
    assert results["cst_ast"]["retrieval"]  # which has no place there
    pairs = yaml.safe_load((branch(by_name["pairs"]) / "README.md").read_text().split("---\n")[1])
    configurations = {each["config_name"] for each in pairs["configs"]}
    for mixture, forms, questions in (("text", ["text"], 1), ("cst_ast", ["text", "speech"], 4)):
        folder, found = branch(by_name[f"joint-{mixture.replace('_', '-')}"]), results[mixture]
        expected = {
            task if form == "text" else f"{task}_units": round(100 * of["accuracy"]["value"], 2)
            for form in forms
            for task, of in found["accuracies"][form].items()
        }
        assert set(TASKS) <= set(expected) <= configurations
        index = ModelCard.load(folder / "README.md").data.eval_results
        assert {each.dataset_config: each.metric_value for each in index if each.metric_type == "accuracy"} == expected
        bits = {each.metric_name: each.metric_value for each in index if each.metric_type == "bits_per_word"}
        assert len(bits) == questions and len(index) == len(expected) + questions
        assert bits["Bits a word of text, training seed 0"] == round(found["bits"]["text"]["mean"], 3)
        said = {}
        for path in (folder / ".eval_results").iterdir():
            (entry,) = parse_eval_result_entries(yaml.safe_load(path.read_text()))
            said[entry.task_id] = entry.value
            assert path.stem == entry.task_id and entry.dataset_id == "user/evoslm-smoke-pairs"
            assert f" pairs in {'speech' if entry.task_id.endswith('_units') else 'text'}, " in entry.notes
        assert said == expected


def test_each_branch_of_a_joint_model_has_the_accuracy_of_its_own_training(tmp_path):
    accuracy = {"value": 0.6, "low": 0.5, "high": 0.7, "n_pairs": 10, "seeds": [0.5, 0.7]}
    accuracies = {form: {"swuggy": {"accuracy": accuracy}} for form in ("text", "speech")}
    results = {"seeds": [3, 5], "models": {"cst": {"accuracies": accuracies}}}
    for seed, value in ((3, 50.0), (5, 70.0)):
        folder = tmp_path / f"seed-{seed}"
        write_joint_eval_results(folder, "user/joint", ReleaseNames("user", "smoke"), results, "cst", seed)
        assert sorted(path.name for path in (folder / ".eval_results").iterdir()) == [
            "swuggy.yaml",
            "swuggy_units.yaml",
        ]
        for path in (folder / ".eval_results").iterdir():
            (entry,) = parse_eval_result_entries(yaml.safe_load(path.read_text()))
            assert entry.value == value and "Over training seeds 3, 5: 60.0 [50.0, 70.0]" in entry.notes


def test_adapters_say_what_was_measured_in_the_index_of_their_card_alone(by_name, complete_run):
    for read in ("text", "speech"):
        folder = branch(by_name[f"joint-cst-ast-sentiment-{read}"])
        results = json.loads((complete_run / "joint/slu/sentiment" / f"cst_ast-{read}" / "results.json").read_text())
        data = ModelCard.load(folder / "README.md").data
        (tested,) = results["tests"]
        assert {
            each.metric_name.split(",")[0]: (each.metric_type, each.metric_value) for each in data.eval_results
        } == {
            label: (kind, round(100 * tested["measures"][name]["mean"], 2))
            for name, label, kind in (
                ("macro_f1", "macro-F1", "f1"),
                ("macro_recall", "macro recall", "recall"),
                ("accuracy", "accuracy", "accuracy"),
            )
        }
        assert {(each.dataset_type, each.dataset_config) for each in data.eval_results} == {("sentiment", read)}
        assert data.metrics == ["accuracy", "f1", "recall"] and not (folder / ".eval_results").exists()


def test_a_card_explains_what_its_tables_show(by_name, finished_run):
    card = (branch(by_name["speech-units"]) / "README.md").read_text()
    for said in (
        "; Text-Raw, no spaces;",
        "PMI: their sum",
        "are not counted",
        "over runs: each run",
        "a single one.",
    ):
        assert said in card, said
    assert "name: Accuracy (sum), training seed 0\n" in card
    described = [describe_content(get_modality(name)) for name in MODALITIES]
    assert all(" " in content for content in described) and len(set(described)) == len(described)
    aligned, penalized = (
        (branch(by_name[f"units-mfcc-{name}"]) / "README.md").read_text()
        for name in ("syllable", "duration-penalized")
    )
    assert "Segments are given with the sound" in aligned and "| penalty for a change |" in penalized
    pairs = (branch(by_name["pairs"]) / "README.md").read_text()
    assert "ungrammatical one. In one voice. |" in pairs


def test_units_from_elsewhere_are_said_to_be_so(finished_run, tmp_path):
    results = json.loads((finished_run / "report" / "results.json").read_text())
    results["study"]["frame_rate"] = 12.5
    main_branch, names = Branch("main", 0, 45, 1.0, 2.0), ReleaseNames("user", "smoke")
    of = ("user/model", get_modality("speech_units"), names, results, [main_branch], "1 2 3", UnitTies(), "unknown")
    LanguageModelCard(*of).write(tmp_path, main_branch)
    card = (tmp_path / "README.md").read_text()
    assert "12.5 a second" in card and "The units come from elsewhere" in card and "import evoslm" not in card


def test_every_model_has_a_card_with_what_a_stranger_needs(released):
    for repository in released:
        if repository.kind != "model" or repository.name == "user/evoslm-package":
            continue
        card = ModelCard.load(repository.folder / "README.md")
        for section in SECTIONS:
            assert f"## {section}\n" in card.text, (repository.name, section)
        assert "2412.17048" in card.text and "2310.08715" in card.text and "@software{evoslm" in card.text
        assert not re.search(r"\b(None|nan|NaN)\b", card.text), repository.name


@pytest.mark.end_to_end
def test_snippets_of_cards_run_as_printed_where_the_package_is_not(by_name, released, tmp_path):
    kept = ("text-bpe", "phone-raw", "speech-units", "speech-bpe", "units-mfcc", "units-mfcc-syllable")
    kept += ("units-mfcc-duration-penalized", "vocoder", "transcriber", "joint-cst-ast")
    kept += ("joint-cst-ast-sentiment-text",)  # which loads its tokenizer, its base and itself
    code = ["import sys", "sys.modules['evoslm'] = None"]
    for name in kept:
        for block in blocks((branch(by_name[name]) / "README.md").read_text()):
            if "import evoslm" not in block:
                code.append(block)
    text = "\n".join(code)
    assert text.count("from_pretrained") == 2 * len(kept) - 1
    for repository in released:
        text = text.replace(f'"{repository.name}"', repr(str(repository.folder)))
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    run = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300
    )
    assert run.returncode == 0, run.stderr
    assert "tensor([[" in run.stdout and "(1920,)" in run.stdout


def test_a_released_model_scores_as_the_runs_own(by_name, finished_run):
    ids = torch.tensor([[1, 5, 6, 7, 8]])
    for name in ("text_bpe", "speech_units"):
        folders = (branch(by_name[name.replace("_", "-")]), finished_run / "models" / name / "seed-0")
        ours, theirs = (AutoModelForCausalLM.from_pretrained(folder)(ids).logits for folder in folders)
        assert torch.equal(ours, theirs)


def refuse(capsys, run, *flags, namespace="user") -> str:
    """Release a run, which must not succeed, and return the sentence."""
    command = ["release", str(run), "--namespace", namespace, "--dry_run", "--output_dir", str(run) + "-out", *flags]
    assert main(command) == 2
    assert not Path(f"{run}-out").exists() and not list(Path(run).parent.glob("*.partial"))
    error = capsys.readouterr().err
    assert error.count("evoslm: error:") == 1
    return error


def test_an_unfinished_run_is_not_released(own_run, capsys):
    (own_run / "scores" / "phone_raw" / "seed-0" / "best" / "items.parquet").unlink()
    assert "it has no scores of phone_raw with training seed 0" in refuse(capsys, own_run)
    shutil.rmtree(own_run / "models" / "phone_raw" / "seed-0")
    assert "it has no model of phone_raw" in refuse(capsys, own_run)
    (own_run / "report" / "results.json").unlink()
    assert "has no report" in refuse(capsys, own_run, "--modalities", "text_bpe")


def test_what_is_no_run_or_no_namespace_is_said(tmp_path, finished_run, own_run, capsys):
    assert "cannot be a namespace" in refuse(capsys, own_run, namespace="a/b")
    (tmp_path / "empty").mkdir()
    assert "is not the folder of a run" in refuse(capsys, tmp_path / "empty")
    assert "has no modality 'text_bpee'" in refuse(capsys, own_run, "--modalities", "text_bpee")
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("all of it")
    command = ["release", str(own_run), "--namespace", "user", "--dry_run", "--output_dir", str(other)]
    assert main(command) == 2 and "holds something else than a release" in capsys.readouterr().err
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


def test_a_card_without_results_is_not_published(own_run, capsys):
    path = own_run / "report" / "results.json"
    results = json.loads(path.read_text())
    del results["accuracies"]["text_raw"]
    path.unlink()
    path.write_text(json.dumps(results))
    flags = ("--modalities", "text_raw")
    assert "the report has no results of text_raw" in refuse(capsys, own_run, *flags)


def test_a_model_whose_quantizer_is_missing_or_another_one_is_refused(own_run, capsys):
    flags = ("--modalities", "speech_dedup")
    model = own_run / "units" / "speech_units" / "model"
    record = json.loads((model / "stage.json").read_text())
    (model / "stage.json").unlink()
    (model / "stage.json").write_text(json.dumps(record | {"fingerprint": "of another"}))
    assert "was made with another quantizer" in refuse(capsys, own_run, *flags)
    shutil.rmtree(model)
    assert "The quantizer of speech_dedup is missing" in refuse(capsys, own_run, *flags)


def test_scores_of_earlier_weights_are_not_published(own_run, capsys):
    path = own_run / "models" / "text_raw" / "seed-0" / "stage.json"
    record = json.loads(path.read_text())
    path.unlink()
    path.write_text(json.dumps(record | {"fingerprint": "of another"}))
    error = refuse(capsys, own_run, "--modalities", "text_raw")
    assert "scores/text_raw/seed-0 was made with another model than" in error


def test_adapters_may_be_none_and_a_licence_is_an_id(own_run, capsys):
    flags = ("--modalities", "text_bpe", "--adapters")
    (own_run / "pairs" / "summary.json").unlink()  # what is looked for behind the adapters
    assert "nowhere is no folder of a fine-tuning" in refuse(capsys, own_run, *flags, "nowhere")
    assert "it has no summary.json of its pairs" in refuse(capsys, own_run, *flags, "none")
    assert "'CC BY' is no id of a licence" in refuse(capsys, own_run, "--license", "CC BY")
