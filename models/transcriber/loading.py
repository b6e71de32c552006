"""Recognisers by Hub id or folder: which commit is read, which class runs it, on which device and engine.

id or folder -> [`pin_model`] -> the commit with its weights in safetensors -> [`load_recognizer`] -> a `Recognizer`.
"""

from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForCTC,
    AutoModelForSpeechSeq2Seq,
    AutoTokenizer,
    PretrainedConfig,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CTC_MAPPING_NAMES,
    MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES,
)
from transformers.utils.hub import has_file

from ..hub_commit import find_commit
from ..speech_units.safetensors_revision import find_safetensors_revision
from .ctc import CtcRecognizer
from .recognizer import Recognizer
from .sequence_to_sequence import SequenceToSequenceRecognizer
from .whisper import WhisperPrompt, WhisperRecognizer, is_multilingual

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Of the computation, whatever the weights were saved in."""
WHISPER = "WhisperForConditionalGeneration"


def pin_model(model_id: str, revision: str | None = None, converted_file: str | None = None) -> str | None:
    """
    The commit from which a model is read.

    Args:
        model_id (`str`): A folder or an id on the Hub.
        revision (`str`, *optional*): Commit, branch or tag on the Hub. If it has no weights in safetensors, the Hub's
            own conversion of them is taken; see [`find_safetensors_revision`].
        converted_file (`str`, *optional*): Weights in another form that are read, too, if they are there.

    Returns:
        `str`, *optional*: The commit; `None` for a folder.

    Raises:
        `FileNotFoundError`: If there is no such model or revision.
        `ValueError`: If a revision of a folder is asked for, or there are no weights in safetensors.
    """
    commit = find_commit(model_id, revision, "model")
    if commit is None or (converted_file and has_file(model_id, converted_file, revision=commit)):
        return commit
    readable = find_safetensors_revision(model_id, commit)
    return commit if readable == commit else find_commit(model_id, readable, "model")


def load_recognizer(
    model_id: str, commit: str | None = None, language: str | None = None, device: str = "cpu", precision: str = "fp32"
) -> Recognizer:
    """
    Load a model with transformers.

    Args:
        model_id (`str`): A folder or an id on the Hub.
        commit (`str`, *optional*): As [`pin_model`] gives it.
        language (`str`, *optional*): Language of the speech, for a multilingual Whisper; English when not given.
        device (`str`, *optional*, defaults to `"cpu"`): Where it runs.
        precision (`str`, *optional*, defaults to `"fp32"`): One of [`PRECISIONS`].

    Returns:
        [`Recognizer`]

    Raises:
        `ValueError`: If it is no model for speech recognition, has no weights in safetensors or no tokenizer, or does
            not take the language.
    """
    name = Path(model_id).name if Path(model_id).is_dir() else model_id
    architecture = _read_architecture(model_id, commit, name)
    feature_extractor, tokenizer = _load_preprocessing(model_id, commit, name)
    if architecture != WHISPER and language is not None:
        raise ValueError(f"{name} is of one language and is not told which; leave the language {language!r} out.")
    is_ctc = architecture in _names_of(MODEL_FOR_CTC_MAPPING_NAMES)
    auto_class = AutoModelForCTC if is_ctc else AutoModelForSpeechSeq2Seq
    try:
        model = auto_class.from_pretrained(
            model_id, revision=commit, dtype=PRECISIONS[precision], use_safetensors=True
        ).to(device)
    except OSError as error:
        raise ValueError(f"{name} has no weights in safetensors that can be read: {error}") from error
    if architecture == WHISPER:
        prompt = WhisperPrompt(tokenizer, is_multilingual(model), language, name)
        return WhisperRecognizer(model, feature_extractor, prompt)
    return (CtcRecognizer if is_ctc else SequenceToSequenceRecognizer)(model, feature_extractor, tokenizer)


def _read_architecture(model_id: str, commit: str | None, name: str) -> str:
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(model_id, revision=commit)
    except (OSError, ValueError) as error:
        raise ValueError(f"{model_id!r} is no model that can be loaded: {str(error).splitlines()[0]}") from error
    known = _names_of(MODEL_FOR_CTC_MAPPING_NAMES) | _names_of(MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES)
    architectures = config.architectures or []
    found = next((architecture for architecture in architectures if architecture in known), None)
    if found is None:
        raise ValueError(
            f"{name} ({', '.join(architectures) or config.model_type}) was not trained to recognise speech; give a "
            "Whisper, or another model with text as its output, such as facebook/wav2vec2-base-960h."
        )
    return found


def _names_of(mapping: dict) -> set[str]:
    return {name for names in mapping.values() for name in ([names] if isinstance(names, str) else names)}


def _load_preprocessing(model_id: str, commit: str | None, name: str):
    try:
        feature_extractor = AutoFeatureExtractor.from_pretrained(model_id, revision=commit)
        tokenizer = AutoTokenizer.from_pretrained(model_id, revision=commit)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{name} lacks a feature extractor or a tokenizer that can be read: {reason}") from error
    return feature_extractor, tokenizer
