"""A prompt as text or audio -> what a model is given.

text -> spoken; audio -> checked, and recognised where the model reads no sound -> symbols -> ids, with their times.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from ..audio import SAMPLE_RATE
from ..generation.joint import prompt_ids
from ..modalities import JOINT
from ..scoring.beginning import find_beginning
from ..scoring.retrieval import DIRECTIONS, UNITS
from ..speech_units.processing_speech_units import to_mono
from ..tokenizers.joint import SPEECH_TOKEN, TEXT_TOKEN, UNIT_MARK
from ..transcriber import Transcriber
from .alphabets import Alphabet, HeardPrompt, TextAlphabet, TokenReader, UnitAlphabet, Writing
from .audio_prompts import read_audio
from .loading import Components
from .outputs import EncodedPrompt
from .synthesis import SpeechSynthesizer
from .voices import to_float

MAX_CHARACTERS = 2000
"""Of a text: about two minutes, more than any model of a study reads."""
_AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a")


class PromptEncoder:
    """
    Writes prompts as a model reads them.

    Args:
        components ([`Components`]): The model, and what hears.
        alphabets (`dict[str, Alphabet]`): By `"text"` and `"units"`; both the same of a model of one modality.
        synthesizer ([`SpeechSynthesizer`]): Speaks texts.
    """

    def __init__(self, components: Components, alphabets: dict[str, Alphabet], synthesizer: SpeechSynthesizer):
        self._components, self._alphabets, self._synthesizer = components, alphabets, synthesizer
        self._tokenizer, self._is_joint = components.tokenizer, components.modality is JOINT

    def find_direction(self, prompt: Any, direction: str | None) -> str:
        """
        The modalities of prompt and continuation, one of `DIRECTIONS`; of a model of one modality `"t2t"`.

        Raises:
            `ValueError`: If there is no such direction, the model has one modality, or the prompt is written for
                another direction.
        """
        if not self._is_joint:
            if direction is not None:
                raise ValueError("A direction is for joint models; this one has one modality, so leave it out.")
            return "t2t"
        written_for = prompt.direction if isinstance(prompt, EncodedPrompt) else None
        if direction is None:
            return written_for or ("t2t" if isinstance(prompt, str) else "u2u")
        if direction not in DIRECTIONS:
            raise ValueError(f"There is no direction {direction!r}; choose from {', '.join(DIRECTIONS)}.")
        if written_for not in (None, direction):
            raise ValueError(f"The prompt was encoded for {written_for}, not for {direction}; encode it for that.")
        return direction

    def encode(self, prompt: Any, direction: str) -> EncodedPrompt:
        """
        Write a prompt.

        Args:
            prompt (`str`, `Path`, `dict`, `tuple`, [`HeardPrompt`] or [`EncodedPrompt`]): The prompt.
            direction (`str`): Of [`~PromptEncoder.find_direction`].

        Returns:
            [`EncodedPrompt`]

        Raises:
            `FileNotFoundError`, `ValueError`: As [`SpeechContinuationPipeline`] when it is called.
        """
        if isinstance(prompt, EncodedPrompt):
            return prompt
        alphabet = self._alphabets[DIRECTIONS[direction][0]]
        heard = self._hear(prompt, alphabet)
        writing = alphabet.write(heard)
        if not writing.symbols:
            raise ValueError("There is nothing in the prompt that the model reads; give a longer one.")
        content = alphabet.join(writing.symbols)
        ids, first, last = self._ids(content, writing.symbols, direction)
        window = getattr(self._components.model.config, "max_position_embeddings", None)
        if window is not None and len(ids) > window:
            raise ValueError(f"The prompt has {len(ids)} tokens and the model reads {window}; give a shorter one.")
        tokens, starts = label_tokens(alphabet.reader(self._tokenizer), ids[first:last], writing.starts, alphabet)
        return EncodedPrompt(
            content=content,
            ids=ids,
            text=heard.text or self._transcribe(writing.symbols, heard),
            audio=heard.audio if heard.audio.dtype == np.float32 else to_float(heard.audio),
            sampling_rate=heard.sampling_rate,
            tokens=tokens,
            starts=starts,
            seconds_per_symbol=writing.seconds_per_symbol,
            resynthesize=partial(self._resynthesize, alphabet, heard, writing),
            direction=direction,
            first=first,
        )

    def _hear(self, prompt: Any, alphabet: Alphabet) -> HeardPrompt:
        quantizer = self._components.quantizer
        rate = SAMPLE_RATE if quantizer is None else quantizer.config.sampling_rate
        if isinstance(prompt, HeardPrompt):
            audio = prompt.audio
            if prompt.sampling_rate != rate:
                audio = to_mono(audio, prompt.sampling_rate, rate)
            return replace(prompt, audio=audio, sampling_rate=rate)
        if isinstance(prompt, str):
            return self._speak(_check_text(prompt), rate)
        audio = read_audio(prompt, rate)
        if isinstance(alphabet, UnitAlphabet):
            return HeardPrompt(audio, rate)
        return self._speak(self._recognize(audio, rate), rate)

    def _speak(self, text: str, rate: int) -> HeardPrompt:
        spoken = self._synthesizer.speak_text(text)
        audio = spoken.audio if rate == SAMPLE_RATE else to_mono(spoken.audio, SAMPLE_RATE, rate)
        return HeardPrompt(audio, rate, spoken, spoken.text)

    def _recognize(self, audio: np.ndarray, rate: int) -> str:
        """The text of a recording, by a recogniser, or by units and a transcriber of these."""
        parts = self._components
        if isinstance(parts.transcriber, Transcriber):
            (text,) = parts.transcriber.transcribe([audio], rate)
        elif parts.transcriber is not None and not parts.transcriber.config.symbols and parts.quantizer is not None:
            (text,) = parts.transcriber.transcribe(parts.quantizer.units([audio]))
        else:
            reads = "text" if self._is_joint else parts.modality.label
            raise ValueError(
                f"A model that reads {reads} hears no sound: give a text, or in Python a transcriber that "
                "writes down what is said (transcriber='openai/whisper-tiny.en')."
            )
        if not text.strip():
            raise ValueError("The transcriber hears no words in the recording; give another one, or a text.")
        return text

    def _ids(self, content: str, symbols: Sequence[str], direction: str) -> tuple[list[int], int, int]:
        """The ids of a prompt, and where those of its content begin and end."""
        if not self._is_joint:
            ids = self._tokenizer([content], return_attention_mask=False, verbose=False).input_ids[0]
            special = set(self._tokenizer.all_special_ids)
            first = next((i for i, index in enumerate(ids) if index not in special), len(ids))
            if first == 0:  # the tokenizer of a model from elsewhere may leave the beginning to its user
                ids, first = [find_beginning(self._components.model.config, self._tokenizer).token_id, *ids], 1
            last = len(ids)
        else:
            before, after = DIRECTIONS[direction]
            written = "".join(f"{UNIT_MARK}{unit}" for unit in symbols) if before == UNITS else content
            (ids,) = prompt_ids(self._tokenizer, [written], direction)
            first = next(i for i, index in enumerate(ids) if index in self._first_tokens()) + 1
            last = len(ids) - (before != after)
        if self._tokenizer.unk_token_id is not None and self._tokenizer.unk_token_id in ids[first:last]:
            raise ValueError(f"The model does not know {_name_unknown(self._tokenizer, symbols)}; leave it out.")
        return list(ids), first, last

    def _first_tokens(self) -> list[int]:
        return self._tokenizer.convert_tokens_to_ids([SPEECH_TOKEN, TEXT_TOKEN])

    def _transcribe(self, symbols: list[str], heard: HeardPrompt) -> str | None:
        (text,) = transcribe(self._components.transcriber, [symbols], [heard.audio], heard.sampling_rate)
        return text

    def _resynthesize(self, alphabet: Alphabet, heard: HeardPrompt, writing: Writing) -> np.ndarray | None:
        if isinstance(alphabet, TextAlphabet):
            return to_float(heard.audio) if heard.audio.dtype != np.float32 else heard.audio
        if isinstance(alphabet, UnitAlphabet) and self._components.vocoder is None:
            return None
        voice = alphabet.voice(writing.seconds_per_symbol)
        voice.write(writing.symbols)
        return to_mono(voice.hear(is_last=True), voice.sampling_rate, heard.sampling_rate)


def label_tokens(
    reader: TokenReader, ids: Sequence[int], symbol_starts: Sequence[float], alphabet: Alphabet
) -> tuple[list[str], list[float]]:
    """
    Say what each id stands for, and when it begins.

    Args:
        reader ([`TokenReader`]): Reads the ids.
        ids (`Sequence[int]`): Ids of a content.
        symbol_starts (`Sequence[float]`): When each of its symbols begins, in seconds.
        alphabet ([`Alphabet`]): Of the symbols.

    Returns:
        `tuple[list[str], list[float]]`: One of each an id.
    """
    tokens, starts, place = [], [], 0
    for index in ids:
        symbols = reader.read(index)
        tokens.append(alphabet.join(symbols))
        starts.append(float(symbol_starts[min(place, len(symbol_starts) - 1)]))
        place += len(symbols)
    return tokens, starts


def transcribe(
    transcriber: Any, symbols: Sequence[list[str]], audio: Sequence[np.ndarray | None], sampling_rate: int
) -> list[str | None]:
    """
    What units, phones or their audio say.

    Args:
        transcriber ([`Transcriber`] or [`UnitTranscriber`], *optional*): A recogniser hears the audio; a transcriber
            of units or phones reads the symbols.
        symbols (`Sequence[list[str]]`): Units or phones of each utterance.
        audio (`Sequence[np.ndarray]`): The audio of each, where there is any.
        sampling_rate (`int`): Samples per second.

    Returns:
        `list[str]`: Texts; `None` of each where nothing can tell them.
    """
    if transcriber is None:
        return [None] * len(symbols)
    if isinstance(transcriber, Transcriber):
        heard = [i for i, samples in enumerate(audio) if samples is not None and len(samples)]
        texts = dict(zip(heard, transcriber.transcribe([audio[i] for i in heard], sampling_rate))) if heard else {}
        return [texts.get(i, "") for i in range(len(symbols))]
    are_phones = any(not symbol.isdigit() for row in symbols for symbol in row)
    if are_phones != bool(transcriber.config.symbols):
        return [None] * len(symbols)
    return transcriber.transcribe([row if are_phones else [int(symbol) for symbol in row] for row in symbols])


def _check_text(text: str) -> str:
    if not text.strip():
        raise ValueError("The prompt is empty; give a text or a recording.")
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"The text has {len(text)} characters, more than {MAX_CHARACTERS}; shorten it.")
    if text.lower().endswith(_AUDIO_SUFFIXES) and " " not in text:
        raise ValueError(f"{text!r} is read as a text; to have a file read, give it as a path: Path({text!r}).")
    return text


def _name_unknown(tokenizer: PreTrainedTokenizerBase, symbols: Sequence[str]) -> str:
    """The first symbol that a tokenizer does not know."""
    unknown = tokenizer.unk_token_id
    for symbol in dict.fromkeys(symbols):
        if symbol.strip() and unknown in tokenizer(symbol, add_special_tokens=False).input_ids:
            return f"{symbol!r} in the prompt"
    return "something in the prompt"
