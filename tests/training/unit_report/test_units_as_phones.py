"""Units as phones in the report: phones are chosen on other recordings, and triphones are cut out and compared."""

import math

import numpy as np
import pytest
import torch

from evoslm.models.audio import SAMPLE_RATE
from evoslm.models.speech_units import fit_unit_normalizations
from evoslm.training.unit_report.encoding import EncodedRecordings
from evoslm.training.unit_report.measuring import _pieces
from evoslm.training.unit_report.phone_abx import (
    MAX_TOKENS,
    NOT_INSTALLED,
    cut_features,
    find_triphones,
    measure_phone_abx,
    why_no_phone_abx,
)
from evoslm.training.unit_report.phones import measure_phones
from evoslm.training.unit_report.sources import MeasuredRecording

FRAMES = 3


def recordings_of(spoken, units_of, speakers=None):
    """Recordings whose phones have three frames each, and whose units are those of their phones."""
    found = EncodedRecordings(50.0, units={"none": []})
    for index, text in enumerate(spoken):
        phones = text.split()
        units = np.repeat([units_of[phone] for phone in phones], FRAMES)
        times = [FRAMES * place / 50 for place in range(len(phones) + 1)]
        aligned = [{"phone": p, "start": a, "end": b} for p, a, b in zip(phones, times, times[1:])]
        speaker = speakers[index] if speakers else "one"
        found.units["none"].append(units)
        found.add(MeasuredRecording(f"d{index}", speaker, [], aligned, lambda: None), len(units), 320)
    return found


def runs(units):
    return _pieces(units, "collapsed", None)


def test_phones_are_chosen_on_the_recordings_that_were_fitted_on():
    fitted = recordings_of(["S IY1 T", "IY1 S"], {"S": 0, "IY1": 1, "T": 2})
    same = measure_phones(fitted, recordings_of(["T IY0 S"], {"S": 0, "IY0": 1, "T": 2}), "none", runs, 3)
    other = measure_phones(fitted, recordings_of(["T IY0 S"], {"S": 2, "IY0": 1, "T": 0}), "none", runs, 3)
    assert same["many_to_one"]["phone_error_rate"]["value"] == 0
    assert other["many_to_one"]["phone_error_rate"]["value"] == pytest.approx(2 / 3)
    assert same["unit_boundaries"]["f1"] == other["unit_boundaries"]["f1"] == 1
    assert measure_phones(EncodedRecordings(50.0, units={"none": []}), fitted, "none", runs, 3) == {}


def test_triphones_have_another_phone_between_the_same_two_and_no_pauses():
    names = dict.fromkeys(("SIL", "S", "IY1", "AH0", "T", "N"), 0)
    found = recordings_of(["SIL S IY1 T SIL", "S AH0 T N", "N AH0 T SIL T"], names)
    triphones = find_triphones(found)
    assert [triphone.phones for triphone in triphones] == [("S", "IY", "T"), ("S", "AH", "T")]
    assert [(t.recording, t.first, t.end) for t in triphones] == [(0, 3, 12), (1, 0, 9)]
    often = recordings_of(["S IY1 T", "S AH0 T"] * 15, names, ["one"] * 30)
    drawn = find_triphones(often, seed=1)
    assert len(drawn) == 2 * MAX_TOKENS and drawn == find_triphones(often, seed=1) != find_triphones(often, seed=2)


def test_features_of_triphones_are_what_each_quantizer_clusters():
    rng = np.random.default_rng(0)
    audio = [(rng.standard_normal(SAMPLE_RATE) * 3000).astype(np.int16) for _ in range(4)]
    found = recordings_of(["S IY1 T N", "S AH0 T"], dict.fromkeys(("S", "IY1", "AH0", "T", "N"), 0), ["a", "b"])
    batch = [
        MeasuredRecording(f"d{index}", speaker, [], aligned, lambda index=index: audio[index])
        for index, (speaker, aligned) in enumerate(zip(found.speakers, found.aligned))
    ]
    models = fit_unit_normalizations([(audio, ["a", "b", "a", "b"])], ["none", "speaker"], 5)
    triphones = find_triphones(found)
    features = cut_features(models, [batch[:1], batch[1:]], triphones)
    assert list(features) == ["none", "speaker"]
    for name, model in models.items():
        whole = model.extract_features(audio[1:2], ["b"])[0].float()
        assert torch.equal(torch.from_numpy(features[name][1]), whole[triphones[1].first : triphones[1].end])
    assert not np.array_equal(features["none"][0], features["speaker"][0])


def test_it_is_said_why_phones_are_not_compared():
    silent = EncodedRecordings(50.0, units={"none": []}, aligned=[[]])
    assert why_no_phone_abx(silent) == "The recordings have no phones."
    found = recordings_of(["S IY1 T"], {"S": 0, "IY1": 1, "T": 2})
    assert why_no_phone_abx(found) in (None, NOT_INSTALLED)


def test_abx_of_units_that_are_phones_is_without_error_and_of_one_unit_is_chance():
    pytest.importorskip("fastabx")
    spoken, speakers = ["S IY1 T", "S AH0 T"] * 4, ["one"] * 4 + ["two"] * 4
    for units_of, errors in (
        ({"S": 0, "IY1": 1, "AH0": 2, "T": 3}, [0, 0]),
        (dict.fromkeys(("S", "IY1", "AH0", "T"), 0), [0.5, 0.5]),
    ):
        found = recordings_of(spoken, units_of, speakers)
        triphones = find_triphones(found)
        one_hot = [np.eye(4, dtype=np.float32)[found.units["none"][t.recording][t.first : t.end]] for t in triphones]
        report = measure_phone_abx(triphones, found.units, {"none": one_hot})
        assert report["triphones"] == 8 and report["engine"].startswith("fastabx ")
        assert [row["of"] for row in report["rows"]] == ["features", "units"]
        for row in report["rows"]:
            assert [row["within_speaker"], row["across_speaker"]] == errors


def test_abx_of_what_cannot_be_compared_is_not_a_number():
    pytest.importorskip("fastabx")
    found = recordings_of(["S IY1 T", "S AH0 T"], {"S": 0, "IY1": 1, "AH0": 2, "T": 3})
    for triphones in (find_triphones(found), []):
        (row,) = measure_phone_abx(triphones, found.units, {})["rows"]
        assert math.isnan(row["within_speaker"]) and math.isnan(row["across_speaker"])
