"""Utterances, contents and pairs of a run become datasets that load without code, with the run's own rows."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml
from datasets import Audio, get_dataset_config_names, load_dataset, load_dataset_builder
from transformers import AutoTokenizer

from evoslm.metrics.tasks import TASKS
from evoslm.models.modalities import get_modality
from evoslm.training.cli import main
from evoslm.training.release.choice import ReleaseChoice
from evoslm.training.release.datasets import parquet, prepare_dataset_repositories
from evoslm.training.release.files import check_prepared
from evoslm.training.release.manifest import list_files
from evoslm.training.release.names import ReleaseNames
from evoslm.training.run.study_file import open_run, read_study
from evoslm.training.stages.contents import read_contents

KINDS = ("utterances", "contents", "pairs")


@pytest.fixture(scope="module")
def names(finished_run):
    return ReleaseNames.of(finished_run, "user")


@pytest.fixture(scope="module")
def prepared(finished_run, names, tmp_path_factory):
    """The prepared repositories, by what they hold."""
    folder = tmp_path_factory.mktemp("release")
    return dict(zip(KINDS, prepare_dataset_repositories(finished_run, names, folder), strict=True))


def load(prepared, kind, *configuration, tmp_path, **options):
    return load_dataset(str(prepared[kind].folder), *configuration, cache_dir=str(tmp_path / "cache"), **options)


def head_of(folder: Path) -> dict:
    return yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])


def test_utterances_are_the_runs_own_with_audio_as_a_feature(prepared, finished_run, tmp_path):
    loaded = load(prepared, "utterances", tmp_path=tmp_path)
    run, first = open_run(finished_run), loaded["test"][0]
    shards = sorted(run.utterances().glob("test-*.parquet"))
    rows = [row for shard in shards for row in pq.read_table(shard).to_pylist()]
    assert loaded["test"].to_list() == rows
    assert loaded["train"].features["audio"] == Audio(sampling_rate=16_000, decode=False)
    waveform, sampling_rate = soundfile.read(io.BytesIO(first["audio"]["bytes"]))
    assert sampling_rate == 16_000 and len(waveform) == round(first["duration"] * 16_000)
    streamed = load(prepared, "utterances", tmp_path=tmp_path, split="train", streaming=True)
    assert next(iter(streamed))["id"] == loaded["train"][0]["id"]


def test_contents_are_what_the_run_trained_on_in_every_modality(prepared, finished_run, tmp_path):
    run, modalities = open_run(finished_run), read_study(finished_run)["modalities"]
    assert sorted(get_dataset_config_names(str(prepared["contents"].folder))) == sorted(modalities)
    for modality in modalities:
        rows = load(prepared, "contents", modality, tmp_path=tmp_path, split="validation")
        tokenizer = AutoTokenizer.from_pretrained(run.tokenizer(modality))
        ids = [
            token for content in rows["content"] for token in tokenizer(content, add_special_tokens=False)["input_ids"]
        ]
        assert ids == np.load(run.tokenizer(modality) / "validation.ids.npy").tolist(), modality


def test_pairs_have_a_configuration_a_task_and_units_apart(prepared, finished_run, tmp_path):
    run = open_run(finished_run)
    configurations = get_dataset_config_names(str(prepared["pairs"].folder))
    assert {*TASKS, *(f"{task}_units" for task in TASKS), "swuggy_speech_dedup", "swuggy_one_voice"} <= set(
        configurations
    )
    for modality, suffix in (("text_bpe", ""), ("phone_repeat", ""), ("speech_units", "_units")):
        entry = get_modality(modality)
        asked = read_contents(run.pairs(), entry, run.pair_units(modality) if entry.is_speech else None)
        for task, expected in asked.groupby("task", sort=False):
            rows = load(prepared, "pairs", f"{task}{suffix}", tmp_path=tmp_path, split="test").to_pandas()
            assert rows["id"].tolist() == expected["pair_id"].tolist()
            for side in ("context", "positive", "negative"):
                assert rows[f"{side}_{entry.column}"].fillna("").tolist() == expected[side].tolist()


def test_cards_say_what_the_files_hold(prepared):
    for kind, repository in prepared.items():
        head = head_of(repository.folder)
        assert repository.kind == "dataset" and repository.name == f"user/evoslm-smoke-{kind}"
        assert head["license"] == "apache-2.0" and "evoslm" in head["tags"]
        infos = head["dataset_info"] if isinstance(head["dataset_info"], list) else [head["dataset_info"]]
        assert {info["config_name"] for info in infos} == {config["config_name"] for config in head["configs"]}
        for info in infos:
            files = list(repository.folder.glob(f"{info['config_name']}/*.parquet"))
            assert info["download_size"] == sum(path.stat().st_size for path in files)
            rows = sum(pq.read_metadata(path).num_rows for path in files)
            assert rows == sum(split["num_examples"] for split in info["splits"])
        described = load_dataset_builder(str(repository.folder), infos[0]["config_name"]).info
        assert described.features is not None and described.splits is not None


def test_nothing_of_the_machine_and_no_code_is_in_them(prepared, finished_run):
    check_prepared(prepared.values(), finished_run)
    for repository in prepared.values():
        assert {Path(name).suffix for name in list_files(repository.folder)} == {".md", ".parquet"}


def test_preparing_again_gives_the_same_bytes_in_more_files_if_they_are_large(
    prepared, finished_run, names, tmp_path, monkeypatch
):
    again = dict(zip(KINDS, prepare_dataset_repositories(finished_run, names, tmp_path / "again"), strict=True))
    for kind, repository in prepared.items():
        assert list_files(repository.folder) == list_files(again[kind].folder)
        for name in list_files(repository.folder):
            assert (repository.folder / name).read_bytes() == (again[kind].folder / name).read_bytes()

    monkeypatch.setattr(parquet, "FILE_BYTES", 1 << 20)
    small = prepare_dataset_repositories(finished_run, names, tmp_path / "small", ReleaseChoice(["text_bpe"]))
    files = [name for name in list_files(small[0].folder) if "/train-" in name]
    assert len(files) > 1 and files[-1].endswith(f"-of-{len(files):05d}.parquet")
    options = {"split": "train", "cache_dir": str(tmp_path / "cache")}
    whole = load_dataset(str(prepared["utterances"].folder), **options)
    assert load_dataset(str(small[0].folder), **options)["id"][:] == whole["id"][:]


def test_pairs_are_a_benchmark_of_the_hub_by_a_frameworks_name(prepared, finished_run, names, by_name, tmp_path):
    assert not (prepared["pairs"].folder / "eval.yaml").exists()
    choice = ReleaseChoice(["text_raw"], evaluation_framework="some-framework")
    pairs = prepare_dataset_repositories(finished_run, names, tmp_path / "benchmark", choice)[2].folder
    said = yaml.safe_load((pairs / "eval.yaml").read_text())
    assert set(said) == {"name", "description", "evaluation_framework", "tasks"}
    assert said["evaluation_framework"] == "some-framework"
    configurations = get_dataset_config_names(str(pairs))
    assert [task["id"] for task in said["tasks"]] == list(TASKS)
    for task in said["tasks"]:  # which results of models name
        assert task["config"] in configurations and task["split"] == "test"
        result = yaml.safe_load((by_name["text-raw"].folder / ".eval_results" / f"{task['id']}.yaml").read_text())
        assert result[0]["dataset"] == {"id": "user/evoslm-smoke-pairs", "task_id": task["id"]}


def test_a_benchmark_has_the_tasks_that_joint_models_were_asked_in_units(complete_run, names, by_name, tmp_path):
    choice = ReleaseChoice(["speech_units"], evaluation_framework="some-framework")
    pairs = prepare_dataset_repositories(complete_run, names, tmp_path / "benchmark", choice)[2].folder
    said = {task["id"] for task in yaml.safe_load((pairs / "eval.yaml").read_text())["tasks"]}
    results = {path.stem for path in (by_name["joint-cst-ast"].folder / ".eval_results").iterdir()}
    assert said == results == {*TASKS, *(f"{task}_units" for task in TASKS)}


def test_what_cannot_be_a_framework_is_refused(finished_run, tmp_path, capsys):
    flags = ["--dry_run", "--output_dir", str(tmp_path / "release"), "--evaluation_framework", "My Framework"]
    assert main(["release", str(finished_run), "--namespace", "user", *flags]) == 2
    assert "'My Framework' is no name of an evaluation framework on the Hub" in capsys.readouterr().err


def test_a_run_that_is_not_finished_is_refused(finished_run, names, tmp_path):
    unfinished = tmp_path / "run"
    (unfinished / "corpus").mkdir(parents=True)
    (unfinished / "study.json").write_text((finished_run / "study.json").read_text())
    with pytest.raises(FileNotFoundError, match=r"is not finished: it has no summary.json of its corpus"):
        prepare_dataset_repositories(unfinished, names, tmp_path / "release")
    (unfinished / "corpus" / "summary.json").write_text(json.dumps({}))
    with pytest.raises(FileNotFoundError, match=r"is not finished: it has no summary.json of its pairs"):
        prepare_dataset_repositories(unfinished, names, tmp_path / "release")
