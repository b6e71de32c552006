"""Joint-CST: speech and text of an utterance one after the other, in both orders (2310.08715, Section 3).

utterances and units -> "<speech> ▪17▪942 <speech_to_text> The cat sat." or the other way round.
"""

from dataclasses import dataclass

import numpy as np

from ..builders.base import VERSION
from .base import JointBuilder, JointConfig
from .mixture import CST, draw_sequence
from .sequences import JointUtterance
from .switching import SPEECH, TEXT, Spans


@dataclass
class CstConfig(JointConfig):
    """
    Which of the two comes first.

    Args:
        first (`str`, *optional*): `"speech"` or `"text"`. As a coin falls for each utterance and epoch when not given.
    """

    first: str | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.first not in (None, SPEECH, TEXT):
            raise ValueError(f"first has to be {SPEECH} or {TEXT}, not {self.first!r}.")


class JointCst(JointBuilder):
    """The dataset of concatenated speech and text (2310.08715, Section 3)."""

    BUILDER_CONFIG_CLASS = CstConfig
    BUILDER_CONFIGS = [CstConfig(name="joint_cst", version=VERSION)]
    summary = "Speech units and text of each utterance, one after the other."

    def write(self, utterance: JointUtterance, rng: np.random.Generator) -> str:
        """The whole utterance twice."""
        if self.config.first:
            return utterance.concatenate(self.config.first)
        return draw_sequence(utterance, CST, Spans(), rng)
