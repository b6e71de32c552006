"""What pipelines give: a prompt as the model reads it, continuations, pieces of them, and scores of tokens."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class EncodedPrompt:
    """
    A prompt as a model reads it.

    Args:
        content (`str`): The symbols of the model's modality: text, `"SIL DH AH0 ..."`, `"17 17 942 ..."`.
        ids (`list[int]`): What the model is given, `<s>` first.
        text (`str`, *optional*): What is said, where it was given or recognised.
        audio (`np.ndarray` of shape `(num_samples,)`): float32, mono: the recording, or the text as it was spoken, be
            it given or recognised.
        sampling_rate (`int`): Samples per second of `audio` and `resynthesized`.
        tokens (`list[str]`): What each scored id stands for, in order: all but `<s>` and the tokens of modalities.
        starts (`list[float]`): When each of them begins in `audio`, in seconds.
        seconds_per_symbol (`float`): How long a symbol lasts on average, in seconds.
        resynthesize (`Callable`): Makes `resynthesized`.
        direction (`str`): For which modalities of prompt and continuation it is written, `"t2t"` of a model of one.
        first (`int`): Where the first id that `tokens` name stands in `ids`; behind the last of them may stand the
            token that changes to the other modality.
    """

    content: str
    ids: list[int]
    text: str | None
    audio: np.ndarray = field(repr=False)
    sampling_rate: int
    tokens: list[str] = field(repr=False)
    starts: list[float] = field(repr=False)
    seconds_per_symbol: float
    resynthesize: Callable[[], np.ndarray | None] = field(repr=False, compare=False)
    direction: str
    first: int

    @cached_property
    def resynthesized(self) -> np.ndarray | None:
        """
        `np.ndarray` of shape `(num_samples,)`: float32: the audio that the model's symbols stand for, so what is left
        of the prompt; `None` where they cannot be made audible. It is made when it is first asked for.
        """
        return self.resynthesize()


@dataclass(frozen=True)
class ContinuationChunk:
    """
    A piece of a continuation, as soon as it can be heard.

    The pieces of a continuation joined are the whole: their audio, log-likelihoods and starts one after the other,
    their contents without more between them (spaces are part of them).

    Args:
        index (`int`): Number of the continuation.
        audio (`np.ndarray` of shape `(num_samples,)`): float32, the samples that follow those of the piece before.
        sampling_rate (`int`): Samples per second.
        content (`str`): What was written since the piece before.
        tokens (`list[str]`): Its tokens.
        ids (`list[int]`): Their ids.
        log_likelihoods (`list[float]`): Of each token, in nats, by the model itself at temperature 1.
        starts (`list[float]`): When each token begins in the audio of the whole continuation, in seconds.
        stop_reason (`str`, *optional*): Why the continuation ended, of the last piece; `None` before.
    """

    index: int
    audio: np.ndarray
    sampling_rate: int
    content: str
    tokens: list[str]
    ids: list[int]
    log_likelihoods: list[float]
    starts: list[float]
    stop_reason: str | None = None


@dataclass(frozen=True)
class SpeechContinuation:
    """
    What a model wrote behind a prompt.

    Args:
        content (`str`): Its symbols.
        ids (`list[int]`): Its tokens, without the one that ended it.
        text (`str`, *optional*): What it says: the text, or what a transcriber makes of it; `None` without one.
        units (`list[int]`, *optional*): Its speech units, where the model writes units.
        audio (`np.ndarray` of shape `(num_samples,)`, *optional*): float32, mono; `None` where nothing can make it
            audible.
        sampling_rate (`int`): Samples per second.
        tokens (`list[str]`): What each id stands for.
        log_likelihoods (`list[float]`): Of each token, in nats, by the model itself at temperature 1.
        starts (`list[float]`): When each token begins in the audio, in seconds.
        stop_reason (`str`): `"end"`: the model ended it; `"limit"`: it is as long as allowed; `"silence"`;
            `"repetition"`: it went on in a loop; `"stop"`: a joint model changed the modality.
        prompt ([`EncodedPrompt`]): What was continued.
    """

    content: str
    ids: list[int]
    text: str | None
    units: list[int] | None
    audio: np.ndarray | None = field(repr=False)
    sampling_rate: int
    tokens: list[str] = field(repr=False)
    log_likelihoods: list[float] = field(repr=False)
    starts: list[float] = field(repr=False)
    stop_reason: str
    prompt: EncodedPrompt = field(repr=False)


@dataclass(frozen=True)
class TokenScores:
    """
    How likely a model finds each token of a prompt.

    Args:
        tokens (`list[str]`): What each token stands for.
        log_likelihoods (`list[float]`): Log p(token | all before it), in nats.
        starts (`list[float]`): When each token begins in the prompt's audio, in seconds.
        total (`float`): Their sum: log P(content | BOS), without an end of sequence.
    """

    tokens: list[str]
    log_likelihoods: list[float]
    starts: list[float]
    total: float
