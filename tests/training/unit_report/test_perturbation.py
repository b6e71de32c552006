"""Perturbations keep what they say that they keep, and the unit edit distance counts what they change."""

import json
from functools import partial

import numpy as np
import pytest

from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
from evoslm.datasets_scripts.synthesis.utterances import render_utterances
from evoslm.datasets_scripts.text.passages import Passage
from evoslm.models.speech_units import fit_units
from evoslm.training.unit_report.encoding import encode_batch
from evoslm.training.unit_report.measuring import build_unit_report
from evoslm.training.unit_report.perturbation import (
    PERTURBATIONS,
    Perturbation,
    align,
    encode_again,
    measure_perturbations,
    unit_edit_distance,
)
from evoslm.training.unit_report.sources import MeasuredRecording

SENTENCES = ("Are we away more or less?", "The sailor saw a silver window.", "Nobody knows where the horse went.")


def speak(text, **settings):
    """int16 samples at 16 kHz."""
    return EspeakSynthesizer().render(text, **settings).audio


def perturbed(name, audio, seed=0):
    return PERTURBATIONS[name].perturb(audio, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def audio():
    """Voiced nearly throughout."""
    return speak(SENTENCES[0]).astype(np.float32) / 2**15


@pytest.fixture(scope="module")
def recordings():
    return [
        MeasuredRecording(f"d{index}", "base", [], [], partial(speak, text)) for index, text in enumerate(SENTENCES)
    ]


@pytest.fixture(scope="module")
def model():
    return fit_units([([speak(" ".join(SENTENCES))], None)], 20)


@pytest.fixture(scope="module")
def measured(recordings, model):
    return measure_perturbations(recordings, partial(encode_batch, {"none": model}), PERTURBATIONS)


def fundamental(audio):
    """The median over windows of 0.1 s of the frequency at which a window is most like itself."""
    found = []
    for start in range(0, len(audio) - 1600, 800):
        window = audio[start : start + 1600] * np.hanning(1600)
        likeness = np.correlate(window, window, "full")[1599:]
        period = 50 + int(likeness[50:320].argmax())
        if likeness[period] > 0.5 * likeness[0] and np.mean(window**2) > 1e-4:
            found.append(16_000 / period)
    return float(np.median(found))


def test_edits_are_counted_over_the_collapsed_units_of_the_clean_recording():
    assert unit_edit_distance([7, 7, 3, 3, 3], [7, 3, 3]) == 0
    assert unit_edit_distance([7, 7, 3, 5, 5, 4], [7, 3, 9, 4]) == 1 / 4
    assert unit_edit_distance([1, 1], [1, 2, 3, 2]) == 3


@pytest.mark.parametrize(("name", "semitones"), [("pitch_up", 2), ("pitch_down", -2)])
def test_pitch_moves_by_its_semitones_and_duration_and_level_stay(audio, name, semitones):
    shifted = perturbed(name, audio)
    assert len(shifted) == len(audio)
    assert np.mean(shifted**2) == pytest.approx(np.mean(audio**2), rel=1e-3)
    assert 12 * np.log2(fundamental(shifted) / fundamental(audio)) == pytest.approx(semitones, abs=0.5)


@pytest.mark.parametrize(("name", "factor"), [("slow", 0.9), ("fast", 1.1)])
def test_speed_divides_the_number_of_samples_by_its_factor(audio, name, factor):
    assert len(perturbed(name, audio)) == pytest.approx(len(audio) / factor, abs=1)


@pytest.mark.parametrize("snr", [20, 10, 0])
def test_noise_has_the_energy_that_its_snr_says(audio, snr):
    noise = perturbed(f"noise_{snr}", audio).astype(np.float64) - audio
    assert 10 * np.log10(np.sum(audio.astype(np.float64) ** 2) / np.sum(noise**2)) == pytest.approx(snr, abs=0.1)
    assert np.array_equal(perturbed(f"noise_{snr}", audio), perturbed(f"noise_{snr}", audio))
    assert not np.array_equal(perturbed(f"noise_{snr}", audio), perturbed(f"noise_{snr}", audio, seed=1))


def test_a_room_has_echoes_after_what_is_said_and_its_level(audio):
    ended = np.concatenate([audio, np.zeros(8000, np.float32)])
    room = perturbed("reverberation", ended)
    assert len(room) == len(ended) and np.mean(room**2) == pytest.approx(np.mean(ended**2), rel=1e-3)
    echoes = np.square(room[len(audio) - 1600 :])
    assert np.mean(echoes[1600:3200]) > 10 * np.mean(echoes[4800:6400])


@pytest.mark.parametrize("delay", [0, 37, 1105, -20])
def test_the_delay_of_a_codec_is_taken_out(audio, delay):
    delayed = np.pad(audio, (delay, 0)) if delay >= 0 else audio[-delay:]
    assert np.array_equal(align(delayed, audio)[20:], audio[20:])


@pytest.mark.parametrize("name", ["mp3", "opus"])
def test_a_codec_gives_the_same_sound_at_the_same_time(audio, name):
    if PERTURBATIONS[name].obstacle:
        pytest.skip(PERTURBATIONS[name].obstacle)
    coded = perturbed(name, audio)
    assert len(coded) == len(audio) and not np.array_equal(coded, audio)
    moved = [np.dot(coded[50 + shift : len(audio) - 50 + shift], audio[50:-50]) for shift in range(-50, 51)]
    assert abs(int(np.argmax(moved)) - 50) <= 2


def test_a_codec_without_loss_changes_no_unit(recordings, model):
    lossless = Perturbation("FLAC", partial(encode_again, container="FLAC", subtype="PCM_16"), ("FLAC", "PCM_16"))
    untouched = Perturbation("nothing", lambda audio, rng: audio)
    rows = measure_perturbations(
        recordings, partial(encode_batch, {"none": model}), {"flac": lossless, "nothing": untouched}
    )["rows"]
    assert [(row["label"], row["value"], row["high"]) for row in rows] == [("FLAC", 0, 0), ("nothing", 0, 0)]


def test_every_perturbation_has_a_row_and_more_noise_changes_more_units(measured):
    rows = {row["perturbation"]: row for row in measured["rows"]}
    assert {*rows, *(entry["perturbation"] for entry in measured["not_measured"])} == set(PERTURBATIONS)
    assert measured["recordings"] == len(SENTENCES)
    assert 0 < rows["noise_20"]["value"] < rows["noise_10"]["value"] < rows["noise_0"]["value"]
    assert all(0 <= row["low"] <= row["high"] for row in rows.values())


def test_the_same_seed_gives_the_same_distances(recordings, model, measured):
    assert measure_perturbations(recordings, partial(encode_batch, {"none": model}), PERTURBATIONS) == measured


def test_a_codec_that_cannot_be_written_and_a_table_of_units_are_said(recordings, model):
    unknown = Perturbation("AAC", partial(encode_again, container="AAC", subtype="AAC"), ("AAC", "AAC"))
    found = measure_perturbations(recordings, partial(encode_batch, {"none": model}), {"aac": unknown})
    assert found["rows"] == [] and found["not_measured"][0]["perturbation"] == "aac"
    assert found["not_measured"][0]["reason"].endswith("does not write AAC AAC")
    found = measure_perturbations(recordings, None, {"noise_0": PERTURBATIONS["noise_0"]})
    assert found["not_measured"][0]["reason"] == "a table of units has none of perturbed sound"


def test_a_recording_too_short_to_be_perturbed_is_left_out(model):
    short = MeasuredRecording("d", "base", [], [], lambda: np.ones(800, np.int16))
    found = measure_perturbations([short], partial(encode_batch, {"none": model}), PERTURBATIONS)
    assert found["recordings"] == 0 and found["rows"] == []


def test_the_report_has_the_perturbations_that_are_asked_for(tmp_path):
    passages = [Passage(f"p{index}", f"d{index}", "t", "train", (text,)) for index, text in enumerate(SENTENCES * 4)]
    render_utterances(passages, tmp_path / "shards", progress=False)
    arguments = {"num_units": 10, "bpe_vocab_size": 0, "max_frames": 500, "perturbed_recordings": 2}
    report = build_unit_report(
        tmp_path / "shards", tmp_path / "report", perturbations=("noise_0", "fast"), **arguments
    )
    assert report["perturbations"]["recordings"] == 2
    rows = {(row["perturbation"], row["normalization"]): row["value"] for row in report["perturbations"]["rows"]}
    assert list(rows) == [(name, n) for n in ("none", "speaker") for name in ("noise_0", "fast")]
    page = (tmp_path / "report" / "unit_report.md").read_text()
    assert (
        "## Under perturbation" in page and f"| white noise, SNR 0 dB | {100 * rows['noise_0', 'none']:.1f} [" in page
    )
    assert json.loads((tmp_path / "report" / "unit_report.json").read_text()) == report
    arguments["perturbed_recordings"] = 0
    build_unit_report(tmp_path / "shards", tmp_path / "none", **arguments)
    assert "Under perturbation" not in (tmp_path / "none" / "unit_report.md").read_text()
