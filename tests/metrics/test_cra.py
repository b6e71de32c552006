"""CRA: retrieval accuracies are what can be counted by hand, from numbers that are given or that a model gives."""

import json
import shutil
import sys
from pathlib import Path

import evaluate
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_joint_model import make_byte_level_joint_model, make_joint_model, make_passages

import evoslm
from evoslm.metrics.cra.app import LABELS, evaluate_file, result_table
from evoslm.metrics.cra.retrieval_accuracy import retrieval_accuracies

FOLDER = Path(evoslm.metric_path("cra"))
# Two blocks of three, rows continuations and columns contexts: right, a tie of two, wrong; right, right, a tie of all.
SCORES = [[-1, -2, -3], [-5, -4, -4], [-1, -6, -7], [-9, -3, -8], [-2, -6, -9], [-4, -4, -4]]
RIGHT = [0, 1, 2, 1, 0, 2]
ALONE = [-3.0, -5.0, -1.0, -3.0, -6.0, -4.5]


@pytest.fixture(scope="module")
def cra(tmp_path_factory):
    return evaluate.load(evoslm.metric_path("cra"), cache_dir=str(tmp_path_factory.mktemp("evaluate")))


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return make_joint_model(tmp_path_factory.mktemp("model"))


def test_contexts_are_retrieved_for_continuations_and_ties_are_shared(cra):
    result = cra.compute(predictions=SCORES, references=RIGHT, return_outcomes=True)
    assert [row["correct"] for row in result["outcomes"]] == pytest.approx([1, 1 / 2, 0, 1, 1, 1 / 3])
    assert result["accuracy"] == pytest.approx((1 + 1 / 2 + 1 + 1 + 1 / 3) / 6)
    assert (result["chance"], result["block_size"], result["n"], result["n_blocks"]) == (1 / 3, 3, 6, 2)
    assert "accuracy_continuation" not in result
    # Of two blocks a bootstrap draws one, the other, or both.
    assert result["ci_low"] == pytest.approx(1 / 2) and result["ci_high"] == pytest.approx(7 / 9)


def test_continuations_are_retrieved_by_what_a_context_adds(cra):
    result = cra.compute(predictions=SCORES, references=RIGHT, unconditional=ALONE, return_outcomes=True)
    gains = np.array(SCORES) - np.array(ALONE)[:, None]
    for rows in (slice(0, 3), slice(3, 6)):
        for row, column in enumerate(RIGHT[rows]):
            gained = gains[rows, column]
            best = np.flatnonzero(gained == gained.max())
            expected = (row in best) / len(best)
            assert result["outcomes"][rows][row]["correct_continuation"] == pytest.approx(expected)
    correct = [row["correct_continuation"] for row in result["outcomes"]]
    assert result["accuracy_continuation"] == pytest.approx(np.mean(correct))
    # What is likelier anywhere changes neither.
    likelier = np.array([0, 7, -3, 1, 2, -5])
    moved = cra.compute(
        predictions=(np.array(SCORES) + likelier[:, None]).tolist(),
        references=RIGHT,
        unconditional=(np.array(ALONE) + likelier).tolist(),
    )
    assert moved == {key: value for key, value in result.items() if key != "outcomes"}


def test_groups_and_blocks_in_any_order(cra):
    groups, blocks = ["u2u"] * 6 + ["t2u"] * 6, [*"aaabbb"] * 2
    scores = SCORES + SCORES[::-1]
    right = RIGHT + RIGHT[::-1]
    result = cra.compute(predictions=scores, references=right, groups=groups, cluster_ids=blocks)
    assert result["n"] == 12 and result["n_blocks"] == 2
    assert result["groups"]["u2u"]["accuracy"] == pytest.approx(result["groups"]["t2u"]["accuracy"])
    assert {"ci_low", "ci_high", "n_blocks"} < set(result["groups"]["u2u"])
    order = np.random.default_rng(0).permutation(12)
    columns = [[values[i] for i in order] for values in (scores, right, groups, blocks)]
    mixed = cra.compute(
        predictions=columns[0], references=columns[1], groups=columns[2], cluster_ids=columns[3], seed=0
    )
    assert mixed.pop("groups")["u2u"] == result.pop("groups")["u2u"] and mixed == result


def test_numbers_without_meaning_are_at_chance_within_the_interval():
    rng = np.random.default_rng(0)
    scores, right = rng.normal(size=(800, 8)), np.concatenate([rng.permutation(8) for _ in range(100)])
    result = retrieval_accuracies(scores, right, unconditional=rng.normal(size=800))
    for rule in ("", "_continuation"):
        assert result[f"ci_low{rule}"] < result["chance"] < result[f"ci_high{rule}"]
        assert result[f"ci_high{rule}"] - result[f"ci_low{rule}"] < 0.08
    assert retrieval_accuracies(scores, right) == {key: result[key] for key in result if "continuation" not in key}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"predictions": []}, "There is nothing to judge"),
        ({"references": RIGHT[:5]}, "There are 6 predictions and 5 references"),
        ({"unconditional": [1.0]}, "There are 6 predictions and 1 unconditional"),
        ({"predictions": [[-1, -2], *SCORES[1:]]}, "Prediction 1 has 3 scores and prediction 0 has 2.* of one size"),
        ({"predictions": [row[:1] for row in SCORES], "references": [0] * 6}, "at least two contexts a block"),
        ({"predictions": SCORES[:5], "references": RIGHT[:5]}, "5 continuations, which make no blocks of 3"),
        ({"cluster_ids": [*"aaaabb"]}, "Block a has 4 continuations and 3 contexts"),
        ({"groups": [*"ttuuuu"], "cluster_ids": [*"aaabbb"]}, "Block a of the group 't' has 2 continuations and 3"),
        ({"predictions": [*SCORES[:5], [-4, float("nan"), -4]]}, "prediction of continuation 5 has nan"),
        ({"predictions": [*SCORES[:5], [-4, float("-inf"), -4]]}, "prediction of continuation 5 has -inf"),
        ({"unconditional": [*ALONE[:5], float("nan")]}, "unconditional of continuation 5 has nan"),
        ({"references": [0, 1, 3, 1, 0, 2]}, "reference of continuation 2 is 3: .* from 0 to 2"),
        ({"references": [0, 1, 1, 1, 0, 2]}, "Two continuations of block 0 have the same context"),
        ({"blocks": []}, "Give predictions and references, or model_id and blocks, but not both"),
    ],
)
def test_bad_matrices_are_named(cra, change, named):
    with pytest.raises(ValueError, match=named):
        cra.compute(**{"predictions": SCORES, "references": RIGHT} | change)


def test_a_model_is_scored_as_the_engine_and_the_reference_scorer_do(cra, model_folder, tmp_path, monkeypatch):
    passages = make_passages()
    pq.write_table(pa.Table.from_pylist(passages), tmp_path / "blocks.parquet")
    options = {"model_id": model_folder, "device": "cpu", "return_outcomes": True}
    engine = cra.compute(blocks=tmp_path / "blocks.parquet", **options)
    assert list(engine["groups"]) == ["u2u", "t2t", "u2t", "t2u"]
    assert (engine["n"], engine["n_blocks"], engine["chance"]) == (32, 2, 0.25)
    lines = "\n\n".join(json.dumps({**passage, "note": "\u2028"}, ensure_ascii=False) for passage in passages)
    (tmp_path / "blocks.jsonl").write_text(lines, encoding="utf-8-sig")
    one = cra.compute(blocks=tmp_path / "blocks.jsonl", direction="u2t", **options)
    assert one["groups"]["u2t"] == engine["groups"]["u2t"]

    scorer = sys.modules[type(cra).__module__].score_blocks
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from evoslm.models.scoring import score_blocks

    for folder in (model_folder, make_byte_level_joint_model(tmp_path / "other")):
        loaded = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        for direction in engine["groups"]:
            scored = (score(*loaded, passages, direction) for score in (score_blocks, scorer))
            for own, reference in zip(*scored):
                assert set(own) == set(reference)
                for key in ("block", "direction", "ids", "tokens"):
                    assert own[key] == reference[key]
                for key in ("log_likelihoods", "unconditional"):
                    assert np.array(own[key]) == pytest.approx(np.array(reference[key]), rel=1e-5)
    monkeypatch.setitem(sys.modules, "evoslm.models.scoring", None)
    assert cra.compute(blocks=passages, **options)["outcomes"] == engine["outcomes"]


def test_blocks_that_cannot_be_scored_are_named(cra, model_folder, tmp_path):
    with pytest.raises(ValueError, match="give model_id and blocks, both"):
        cra.compute(model_id=model_folder)
    with pytest.raises(FileNotFoundError, match="There is no file or folder of blocks at .*nowhere"):
        cra.compute(model_id=model_folder, blocks=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="There are no passages"):
        cra.compute(model_id=model_folder, blocks=tmp_path)
    (tmp_path / "blocks.jsonl").write_text('{"block": "a"}\n{"block": ')
    with pytest.raises(ValueError, match="Line 2 of blocks.jsonl is not JSON"):
        cra.compute(model_id=model_folder, blocks=tmp_path / "blocks.jsonl")
    with pytest.raises(ValueError, match="There is no direction 's2t'; choose from"):
        cra.compute(model_id=model_folder, blocks=make_passages(), direction="s2t")


def test_the_folder_loads_without_this_package(tmp_path, monkeypatch):
    for module in list(sys.modules):
        if module.partition(".")[0] in ("evoslm", "evaluate_modules"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "evoslm", None)
    folder = shutil.copytree(FOLDER, tmp_path / "cra")
    metric = evaluate.load(str(folder), cache_dir=str(tmp_path / "cache"))
    assert metric.name == "cra" and metric.compute(predictions=SCORES, references=RIGHT)["n"] == 6


def test_the_app_judges_a_file_of_blocks(tmp_path):
    blocks = [
        {"block": block, "direction": "t2t", "log_likelihoods": np.eye(3).tolist(), "unconditional": [0.0] * 3}
        for block in "ab"
    ]
    (tmp_path / "blocks.jsonl").write_text("\n".join(map(json.dumps, blocks)))
    table = result_table(evaluate_file(tmp_path / "blocks.jsonl"))
    assert [row[:3] for row in table] == [["t2t", "context", 100.0], ["t2t", "continuation", 100.0]]
    assert all(len(row) == len(LABELS) for row in table)
    blocks[0]["block"], blocks[1]["block"] = "a\u2028", "b\u0085"
    lines = "\n".join(json.dumps(block, ensure_ascii=False) for block in blocks)
    (tmp_path / "blocks.jsonl").write_text(f"\ufeff{lines}\n", encoding="utf-8")
    assert result_table(evaluate_file(tmp_path / "blocks.jsonl")) == table
    (tmp_path / "bad.jsonl").write_text('{"block": "a"}')
    with pytest.raises(ValueError, match="Line 1 of bad.jsonl has no 'direction'"):
        evaluate_file(tmp_path / "bad.jsonl")
