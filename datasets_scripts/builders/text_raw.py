"""Text-Raw: the text of each utterance, to be read character by character.

utterance shards -> column `text` -> content. The content is that of Text-BPE; the tokenizer makes the difference.
"""

from .base import conditions
from .text_bpe import TextBpe


class TextRaw(TextBpe):
    """The dataset of Text-Raw (2412.17048, Section 3.1)."""

    BUILDER_CONFIGS = conditions("text_raw", rates=False)
