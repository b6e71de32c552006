"""What pipelines ask of speech synthesis, which lies above this room: [`evoslm.pipeline`] hands one in."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class SpokenPhones:
    """
    Phones as they were spoken.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): int16, 16 kHz, mono.
        phones (`list[dict]`): `{"phone", "start", "end"}` in seconds, without gaps.
    """

    audio: np.ndarray
    phones: list[dict]


@dataclass(frozen=True)
class SpokenText(SpokenPhones):
    """
    A text as it was spoken.

    Args:
        text (`str`): The text as it was read: numbers and abbreviations in words.
        words (`list[dict]`): `{"word", "start", "end"}` of each white-space word, in seconds.
    """

    text: str
    words: list[dict]


class SpeechSynthesizer(Protocol):
    """Speaks texts and phones, and writes what it has spoken in the modalities of phones."""

    def speak_text(self, text: str, is_prompt: bool = True) -> SpokenText:
        """
        Speak a text.

        Args:
            text (`str`): The text.
            is_prompt (`bool`, *optional*, defaults to `True`): Whether it is read as an utterance of a corpus begins:
                normalised, behind a short silence, and before the pause that follows a sentence if it is whole.
                Otherwise it is read as it is, without silence.

        Raises:
            `ValueError`: If there is nothing to speak in it.
        """

    def speak_phones(self, phones: list[str]) -> SpokenPhones:
        """Speak ARPAbet phones; a SIL is a pause."""

    def write_frames(self, spoken: SpokenPhones, frame_rate: float) -> list[str]:
        """The phone of each frame of what was spoken."""

    def syllable_frames(self, spoken: SpokenPhones, frame_rate: float) -> np.ndarray:
        """The frames of each syllable and pause of what was spoken."""
