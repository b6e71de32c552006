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
        "phone_stability": {"frame_rate": 12.5, "value": 0.3},
        "tokens_per_second": 50.0,
        "scaling": {},
        "losses": {"best": {"bits_per_second": 20.0}},
        "unigram_bits_per_second": 60.0,
        "quality": {"pnmi": 0.7, "pnmi_of_others": 0.2},
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
        "**Mine**: variability costs sWUGGY 20.0 [15.0,\u00a025.0] points. "
        "Alphabet and length: nothing of 2 points or more is shown."
    )
    small = make_result(swuggy=make_steps(alphabet=(-0.015, -0.018, -0.012)))  # shown, but not large enough
    for result in (make_result(swuggy=make_steps()), small):
        assert "no step from text to its units is shown to cost 2 points or more" in describe_verdict("Mine", result)


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
    halved = {
        "sblimp": {"value": 0.11, "low": 0.05, "high": 0.17},
        "topic_sc": {"value": 0.11, "low": -0.02, "high": 0.24},
        "swuggy": {"value": 0.01, "low": 0.005, "high": 0.015},
    }
    (length,) = next_steps(result, halved)
    assert "Syntax falls and words stay" in length and "better by sBLIMP +11.0 points" in length
    assert "half the rate" not in next_steps(result, {"swuggy": halved["swuggy"]})[0]
    result = make_result(swuggy=make_steps(variability=(-0.3, -0.35, -0.25)), sblimp=make_steps())
    levels = result["steps"]["swuggy"]["levels"]
    levels["tokenizer"] = {"value": 0.51, "low": 0.48, "high": 0.54}
    assert next_steps(result, {})[0].startswith("Words are at chance, the paper's signature of variability")
    levels["phone_repeat"] = levels["tokenizer"]
    assert next_steps(result, {})[0].startswith("Phones at this rate are not shown above chance")
    result["scaling"] = {"sblimp": {"line": {"value": -0.04, "low": -0.06, "high": -0.02}}}
    assert "sBLIMP falls with more training" in next_steps(result, {})[-1]
    result["scaling"]["sblimp"]["line"] = {"value": -1e-9, "low": -2e-9, "high": -1e-10}
    assert "more training" not in next_steps(result, {})[-1]


@pytest.mark.parametrize(
    ("steps", "level"),
    [
        ({"length": (-0.4, -0.43, -0.37), "variability": (-0.02, -0.05, 0.01)}, (0.51, 0.48, 0.54)),  # not named
        ({"variability": (-0.6, -0.63, -0.57)}, (0.2, 0.17, 0.23)),  # the wrong side is preferred
    ],
)
def test_words_that_are_not_above_chance_have_no_cause_where_none_is_shown(steps, level):
    result = make_result(swuggy=make_steps(**steps))
    result["steps"]["swuggy"]["levels"]["tokenizer"] = dict(zip(("value", "low", "high"), level))
    first = next_steps(result, {})[0]
    assert first.startswith("Words are not shown above chance") and "signature" not in first


def test_a_phone_transcript_is_compared_at_the_rate_that_it_has():
    (sentence,) = next_steps(make_result(swuggy=make_steps(variability=(-0.2, -0.25, -0.15))), {})
    assert "a phone transcript at 12.5 Hz: 30.0 %" in sentence


def test_what_looks_like_a_mistake_is_said():
    result = make_result(swuggy=make_steps())
    assert check_results(result) == []
    result["accuracies"]["sblimp"] = {"headline": {"value": 0.31, "high": 0.55}}  # of a few pairs
    result["accuracies"]["swuggy"] = {"headline": {"value": 0.31, "high": 0.39}}
    result["losses"]["best"]["bits_per_second"] = 58.0  # that an utterance has frequencies of its own is learned
    result["quality"]["pnmi"] = 0.25
    signs, shuffled, others = check_results(result)
    assert "sWUGGY is at 31.0 %, far below chance" in signs
    assert "58.0 bits a second and a unigram 60.0" in shuffled
    assert "25.0 % of what the phones are, and 20.0 % of what those of other utterances are" in others
