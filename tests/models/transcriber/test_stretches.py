"""Where somebody may be speaking: not in silence, noise, tones and hum; and where long audio is cut."""

import numpy as np
import pytest
from speech_like import speak

from evoslm.models.transcriber.stretches import find_stretches, may_be_speech

RATE = 16_000


def noise(exponent: float, seconds: float, seed: int = 0) -> np.ndarray:
    """Noise whose power falls with so high a power of the frequency: 0 white, 1 pink, 2 brown."""
    count = int(seconds * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    frequencies = np.maximum(np.fft.rfftfreq(count, 1 / RATE), 20)
    return np.fft.irfft(spectrum * frequencies ** (-exponent / 2), count)


def tones(*frequencies: float, seconds: float = 3.0) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return sum(np.sin(2 * np.pi * frequency * time) / (i + 1) for i, frequency in enumerate(frequencies))


def at_level(samples: np.ndarray, decibels: float) -> np.ndarray:
    return (samples * 10 ** (decibels / 20) / np.sqrt(np.mean(samples**2))).clip(-1, 1).astype(np.float32)


STEADY = {
    "white": noise(0, 3),
    "white, long": noise(0, 28),
    "pink": noise(1, 3),
    "brown": noise(2, 3),
    "tone": tones(440),
    "chord": tones(262, 330, 392),
    "hum": tones(*range(50, 600, 50)),
    "hum in noise": tones(*range(60, 900, 60)) + 0.1 * noise(0, 3),
    "buzz": np.sign(tones(120)),
}
SPEECH = speak(0, 3.0) / 2**15


@pytest.mark.parametrize("decibels", [-50, -12])
@pytest.mark.parametrize("name", STEADY)
def test_steady_sounds_are_no_speech(name, decibels):
    assert not may_be_speech(at_level(STEADY[name], decibels), RATE)


@pytest.mark.parametrize("seconds", [0.05, 1, 40])
def test_silence_is_no_speech(seconds):
    for samples in (np.zeros(int(seconds * RATE), np.float32), at_level(noise(0, seconds), -90)):
        assert not may_be_speech(samples, RATE)
        assert find_stretches(samples, RATE, 30.0) == []


@pytest.mark.parametrize("decibels", [-60, -40, -12])
def test_speech_may_be_as_soft_as_it_likes(decibels):
    assert may_be_speech(at_level(SPEECH, decibels), RATE)


def test_speech_in_noise_as_loud_as_itself_is_speech():
    for seed in range(4):
        assert may_be_speech(at_level(SPEECH, -20) + at_level(noise(0, 3, seed), -20), RATE)


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
