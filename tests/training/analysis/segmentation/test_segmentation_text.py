"""What the page says of word boundaries, by what was found in the published study."""

import json
from copy import deepcopy
from pathlib import Path

import pytest

from evoslm.models.modalities import MODALITIES
from evoslm.training.analysis.segmentation.text import write_segmentation

ROOT = Path(__file__).parents[4]


@pytest.fixture
def found():
    numbers = json.loads((ROOT / "docs" / "results" / "laptop" / "analysis.json").read_text(encoding="utf-8"))
    return numbers["parts"]["segmentation"]["found"]


def say(found) -> str:
    return write_segmentation(found, {name: MODALITIES[name].label for name in found}, 0.02).paragraphs[2]


def test_a_rule_that_looks_at_nothing_is_named_where_it_does_better(found):
    assert "whatever it is, does better than surprisal: Phone-BPE (58.0 % with n = 1)." in say(found)
    other = deepcopy(found)
    other["phone_bpe"]["every"]["f1"]["low"] = other["phone_bpe"]["model"]["f1"]["high"]
    assert "whatever it is" not in say(other)


def test_who_finds_more_is_said_by_the_interval_of_the_difference_and_never_of_one_training(found):
    assert "Neither the model nor n-grams are shown to find more: Phone-Raw (−1.7\xa0points)." in say(found).replace(
        " points", "\xa0points"
    )
    other = deepcopy(found)
    other["phone_raw"]["gain"]["low"] = 0.001
    assert "The model finds more of the words than n-grams over the same ids do: Phone-Raw" in say(other)
    other["phone_raw"]["seeds"] = [0]
    assert "With one training nothing is shown of models" in say(other)
