"""Text-Raw without spaces: what Text-Raw has beside Phone-Raw is the spelling, and where words end.

utterance shards -> column `text` -> its letters and digits -> content.
"""

import pyarrow as pa

from ...models.tokenizers.text import letters_of
from .base import conditions
from .text_bpe import TextBpe


class TextRawNoSpace(TextBpe):
    """The dataset of Text-Raw without spaces, which splits factor A (2412.17048) in two."""

    BUILDER_CONFIGS = conditions("text_raw_no_space", rates=False)
    summary = "The letters and digits of each utterance's text, with case, without spaces and punctuation."

    def contents(self, batch: pa.RecordBatch) -> pa.Array:
        """The texts' letters."""
        return pa.array(map(letters_of, batch["text"].to_pylist()), pa.string())
