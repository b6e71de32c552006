"""Spoken language understanding with a language model: the class of an utterance, or the entities that it names.

In: a fine-tuned folder, an adapter or a whole model, and text or audio. Out: a class, or entities as text.
"""

from ..lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "AnswerFormat": ".answers",
        "SluConfig": ".configuration_slu",
        "SluPipeline": ".pipeline",
        "load_finetuned": ".adapters",
        "merge_adapter": ".adapters",
        "write_contents": ".contents",
    },
)
