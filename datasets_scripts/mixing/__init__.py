"""Speech and text in one sequence, for joint models (2310.08715, Section 3): CST, AST, and how much of each.

In: utterances with the times of their words, and their units. Out: contents such as "<text> The cat <text_to_speech>
▪17▪942", drawn anew for each epoch, and datasets of them.
"""

from ...models.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "KINDS": ".mixture",
        "JointUtterance": ".sequences",
        "Mixture": ".mixture",
        "Span": ".switching",
        "SWITCHING_RULES": ".switching",
        "assign_units": ".alignment",
        "make_joint_utterance": ".sequences",
        "measure_tokens": ".mixture",
        "switching_rule": ".switching",
    },
)
