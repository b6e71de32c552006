"""Phone-Repeat: each phone once a frame, so that it has the length and the durations of speech.

utterance shards -> columns `phones` and `duration` -> frames of each phone -> content. Each row has exactly the frames
of the units of the same audio.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ...models.audio import FRAME_SAMPLES
from ..phones.frames import frame_counts, num_frames
from .base import ModalityBuilder, ModalityConfig, conditions, join_symbols, list_lengths


@dataclass
class PhoneRepeatConfig(ModalityConfig):
    """
    One condition of Phone-Repeat.

    Args:
        frame_samples (`float`, *optional*, defaults to 320): Samples from one frame of the encoder to the next.
    """

    frame_samples: float = FRAME_SAMPLES


class PhoneRepeat(ModalityBuilder):
    """The dataset of Phone-Repeat (2412.17048, Section 3.1)."""

    BUILDER_CONFIG_CLASS = PhoneRepeatConfig
    BUILDER_CONFIGS = conditions("phone_repeat", config=PhoneRepeatConfig)
    columns = ("id", "phones", "duration")
    summary = "The ARPAbet phones of each utterance, each repeated by its duration: one symbol a frame of speech."

    def contents(self, batch: pa.RecordBatch) -> pa.Array:
        """Each phone once a frame."""
        lengths = list_lengths(batch["phones"])
        phones = batch["phones"].flatten()
        ends = np.split(phones.field("end").to_numpy(zero_copy_only=False), np.cumsum(lengths)[:-1])
        frame_samples = self.config.frame_samples
        frames = [num_frames(duration, frame_samples) for duration in batch["duration"].to_pylist()]
        counts = []
        for utterance, row_ends, row_frames in zip(batch["id"].to_pylist(), ends, frames):
            try:
                counts.append(frame_counts(row_ends, row_frames, frame_samples))
            except ValueError as error:
                raise ValueError(f"utterance {utterance}: {error}") from error
        repeated = np.repeat(np.arange(len(phones)), np.concatenate(counts))
        return join_symbols(phones.field("phone").take(repeated), np.array(frames))
