"""What models make of one prompt, side by side, as it is being written.

models + a prompt + how to draw -> [`continue_prompt`] -> events: a model is loaded, has heard the prompt, has written
more, has ended a continuation, or refuses the prompt.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...models.pipelines.prompts import transcribe
from .catalog import ModelEntry
from .limits import Drawing
from .shelf import GPU_BEGIN, PipelineShelf

REASONS = {
    "end": "the model ended it",
    "limit": "cut at the length asked for",
    "silence": "ended by a second of silence",
    "repetition": "ended because it went round in a loop",
    "stop": "ended where the model changed from sound to text or back",
}
"""Why a continuation ended, in words."""
FIRST_SOUND = 2.0
"""Seconds of work after which what can be heard already is given, where a continuation takes longer."""
_HEARD_SECONDS = 1.0
"""Of sound, below which there is not much to hear."""
_BETWEEN_REPORTS = 0.5


@dataclass(frozen=True)
class ShownPrompt:
    """
    What is shown of a prompt, as the model in a column reads it.

    Args:
        audio (`np.ndarray` of shape `(num_samples,)`): float32, mono: what was said, or the text as it was spoken.
        sampling_rate (`int`): Samples per second of both sounds.
        tokens (`list[str]`): What the model reads, one by one.
        starts (`list[float]`): When each begins in `audio`, in seconds.
        resynthesized (`np.ndarray` of shape `(num_samples,)`, *optional*): float32: what its symbols stand for; `None`
            where they cannot be made audible.
    """

    audio: np.ndarray
    sampling_rate: int
    tokens: list[str]
    starts: list[float]
    resynthesized: np.ndarray | None = None


@dataclass
class Written:
    """
    A continuation, whole or so far.

    Args:
        sampling_rate (`int`): Samples per second.
        content (`str`): Its symbols.
        tokens (`list[str]`): What the model wrote, one by one.
        log_likelihoods (`list[float]`): Of each token, in nats, by the model itself at temperature 1.
        starts (`list[float]`): When each token begins, in seconds.
        stop_reason (`str`, *optional*): One of [`REASONS`] where it is whole.
        text (`str`, *optional*): Its words, where they are known.
        audio (`np.ndarray` of shape `(num_samples,)`): float32, mono.
    """

    sampling_rate: int
    content: str = ""
    tokens: list[str] = field(default_factory=list)
    log_likelihoods: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    stop_reason: str | None = None
    text: str | None = None
    audio: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.audio) / self.sampling_rate

    def add(self, chunk: Any) -> None:
        """Go on with the next piece."""
        self.audio = np.concatenate([self.audio, chunk.audio])
        self.content += chunk.content
        self.tokens += chunk.tokens
        self.log_likelihoods += chunk.log_likelihoods
        self.starts += chunk.starts
        self.stop_reason = chunk.stop_reason


@dataclass(frozen=True)
class Event:
    """
    Something that happened to the model in a column.

    Args:
        column (`int`): Number of the model in the request.
        kind (`str`): `"loading"`, `"prompt"`, `"sound"` (a first part can be heard), `"progress"`, `"done"`, or
            `"refused"`.
        number (`int`): Of the continuation.
        message (`str`): What is to be said of it.
        written ([`Written`], *optional*): The continuation, of `"sound"`, `"progress"` and `"done"`.
        prompt ([`ShownPrompt`], *optional*): The prompt as the model reads it, of `"prompt"`.
    """

    column: int
    kind: str
    number: int = 0
    message: str = ""
    written: Written | None = None
    prompt: ShownPrompt | None = None


def gpu_seconds(entries: Sequence[ModelEntry], prompt: str | Path, drawing: Drawing) -> int:
    """
    For how long a GPU is asked for [`continue_prompt`], whose arguments these are.

    A model draws all its continuations together, in no more time than one of them sounds; each is made sound and words
    by itself.
    """
    sounds = 1 + (drawing.num_continuations - 1) / 4
    return math.ceil(GPU_BEGIN + len(entries) * drawing.max_seconds * sounds)


def continue_prompt(
    shelf: PipelineShelf, entries: Sequence[ModelEntry], prompt: str | Path, drawing: Drawing
) -> Iterator[Event]:
    """
    Continue a prompt with one model after the other.

    Args:
        shelf ([`PipelineShelf`]): Where pipelines are.
        entries (`Sequence[ModelEntry]`): The models.
        prompt (`str` or `Path`): A text, or a file of audio.
        drawing ([`Drawing`]): How continuations are drawn.

    Yields:
        [`Event`]: Whatever happens, as it happens. A prompt that a model does not read is no error: others may.
    """
    for column, entry in enumerate(entries):
        if entry not in shelf:
            yield Event(column, "loading", message=f"{entry.label}: loading the model")
        try:
            yield from _continue_with(shelf, column, entry, prompt, drawing)
        except (ValueError, FileNotFoundError) as error:
            yield Event(column, "refused", message=f"{entry.label}: {error}")


def _continue_with(
    shelf: PipelineShelf, column: int, entry: ModelEntry, prompt: str | Path, drawing: Drawing
) -> Iterator[Event]:
    with shelf.lock:
        pipeline = shelf.get(entry)
        heard = pipeline.encode(prompt)
        shown = ShownPrompt(heard.audio, heard.sampling_rate, heard.tokens, heard.starts, heard.resynthesized)
    yield Event(column, "prompt", message=f"{entry.label}: writing", prompt=shown)
    with shelf.lock:
        chunks = pipeline.stream(
            heard,
            num_continuations=drawing.num_continuations,
            max_seconds=drawing.max_seconds,
            temperature=drawing.temperature,
            top_p=drawing.top_p,
            seed=drawing.seed,
        )
    written: dict[int, Written] = {}
    began = reported = time.monotonic()
    is_heard = False
    for chunk in _one_at_a_time(shelf, chunks):
        part = written.setdefault(chunk.index, Written(chunk.sampling_rate))
        part.add(chunk)
        now = time.monotonic()
        if part.stop_reason is not None:
            is_heard |= part.seconds >= _HEARD_SECONDS
            with shelf.lock:
                part.text = _text_of(pipeline, part, isinstance(prompt, str))
            yield Event(column, "done", chunk.index, REASONS.get(part.stop_reason, part.stop_reason), part)
        elif not is_heard and now - began > FIRST_SOUND and part.seconds >= _HEARD_SECONDS:
            is_heard = True
            yield Event(column, "sound", chunk.index, _progress(entry, written), part)
        elif now - reported > _BETWEEN_REPORTS:
            reported = now
            yield Event(column, "progress", chunk.index, _progress(entry, written), part)


def _one_at_a_time(shelf: PipelineShelf, chunks: Iterator[Any]) -> Iterator[Any]:
    """Chunks, each made while nothing else is made; and no more of them once nobody asks."""
    try:
        while True:
            with shelf.lock:
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk
    finally:
        chunks.close()


def _text_of(pipeline: Any, written: Written, is_of_text: bool) -> str | None:
    """What it says: of text, itself; of phones and units, what a transcriber reads or hears, if there is one."""
    if pipeline.modality.column == "text" and (is_of_text or not pipeline.is_joint):
        return written.content.strip()
    symbols, audio = written.content.split(), written.audio
    return transcribe(pipeline.components.transcriber, [symbols], [audio], written.sampling_rate)[0]


def _progress(entry: ModelEntry, written: dict[int, Written]) -> str:
    return f"{entry.label}: {sum(part.seconds for part in written.values()):.1f} s of sound so far"
