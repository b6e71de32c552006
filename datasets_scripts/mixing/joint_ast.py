"""Joint-AST: an utterance whose words are said and written in turn (2310.08715, Section 3).

utterances and units -> "<text> The cat <text_to_speech> ▪17▪942 <speech_to_text> the mat."
"""

from dataclasses import dataclass, field

import numpy as np

from ..builders.base import VERSION
from .base import JointBuilder, JointConfig
from .mixture import AST, draw_sequence
from .sequences import JointUtterance
from .switching import switching_rule


@dataclass
class AstConfig(JointConfig):
    """
    Where the modality changes.

    Args:
        rule (`str`, *optional*, defaults to `"spans"`): One of `SWITCHING_RULES`.
        rule_options (`dict`, *optional*): Arguments of the rule.
    """

    rule: str = "spans"
    rule_options: dict = field(default_factory=dict)

    def __post_init__(self):
        super().__post_init__()
        switching_rule(self.rule, **self.rule_options)


class JointAst(JointBuilder):
    """The dataset of alternating speech and text (2310.08715, Section 3)."""

    BUILDER_CONFIG_CLASS = AstConfig
    BUILDER_CONFIGS = [AstConfig(name="joint_ast", version=VERSION)]
    summary = "Each utterance with some of its words in speech units and the others in text, in turn."

    def write(self, utterance: JointUtterance, rng: np.random.Generator) -> str:
        """Spans as the rule draws them."""
        return draw_sequence(utterance, AST, switching_rule(self.config.rule, **self.config.rule_options), rng)
