"""Blocks of passages for context retrieval accuracy (2310.08715): which context belongs to which continuation?

In: held-out passages. Out: blocks of N contexts and continuations that share no content word, as text, spoken in one
voice a block, and with units as the contents that joint models are asked about.
"""

from ...models.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Block": ".blocks",
        "CutPassage": ".blocks",
        "make_blocks": ".blocks",
        "read_block_contents": ".contents",
        "render_blocks": ".rendering",
    },
)
