"""Units as phones: hand-made cases with known error rates and boundaries, and the figures that discophon gives."""

import math
from itertools import permutations

import numpy as np
import pytest

from evoslm.models.unit_quality import BoundaryCounts, PhoneDiscovery, UnitCounts, map_units
from evoslm.models.unit_quality.phone_discovery import phone_runs

NAMES = ("SIL", "AH", "S", "T", "IY")


def aligned(spoken, frames, rate=50):
    """Phones with their times from the frames of each."""
    ends = np.cumsum(frames) / rate
    return [{"phone": p, "start": e - f / rate, "end": e} for p, f, e in zip(spoken, frames, ends)]


def on_frames(spoken, frames):
    return [phone for phone, number in zip(spoken, frames) for _ in range(number)]


def discover(utterances, num_units, kind):
    """The scores of utterances, (spoken phones, frames of each, units), by a mapping that was chosen on them."""
    counts = UnitCounts(num_units)
    for spoken, frames, units in utterances:
        counts.add(units, on_frames(spoken, frames))
    discovery = PhoneDiscovery(map_units(counts.by_phone(), kind))
    for spoken, frames, units in utterances:
        discovery.add(units, aligned(spoken, frames))
    return discovery.scores()


def utterance_by_rule(number):
    """Phones, the frames of each, and ten units of which two are most often a phone's."""
    frames = [1 + (i * i + number) % 4 for i in range(12)]
    spoken = [NAMES[(3 * i + number * i * i) % 5] for i in range(12)]
    units = [
        (2 * NAMES.index(phone) + (i % 7 == 0) + 3 * (i % 5 == number)) % 10
        for i, phone in enumerate(on_frames(spoken, frames))
    ]
    return spoken, frames, np.array(units)


@pytest.mark.parametrize("kind", ["many_to_one", "one_to_one"])
def test_units_that_are_phones_have_no_errors_whatever_they_are_called(kind):
    spoken, frames = ["SIL", "S", "IY1", "T", "SIL"], [3, 2, 4, 1, 2]
    for order in permutations(range(4)):
        names = dict(zip(("SIL", "S", "IY1", "T"), order))
        units = np.array([names[phone] for phone in on_frames(spoken, frames)])
        scores = discover([(spoken, frames, units)], 4, kind)
        assert scores["phone_error_rate"]["value"] == scores["phone_error_rate_with_pauses"]["value"] == 0
        assert scores["f1"] == scores["r_value"] == 1 and scores["over_segmentation"] == 0


def test_two_units_of_a_phone_are_an_error_of_the_one_to_one_mapping_alone():
    spoken, frames, units = ["S", "IY1", "T"], [2, 4, 2], np.array([0, 0, 1, 1, 1, 2, 3, 3])
    many, one = (discover([(spoken, frames, units)], 4, kind) for kind in ("many_to_one", "one_to_one"))
    assert many["phone_error_rate"]["value"] == 0
    assert one["phone_error_rate"]["value"] == pytest.approx(
        1 / 3
    )  # the second unit of IY is a phone that nobody says
    assert (many["f1"], one["precision"], one["recall"], one["over_segmentation"]) == (1, pytest.approx(2 / 3), 1, 0.5)


def test_a_unit_is_named_by_its_most_frequent_phone_and_one_that_does_not_occur_by_that_of_all():
    counts = {"S": np.array([2, 1, 0, 1]), "AH": np.array([1, 4, 0, 1])}
    assert map_units(counts, "many_to_one") == ["S", "AH", "AH", "AH"]
    assert map_units(counts, "one_to_one") == ["S", "AH", "<2>", "<3>"]
    assert map_units({"S": np.array([3]), "AH": np.array([1])}, "one_to_one") == ["S"]


def test_pauses_are_left_out_after_runs_and_stress_is_no_difference():
    phones = aligned(["SIL", "AH0", "AH1", "SIL", "AH2", "T"], [2, 1, 2, 1, 2, 1])
    assert phone_runs(phones) == (["SIL", "AH", "SIL", "AH", "T"], pytest.approx([0, 0.04, 0.1, 0.12, 0.16]))
    discovery = PhoneDiscovery(["SIL", "AH", "T"])
    discovery.add(np.array([1, 1, 1, 1, 1, 0, 1, 1, 1]), phones)
    scores = discovery.scores()
    # AH AH beside AH AH T, and AH SIL AH beside SIL AH SIL AH T.
    assert scores["phone_error_rate"]["value"] == pytest.approx(1 / 3) and scores["phones"] == 3
    assert scores["phone_error_rate_with_pauses"]["value"] == pytest.approx(2 / 5)
    assert (scores["recall"], scores["precision"]) == (pytest.approx(2 / 4), 1)


def test_utterances_weigh_by_their_phones_and_the_interval_is_over_documents():
    discovery = PhoneDiscovery(["S", "T"])
    discovery.add(np.array([0, 1, 0, 1]), aligned(["S", "T", "S", "T"], [1, 1, 1, 1]), "a")
    discovery.add(np.array([0, 0]), aligned(["T"], [2]), "b")
    rate = discovery.scores()["phone_error_rate"]
    assert rate["value"] == pytest.approx(1 / 5) and (rate["low"], rate["high"]) == (0, 1)
    assert math.isnan(PhoneDiscovery(["S"]).scores()["phone_error_rate"]["value"])


def test_the_figures_are_those_of_discophon():
    utterances = [utterance_by_rule(number) for number in range(3)]
    assert utterances[0][2].tolist() == [4, 6, 6, 2, 8, 1, 4, 1, 0, 6, 5, 2, 8, 4, 5, 3, 6, 6]
    names = ("phone_error_rate_with_pauses", "precision", "recall", "f1", "over_segmentation", "r_value")
    # By discophon 0.2.0, whose annotations have a phone each 10 ms: each of ours twice.
    expected = {
        (10, "many_to_one"): (0.387096774, 0.692307692, 0.964285714, 0.805970149, 0.392857143, 0.651238529),
        (5, "one_to_one"): (0.741935484, 0.551020408, 0.964285714, 0.701298701, 0.75, 0.346783121),
    }
    for (num_units, kind), figures in expected.items():
        fewer = [(spoken, frames, units * num_units // 10) for spoken, frames, units in utterances]
        scores = discover(fewer, num_units, kind)
        found = [scores[name]["value"] if isinstance(scores[name], dict) else scores[name] for name in names]
        assert found == pytest.approx(figures)


def test_the_r_value_of_a_worked_example():
    # 3 of 4 boundaries are hit by 6: recall .75, over-segmentation .5, so that the way to (1, 0) is the root of
    # .25² + .5² = .5590, and that to the line recall = 1 + over-segmentation is .75 / √2 = .5303.
    counts = BoundaryCounts(0.02, matching="nearest")
    counts.add([0.1, 0.14, 0.3, 0.46, 0.5, 0.54], [0.1, 0.2, 0.3, 0.5])
    scores = counts.scores()
    assert (scores["precision"], scores["recall"], scores["f1"]) == pytest.approx((0.5, 0.75, 0.6))
    assert counts.over_segmentation == pytest.approx(0.5)
    assert scores["r_value"] == pytest.approx(1 - (0.5590170 + 0.5303301) / 2)
    assert math.isnan(BoundaryCounts(0.02).over_segmentation)


def test_a_boundary_belongs_to_the_nearest_of_the_reference():
    found, expected = [0.11, 0.112], [0.1, 0.13]
    for matching, hits in (("most", 2), ("nearest", 1)):
        counts = BoundaryCounts(0.02, matching)
        counts.add(found, expected)
        assert counts.num_hits == hits
    between = BoundaryCounts(0.02, "nearest")
    between.add([0.12], [0.1, 0.14])  # of two as near, the earlier
    between.add([0.12], [0.14])
    between.add([], [0.5])
    between.add([0.5], [])
    assert (between.num_hits, between.num_found, between.num_expected) == (2, 3, 4)


def test_what_cannot_be_mapped_is_named():
    with pytest.raises(ValueError, match="no mapping 'best' of units to phones, only many_to_one and one_to_one"):
        map_units({"S": np.array([1])}, "best")
    with pytest.raises(ValueError, match="no frames to choose phones for units on; give at least one recording"):
        map_units({}, "many_to_one")
    with pytest.raises(ValueError, match="no matching 'first' of boundaries, only most and nearest"):
        BoundaryCounts(0.02, matching="first")
