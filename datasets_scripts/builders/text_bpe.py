"""Text-BPE, the topline: the text of each utterance, to be cut into SentencePiece pieces.

utterance shards -> column `text` -> content.
"""

import pyarrow as pa

from .base import ModalityBuilder, conditions


class TextBpe(ModalityBuilder):
    """The dataset of Text-BPE (2412.17048, Section 3.1)."""

    BUILDER_CONFIGS = conditions("text_bpe", rates=False)
    columns = ("id", "text")
    summary = "The text of each utterance, with case and punctuation."

    def contents(self, batch: pa.RecordBatch) -> pa.Array:
        """The texts as they are."""
        return batch["text"]
