"""Tokenizers of every modality: text, phones and units.

In: contents, one string an utterance. Out: plain `tokenizer.json` files, which load without this package, and ids.
"""

from ..lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {"encode_contents": ".by_modality", "stream_ids": ".by_modality", "train_tokenizer": ".by_modality"},
)
