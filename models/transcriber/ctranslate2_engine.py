"""Whisper through CTranslate2, the engine of faster-whisper, with the same prompt, features and rules.

folder in Hugging Face's form -> converted once, without a network, into the cache -> [`CTranslate2Recognizer`]. What
is already converted (such as `Systran/faster-whisper-small.en`) is read as it is.
"""

import hashlib
import os
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor

from ..cache import default_cache_dir
from .recognizer import Hypothesis, Recognizer
from .whisper import WINDOW_SECONDS, WhisperPrompt, most_whisper_tokens

CONVERTED_FILE = "model.bin"
"""Weights in CTranslate2's form, which is no pickle."""
_COMPUTE_TYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
_READ = ("*.json", "*.txt", "*.safetensors", CONVERTED_FILE)


class CTranslate2Recognizer(Recognizer):
    """
    A Whisper of CTranslate2.

    Args:
        model (`ctranslate2.models.Whisper`): The model.
        prompt ([`WhisperPrompt`]): What its decoder begins with.
    """

    def __init__(self, model, prompt: WhisperPrompt):
        self.feature_extractor = WhisperFeatureExtractor(feature_size=model.n_mels)
        super().__init__(self.feature_extractor.sampling_rate, WINDOW_SECONDS)
        self.model, self.prompt = model, prompt

    def recognize(self, waveforms: Sequence[np.ndarray], num_beams: int = 1) -> list[Hypothesis]:
        """As [`Recognizer`] says."""
        from ctranslate2 import StorageView

        features = self.feature_extractor(
            list(waveforms), sampling_rate=self.sampling_rate, return_tensors="np"
        ).input_features
        limits = [most_whisper_tokens(len(waveform), self.sampling_rate) for waveform in waveforms]
        results = self.model.generate(
            StorageView.from_array(np.ascontiguousarray(features, np.float32)),
            [self.prompt.ids] * len(waveforms),
            beam_size=num_beams,
            max_length=2 * max(limits),  # of which it takes half for the text
            return_no_speech_prob=True,
        )
        return [
            Hypothesis(self.prompt.text_of(result.sequences_ids[0][:limit]), result.no_speech_prob)
            for result, limit in zip(results, limits)
        ]


def load_ctranslate2(
    model_id: str, commit: str | None, language: str | None, device: str, precision: str
) -> CTranslate2Recognizer:
    """
    Load a Whisper with CTranslate2; arguments as of [`load_recognizer`].

    Raises:
        `ValueError`: If CTranslate2 is not installed, the model is no Whisper or has no weights that it can read, or
            the device cannot compute in the precision.
    """
    check_installed()
    from ctranslate2.models import Whisper

    folder = Path(model_id) if Path(model_id).is_dir() else _download(model_id, commit)
    name = Path(model_id).name if Path(model_id).is_dir() else model_id
    converted = folder if (folder / CONVERTED_FILE).is_file() else _convert(folder, name)
    compute_type, threads = _COMPUTE_TYPES[precision], torch.get_num_threads()
    try:
        model = Whisper(str(converted), device=device, compute_type=compute_type, intra_threads=threads)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{name} cannot be run by CTranslate2 on {device} in {precision}: {error}") from error
    prompt = WhisperPrompt(_read_tokenizer(converted, name), model.is_multilingual, language, name)
    return CTranslate2Recognizer(model, prompt)


def check_installed() -> None:
    """Raise a `ValueError` that says what to install, unless CTranslate2 is there."""
    if find_spec("ctranslate2") is None:
        raise ValueError(
            'CTranslate2 is not installed; run `pip install "evoslm[faster-whisper]"`, or leave the engine out.'
        )


def _download(model_id: str, commit: str) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(model_id, revision=commit, allow_patterns=list(_READ)))


def _read_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerFast:
    if not (folder / "tokenizer.json").is_file():
        raise ValueError(f"{name} has no tokenizer.json, which CTranslate2 needs; leave the engine out.")
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))


def _convert(folder: Path, name: str) -> Path:
    """The model in CTranslate2's form, in the cache; written whole or not at all."""
    from ctranslate2.converters import TransformersConverter

    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ValueError(f"{name} has no weights in safetensors, and no others are read; give another model.")
    _read_tokenizer(folder, name)
    target = default_cache_dir() / "ctranslate2" / _key(folder, weights)
    if target.is_dir():
        return target
    partial = target.with_name(f".{target.name}.{uuid4().hex}.tmp")
    try:
        TransformersConverter(str(folder), copy_files=["tokenizer.json"]).convert(str(partial))
        os.replace(partial, target)
    except (ValueError, KeyError, OSError) as error:
        if not target.is_dir():  # which another process may have made meanwhile
            raise ValueError(f"{name} cannot be converted for CTranslate2: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _key(folder: Path, weights: Sequence[Path]) -> str:
    """Sixteen hexadecimal digits for what is converted, and by which version."""
    digest = hashlib.sha256(version("ctranslate2").encode())
    for path in [*weights, *sorted(folder.glob("*.json"))]:
        with path.open("rb") as file:
            while block := file.read(2**24):
                digest.update(block)
    return digest.hexdigest()[:16]
