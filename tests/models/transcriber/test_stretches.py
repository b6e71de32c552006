"""Where somebody may be speaking: not in silence, noise, tones and hum; and where long audio is cut."""

import numpy as np
import pytest
from speech_like import speak

from evoslm.models.transcriber.probe_sounds import QUIET_SOUNDS, STEADY_SOUNDS, at_level
from evoslm.models.transcriber.stretches import find_stretches, may_be_speech

RATE = 16_000
SPEECH = speak(0, 3.0) / 2**15


def white_noise(seconds: float, seed: int = 0) -> np.ndarray:
    return STEADY_SOUNDS["white noise"](int(seconds * RATE), np.random.default_rng(seed))


@pytest.mark.parametrize("decibels", [-50, -12])
@pytest.mark.parametrize(("name", "seconds"), [*((name, 3) for name in STEADY_SOUNDS), ("white noise", 28)])
def test_steady_sounds_are_no_speech(name, seconds, decibels):
    samples = STEADY_SOUNDS[name](seconds * RATE, np.random.default_rng(0))
    assert not may_be_speech(at_level(samples, decibels), RATE)


@pytest.mark.parametrize("seconds", [0.05, 1, 40])
def test_silence_is_no_speech(seconds):
    makers = (*QUIET_SOUNDS.values(), lambda count, rng: at_level(rng.standard_normal(count), -90))
    for make in makers:
        samples = make(int(seconds * RATE), np.random.default_rng(0)).astype(np.float32)
        assert not may_be_speech(samples, RATE)
        assert find_stretches(samples, RATE, 30.0) == []


@pytest.mark.parametrize("decibels", [-60, -40, -12])
def test_speech_may_be_as_soft_as_it_likes(decibels):
    assert may_be_speech(at_level(SPEECH, decibels), RATE)


def test_speech_in_noise_as_loud_as_itself_is_speech():
    for seed in range(4):
        assert may_be_speech(at_level(SPEECH, -20) + at_level(white_noise(3, seed), -20), RATE)


def test_other_rates_hear_the_same():
    for rate in (8_000, 22_050, 48_000):
        generator = np.random.default_rng(0)
        assert not may_be_speech(0.1 * generator.standard_normal(2 * rate).astype(np.float32), rate)
        assert not may_be_speech(0.1 * np.sin(np.arange(2 * rate) * 2 * np.pi * 440 / rate).astype(np.float32), rate)


def test_long_audio_is_cut_where_it_is_quiet():
    words = [np.concatenate([at_level(speak(i, 4.0) / 2**15, -20), np.zeros(RATE // 2)]) for i in range(16)]
    audio = np.concatenate(words).astype(np.float32)
    stretches = find_stretches(audio, RATE, 30.0)
    assert stretches[0][0] == 0 and stretches[-1][1] == len(audio)
    assert all(end == start for (_, end), (start, _) in zip(stretches, stretches[1:]))
    assert all(0 < end - start <= 30 * RATE for start, end in stretches)
    for _, end in stretches[:-1]:
        assert np.abs(audio[end - 400 : end + 400]).max() < 0.05 * np.abs(audio).max()


def test_of_long_audio_only_stretches_with_speech_are_kept():
    audio = np.concatenate([np.zeros(60 * RATE), SPEECH, np.zeros(60 * RATE)]).astype(np.float32)
    (start, end), *others = find_stretches(audio, RATE, 30.0)
    assert not others and start <= 60 * RATE and end >= 63 * RATE and end - start <= 30 * RATE
