"""`evoslm score`: the metrics' numbers from a file, by any number of processes, and nothing finished done twice."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from launched import run_launched, torchrun
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from evoslm.metrics.judging import pair_accuracies
from evoslm.metrics.pair_accuracy import judge_arguments
from evoslm.models.scoring import kept_scores, score_pairs
from evoslm.models.tokenizers.phones import word_level_tokenizer
from evoslm.training.cli import main

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    word_level_tokenizer(f"p{i}" for i in range(56)).save_pretrained(folder)
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(vocab_size=60, max_position_embeddings=64, bos_token_id=1, **shape)).save_pretrained(
        folder
    )
    return folder


def make_pairs(path, count, seed=0):
    rng = np.random.default_rng(seed)

    def content():
        return " ".join(f"p{i}" for i in rng.integers(0, 56, rng.integers(2, 9)))

    rows = []
    for i in range(count):
        row = {"task": "topic_sc" if i % 2 else "swuggy", "id": f"pair-{i}", "group": f"g{i % 3}"}
        row |= {f"{side}_phones": content() for side in ("positive", "negative")}
        rows.append(row | {"context_phones": content() if i % 2 else ""})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return rows


def score(model, pairs, folder, *flags):
    return main(
        ["score", "--model_id", str(model), "--pairs", str(pairs), "--output_dir", str(folder)]
        + ["--modality", "phones", "--device", "cpu", *flags]
    )


def read(folder):
    return pd.read_parquet(folder / "scores.parquet"), json.loads((folder / "summary.json").read_text())


def test_the_numbers_are_those_of_the_metrics(model, tmp_path, capsys):
    rows = make_pairs(tmp_path / "pairs.jsonl", 40)
    assert score(model, tmp_path / "pairs.jsonl", tmp_path / "scores", "--num_proc", "1") == 0
    scores, summary = read(tmp_path / "scores")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    expected = score_pairs(
        AutoModelForCausalLM.from_pretrained(model), AutoTokenizer.from_pretrained(model), rows, "phones"
    )
    assert scores["id"].tolist() == [row["id"] for row in rows]
    for part in ("context", "positive", "negative"):  # the file can be read by itself
        assert scores[f"{part}_content"].tolist() == [row[f"{part}_phones"] for row in rows]
    assert not any("phones" in column for column in scores)
    for key in expected[0]:
        np.testing.assert_allclose(scores[key], [row[key] for row in expected], rtol=1e-6)
    for task, headline in (("swuggy", "sum"), ("topic_sc", "mean")):
        judged = judge_arguments([row | value for row, value in zip(rows, expected) if row["task"] == task])
        assert summary["accuracies"][task] == pair_accuracies(**judged, headline=headline)
    assert "accuracy_pmi" in summary["accuracies"]["topic_sc"]
    printed = capsys.readouterr().out
    assert "topic_sc: " in printed and "by mean (95 % interval" in printed and "of 20 pairs" in printed
    assert sorted(path.name for path in (tmp_path / "scores").iterdir()) == [
        "scores.parquet",
        "stage.json",
        "summary.json",
    ]


def test_columns_without_a_form_are_kept_beside_their_scores(model, tmp_path):
    rows = [{"id": f"pair-{i}", "positive": f"p{i} p1", "negative": f"p{i} p2"} for i in range(4)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = ["--pairs", str(tmp_path / "pairs.jsonl"), "--output_dir", str(tmp_path / "scores")]
    assert main(["score", "--model_id", str(model), *files, "--device", "cpu", "--num_proc", "1"]) == 0
    scores, _ = read(tmp_path / "scores")
    assert scores["positive_content"].tolist() == [row["positive"] for row in rows]
    assert scores["negative_content"].tolist() == [row["negative"] for row in rows]
    assert (scores["positive"] < 0).all() and "context_content" not in scores


def test_processes_and_kinds_of_files_change_nothing(model, tmp_path, monkeypatch):
    rows = make_pairs(tmp_path / "pairs.jsonl", 5000)
    (tmp_path / "shards").mkdir()
    for index, part in enumerate((rows[:3000], rows[3000:])):
        pd.DataFrame(part).to_parquet(tmp_path / "shards" / f"test-{index:05d}-of-00002.parquet")
    pd.DataFrame(rows[:1]).to_parquet(tmp_path / "shards" / "train-00000-of-00001.parquet")
    pd.DataFrame(rows).to_csv(tmp_path / "pairs.csv", index=False)
    found = []
    for number, (file, processes) in enumerate((("pairs.jsonl", "1"), ("shards", "2"), ("pairs.csv", "3"))):
        assert score(model, tmp_path / file, tmp_path / str(number), "--num_proc", processes) == 0
        found.append(read(tmp_path / str(number))[0])
    for other in found[1:]:
        pd.testing.assert_frame_equal(other, found[0])


def test_a_finished_scoring_is_not_redone_and_another_is_refused(model, tmp_path, capsys):
    make_pairs(tmp_path / "pairs.jsonl", 10)
    call = (model, tmp_path / "pairs.jsonl", tmp_path / "scores", "--num_proc", "1")
    assert score(*call) == 0
    written = (tmp_path / "scores" / "scores.parquet").stat().st_mtime_ns
    assert score(*call) == 0
    assert (tmp_path / "scores" / "scores.parquet").stat().st_mtime_ns == written
    assert score(*call, "--long_sequences", "slide") == 2
    assert "long_sequences (error there, slide now)" in capsys.readouterr().err
    make_pairs(tmp_path / "pairs.jsonl", 10, seed=1)
    assert score(*call) == 2
    assert "pairs (" in capsys.readouterr().err
    assert score(*call, "--overwrite", "true") == 0


def test_what_was_scored_before_an_error_is_kept(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(kept_scores, "PAIRS_PER_CHUNK", 4)
    rows = [row for row in make_pairs(tmp_path / "pairs.jsonl", 40) if "p55" not in str(row)][:8]
    rows.append(rows[0] | {"id": "broken", "positive_phones": "p55 p1"})
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    broken = shutil.copytree(model, tmp_path / "broken")
    weights = load_file(model / "model.safetensors")
    vocabulary = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    weights["model.embed_tokens.weight"][vocabulary["p55"]] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    assert score(broken, tmp_path / "pairs.jsonl", tmp_path / "scores", "--num_proc", "1") == 2
    assert "positive side of pair 'broken' is nan" in capsys.readouterr().err
    kept = sorted(path.name for path in (tmp_path / ".scores.partial" / "chunks").iterdir())
    assert kept == ["scores-00000-of-00003.parquet", "scores-00001-of-00003.parquet"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda call: {**call, "model": "nowhere/none"}, "There is no model 'nowhere/none'"),
        (lambda call: {**call, "model": call["empty"]}, "has no config.json"),
        (lambda call: {**call, "pairs": "nowhere.parquet"}, "There is no file of pairs at nowhere.parquet"),
        (lambda call: {**call, "flags": ["--modality", "units"]}, "has no column 'positive_units'"),
        (lambda call: {**call, "flags": ["--long_sequences", "cut"]}, "choose from error, slide"),
        (lambda call: {**call, "flags": ["--revision", "main"]}, "is a folder, which has no revision 'main'"),
        (
            lambda call: {**call, "line": call["twice"]},
            "Rows with the id 'pair-0' differ in their content in the same",
        ),
        (lambda call: {**call, "flags": ["--num_proc", "0"]}, "--num_proc is 0; it must be at least 1"),
        (lambda call: {**call, "flags": ["--preset", "smoke"]}, "--preset is a flag of build-dataset, "),
        (lambda call: {**call, "line": "{"}, "Line 3 of .*pairs.jsonl is not JSON"),
        (lambda call: {**call, "line": "[1]"}, "Line 3 of .*pairs.jsonl is no row of pairs but a list"),
    ],
)
def test_a_mistake_ends_in_one_sentence(model, tmp_path, capsys, monkeypatch, change, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "empty").mkdir()
    first, _ = make_pairs(tmp_path / "pairs.jsonl", 2)
    call = {"model": model, "pairs": tmp_path / "pairs.jsonl", "flags": [], "empty": tmp_path / "empty", "line": ""}
    call = change(call | {"twice": json.dumps(first | {"positive_phones": "p1"})})
    with (tmp_path / "pairs.jsonl").open("a") as file:
        file.write(call["line"])
    assert score(call["model"], call["pairs"], tmp_path / "scores", "--num_proc", "1", *call["flags"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("evoslm: error: ") and re.search(message, error)
    assert not list(tmp_path.rglob("scores-*.parquet"))  # nothing is scored in vain


@pytest.mark.parametrize(("task", "band", "said"), [("swuggy", "6-20", True), ("sblimp", "3", False)])
def test_bands_are_said_where_a_headline_is_over_them(model, tmp_path, capsys, task, band, said):
    rows = [row | {"task": task, "band": band} for row in make_pairs(tmp_path / "pairs.jsonl", 4)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert score(model, tmp_path / "pairs.jsonl", tmp_path / "scores", "--num_proc", "1") == 0
    assert (f"of 4 pairs in the bands {band}" in capsys.readouterr().out) == said


def test_weights_in_another_format_are_not_read(model, tmp_path, capsys):
    make_pairs(tmp_path / "pairs.jsonl", 2)
    folder = tmp_path / "model"
    folder.mkdir()
    for path in model.iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    torch.save(load_file(model / "model.safetensors"), folder / "pytorch_model.bin")
    assert score(folder, tmp_path / "pairs.jsonl", tmp_path / "scores") == 2
    assert "no weights in safetensors" in capsys.readouterr().err


def command(model, tmp_path, folder):
    places = ["--model_id", str(model), "--pairs", str(tmp_path / "pairs.jsonl"), "--output_dir", str(folder)]
    return ["-m", "evoslm.training.cli", "score", *places, "--modality", "phones", "--device", "cpu"]


def test_processes_of_a_launcher_share_the_pairs(model, tmp_path):
    make_pairs(tmp_path / "pairs.jsonl", 5000)
    assert score(model, tmp_path / "pairs.jsonl", tmp_path / "one", "--num_proc", "1") == 0
    done = run_launched([*torchrun(2), *command(model, tmp_path, tmp_path / "two")], timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.count("The scores are") == 1
    pd.testing.assert_frame_equal(read(tmp_path / "two")[0], read(tmp_path / "one")[0])


@pytest.mark.end_to_end
def test_a_killed_scoring_goes_on_with_what_is_missing(model, tmp_path):
    make_pairs(tmp_path / "pairs.jsonl", 16_000)
    chunks = tmp_path / ".scores.partial" / "chunks"
    kills, before = 0, {}
    while True:
        process = subprocess.Popen(
            [sys.executable, *command(model, tmp_path, tmp_path / "scores")],
            cwd=ROOT,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and len(list(chunks.glob("*.parquet"))) < len(before) + 3:
            time.sleep(0.02)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        now = {path.name: path.stat().st_mtime_ns for path in chunks.glob("*.parquet")}
        assert before.items() <= now.items()  # what was finished is as it was
        before = now
    assert process.returncode == 0 and kills >= 2
    assert pq.read_metadata(tmp_path / "scores" / "scores.parquet").num_rows == 16_000
    assert score(model, tmp_path / "pairs.jsonl", tmp_path / "whole") == 0
    pd.testing.assert_frame_equal(read(tmp_path / "scores")[0], read(tmp_path / "whole")[0])
