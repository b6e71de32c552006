"""Speech of any length and rate -> text, by any model for speech recognition of transformers.

waveforms -> one channel at the model's rate -> stretches in which somebody may be speaking (`stretches.py`) -> batches
of like length -> hypotheses -> those that the model does not itself take for silence or noise -> texts.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..speech_units.processing_speech_units import to_mono
from . import ctranslate2_engine
from .loading import PRECISIONS, load_recognizer, pin_model
from .recognizer import Hypothesis, Recognizer
from .stretches import find_stretches

ENGINES = ("transformers", "ctranslate2")
NO_SPEECH = 0.45
"""Above this probability that nobody speaks, what a model wrote is made up."""


class Transcriber:
    """
    Turns sound into the words that are said in it.

    Where nobody speaks the text is empty: silence and steady sounds (noise, tones, hum) are left out before the model
    is asked, and what it takes for no speech itself is left out after. Phrases in an endless loop are said once.

    Make one with [`~Transcriber.from_pretrained`].

    Args:
        recognizer ([`Recognizer`]): A model behind one call.
        source (`dict`): What it is: `model` (the id, or the folder's name), `revision` (the commit on the Hub),
            `language`, `engine` and `precision`.

    Examples:

    ```python
    >>> from evoslm.models.transcriber import Transcriber

    >>> transcriber = Transcriber.from_pretrained("openai/whisper-small.en")  # doctest: +SKIP
    >>> transcriber.transcribe([waveform, other_waveform], sampling_rate=22_050)  # doctest: +SKIP
    ['The examination and testimony of the experts.', '']
    ```
    """

    def __init__(self, recognizer: Recognizer, source: dict[str, Any]):
        self.recognizer = recognizer
        self.source = source

    @classmethod
    def from_pretrained(
        cls,
        model_id: str | Path,
        revision: str | None = None,
        language: str | None = None,
        engine: str = "transformers",
        device: str = "auto",
        precision: str = "fp32",
    ) -> "Transcriber":
        """
        Load a model.

        Args:
            model_id (`str` or `Path`):
                A Whisper, another `AutoModelForSpeechSeq2Seq` or an `AutoModelForCTC`: a folder or an id on the Hub.
                Weights are read from safetensors alone, whatever precision they were saved in.
            revision (`str`, *optional*):
                Commit, branch or tag on the Hub. The commit that it is now is what `source` says.
            language (`str`, *optional*):
                Language of the speech, for a multilingual Whisper: a code such as `"de"`; English when not given.
            engine (`str`, *optional*, defaults to `"transformers"`):
                `"transformers"`, or `"ctranslate2"` for a Whisper where that is installed.
            device (`str`, *optional*, defaults to `"auto"`):
                `"cpu"`, `"cuda"`, or `"auto"`, which takes a GPU where there is one.
            precision (`str`, *optional*, defaults to `"fp32"`):
                Of the computation: `"fp32"`, `"bf16"` or `"fp16"`.

        Returns:
            [`Transcriber`]

        Raises:
            `FileNotFoundError`: If there is no such model or revision.
            `ValueError`: If it is no model for speech recognition or has no weights in safetensors, or an argument is
                none of those above.
        """
        model_id = str(model_id)
        _check_choice("engine", engine, ENGINES)
        _check_choice("device", device, ("auto", "cpu", "cuda"))
        _check_choice("precision", precision, tuple(PRECISIONS))
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if engine == "ctranslate2":
            ctranslate2_engine.check_installed()
            commit = pin_model(model_id, revision, ctranslate2_engine.CONVERTED_FILE)
            recognizer = ctranslate2_engine.load_ctranslate2(model_id, commit, language, device, precision)
        else:
            commit = pin_model(model_id, revision)
            recognizer = load_recognizer(model_id, commit, language, device, precision)
        source = {"model": Path(model_id).name if Path(model_id).is_dir() else model_id, "revision": commit}
        return cls(recognizer, source | {"language": language, "engine": engine, "precision": precision})

    def check_beams(self, num_beams: int) -> None:
        """
        Check that the model can search with so many beams.

        Args:
            num_beams (`int`): Beams of the search.

        Raises:
            `ValueError`: If it has no search, as those with a CTC head, and more than one is asked for.
        """
        if num_beams > 1 and not self.recognizer.has_search:
            raise ValueError(
                f"{self.source['model']} takes the likeliest label of each frame and has no search; leave num_beams "
                f"({num_beams}) out."
            )

    def transcribe(
        self,
        waveforms: Sequence[np.ndarray],
        sampling_rate: int | Sequence[int] = 16_000,
        batch_size: int = 8,
        num_beams: int = 1,
    ) -> list[str]:
        """
        Write down what is said.

        Args:
            waveforms (`Sequence[np.ndarray]`):
                Samples of shape `(num_samples,)` or `(num_channels, num_samples)`, of any lengths: int16, or floating
                point in [-1, 1].
            sampling_rate (`int` or `Sequence[int]`, *optional*, defaults to 16000):
                Samples per second, of all or of each.
            batch_size (`int`, *optional*, defaults to 8):
                Stretches of at most 30 s that go through the model together.
            num_beams (`int`, *optional*, defaults to 1):
                Beams of the search; 1 takes the most probable token at every step.

        Returns:
            `list[str]`: The text of each, empty where nobody speaks.

        Raises:
            `ValueError`: If a waveform is empty, not finite, or of a shape that is not known, there are not as many
                rates as waveforms, or beams are asked of a model without a search.
        """
        self.check_beams(num_beams)
        if getattr(waveforms, "ndim", None) == 1:
            raise ValueError("The waveforms are one waveform; give a list of them.")
        rates = [sampling_rate] * len(waveforms) if isinstance(sampling_rate, int) else list(sampling_rate)
        if len(rates) != len(waveforms):
            raise ValueError(
                f"There are {len(waveforms)} waveforms, but {len(rates)} sampling rates; give one of each."
            )
        own = self.recognizer.sampling_rate
        mono = [
            to_mono(samples, rate, own, name=f"Audio {i}") for i, (samples, rate) in enumerate(zip(waveforms, rates))
        ]
        stretches = [
            (i, start, samples[start:end])
            for i, samples in enumerate(mono)
            for start, end in find_stretches(samples, own, self.recognizer.max_seconds)
        ]
        texts: list[list[tuple[int, str]]] = [[] for _ in mono]
        for batch in _batches(stretches, 1 if self.recognizer.mixes_rows else batch_size):
            heard = self.recognizer.recognize([samples for _, _, samples in batch], num_beams)
            for (i, start, _), hypothesis in zip(batch, heard):
                if hypothesis.text and is_heard(hypothesis):
                    texts[i].append((start, hypothesis.text))
        return [" ".join(text for _, text in sorted(found)) for found in texts]


def is_heard(hypothesis: Hypothesis) -> bool:
    """Whether a model takes what it wrote down for speech; of one that cannot say so, always."""
    return hypothesis.no_speech is None or hypothesis.no_speech <= NO_SPEECH


def _batches(
    stretches: Sequence[tuple[int, int, np.ndarray]], batch_size: int
) -> Iterable[list[tuple[int, int, np.ndarray]]]:
    """The longest first, so that what does not fit into memory does not at once."""
    in_order = sorted(stretches, key=lambda stretch: -len(stretch[2]))
    for start in range(0, len(in_order), batch_size):
        yield in_order[start : start + batch_size]


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"The {name} is {value!r}; choose from {', '.join(choices)}.")
