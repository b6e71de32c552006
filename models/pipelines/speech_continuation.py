"""Continue a text or a recording by a language model of any modality, and hear it before it ends.

prompt -> [`PromptEncoder`] -> ids -> a token at a time -> [`ContinuationWriter`] -> chunks. A whole continuation is
its chunks joined.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..generation import ContinuationStream, Drawing
from ..generation.joint import drawable_ids
from ..modalities import JOINT
from ..scoring.retrieval import DIRECTIONS, TEXT, UNITS
from ..tokenizers.units import unit_steps
from .alphabets import Alphabet, HeardPrompt, TextAlphabet, UnitAlphabet, make_alphabet
from .batches import WrittenSymbols, continue_encoded
from .continuing import ContinuationSettings, ContinuationWriter
from .loading import Components, find_silent_units
from .outputs import ContinuationChunk, EncodedPrompt, SpeechContinuation, TokenScores
from .prompts import PromptEncoder, transcribe
from .synthesis import SpeechSynthesizer


class SpeechContinuationPipeline:
    """
    Continues texts and recordings by a language model of text, phones, speech units or both units and text.

    Make one with [`evoslm.pipeline`].

    Args:
        components ([`Components`]): The models.
        synthesizer ([`SpeechSynthesizer`]): Speaks texts and phones.

    Attributes:
        modality ([`Modality`]): What the model reads and writes.
        synthesizer ([`SpeechSynthesizer`]): Speaks texts and phones.

    Examples:

    ```python
    >>> import evoslm

    >>> pipe = evoslm.pipeline("speech-continuation", model="runs/laptop/models/speech_units/seed-0")
    >>> (continuation,) = pipe("The old man", max_seconds=3)
    >>> continuation.audio.dtype, continuation.sampling_rate
    (dtype('float32'), 16000)
    ```
    """

    def __init__(self, components: Components, synthesizer: SpeechSynthesizer):
        self.components, self.modality = components, components.modality
        self.model, self.tokenizer, self.synthesizer = components.model, components.tokenizer, synthesizer
        self._alphabets = _make_alphabets(components, synthesizer)
        self._encoder = PromptEncoder(components, self._alphabets, synthesizer)

    @property
    def is_joint(self) -> bool:
        """Whether the model reads and writes both units and text."""
        return self.modality is JOINT

    @property
    def is_audible(self) -> bool:
        """Whether continuations have audio: units of segments, or of an encoder without a vocoder, have none."""
        return not self.components.reads_units or self.components.vocoder is not None

    def __call__(
        self,
        prompt: Any,
        *,
        num_continuations: int = 1,
        max_seconds: float = 6.0,
        temperature: float = 1.0,
        top_p: float | None = 0.95,
        top_k: int | None = None,
        seed: int = 0,
        stop_on_silence: bool = True,
        stop_on_repetition: bool = True,
        direction: str | None = None,
        max_new_tokens: int | None = None,
    ) -> list[SpeechContinuation]:
        """
        Continue a prompt.

        The same seed gives the same continuations; the first of several is the one that is given alone.

        Args:
            prompt (`str`, `Path`, `dict`, `tuple`, [`HeardPrompt`] or [`EncodedPrompt`]): A text; or audio: the `Path`
                of a file, `{"array" or "raw", "sampling_rate"}`, or `(sampling_rate, samples)`; audio whose text and
                phones are known; or what [`~SpeechContinuationPipeline.encode`] made of one.
            num_continuations (`int`, *optional*, defaults to 1): How many, at most 64.
            max_seconds (`float`, *optional*, defaults to 6.0): The longest continuation, above 0 and at most 60.
            temperature (`float`, *optional*, defaults to 1.0): Of the distribution; 0 takes the likeliest token.
            top_p (`float`, *optional*, defaults to 0.95): Only the likeliest tokens that have this probability
                together are drawn.
            top_k (`int`, *optional*): Only the `top_k` likeliest tokens are drawn.
            seed (`int`, *optional*, defaults to 0): Of all draws.
            stop_on_silence (`bool`, *optional*, defaults to `True`): Whether a second of silence ends it.
            stop_on_repetition (`bool`, *optional*, defaults to `True`): Whether a loop ends it.
            direction (`str`, *optional*): Of a joint model: `"u2u"`, `"t2t"`, `"u2t"` or `"t2u"`, the modality of the
                prompt and that of the continuation. By default both are text of a text, and units of audio.
            max_new_tokens (`int`, *optional*): The longest continuation in tokens, beside that in seconds.

        Returns:
            `list[SpeechContinuation]`

        Raises:
            `FileNotFoundError`: If there is no such file.
            `ValueError`: If the prompt is silent, empty, too long or in a form that the model does not read, or an
                argument is out of its range.
        """
        settings = ContinuationSettings(
            num_continuations,
            max_seconds,
            temperature,
            top_p,
            top_k,
            seed,
            stop_on_silence,
            stop_on_repetition,
            max_new_tokens,
        )
        job = self._prepare(prompt, direction, settings)
        audio: list[list[np.ndarray]] = [[] for _ in job.writers]
        for chunk in self._write(job):
            audio[chunk.index].append(chunk.audio)
        return self._finish(job, [np.concatenate(pieces) for pieces in audio])

    def stream(self, prompt: Any, *, direction: str | None = None, **settings) -> Iterator[ContinuationChunk]:
        """
        Continue a prompt, and give each piece as soon as it can be heard. Closing the iterator ends the generation.

        Args:
            prompt (`str`, `Path`, `dict`, `tuple` or [`EncodedPrompt`]): As for a call.
            direction (`str`, *optional*): As for a call.
            settings (*optional*): The other arguments of a call.

        Returns:
            `Iterator[ContinuationChunk]`: Pieces of all continuations, as they come; the last piece of each has its
            `stop_reason`.

        Raises:
            `FileNotFoundError`, `ValueError`: As a call, before the first piece is asked for.
        """
        return self._write(self._prepare(prompt, direction, ContinuationSettings(**settings)))

    def continue_all(
        self,
        prompts: Sequence[Any],
        *,
        max_new_tokens: int,
        num_continuations: int = 1,
        temperature: float = 1.0,
        top_p: float | None = None,
        top_k: int | None = None,
        seed: int = 0,
        batch_size: int = 128,
    ) -> list[list[WrittenSymbols]]:
        """
        Continue many prompts in batches, without audio; nothing but the model's own end and the limit ends them.

        Args:
            prompts (`Sequence`): Prompts as for a call; of a model of one modality.
            max_new_tokens (`int`): The longest continuation.
            num_continuations (`int`, *optional*, defaults to 1): Continuations of each prompt.
            temperature (`float`, *optional*, defaults to 1.0): As for a call.
            top_p (`float`, *optional*): As for a call, but off by default.
            top_k (`int`, *optional*): As for a call.
            seed (`int`, *optional*, defaults to 0): As for a call.
            batch_size (`int`, *optional*, defaults to 128): Continuations at once.

        Returns:
            `list[list[WrittenSymbols]]`: Of each prompt, its continuations: symbols, content, why each ended and after
            how many tokens.

        Raises:
            `FileNotFoundError`, `ValueError`: As for a call, or if the model is a joint one.
        """
        if self.is_joint:
            raise ValueError(
                "A joint model has two modalities; call the pipeline with a direction, a prompt at a time."
            )
        alphabet = self._alphabets[TEXT]
        encoded = [self.encode(prompt) for prompt in prompts]
        ends, suppressed = self._drawable_ids(TEXT)
        drawing = Drawing(max_new_tokens, temperature, top_k, top_p, seed, ends, suppressed)
        return continue_encoded(self.model, self.tokenizer, alphabet, encoded, drawing, num_continuations, batch_size)

    @property
    def alphabet(self) -> Alphabet:
        """How the model's modality is written and read; of a joint model, that of text."""
        return self._alphabets[TEXT]

    def encode(self, prompt: Any, direction: str | None = None) -> EncodedPrompt:
        """
        Write a prompt as the model reads it.

        Args:
            prompt (`str`, `Path`, `dict` or `tuple`): As for a call.
            direction (`str`, *optional*): As for a call.

        Returns:
            [`EncodedPrompt`]

        Raises:
            `FileNotFoundError`, `ValueError`: As for a call.
        """
        return self._encoder.encode(prompt, self._encoder.find_direction(prompt, direction))

    @torch.inference_mode()
    def score(self, prompt: Any) -> TokenScores:
        """
        How likely the model finds each token of a prompt. A joint model scores text as text and audio as units.

        Args:
            prompt (`str`, `Path`, `dict`, `tuple` or [`EncodedPrompt`]): As for a call.

        Returns:
            [`TokenScores`]

        Raises:
            `FileNotFoundError`, `ValueError`: As for a call.
        """
        encoded = self.encode(prompt)
        first, last = encoded.first, encoded.first + len(encoded.tokens)
        ids = torch.tensor([encoded.ids[:last]], device=self.model.device)
        logits = self.model(ids, use_cache=False).logits[0, first - 1 : -1]
        found = logits.double().log_softmax(-1).gather(1, ids[0, first:, None])[:, 0].tolist()
        return TokenScores(encoded.tokens, found, encoded.starts, sum(found))

    def _prepare(self, prompt: Any, direction: str | None, settings: ContinuationSettings) -> "_Job":
        """All that can be wrong is found here, before anything long starts."""
        direction = self._encoder.find_direction(prompt, direction)
        before, after = DIRECTIONS[direction]
        encoded = self._encoder.encode(prompt, direction)
        alphabet = self._alphabets[after]
        stops, suppressed = self._drawable_ids(after)
        longest = max(1, alphabet.max_symbols(settings.max_seconds))
        drawing = Drawing(
            longest if settings.max_new_tokens is None else min(longest, settings.max_new_tokens),
            settings.temperature,
            settings.top_k,
            settings.top_p,
            settings.seed,
            stops,
            suppressed,
            # Behind a whole sentence a model may find nothing likelier than the end, which is no continuation.
            min_new_tokens=1,
        )
        window = getattr(self.model.config, "max_position_embeddings", None)
        if window is not None and len(encoded.ids) + drawing.max_new_tokens > window:
            raise ValueError(
                f"The prompt has {len(encoded.ids)} tokens, {settings.max_seconds:g} s more may have "
                f"{drawing.max_new_tokens}, and the model reads {window}; give a shorter prompt or lower max_seconds."
            )
        stream = ContinuationStream(self.model, encoded.ids, settings.num_continuations, drawing)
        context = encoded.ids[encoded.first :] if before == after else []
        seconds_per_symbol = encoded.seconds_per_symbol
        if before != after and after == UNITS:  # how long units last is not told by a text
            heard = HeardPrompt(encoded.audio, encoded.sampling_rate)
            seconds_per_symbol = alphabet.write(heard).seconds_per_symbol
        writers = [
            ContinuationWriter(
                index,
                alphabet,
                alphabet.reader(self.tokenizer, context),
                alphabet.voice(seconds_per_symbol),
                settings,
                self.is_audible or isinstance(alphabet, TextAlphabet),
            )
            for index in range(settings.num_continuations)
        ]
        return _Job(encoded, alphabet, stream, writers)

    def _write(self, job: "_Job") -> Iterator[ContinuationChunk]:
        while job.stream.running:
            for token in job.stream.step():
                writer = job.writers[token.index]
                chunk = writer.add(token)
                if writer.stop_reason is not None:
                    job.stream.drop([token.index])
                if chunk is not None:
                    yield chunk

    def _finish(self, job: "_Job", audio: list[np.ndarray]) -> list[SpeechContinuation]:
        are_units = isinstance(job.alphabet, UnitAlphabet)
        rows = [writer.voice.symbols for writer in job.writers]
        rate = job.writers[0].voice.sampling_rate
        if isinstance(job.alphabet, TextAlphabet):
            texts = [writer.content.strip() for writer in job.writers]
        else:
            texts = transcribe(self.components.transcriber, rows, audio, rate)
        has_audio = self.is_audible or not are_units
        return [
            SpeechContinuation(
                content=writer.content,
                ids=writer.ids,
                text=text,
                units=[int(unit) for unit in row] if are_units else None,
                audio=samples if has_audio else None,
                sampling_rate=rate,
                tokens=writer.tokens,
                log_likelihoods=writer.log_likelihoods,
                starts=writer.starts,
                stop_reason=writer.stop_reason,
                prompt=job.prompt,
            )
            for writer, row, text, samples in zip(job.writers, rows, texts, audio)
        ]

    def _drawable_ids(self, after: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        stops, suppressed = drawable_ids(self.tokenizer, after)
        if self.modality.tokenizer == "units_bpe":
            suppressed = tuple(sorted({*suppressed, *unit_steps(self.tokenizer)}))
        return stops, suppressed


@dataclass(frozen=True)
class _Job:
    """A prompt, and its continuations that are being written."""

    prompt: EncodedPrompt
    alphabet: Alphabet
    stream: ContinuationStream
    writers: list[ContinuationWriter]


def _make_alphabets(components: Components, synthesizer: SpeechSynthesizer) -> dict[str, Alphabet]:
    """By what is written: `"text"` and `"units"` of a joint model, of others twice the same."""
    quantizer, vocoder = components.quantizer, components.vocoder
    silent_units = find_silent_units(quantizer) if components.reads_units else []
    speaker = next(iter(quantizer.config.speakers), None) if components.reads_units else None
    if components.modality is JOINT:
        units = UnitAlphabet(quantizer, vocoder, components.collapse, synthesizer, silent_units, speaker)
        return {TEXT: TextAlphabet(synthesizer), UNITS: units}
    frame_rate = getattr(components.model.config, "frame_rate", None)
    alphabet = make_alphabet(
        components.modality,
        synthesizer,
        quantizer,
        vocoder,
        frame_rate,
        components.repeats,
        silent_units,
        speaker,
    )
    return {TEXT: alphabet, UNITS: alphabet}
