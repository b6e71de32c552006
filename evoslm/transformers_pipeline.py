"""The pipeline under transformers' own roof: `transformers.pipeline("speech-continuation", model="ns/name")`.

transformers loads the language model and its tokenizer, this class the rest. Lists and datasets are taken as by any
pipeline of transformers.
"""

from collections.abc import Iterator
from typing import Any

from transformers import Pipeline

from .pipelines import make_pipeline

_LOADING = ("quantizer", "vocoder", "transcriber", "synthesizer")


class TransformersSpeechContinuation(Pipeline):
    """
    [`SpeechContinuationPipeline`] as a pipeline of transformers.

    Args:
        args, kwargs (*optional*): As of [`~transformers.Pipeline`], and `quantizer`, `vocoder`, `transcriber` and
            `synthesizer` of [`evoslm.pipeline`]; arguments of a call are its defaults.

    Examples:

    ```python
    >>> import evoslm
    >>> from transformers import pipeline

    >>> pipe = pipeline("speech-continuation", model="runs/laptop/models/text_bpe/seed-0")
    >>> pipe(["The old man", "The lion"], max_seconds=2)[1][0].stop_reason
    'limit'
    ```
    """

    _load_tokenizer = True
    _load_processor = _load_feature_extractor = _load_image_processor = False

    def __init__(self, *args, **kwargs):
        from .models.pipelines import complete_components

        loading = {name: kwargs.pop(name) for name in _LOADING if name in kwargs}
        super().__init__(*args, **kwargs)
        synthesizer = loading.pop("synthesizer", "espeak")
        source = self.model.name_or_path
        components = complete_components(self.model, self.tokenizer, source, **loading, device=str(self.device))
        self.continuation = make_pipeline(components, synthesizer)

    def stream(self, prompt: Any, **settings) -> Iterator:
        """As [`~SpeechContinuationPipeline.stream`]: a call of transformers' pipelines gives whole results alone."""
        return self.continuation.stream(prompt, **settings)

    def score(self, prompt: Any):
        """As [`~SpeechContinuationPipeline.score`]."""
        return self.continuation.score(prompt)

    def _sanitize_parameters(self, direction: str | None = None, **settings) -> tuple[dict, dict, dict]:
        both = {} if direction is None else {"direction": direction}
        return both, both | settings, {}

    def preprocess(self, prompt: Any, direction: str | None = None) -> dict[str, Any]:
        """The prompt as the model reads it."""
        return {"prompt": self.continuation.encode(prompt, direction)}

    def _forward(self, inputs: dict[str, Any], **settings) -> dict[str, Any]:
        return {"continuations": self.continuation(inputs["prompt"], **settings)}

    def postprocess(self, outputs: dict[str, Any]) -> list:
        """The continuations, as [`SpeechContinuation`]s."""
        return outputs["continuations"]
