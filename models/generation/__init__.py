"""Continuations of prompts by a language model.

In: a model, prompts as ids or contents, how to draw. Out: each continuation, as ids, text or units, and why it ended.
"""

from ..lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Continuation": ".continuation",
        "ContinuationStream": ".streaming",
        "Drawing": ".continuation",
        "DrawnToken": ".streaming",
        "WrittenContinuation": ".joint",
        "continue_contents": ".joint",
        "continue_prompts": ".continuation",
    },
)
