"""Sound that changes all the time, for encoders."""

import numpy as np


def speech(seconds, seed=0):
    """Noise whose colour and loudness change, so that frames differ."""
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal(int(16_000 * seconds))
    time = np.arange(len(samples)) / 16_000
    tone = np.sin(2 * np.pi * (200 + 150 * np.sin(2 * np.pi * time)) * time)
    return (0.1 * (0.3 * samples + tone) * (1.2 + np.sin(5 * time))).astype(np.float32)
