"""Tasks of spoken language understanding: sentiment and named entities.

In: SLUE, a folder, a table of texts with labels or entities, or a seed for sentences of the stories' grammar.
Out: examples in splits, and utterance shards of them, spoken by the project's synthesis.
"""

from ...models.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "SluExample": ".examples",
        "SluTask": ".examples",
        "TASKS": ".tasks",
        "read_task": ".tasks",
        "speak_task": ".spoken",
        "spoken_text": ".examples",
    },
)
