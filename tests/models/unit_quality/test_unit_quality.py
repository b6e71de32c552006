"""Unit quality: what can be worked out by hand, and what real synthesis gives."""

import math

import numpy as np
import pytest

from evoslm.models.speech_units import fit_units
from evoslm.models.unit_quality import compare_units, unit_quality


def test_a_case_worked_out_by_hand():
    # p(A, 0) = 1/2, p(B, 0) = p(B, 1) = 1/4: H(phone) = 1 bit, H(unit) = 0.8113, H(both) = 1.5.
    quality = unit_quality([np.array([0, 0, 0, 1])], [["AA1", "AA1", "B", "B"]])
    assert quality["pnmi"] == pytest.approx(1 + 0.811278 - 1.5, abs=1e-6)
    assert quality["phone_purity"] == 0.75  # unit 0 is AA (2 of 3 frames right), unit 1 is B
    assert quality["cluster_purity"] == 0.75  # AA is unit 0, B is one of the two
    assert quality["perplexity"] == pytest.approx(2**0.811278, abs=1e-5)
    # Runs 000 and 1 in 80 ms: 25 symbols a second, one bit each.
    assert (quality["mean_run_frames"], quality["mean_run_ms"], quality["mean_phone_run_frames"]) == (2.0, 40.0, 2.0)
    assert (quality["units_per_second"], quality["units_per_second_dedup"]) == (50.0, 25.0)
    assert quality["bits_per_second"] == pytest.approx(50 * 0.811278, abs=1e-4)
    assert quality["bits_per_second_dedup"] == pytest.approx(25.0)
    assert quality["pnmi_bias"] == pytest.approx((3 - 2 - 2 + 1) / 8 / math.log(2))
    assert (quality["num_utterances"], quality["num_frames"]) == (1, 4)


def test_units_that_are_the_phones_under_other_names_are_perfect():
    phones = ["SIL", "AA1", "B", "B", "T", "AA1", "SIL"]
    units = np.array([3, 0, 1, 1, 2, 0, 3])
    quality = unit_quality([units, units], [phones, phones])
    for name in ("pnmi", "phone_purity", "cluster_purity"):
        for suffix in ("", "_with_stress", "_without_silence", "_with_stress_without_silence"):
            assert quality[name + suffix] == pytest.approx(1.0)


def test_units_that_are_independent_of_the_phones_say_nothing():
    quality = unit_quality([np.array([0, 1, 0, 1])], [["B", "B", "T", "T"]])
    assert quality["pnmi"] == pytest.approx(0.0, abs=1e-12)
    assert quality["phone_purity"] == quality["cluster_purity"] == 0.5


def test_stress_counts_only_where_it_is_asked_for():
    quality = unit_quality([np.array([0, 0, 1, 1])], [["AH0", "AH1", "T", "T"]])
    assert quality["pnmi"] == pytest.approx(1.0)
    # H(phone) = 1.5 bits, of which the unit tells 1.
    assert quality["pnmi_with_stress"] == pytest.approx(1 / 1.5)
    assert quality["phone_purity_with_stress"] == 0.75


def test_silence_is_a_phone_unless_it_is_left_out():
    quality = unit_quality([np.array([5, 5, 0, 0])], [["SIL", "SIL", "B", "T"]])
    assert quality["pnmi"] == pytest.approx(1 / 1.5)
    assert quality["pnmi_without_silence"] == pytest.approx(0.0, abs=1e-12)
    assert quality["phone_purity_without_silence"] == 0.5
    assert quality["num_frames"] == 4


def test_measures_without_a_meaning_are_nan():
    quality = unit_quality([np.array([0, 1])], [["SIL", "SIL"]])
    assert math.isnan(quality["pnmi"])
    assert math.isnan(quality["pnmi_without_silence"])
    assert math.isnan(quality["phone_purity_without_silence"])
    assert quality["phone_purity"] == 1.0


def test_cluster_use_counts_units_that_never_occur():
    quality = unit_quality([np.array([0, 1])], [["B", "T"]], num_units=8)
    assert quality["units_used"] == 0.25
    assert quality["perplexity"] == pytest.approx(2.0)


def test_a_run_ends_with_its_utterance():
    assert unit_quality([np.array([1, 1]), np.array([1, 1])], [["B", "B"]] * 2)["mean_run_frames"] == 2.0


def test_the_bias_is_what_random_units_seem_to_know():
    rng = np.random.default_rng(0)
    qualities = [
        unit_quality([rng.integers(0, 50, 4000)], [rng.choice(["AA1", "B", "T", "SIL", "S"], 4000)], num_units=50)
        for _ in range(20)
    ]
    pnmi, bias = (np.mean([quality[name] for quality in qualities]) for name in ("pnmi", "pnmi_bias"))
    assert pnmi == pytest.approx(bias, rel=0.1)


def test_numbers_are_plain_python():
    quality = unit_quality([np.array([0, 0, 1], np.uint16)], [["SIL", "B", "T"]])
    assert all(type(value) in (int, float) for value in quality.values())


@pytest.mark.parametrize(
    ("units", "phones", "arguments", "message"),
    [
        ([], [], {}, "no frames to measure"),
        ([[0, 1]], [["B"]], {}, "Utterance 0 has 2 units, but phones of 1 frames"),
        ([[0]], [["B"], ["T"]], {}, "units of 1 utterances, but phones of 2"),
        ([[0, 9]], [["B", "T"]], {"num_units": 5}, "Units must be from 0 to 4; found 0 to 9"),
    ],
)
def test_what_cannot_be_measured_is_explained(units, phones, arguments, message):
    with pytest.raises(ValueError, match=message):
        unit_quality(units, phones, **arguments)


def test_units_of_synthesized_speech_know_its_phones():
    from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer

    words = ["the", "old", "river", "ran", "past", "seven", "small", "houses", "while", "children", "watched", "bread"]
    rng = np.random.default_rng(0)
    synthesizer = EspeakSynthesizer()
    audio, phones = [], []
    for _ in range(24):
        rendering = synthesizer.render(" ".join(rng.choice(words, 12)).capitalize() + ".")
        centres = (np.arange(len(rendering.audio) // 320) + 0.5) / 50
        ends = [phone["end"] for phone in rendering.phones]
        phones.append([rendering.phones[i]["phone"] for i in np.searchsorted(ends, centres)])
        audio.append(rendering.audio)
    model = fit_units([(audio[:16], None)], 60)
    units = model.units(audio[16:])
    quality = unit_quality(units, phones[16:], num_units=60)
    rng.shuffle(mixed := np.concatenate(units))
    chance = unit_quality([mixed], [[phone for sequence in phones[16:] for phone in sequence]], num_units=60)
    assert quality["pnmi"] > 0.55
    assert quality["pnmi"] > chance["pnmi"] + 0.4
    assert quality["phone_purity"] > 0.5
    assert 1.0 < quality["mean_run_frames"] < quality["mean_phone_run_frames"]


def test_units_that_have_other_names_agree_wholly():
    first = [np.array([0, 0, 1, 2]), np.array([2, 1])]
    renamed = [np.array([7, 7, 3, 5]), np.array([5, 3])]
    agreement = compare_units(first, renamed)
    assert agreement == {"nmi": pytest.approx(1.0), "matched": 1.0, "num_frames": 6}
    halved = compare_units([np.array([0, 0, 1, 1])], [np.array([0, 1, 0, 1])])
    assert halved["nmi"] == pytest.approx(0.0, abs=1e-12) and halved["matched"] == 0.5


def test_units_of_other_frames_are_not_compared():
    with pytest.raises(ValueError, match="not of the same frames"):
        compare_units([[0, 1]], [[0]])
    with pytest.raises(ValueError, match="no frames"):
        compare_units([], [])
