"""Other models that write text from speech (`AutoModelForSpeechSeq2Seq`), as their own `generate` runs them."""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .recognizer import Hypothesis, Recognizer, most_tokens, without_loops

MAX_SECONDS = 30.0
"""The longest stretch: few such models were trained on longer ones."""


class SequenceToSequenceRecognizer(Recognizer):
    """
    A model with an encoder of speech and a decoder of text, of one language.

    Args:
        model ([`~transformers.PreTrainedModel`]): The model.
        feature_extractor ([`~transformers.SequenceFeatureExtractor`]): What stands before it.
        tokenizer (`PreTrainedTokenizerBase`): What turns ids into text.
    """

    def __init__(self, model: PreTrainedModel, feature_extractor, tokenizer: PreTrainedTokenizerBase):
        # Convolutions in front of some encoders let padding into the last frames of what is shorter.
        super().__init__(feature_extractor.sampling_rate, MAX_SECONDS, mixes_rows=True)
        self.model, self.feature_extractor, self.tokenizer = model.eval(), feature_extractor, tokenizer

    @torch.no_grad()
    def recognize(self, waveforms: Sequence[np.ndarray], num_beams: int = 1) -> list[Hypothesis]:
        """As [`Recognizer`] says."""
        inputs = self.feature_extractor(
            list(waveforms),
            sampling_rate=self.sampling_rate,
            padding=True,
            return_attention_mask=True,
            return_tensors="pt",
        ).to(self.model.device, self.model.dtype)
        limits = [most_tokens(len(waveform), self.sampling_rate) for waveform in waveforms]
        room = getattr(self.model.config, "max_target_positions", None) or max(limits)
        generated = self.model.generate(
            **inputs, max_length=min(max(limits), room), num_beams=num_beams, do_sample=False
        )
        return [Hypothesis(self._text(row[:limit].tolist())) for row, limit in zip(generated, limits)]

    def _text(self, ids: list[int]) -> str:
        special = set(self.tokenizer.all_special_ids)
        return self.tokenizer.decode(without_loops([token for token in ids if token not in special])).strip()
