"""PELM: perplexities are what can be counted by hand, what a perplexity hides is flagged, and engines agree."""

import importlib
import json
import math
import shutil
import sys
from pathlib import Path

import evaluate
import numpy as np
import pytest
from tiny_joint_model import make_text_model

import evoslm
from evoslm.metrics.continuation_texts import words_of
from evoslm.metrics.pelm.continuation_quality import (
    is_copied,
    is_repeated,
    judge_continuations,
    longest_common_run,
    make_anchors,
)

FOLDER = Path(evoslm.metric_path("pelm"))
PROMPTS = ["The lion sings.", "A quiet otter carries", "A yellow window", "Garden letter."]
TRUE = ["The otter sings.", "a yellow letter.", "carries the river.", "Quiet lion."]
WRITTEN = ["a quiet river sings.", "quiet otter carries", "", "the river sings."]
SCORES = [{"log_likelihood": -8.0, "tokens": 6}, {"log_likelihood": -3.0, "tokens": 3}, None]
SCORES += [{"log_likelihood": -12.0, "tokens": 4}]


@pytest.fixture(scope="module")
def pelm(tmp_path_factory):
    return evaluate.load(evoslm.metric_path("pelm"), cache_dir=str(tmp_path_factory.mktemp("evaluate")))


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return make_text_model(tmp_path_factory.mktemp("model"))


def references(prompts=PROMPTS, true=None) -> list[dict]:
    return [
        {"prompt": prompt} | ({"continuation": own} if true else {}) for prompt, own in zip(prompts, true or prompts)
    ]


def test_perplexities_are_those_that_are_counted_by_hand(pelm):
    result = pelm.compute(predictions=WRITTEN, references=references(), scores=SCORES, return_outcomes=True)
    # 4, 3 and 3 words; the second copies its prompt, the third is empty.
    assert result["perplexity"] == pytest.approx(math.exp(23 / 10))
    assert result["perplexity_token"] == pytest.approx(math.exp(23 / 13))
    assert result["perplexity_prompt"] == pytest.approx(math.exp((8 / 4 + 3 / 3 + 12 / 3) / 3))
    assert result["perplexity_not_copied"] == result["perplexity_clean"] == pytest.approx(math.exp(20 / 7))
    assert [result[name] for name in ("n", "n_scored", "n_not_copied", "n_words", "n_tokens")] == [4, 3, 2, 10, 13]
    assert {name: own["share"] for name, own in result["shares"].items()} == {
        "empty": 0.25,
        "repeated": 0,
        "copied": 0.25,
        "same": 0,
    }
    assert [row["copied"] for row in result["outcomes"]] == [False, True, False, False]
    for suffix in ("", "_token", "_prompt", "_not_copied"):
        assert result[f"ci_low{suffix}"] <= result[f"perplexity{suffix}"] <= result[f"ci_high{suffix}"]
    # Of four prompts a bootstrap may draw one alone, but none that is less likely than all.
    assert math.e <= 1.0001 * result["ci_low"] < result["ci_high"] <= 1.0001 * math.exp(4)


def test_ends_are_counted_where_they_are_given():
    result = judge_continuations(
        ["a b c"] * 4,
        ["d e", "", "", "f"],
        [{"log_likelihood": -1.0, "tokens": 2}, None, None, {"log_likelihood": -1.0, "tokens": 1}],
        reasons=["limit", "end", "stop", "end"],
        generated_tokens=[2, 0, 9, 1],
        silent=[False, False, False, True],
    )
    shares = {name: own["share"] for name, own in result["shares"].items()}
    assert shares["limit"] == 0.25 and shares["empty"] == 0.5 and shares["instant"] == 0.25
    # Tokens that say nothing, and units that are all of silence.
    assert shares["silent"] == 0.5


def test_nothing_but_empty_continuations_has_no_perplexity():
    result = judge_continuations(["a"], [" "], [None])
    assert (
        math.isnan(result["perplexity"]) and math.isnan(result["ci_low"]) and result["shares"]["empty"]["share"] == 1
    )


@pytest.mark.parametrize(
    ("text", "repeated"),
    [
        ("the the the the the the the the the", True),
        ("the girl is very old the girl is very old", True),
        ("the girl is very old and the boy is not as old as her", False),
        ("the the the", True),
        ("the dog the man", False),
        ("a cat saw a cat", True),
        ("word", False),
        ("", False),
    ],
)
def test_repetition_is_found_in_long_and_short_continuations(text, repeated):
    assert is_repeated(text.split()) is repeated


def test_copies_are_half_of_a_continuation():
    assert longest_common_run(["a", "b", "c", "d"], ["x", "b", "c", "y", "b", "c", "d"]) == 3
    prompt = words_of("The old lion, it's said, sings.")
    assert prompt == ["the", "old", "lion", "it's", "said", "sings"]
    assert is_copied(prompt, words_of("Old lion and otter"))
    assert not is_copied(prompt, words_of("Old lion and two otters"))
    assert is_copied(prompt, prompt) and not is_copied(prompt, [])


def test_a_constant_continuation_is_likely_and_flagged():
    sure = {"log_likelihood": -0.1, "tokens": 5}
    result = judge_continuations([f"prompt {i}" for i in range(5)], ["The girl is very old."] * 5, [sure] * 5)
    assert result["perplexity"] < 1.1 and result["shares"]["same"]["share"] == 1
    assert result["n_clean"] == 0 and math.isnan(result["perplexity_clean"])


def test_shuffled_continuations_are_all_of_others():
    true = [f"text {i}" for i in range(20)] + [None]
    anchors = make_anchors(true, seed=3)
    assert anchors["true"] == true and anchors["shuffled"][-1] is None
    assert sorted(anchors["shuffled"][:-1]) == sorted(true[:-1])
    assert all(own != other for own, other in zip(true[:-1], anchors["shuffled"]))
    assert anchors == make_anchors(true, seed=3) != make_anchors(true, seed=4)
    assert make_anchors(["only"])["shuffled"] == [None] and make_anchors([None]) == {}


def test_several_outputs_of_a_prompt_are_of_one_prompt():
    prompts, true = ["a", "a", "b", "a", "c"], ["of a", "of a", "of b", None, "of c"]
    for seed in range(9):
        shuffled = make_anchors(true, seed, prompts)["shuffled"]
        assert shuffled[0] == shuffled[1] != "of a" and shuffled[3] is None
        assert {*shuffled[1:3], shuffled[4]} == {"of a", "of b", "of c"} and shuffled[2] != "of b"
    assert make_anchors(["of a"] * 2, 0, ["a"] * 2)["shuffled"] == [None] * 2
    sure = {"log_likelihood": -0.1, "tokens": 1}
    result = judge_continuations(["a", "a", "b"], ["Yes."] * 2 + ["No."], [sure] * 3)
    assert result["shares"]["same"]["share"] == 0


def test_prompts_are_drawn_together_with_their_cluster():
    scores, halves = [{"log_likelihood": -float(i), "tokens": 3} for i in range(1, 41)], ["a"] * 20 + ["b"] * 20
    prompts, written = ["a b c"] * 40, [f"{i} x y z" for i in range(40)]
    apart, together = (judge_continuations(prompts, written, scores, cluster_ids=ids) for ids in (None, halves))
    assert apart["perplexity"] == together["perplexity"] and apart["ci_high"] < together["ci_high"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"predictions": [], "references": [], "scores": []}, "There are no prompts"),
        ({"references": references()[:3]}, "There are 4 predictions and 3 references"),
        ({"references": [{"text": "a"}] * 4}, "Reference 0 has no text under 'prompt'"),
        ({"predictions": [None, "a", "b", "c"]}, "Prediction 0 is no text but None"),
        ({"predictions": None}, "Both predictions and references are needed"),
        ({"reasons": ["end"]}, "There are 4 prompts and 1 reasons"),
        ({"reasons": ["end", "end", "end", "tired"]}, "no reason 'tired' to end; choose from end, stop, limit"),
        ({"scores": SCORES[:2]}, "There are 4 prompts and 2 scores"),
        ({"scores": None}, "Give model_id, the language model that judges, or scores"),
        ({"model_id": "here"}, "Give model_id, the language model that judges, or scores"),
        ({"form": "phones"}, "There is no form 'phones'; choose from text, words"),
    ],
)
def test_what_cannot_be_judged_is_named(pelm, change, named):
    with pytest.raises(ValueError, match=named):
        pelm.compute(**{"predictions": WRITTEN, "references": references(), "scores": SCORES} | change)


def test_a_judge_gives_the_same_by_the_engine_and_the_reference_scorer(pelm, model_folder, monkeypatch):
    given = {"predictions": WRITTEN, "references": references(true=TRUE), "model_id": model_folder, "device": "cpu"}
    engine = pelm.compute(**given, return_outcomes=True)
    assert engine["n_scored"] == 3 and engine["perplexity_true"] > 1 and engine["perplexity_shuffled"] > 1

    from transformers import AutoModelForCausalLM, AutoTokenizer

    from evoslm.models.scoring import score_continuations

    loaded = AutoModelForCausalLM.from_pretrained(model_folder), AutoTokenizer.from_pretrained(model_folder)
    load_scorer = sys.modules[type(pelm).__module__].load_scorer
    scorer = sys.modules[load_scorer.__module__].score_continuations
    prompts = [*PROMPTS, "", "lion  "]
    for own, reference in zip(
        *(score(*loaded, prompts, [*WRITTEN, "lion", " sings"]) for score in (score_continuations, scorer))
    ):
        assert (own is None) == (reference is None)
        if own is not None:
            assert own["tokens"] == reference["tokens"]
            assert own["log_likelihood"] == pytest.approx(reference["log_likelihood"], rel=1e-5)
    monkeypatch.setitem(sys.modules, "evoslm.models.scoring", None)
    alone = pelm.compute(**given, return_outcomes=True)
    assert alone["perplexity"] == pytest.approx(engine["perplexity"], rel=1e-4)
    assert alone["perplexity_shuffled"] == pytest.approx(engine["perplexity_shuffled"], rel=1e-4)


def test_words_alone_are_judged_where_asked(pelm, model_folder):
    as_words = pelm.compute(
        predictions=["LION sings!!"], references=[{"prompt": "Otter,"}], model_id=model_folder, form="words"
    )
    plain = pelm.compute(predictions=["lion sings"], references=[{"prompt": "otter"}], model_id=model_folder)
    assert as_words["perplexity"] == plain["perplexity"]


def test_two_models_are_compared_on_the_same_prompts(pelm):
    first, second = ([{"log_likelihood": -float(i * k), "words": 3} for i in range(1, 9)] for k in (1, 2))
    ratio = pelm.perplexity_ratio(first, second)
    assert ratio["ratio"] == pytest.approx(math.exp(36 / 24)) and ratio["n"] == 8
    assert 1 < ratio["ratio_low"] < ratio["ratio"] < ratio["ratio_high"]
    assert pelm.perplexity_ratio(first, [{"log_likelihood": np.nan, "words": 0}, *first[1:]])["n"] == 7
    with pytest.raises(ValueError, match="8 outcomes and model B 1"):
        pelm.perplexity_ratio(first, second[:1])


def test_a_judge_that_is_none_is_named(pelm, model_folder, tmp_path):
    given = {"predictions": WRITTEN, "references": references()}
    without = shutil.copytree(model_folder, tmp_path / "without")
    for file in without.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ValueError, match="There is no tokenizer at .*without"):
        pelm.compute(**given, model_id=str(without))
    for file in Path(shutil.copytree(model_folder, tmp_path / "weightless")).glob("*.safetensors"):
        file.unlink()
    with pytest.raises(ValueError, match="no causal language model in safetensors at .*weightless"):
        pelm.compute(**given, model_id=str(tmp_path / "weightless"))


def test_the_folder_loads_without_this_package(tmp_path, monkeypatch):
    for module in list(sys.modules):
        if module.partition(".")[0] in ("evoslm", "evaluate_modules"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "evoslm", None)
    folder = shutil.copytree(FOLDER, tmp_path / "pelm")
    metric = evaluate.load(str(folder), cache_dir=str(tmp_path / "cache"))
    result = metric.compute(predictions=WRITTEN, references=references(), scores=SCORES)
    assert metric.name == "pelm" and result["n_scored"] == 3


def test_the_app_judges_a_file_of_continuations(tmp_path, model_folder, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))  # a Space runs its folder as a script
    for module in ("app", "continuation_app"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    app = importlib.import_module("app")
    rows = [
        {"prediction": written, "prompt": prompt, "continuation": true, "reason": "end", "generated_tokens": 3}
        for written, prompt, true in zip(WRITTEN, PROMPTS, TRUE)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    table = app.result_table(app.evaluate_file(tmp_path / "rows.jsonl", model_folder))
    labels = [row[0] for row in table]
    assert (
        labels[0] == "Perplexity a word"
        and "Share that is copied (%)" in labels
        and "Share that is limit (%)" in labels
    )
    assert all(len(row) == len(app.LABELS) for row in table)
    (tmp_path / "bad.jsonl").write_text('{"prediction": "a"}')
    with pytest.raises(ValueError, match="Line 1 of bad.jsonl has no 'prompt'"):
        app.evaluate_file(tmp_path / "bad.jsonl", model_folder)
