"""Models with a CTC head: stretches -> logits of frames -> the most probable label of each -> text."""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .recognizer import Hypothesis, Recognizer

MAX_SECONDS = 30.0
"""The longest stretch: attention over all frames of a longer one takes much memory."""


class CtcRecognizer(Recognizer):
    """
    An `AutoModelForCTC` without a language model.

    Args:
        model ([`~transformers.PreTrainedModel`]): The model.
        feature_extractor ([`~transformers.SequenceFeatureExtractor`]): What stands before it.
        tokenizer (`PreTrainedTokenizerBase`): What joins labels to text.
    """

    has_search = False

    def __init__(self, model: PreTrainedModel, feature_extractor, tokenizer: PreTrainedTokenizerBase):
        # An encoder that was trained without masks normalises over padding, too.
        mixes_rows = not getattr(feature_extractor, "return_attention_mask", False)
        super().__init__(feature_extractor.sampling_rate, MAX_SECONDS, mixes_rows)
        self.model, self.feature_extractor, self.tokenizer = model.eval(), feature_extractor, tokenizer

    @torch.no_grad()
    def recognize(self, waveforms: Sequence[np.ndarray], num_beams: int = 1) -> list[Hypothesis]:
        """As [`Recognizer`] says; there is no search, and `num_beams` is not read."""
        inputs = self.feature_extractor(
            list(waveforms), sampling_rate=self.sampling_rate, padding=True, return_tensors="pt"
        ).to(self.model.device, self.model.dtype)
        logits = self.model(**inputs).logits
        labels = zip(logits.argmax(2), self._num_frames(waveforms, logits.shape[1]))
        return [Hypothesis(self.tokenizer.decode(row[:frames].tolist()).strip()) for row, frames in labels]

    def _num_frames(self, waveforms: Sequence[np.ndarray], most: int) -> list[int]:
        """Frames of each row that are of its waveform: as large a share as its samples are of the longest one's."""
        longest = max(map(len, waveforms))
        return [max(1, round(most * len(waveform) / longest)) for waveform in waveforms]
