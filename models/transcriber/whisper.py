"""Whisper through transformers: stretches -> log-mel -> encoder -> decoder with a fixed prompt -> hypotheses.

The prompt names language and task and asks for no timestamps. The model says by itself how probable it is that nobody
speaks: behind the first token of the prompt, whatever follows.
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import GenerationConfig, GenerationMixin, PreTrainedTokenizerBase, WhisperForConditionalGeneration

from .recognizer import Hypothesis, Recognizer, most_tokens, without_loops

WINDOW_SECONDS = 30.0
"""What Whisper's encoder reads at once."""
_ENGLISH_VOCABULARY = 51_864
_MOST_TOKENS = 224


def is_multilingual(model: WhisperForConditionalGeneration) -> bool:
    """Whether a Whisper was trained on more than English: it says so, or has a token more than the English ones."""
    said = getattr(model.generation_config, "is_multilingual", None)
    return model.config.vocab_size > _ENGLISH_VOCABULARY if said is None else said


def most_whisper_tokens(num_samples: int, sampling_rate: int) -> int:
    """The most tokens that are looked for in a stretch; never more than half of the positions of its decoder."""
    return min(most_tokens(num_samples, sampling_rate), _MOST_TOKENS)


class WhisperPrompt:
    """
    What a Whisper's decoder begins with, and the tokens around its text.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        is_multilingual (`bool`): Whether it was trained on more than English; the tokenizers of both name languages.
        language (`str`, *optional*): Language of the speech, such as `"en"`; English when not given.
        name (`str`): What an error calls the model.

    Raises:
        `ValueError`: If the tokenizer is none of Whisper's, or the model does not know the language.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, is_multilingual: bool, language: str | None, name: str):
        self._tokenizer, self._name = tokenizer, name
        begin = [self._id("<|startoftranscript|>")]
        if is_multilingual:
            begin += [self._language(language or "en"), self._id("<|transcribe|>")]
        elif language not in (None, "en"):
            raise ValueError(
                f"{name} knows English only; leave the language {language!r} out, or take a multilingual model."
            )
        without_times = self._id("<|notimestamps|>")
        self.ids = [*begin, without_times]
        """The prompt."""
        self.no_speech = without_times - 1
        """The token that is probable behind the first one where nobody speaks; it has had two names."""
        self.end = self._id("<|endoftext|>")
        """What ends a text."""

    def _language(self, language: str) -> int:
        found = self._find(f"<|{language}|>") if len(language) in (2, 3) else None
        if found is None:
            raise ValueError(f"{self._name} does not know the language {language!r}; give its code, such as en or de.")
        return found

    def _id(self, token: str) -> int:
        found = self._find(token)
        if found is None:
            raise ValueError(f"{self._name} has a tokenizer without {token}, which is none of Whisper's.")
        return found

    def _find(self, token: str) -> int | None:
        return self._tokenizer.get_vocab().get(token)

    def text_of(self, ids: Sequence[int]) -> str:
        """The text of what a decoder found, without loops."""
        return self._tokenizer.decode(
            without_loops(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        ).strip()


class WhisperRecognizer(Recognizer):
    """
    A Whisper of transformers.

    Args:
        model ([`~transformers.WhisperForConditionalGeneration`]): The model.
        feature_extractor ([`~transformers.WhisperFeatureExtractor`]): What makes its log-mel frames.
        prompt ([`WhisperPrompt`]): What its decoder begins with.
    """

    def __init__(self, model: WhisperForConditionalGeneration, feature_extractor, prompt: WhisperPrompt):
        super().__init__(feature_extractor.sampling_rate, WINDOW_SECONDS)
        self.model, self.feature_extractor, self.prompt = model.eval(), feature_extractor, prompt

    @torch.no_grad()
    def recognize(self, waveforms: Sequence[np.ndarray], num_beams: int = 1) -> list[Hypothesis]:
        """As [`Recognizer`] says."""
        features = self.feature_extractor(
            list(waveforms), sampling_rate=self.sampling_rate, return_tensors="pt"
        ).input_features.to(self.model.device, self.model.dtype)
        encoded = self.model.get_encoder()(features)
        no_speech = self._no_speech(encoded)  # first: a search with beams repeats the rows of what it is given
        texts = map(self.prompt.text_of, self._generate(encoded, waveforms, num_beams))
        return list(map(Hypothesis, texts, no_speech))

    def _no_speech(self, encoded) -> list[float]:
        """The probability that nobody speaks, of each row."""
        begin = torch.full((len(encoded[0]), 1), self.prompt.ids[0], device=self.model.device)
        logits = self.model(encoder_outputs=encoded, decoder_input_ids=begin).logits[:, 0]
        return logits.float().softmax(1)[:, self.prompt.no_speech].tolist()

    def _generate(self, encoded, waveforms: Sequence[np.ndarray], num_beams: int) -> list[list[int]]:
        """Ids of each row's text, without its end."""
        prompt, own = self.prompt.ids, self.model.generation_config
        limits = [most_whisper_tokens(len(waveform), self.sampling_rate) for waveform in waveforms]
        generated = GenerationMixin.generate(  # Whisper's own is made for long audio, with timestamps
            self.model,
            encoder_outputs=encoded,
            attention_mask=torch.ones(encoded[0].shape[:2], dtype=torch.long, device=self.model.device),
            decoder_input_ids=torch.tensor([prompt] * len(waveforms), device=self.model.device),
            generation_config=GenerationConfig(
                max_length=len(prompt) + max(limits),
                num_beams=num_beams,
                do_sample=False,
                suppress_tokens=own.suppress_tokens,
                begin_suppress_tokens=own.begin_suppress_tokens,
                eos_token_id=self.prompt.end,
                pad_token_id=self.prompt.end,
            ),
        )
        rows = (row[len(prompt) :].tolist() for row in generated)
        return [self._until_end(row, limit) for row, limit in zip(rows, limits)]

    def _until_end(self, ids: list[int], limit: int) -> list[int]:
        ids = ids[:limit]
        return ids[: ids.index(self.prompt.end)] if self.prompt.end in ids else ids
