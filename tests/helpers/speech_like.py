"""Something like speech that tests of units can make, of two speakers."""

import numpy as np

RATE = 16_000
SPEAKERS = ("high", "low")


def speak(seed: int, seconds: float, pitch: float = 120.0) -> np.ndarray:
    """Something like speech: a harmonic tone whose two formants move, with pauses, as int16."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    steps = np.arange(0, seconds + 0.2, 0.1)
    first, second = (np.interp(time, steps, rng.uniform(*limits, len(steps))) for limits in ((300, 900), (900, 2500)))
    loudness = np.interp(time, steps, rng.choice([0.0, 1.0], len(steps), p=[0.2, 0.8]))
    audio = np.zeros_like(time)
    for harmonic in range(1, int(4000 / pitch)):
        frequency = harmonic * pitch
        gain = np.exp(-(((frequency - first) / 150) ** 2)) + np.exp(-(((frequency - second) / 200) ** 2))
        audio += gain * np.sin(2 * np.pi * frequency * time)
    return np.clip(loudness * audio * 4000 + rng.normal(0, 20, len(time)), -32768, 32767).astype(np.int16)


def corpus(num_utterances: int = 16) -> tuple[list[np.ndarray], list[str]]:
    lengths = np.random.default_rng(7).uniform(0.5, 3, num_utterances)
    speakers = [SPEAKERS[i % 2] for i in range(num_utterances)]
    audio = [speak(i, seconds, {"high": 210.0, "low": 110.0}[speakers[i]]) for i, seconds in enumerate(lengths)]
    return audio, speakers


AUDIO, WHO = corpus()


def in_batches(audio, speakers, size):
    for start in range(0, len(audio), size):
        yield audio[start : start + size], speakers[start : start + size]
