"""What is named, and what is taken for a mistake in the data."""

import pytest

from evoslm.training.diagnose.decomposition import STEPS
from evoslm.training.diagnose.verdict import check_results, describe_verdict, name_factors, next_steps


def make_steps(**points):
    """Steps of a task, each `(value, low, high)`."""
    changes = {step: dict(zip(("value", "low", "high"), points.get(step, (0.0, -0.03, 0.03)))) for step in STEPS}
    levels = {name: {"value": 0.8, "low": 0.7, "high": 0.9} for name in ("phone_repeat", "tokenizer")}
    return {"steps": {step: {"points": change} for step, change in changes.items()}, "levels": levels}


def make_result(**steps):
    stable = {"same_word_other_speaker": {"value": 0.6}}
    accuracy = {"headline": {"value": 0.8, "low": 0.7, "high": 0.9}}
    return {
        "steps": steps,
        "factors": name_factors(steps),
        "accuracies": dict.fromkeys(steps, accuracy),
        "word_stability": stable,
        "phone_stability": 0.3,
        "tokens_per_second": 50.0,
        "scaling": {},
        "losses": {"best": {"bits_per_second": 20.0}},
        "unigram_bits_per_second": 60.0,
        "quality": {"pnmi": 0.7},
    }


def test_what_is_shown_and_large_enough_is_named_the_dearest_first():
    steps = {
        "swuggy": make_steps(variability=(-0.2, -0.25, -0.15), length=(-0.04, -0.07, -0.01)),
        "sblimp": make_steps(
            length=(-0.3, -0.4, -0.2), variability=(-0.2, -0.5, 0.1), alphabet=(-0.01, -0.015, -0.005)
        ),
    }
    assert name_factors(steps) == {
        "by_task": {"swuggy": ["variability", "length"], "sblimp": ["length"]},
        "named": ["length", "variability"],
    }


def test_the_verdict_says_what_is_named_and_what_is_not():
    result = make_result(swuggy=make_steps(variability=(-0.2, -0.25, -0.15)))
    assert describe_verdict("Mine", result) == (
        "**Mine**: variability costs sWUGGY 20.0 [15.0,\u00a025.0] points. Alphabet and length: nothing is shown."
    )
    assert "no step" in describe_verdict("Mine", make_result(swuggy=make_steps()))


@pytest.mark.parametrize(
    ("steps", "begins"),
    [
        ({"variability": (-0.2, -0.25, -0.15)}, "Variability: of a word's units 60.0 %"),
        ({"length": (-0.2, -0.25, -0.15)}, "Length: 50.0 tokens a second."),
        ({"alphabet": (-0.2, -0.25, -0.15)}, "Alphabet: phones instead of letters"),
        ({}, "Nothing at this size"),
    ],
)
def test_each_factor_has_its_remedy(steps, begins):
    (sentence,) = next_steps(make_result(swuggy=make_steps(**steps)), {})
    assert sentence.startswith(begins)


def test_the_papers_signatures_are_recognised():
    result = make_result(sblimp=make_steps(length=(-0.2, -0.25, -0.15)), swuggy=make_steps())
    (length,) = next_steps(result, {"sblimp": 0.11, "swuggy": -0.01})
    assert "Syntax falls and words stay" in length and "sBLIMP +11.0 points" in length and "sWUGGY" not in length
    levels = result["steps"]["swuggy"]["levels"]
    levels["tokenizer"] = {"value": 0.51, "low": 0.48, "high": 0.54}
    assert next_steps(result, {})[0].startswith("Words are at chance")
    levels["phone_repeat"] = levels["tokenizer"]
    assert next_steps(result, {})[0].startswith("Phones at this rate are not shown above chance")
    result["scaling"] = {"sblimp": {"line": {"value": -0.04, "low": -0.06, "high": -0.02}}}
    assert "sBLIMP falls with more training" in next_steps(result, {})[-1]
    result["scaling"]["sblimp"]["line"] = {"value": -1e-9, "low": -2e-9, "high": -1e-10}
    assert "more training" not in next_steps(result, {})[-1]


def test_what_looks_like_a_mistake_is_said():
    result = make_result(swuggy=make_steps())
    assert check_results(result) == []
    result["accuracies"]["sblimp"] = {"headline": {"value": 0.31, "high": 0.55}}  # of a few pairs
    result["accuracies"]["swuggy"] = {"headline": {"value": 0.31, "high": 0.39}}
    result["losses"]["best"]["bits_per_second"] = 61.0
    result["quality"]["pnmi"] = 0.05
    signs, shuffled, others = check_results(result)
    assert "sWUGGY is at 31.0 %, far below chance" in signs
    assert "61.0 bits a second and a unigram 60.0" in shuffled and "5.0 % of what the phones are" in others
