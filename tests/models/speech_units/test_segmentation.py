"""Segments that nobody has aligned: syllables found in a sound, and units that a run costs a penalty."""

import itertools
import math

import numpy as np
import pytest
import torch
from speech_like import AUDIO, WHO, in_batches

from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel, fit_unit_normalizations, fit_units
from evoslm.models.speech_units.runs import run_starts
from evoslm.models.speech_units.segmentation import SyllableSegmentation, find_syllables, penalized_units
from evoslm.models.unit_quality.boundaries import BoundaryCounts

RATE, FRAMES = 16_000, 50.0


def syllables_of(waveform: np.ndarray, **settings) -> list[int]:
    frames = len(waveform) // 320
    return find_syllables(waveform, RATE, FRAMES, frames, SyllableSegmentation(**settings)).tolist()


def tones(*levels_and_seconds: tuple[float, float]) -> np.ndarray:
    """A tone of 1 kHz that is as loud, in dB, and as long as each pair says."""
    amplitude = np.concatenate(
        [np.full(round(seconds * RATE), 10 ** (level / 20)) for level, seconds in levels_and_seconds]
    )
    return amplitude * np.sin(2 * np.pi * 1000 * np.arange(len(amplitude)) / RATE)


def test_a_syllable_is_loud_between_valleys_and_a_pause_stands_by_itself():
    said = tones((-80, 0.1), (-10, 0.15), (-30, 0.05), (-10, 0.15), (-80, 0.3), (-10, 0.2), (-80, 0.1))
    found = syllables_of(said)
    assert sum(found) == len(said) // 320 and len(found) == 6  # pause, two syllables, pause, syllable, pause
    starts = np.cumsum(found)[:-1] / FRAMES
    assert starts == pytest.approx([0.1, 0.27, 0.45, 0.75, 0.95], abs=0.05)


def test_how_loud_somebody_speaks_changes_no_boundary():
    said = tones((-80, 0.1), (-10, 0.15), (-30, 0.05), (-12, 0.15), (-80, 0.1))
    assert syllables_of(said) == syllables_of(said / 32)


@pytest.mark.parametrize("samples", [320, 500, 16_000])
def test_silence_and_a_steady_tone_are_one_segment(samples):
    for waveform in (np.zeros(samples), np.sin(np.arange(samples))):
        assert syllables_of(waveform) == [samples // 320]


def test_smoothing_and_prominence_decide_how_many_there_are():
    said = np.concatenate([tones((-10, 0.15), (-16, 0.05)) for _ in range(5)])
    many = len(syllables_of(said))
    assert many >= 5 > len(syllables_of(said, prominence_db=8)) and len(syllables_of(said, smoothing_ms=150)) < many


def test_the_cheapest_path_is_found_whatever_the_blocks():
    random = np.random.default_rng(0)
    for _ in range(100):
        frames, units = int(random.integers(1, 7)), int(random.integers(1, 5))
        distances, penalty = random.random((frames, units)), 0.6 * random.random()

        def cost(path, distances=distances, penalty=penalty):
            changes = sum(one != two for one, two in itertools.pairwise(path))
            return sum(row[unit] for row, unit in zip(distances, path)) + penalty * changes

        best = min(itertools.product(range(units), repeat=frames), key=cost)
        cut = int(random.integers(0, frames + 1))
        assert tuple(penalized_units([distances[:cut], distances[cut:]], penalty)) == best
    assert penalized_units([], 1.0).tolist() == []


def test_a_model_finds_its_syllables_and_pools_their_frames(tmp_path):
    arguments = {"num_units": 12, "segment_parts": 3, "segmentation": {"smoothing_ms": 30.0}}
    model = fit_units(in_batches(AUDIO, WHO, 4), **arguments)
    found = model.find_segments(AUDIO)
    assert [sum(row) for row in found] == [len(row) // 320 for row in AUDIO]
    units = model.units(AUDIO)
    assert [row.tolist() for row in units] == [row.tolist() for row in model.units(AUDIO, segments=found)]
    frames = model.encoder([torch.from_numpy(AUDIO[0]) / 2**15])
    assert model.units_of_frames(frames, segments=found[:1])[0].tolist() == units[0].tolist()
    # It is what a model of given segments is, fitted on these.
    given = fit_units([(AUDIO, WHO, found)], num_units=12, segment_parts=3)
    assert torch.equal(given.centroids, model.centroids)
    batch = torch.zeros(2, max(map(len, AUDIO[:2])), dtype=torch.int16)
    mask = torch.zeros_like(batch)
    for row, samples in enumerate(AUDIO[:2]):
        batch[row, : len(samples)], mask[row, : len(samples)] = torch.from_numpy(samples), 1
    assert [row[row >= 0].tolist() for row in model(batch, mask).units] == [row.tolist() for row in units[:2]]
    model.save_pretrained(tmp_path)
    loaded = SpeechUnitModel.from_pretrained(tmp_path)
    assert loaded.fingerprint() == model.fingerprint() != given.fingerprint()
    assert loaded.config.segmentation["smoothing_ms"] == 30 and loaded.config.segmentation["pause_db"] == 45
    assert [row.tolist() for row in loaded.units(AUDIO)] == [row.tolist() for row in units]


def test_a_penalty_makes_runs_longer_and_is_part_of_the_model(tmp_path):
    nearest = fit_units(in_batches(AUDIO, WHO, 4), num_units=12)
    model = fit_units(in_batches(AUDIO, WHO, 4), num_units=12, duration_penalty=2.0)
    assert torch.equal(nearest.centroids, model.centroids) and nearest.fingerprint() != model.fingerprint()
    assert model.config.mean_distance == model.config.fit["inertia"]
    runs = [sum(int(run_starts(row).sum()) for row in either.units(AUDIO)) for either in (nearest, model)]
    assert 0 < runs[1] < runs[0]
    features = model.extract_features(AUDIO[:1])[0]
    distances = torch.cdist(features, model.centroids.double()).square().numpy()
    expected = penalized_units([distances], 2 * model.config.mean_distance)
    assert model.units(AUDIO[:1])[0].tolist() == expected.tolist()
    assert model.units_of_frames(model.encoder([torch.from_numpy(AUDIO[0]) / 2**15]))[0].tolist() == expected.tolist()
    assert model(torch.from_numpy(AUDIO[0])[None], output_distances=True).units[0].tolist() == expected.tolist()
    model.save_pretrained(tmp_path)
    loaded = SpeechUnitModel.from_pretrained(tmp_path)
    assert loaded.fingerprint() == model.fingerprint()
    assert [row.tolist() for row in loaded.units(AUDIO)] == [row.tolist() for row in model.units(AUDIO)]
    for parameter in loaded.parameters():  # as `from_pretrained` may leave them
        parameter.requires_grad_()
    assert loaded(torch.from_numpy(AUDIO[0])[None]).units[0].tolist() == expected.tolist()
    others = fit_unit_normalizations(in_batches(AUDIO, WHO, 4), ["none"], 12, encoder_of=model)
    assert others["none"].fingerprint() == model.fingerprint()


def test_boundaries_are_hit_once_and_too_many_lower_the_r_value():
    counts = BoundaryCounts(0.02)
    counts.add([0.1, 0.2, 0.31], [0.12, 0.3])
    counts.add([], [0.5])
    counts.add([0.48, 0.5], [0.49])
    scores = counts.scores()
    assert (counts.num_hits, counts.num_found, counts.num_expected) == (3, 5, 4)
    assert (scores["precision"], scores["recall"], scores["f1"]) == pytest.approx((3 / 5, 3 / 4, 6 / 9))
    many, perfect = BoundaryCounts(0.02), BoundaryCounts(0.02)
    many.add(np.arange(0, 1, 0.02), [0.3, 0.6])
    perfect.add([0.3, 0.6], [0.3, 0.6])
    assert many.scores()["recall"] == 1 and many.scores()["r_value"] < 0 and perfect.scores()["r_value"] == 1
    assert math.isnan(BoundaryCounts(0.02).scores()["f1"])


def test_what_does_not_go_together_is_named():
    with pytest.raises(ValueError, match="give segment_parts"):
        SpeechUnitConfig(segmentation={})
    with pytest.raises(ValueError, match="Segmentation has no 'smoothing'; it has smoothing_ms"):
        SpeechUnitConfig(segment_parts=1, segmentation={"smoothing": 3})
    with pytest.raises(ValueError, match="prominence_db is -1"):
        SpeechUnitConfig(segment_parts=1, segmentation={"prominence_db": -1})
    with pytest.raises(ValueError, match="pause_db is 70"):
        SpeechUnitConfig(segment_parts=1, segmentation={"pause_db": 70})
    with pytest.raises(ValueError, match="duration_penalty is -1"):
        SpeechUnitConfig(duration_penalty=-1)
    with pytest.raises(ValueError, match="duration_penalty is 1"):
        SpeechUnitConfig(duration_penalty=1, segment_parts=1)
    with pytest.raises(ValueError, match="The model finds no segments"):
        SpeechUnitModel(SpeechUnitConfig(num_units=4)).find_segments(AUDIO[:1])
    with pytest.raises(ValueError, match="units are of segments"):
        SpeechUnitModel(SpeechUnitConfig(num_units=4, segment_parts=1)).units_of_frames([torch.zeros(5, 39)])
