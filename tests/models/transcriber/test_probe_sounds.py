"""What a transcriber is tried with: levels, babble at a signal-to-noise ratio, and sounds by a seed alone."""

import numpy as np
import pytest
from speech_like import speak

from evoslm.models.transcriber.probe_sounds import (
    CHANGING_SOUNDS,
    CHOSEN_ON,
    NUM_BABBLING,
    QUIET_SOUNDS,
    STEADY_SOUNDS,
    add_babble,
    at_level,
    level_of,
)

RATE = 16_000
SOUNDS = QUIET_SOUNDS | STEADY_SOUNDS | CHANGING_SOUNDS
SPEECH = [speak(seed, seconds) / 2**15 for seed, seconds in enumerate((2.0, 1.3, 0.7))]


@pytest.mark.parametrize("decibels", [-55.0, -20.0])
def test_a_sound_has_the_level_that_is_asked_for_and_silence_none(decibels):
    assert level_of(at_level(SPEECH[0], decibels)) == pytest.approx(decibels, abs=1e-3)
    assert not at_level(np.zeros(RATE), decibels).any() and level_of(np.zeros(RATE)) == -np.inf
    assert np.abs(at_level(SPEECH[0], 20.0)).max() == 1


@pytest.mark.parametrize("snr", [5, -5])
def test_babble_is_as_loud_as_the_ratio_says_however_few_others_there_are(snr):
    for others in (SPEECH[1:], SPEECH[1:] * NUM_BABBLING):
        among = add_babble(SPEECH[0], others, np.random.default_rng(0), snr)
        babble = among - SPEECH[0]
        assert level_of(SPEECH[0]) - level_of(babble) == pytest.approx(snr, abs=0.01)
        assert np.array_equal(among, add_babble(SPEECH[0], others, np.random.default_rng(0), snr))
        assert not np.array_equal(among, add_babble(SPEECH[0], others, np.random.default_rng(1), snr))


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_is_of_its_length_and_of_its_seed_alone(name):
    for seconds in (0.3, 2):
        count = int(seconds * RATE)
        samples = SOUNDS[name](count, np.random.default_rng(3))
        assert samples.shape == (count,) and np.isfinite(samples).all()
        assert samples.any() == (name != "silence")
        assert np.array_equal(samples, SOUNDS[name](count, np.random.default_rng(3)))


@pytest.mark.parametrize(("color", "slope"), [("blue", 3), ("white", 0), ("pink", -3), ("brown", -6)])
def test_noises_fall_by_so_many_decibels_an_octave(color, slope):
    power = np.abs(np.fft.rfft(STEADY_SOUNDS[f"{color} noise"](20 * RATE, np.random.default_rng(0)))) ** 2
    octaves = [10 * np.log10(power[20 * low : 40 * low].mean()) for low in (250, 500, 1000, 2000)]
    assert np.diff(octaves) == pytest.approx(slope, abs=0.5)


def test_the_rules_were_chosen_on_sounds_that_there_are():
    assert set(CHOSEN_ON) < set(SOUNDS)
