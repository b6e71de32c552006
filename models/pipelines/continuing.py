"""One continuation while it is being written: tokens in, chunks that can be heard and the reason of its end out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..generation import DrawnToken
from ..generation.continuation import END, LIMIT, STOP
from .alphabets import Alphabet, TokenReader
from .outputs import ContinuationChunk
from .stopping import MAX_SILENCE, REPETITION, SILENCE
from .voices import Voice

MAX_CONTINUATIONS = 64
MAX_SECONDS = 60.0
_SILENT_CHUNK = 25
"""Tokens of a chunk where there is no audio to wait for."""


@dataclass(frozen=True)
class ContinuationSettings:
    """How a prompt is continued; the arguments of [`SpeechContinuationPipeline`] when it is called."""

    num_continuations: int = 1
    max_seconds: float = 6.0
    temperature: float = 1.0
    top_p: float | None = 0.95
    top_k: int | None = None
    seed: int = 0
    stop_on_silence: bool = True
    stop_on_repetition: bool = True
    max_new_tokens: int | None = None

    def __post_init__(self):
        if not 1 <= self.num_continuations <= MAX_CONTINUATIONS:
            raise ValueError(
                f"num_continuations is {self.num_continuations}; it must be from 1 to {MAX_CONTINUATIONS}."
            )
        if not 0 < self.max_seconds <= MAX_SECONDS:
            raise ValueError(f"max_seconds is {self.max_seconds}; it must be above 0 and at most {MAX_SECONDS:g}.")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}; it must be a whole number from 0.")


class ContinuationWriter:
    """
    Turns the tokens of a continuation into chunks.

    Args:
        index (`int`): Number of the continuation.
        alphabet ([`Alphabet`]): What it is written in.
        reader ([`TokenReader`]): Reads its tokens.
        voice ([`Voice`]): Speaks them.
        settings ([`ContinuationSettings`]): When it ends.
        is_audible (`bool`, *optional*, defaults to `True`): Whether the voice makes any audio.
    """

    def __init__(
        self,
        index: int,
        alphabet: Alphabet,
        reader: TokenReader,
        voice: Voice,
        settings: ContinuationSettings,
        is_audible: bool = True,
    ):
        self.index, self.voice, self.stop_reason = index, voice, None
        self.ids: list[int] = []
        self.tokens: list[str] = []
        self.log_likelihoods: list[float] = []
        self._alphabet, self._reader, self._settings, self._is_audible = alphabet, reader, settings, is_audible
        self._first_symbols: list[int] = []
        self._num_given = 0  # tokens that are in chunks
        self._room = round(settings.max_seconds * voice.sampling_rate)

    @property
    def content(self) -> str:
        """All that was written."""
        return self._alphabet.join(self.voice.symbols)

    @property
    def starts(self) -> list[float]:
        """When each token begins, in seconds; of a whole continuation."""
        return self._starts_of(self._first_symbols)

    def add(self, token: DrawnToken) -> ContinuationChunk | None:
        """
        Take the next token.

        Args:
            token ([`DrawnToken`]): The token.

        Returns:
            [`ContinuationChunk`], *optional*: What can be heard since the last one; always one at the end.
        """
        if token.reason not in (END, STOP):
            symbols = self._reader.read(token.id)
            self.ids.append(token.id)
            self.tokens.append(self._alphabet.join(symbols))
            self.log_likelihoods.append(token.log_likelihood)
            self._first_symbols.append(len(self.voice.symbols))
            self.voice.write(symbols)
        self.stop_reason = token.reason if token.reason in (END, STOP) else self._find_reason(token)
        audio = self.voice.hear(is_last=self.stop_reason is not None)[: self._room]
        self._room -= len(audio)
        if self.stop_reason is None and not self._is_due(audio):
            return None
        return self._make_chunk(audio)

    def _starts_of(self, symbols: Sequence[int]) -> list[float]:
        """When symbols begin, by their numbers; those that are not yet spoken, where the audio so far ends."""
        starts, end = self.voice.starts, self.voice.spoken_seconds
        return [starts[place] if place < len(starts) else end for place in symbols]

    def _find_reason(self, token: DrawnToken) -> str | None:
        if self._settings.stop_on_repetition and self.voice.is_looping:
            return REPETITION
        if self._settings.stop_on_silence and self.voice.silence >= MAX_SILENCE:
            return SILENCE
        return LIMIT if token.reason or self.voice.seconds >= self._settings.max_seconds else None

    def _is_due(self, audio: np.ndarray) -> bool:
        if self._is_audible:
            return len(audio) > 0
        return len(self.tokens) - self._num_given >= _SILENT_CHUNK

    def _make_chunk(self, audio: np.ndarray) -> ContinuationChunk:
        """A chunk with the tokens all of whose symbols can be heard."""
        ends = [*self._first_symbols[1:], len(self.voice.symbols)]
        end = self._num_given
        while end < len(self.tokens) and ends[end] <= len(self.voice.starts):
            end += 1
        given = slice(self._num_given, end)
        content = self._alphabet.join([token for token in self.tokens[given] if token])
        if self._num_given and content:
            content = self._alphabet.separator + content
        self._num_given = end
        return ContinuationChunk(
            index=self.index,
            audio=audio,
            sampling_rate=self.voice.sampling_rate,
            content=content,
            tokens=self.tokens[given],
            ids=self.ids[given],
            log_likelihoods=self.log_likelihoods[given],
            starts=self._starts_of(self._first_symbols[given]),
            stop_reason=self.stop_reason,
        )
