"""What one model writes behind all prompts, as symbols, text and sound: a stage a modality and training seed.

prompts + model -> one batch over prompts and generation seeds -> symbols -> text (`to_text.py`) -> `outputs.parquet`,
and the sounds of the first generation seed. Of each modality, the true continuations go through the same channel.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ....models.files import read_json
from ....models.modalities import get_modality
from ....models.phones import SIL, SPN
from ....models.pipelines.alphabets import Alphabet, HeardPrompt
from ....models.pipelines.batches import speak_symbols
from ...joint.continuations import find_silent_units
from ...run.execution import Execution
from ...run.folder import SUMMARY_FILE, Run
from ...run.stage import Stage
from ...run.study_file import read_study
from .prompts import ContinuationPrompt, hear_prompts, read_prompts
from .to_text import BY_EAR, TextChannel

OUTPUTS_FILE, AUDIO_FOLDER = "outputs.parquet", "audio"
VERSION = 1
PACKAGES = ("torch", "transformers")


@dataclass(frozen=True)
class GenerationSettings:
    """
    How prompts are continued.

    Args:
        generation_seeds (`int`, *optional*, defaults to 10): Outputs of each prompt and model.
        temperature (`float`, *optional*, defaults to 1.0): Of the distribution; 0 takes the likeliest token.
        top_p (`float`, *optional*, defaults to 0.9): Only the likeliest tokens that have this probability together are
            drawn.
        max_seconds (`float`, *optional*, defaults to 10.0): The longest output, in seconds of the modality's mean
            number of tokens a second, so that all modalities may say equally much.
        seed (`int`, *optional*, defaults to 0): Of all draws.
    """

    generation_seeds: int = 10
    temperature: float = 1.0
    top_p: float = 0.9
    max_seconds: float = 10.0
    seed: int = 0


@dataclass(frozen=True)
class Continued:
    """
    A modality whose models are asked.

    Args:
        run ([`Run`]): The run.
        folder (`Path`): Of this part of the analysis.
        channel ([`TextChannel`]): What brings its outputs to text.
        pinned (`dict`): What says which recogniser that is, where one is used.
        settings ([`GenerationSettings`]): How prompts are continued.
    """

    run: Run
    folder: Path
    channel: TextChannel
    pinned: dict[str, Any]
    settings: GenerationSettings

    @property
    def modality(self) -> str:
        """Its name."""
        return self.channel.modality

    @property
    def prompts(self) -> Path:
        """The stage of the prompts."""
        return self.folder / "prompts"

    def outputs(self, training_seed: int) -> Path:
        """The stage of a model's outputs."""
        return self.folder / "outputs" / self.modality / f"seed-{training_seed}"

    @property
    def true(self) -> Path:
        """The stage of the true continuations, as the channel gives them back."""
        return self.folder / "outputs" / self.modality / "true"

    @property
    def is_of_own_frames(self) -> bool:
        """Whether it is of units of frames in the voices of the run, which the run's vocoder speaks."""
        own = get_modality(self.modality)
        return own.is_speech and own.unit_of == "frame" and own.voices is None

    @property
    def vocoder(self) -> Path | None:
        """The vocoder that was trained on the run's units, where it speaks them; else it is read off the quantizer."""
        trained = self.run.folder / "vocoder"
        return trained if self.is_of_own_frames and (trained / "config.json").is_file() else None

    @property
    def way_to_text(self) -> dict[str, Any]:
        """What brings outputs to text, as a stage of them is told it."""
        way = {"channel": self.channel.kind, "transcriber": self.pinned}
        if self.channel.kind == BY_EAR and self.is_of_own_frames:
            from ...transcription.sounds import CODEBOOK, identify_vocoder

            if identity := identify_vocoder(self.run, str(self.vocoder or CODEBOOK)):
                way["vocoder"] = identity
        return way

    def pipeline(self, training_seed: int, device: str):
        """The model with its alphabet, and a vocoder that was read off the run's own speech."""
        from ....pipelines import SPEECH_CONTINUATION, pipeline
        from ...transcription.sounds import CODEBOOK, load_vocoder

        run = self.run
        vocoder = load_vocoder(run, str(self.vocoder or CODEBOOK)) if self.is_of_own_frames else None
        synthesizer = read_study(run.folder)["configuration"]["corpus"].get("synthesizer", "espeak")
        model = run.model(self.modality, training_seed)
        return pipeline(SPEECH_CONTINUATION, model, vocoder=vocoder, device=device, synthesizer=synthesizer)

    def inputs(self) -> dict[str, Path]:
        """What both the outputs and the true continuations are made of."""
        utterances = self.run.utterances(self.run.voices_of(self.modality))
        found = {"prompts": self.prompts, "utterances": utterances} | self.channel.inputs
        if get_modality(self.modality).is_speech:
            found["units"] = self.run.utterance_units(self.modality)
        return found

    def limit(self, prompts: Sequence[Sequence[int]], window: int | None) -> int:
        """
        The most tokens of an output.

        Raises:
            `ValueError`: If they do not fit behind the longest prompt.
        """
        rate = read_json(self.run.tokenizer(self.modality) / SUMMARY_FILE)["tokens_per_second"]
        limit, longest = max(1, ceil(rate * self.settings.max_seconds)), max(map(len, prompts))
        if window is not None and longest + limit > window:
            raise ValueError(
                f"{self.modality} reads {window} tokens, and the longest prompt and {self.settings.max_seconds:g} s "
                f"more have {longest + limit}; lower --max_seconds."
            )
        return limit


def build_outputs(
    asked: Continued, training_seed: int, execution: Execution, report_progress: Callable[[float], None] | None = None
) -> None:
    """
    Build the outputs of one model: `outputs.parquet` with a row an output (`prompt_id`, `generation_seed`, `content`,
    `text`, `reason`, `tokens`, `max_tokens`, `silent`), and sounds of the first of each prompt.

    Args:
        asked ([`Continued`]): Its modality.
        training_seed (`int`): Which model.
        execution ([`Execution`]): How it is done.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share that is done.

    Raises:
        `ValueError`: If a prompt cannot be written in the modality, or is too long for the model.
    """

    def build(folder: Path) -> None:
        pipe = asked.pipeline(training_seed, execution.device)
        prompts = read_prompts(asked.prompts)
        heard, _, _ = hear_prompts(prompts, asked.inputs()["utterances"], pipe.synthesizer)
        encoded = [_encode(pipe, prompt, own) for prompt, own in zip(prompts, heard)]
        settings = asked.settings
        limit = asked.limit([own.ids for own in encoded], pipe.model.config.max_position_embeddings)
        written = pipe.continue_all(
            encoded,
            max_new_tokens=limit,
            num_continuations=settings.generation_seeds,
            temperature=settings.temperature,
            top_p=settings.top_p,
            seed=settings.seed,
        )
        rows = [(place, seed, own) for place, of_prompt in enumerate(written) for seed, own in enumerate(of_prompt)]
        lengths = [encoded[place].seconds_per_symbol for place, _, _ in rows]
        symbols = [own.symbols for _, _, own in rows]
        texts = asked.channel.read(pipe.alphabet, symbols, pipe.components.repeats, lengths)
        silence = _silent_symbols(asked)
        table = {
            "prompt_id": [prompts[place].id for place, _, _ in rows],
            "generation_seed": [seed for _, seed, _ in rows],
            "content": [own.content for _, _, own in rows],
            "text": texts,
            "reason": [own.reason for _, _, own in rows],
            "tokens": [own.tokens for _, _, own in rows],
            "max_tokens": limit,
            "silent": [bool(own.symbols) and set(own.symbols) <= silence for _, _, own in rows],
        }
        (folder / AUDIO_FOLDER).mkdir(exist_ok=True)
        if pipe.is_audible:
            for (place, seed, own), length in zip(rows, lengths):
                if seed == 0:
                    audio = [encoded[place].resynthesized, speak_symbols(pipe.alphabet, own.symbols, length)]
                    _write_wav(folder / AUDIO_FOLDER / f"{place:02d}.wav", encoded[place].sampling_rate, *audio)
        pd.DataFrame(table).to_parquet(folder / OUTPUTS_FILE)

    inputs = asked.inputs() | {"model": asked.run.model(asked.modality, training_seed)}
    configuration = asdict(asked.settings) | asked.way_to_text
    _stage(asked.outputs(training_seed), configuration, inputs).run(build, execution.overwrite)
    if report_progress is not None:
        report_progress(1.0)


def build_true(
    asked: Continued, training_seed: int, execution: Execution, report_progress: Callable[[float], None] | None = None
) -> None:
    """
    Build the true continuations, written in a modality and brought back to text as outputs are: `outputs.parquet`.

    Args:
        asked ([`Continued`]): The modality.
        training_seed (`int`): Any of its models, whose alphabet is used.
        execution ([`Execution`]): How it is done.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share that is done.
    """

    def build(folder: Path) -> None:
        pipe = asked.pipeline(training_seed, execution.device)
        prompts = read_prompts(asked.prompts)
        _, wholes, ends = hear_prompts(prompts, asked.inputs()["utterances"], pipe.synthesizer)
        rest = [_write_rest(pipe.alphabet, whole, end) for whole, end in zip(wholes, ends)]
        symbols, lengths = zip(*rest)
        texts = asked.channel.read(pipe.alphabet, symbols, pipe.components.repeats, lengths)
        table = {"prompt_id": [prompt.id for prompt in prompts], "text": texts}
        pd.DataFrame(table).to_parquet(folder / OUTPUTS_FILE)

    _stage(asked.true, asked.way_to_text, asked.inputs()).run(build, execution.overwrite)
    if report_progress is not None:
        report_progress(1.0)


def _stage(folder: Path, configuration: dict[str, Any], inputs: dict[str, Path]) -> Stage:
    return Stage(folder, VERSION, configuration, inputs, packages=PACKAGES)


def _encode(pipe, prompt: ContinuationPrompt, heard: HeardPrompt):
    try:
        return pipe.encode(heard)
    except ValueError as error:
        label = pipe.modality.label.format(encoder="units")
        raise ValueError(f"{label} cannot be asked to go on from {prompt.prompt!r}: {error}") from error


def _write_rest(alphabet: Alphabet, whole: HeardPrompt, end: float) -> tuple[list[str], float]:
    """The symbols of an utterance that begin behind its prompt, and how long one lasts on average."""
    writing = alphabet.write(whole)
    half = min(writing.seconds_per_symbol, 0.01) / 2  # times are rounded
    kept = [symbol for symbol, start in zip(writing.symbols, writing.starts) if start >= end - half]
    return kept, writing.seconds_per_symbol


def _silent_symbols(asked: Continued) -> set[str]:
    """Symbols of the modality that say nothing."""
    own = get_modality(asked.modality)
    if not own.is_speech:
        return {SIL, SPN} if own.column != "text" else {" "}
    if own.unit_of != "frame":
        return set()
    voices = asked.run.voices_of(asked.modality)
    units = asked.run.utterance_units(asked.modality)
    return {str(unit) for unit in find_silent_units(asked.run.utterances(voices), units, "train", own_rate(asked))}


def own_rate(asked: Continued) -> float:
    """Frames a second of a modality's units."""
    from ...external_units.quantizers import read_quantizer_config

    return read_quantizer_config(asked.run.quantizer(asked.modality)).frame_rate


def _write_wav(path: Path, prompt_rate: int, prompt: np.ndarray, output: tuple[np.ndarray, int]) -> None:
    """The prompt as the model reads it, and what it wrote behind it."""
    import soundfile

    from ....models.speech_units.processing_speech_units import to_mono

    audio, rate = output
    if len(audio) and rate != prompt_rate:
        audio = to_mono(audio, rate, prompt_rate)
    samples = np.concatenate([prompt, audio]) if len(audio) else prompt
    soundfile.write(path, samples, prompt_rate, subtype="PCM_16")


def sound_name(modality: str, place: int) -> str:
    """Where a sound lies beside the page: the prompt at a place, and what a modality's first model wrote behind it."""
    return f"continuation/{modality}-{place:02d}.wav"
