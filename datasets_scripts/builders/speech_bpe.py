"""Speech-BPE: collapsed speech units, to be joined into SentencePiece pieces, an answer to factor B.

shards of `id` and `units` -> runs collapsed -> content. The content is that of Speech-Dedup; the tokenizer makes the
difference.
"""

from .base import CITATION, UNITS_CITATION, conditions
from .speech_dedup import SpeechDedup


class SpeechBpe(SpeechDedup):
    """The dataset of units for SentencePiece (2310.08715, Section 3)."""

    BUILDER_CONFIGS = conditions("speech_bpe", voices=True)
    citation = f"{UNITS_CITATION}\n\n{CITATION}"
