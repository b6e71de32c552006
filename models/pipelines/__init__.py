"""Pipelines: a prompt as text or audio -> what a language model makes of it, as audio, text and symbols.

In: a text or a recording, and a model of any modality. Out: continuations that can be heard, or log-likelihoods.
"""

from ..lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "ContinuationChunk": ".outputs",
        "EncodedPrompt": ".outputs",
        "HeardPrompt": ".alphabets",
        "SpeechContinuation": ".outputs",
        "SpeechContinuationPipeline": ".speech_continuation",
        "SpeechSynthesizer": ".synthesis",
        "SpokenPhones": ".synthesis",
        "SpokenText": ".synthesis",
        "TokenScores": ".outputs",
        "WrittenSymbols": ".batches",
        "complete_components": ".loading",
        "load_components": ".loading",
    },
)
