"""Encoders with weights, from a folder or the Hub: what there is to know of one, and its weights up to a layer.

folder or id, layer, revision -> [`describe_encoder`] -> what a [`SpeechUnitConfig`] holds as `pretrained`, from which
`make_encoder` builds it -> [`load_encoder_weights`]. Families differ in `ssl_encoder.py` and `whisper_encoder.py`.
"""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PretrainedConfig

from . import ssl_encoder, whisper_encoder
from .safetensors_revision import find_safetensors_revision


def describe_encoder(model_id: str, layer: int | None = None, revision: str | None = None) -> dict[str, Any]:
    """
    What a [`SpeechUnitConfig`] has to know of an encoder: its shape up to a layer, and where it comes from.

    Args:
        model_id (`str`): A folder or an id on the Hub.
        layer (`int`, *optional*): The layer whose output is clustered, from 1. When not given, the last one; of
            Whisper, whose last layers serve its decoder, the one three quarters of the way up, rounded up.
        revision (`str`, *optional*): Commit, branch or tag on the Hub. If it has no weights in safetensors, the
            Hub's own conversion of them is described, with its commit; see [`find_safetensors_revision`].

    Returns:
        `dict`: `model` (the encoder's configuration with `layer` layers), `hidden_size` (dimensions of a frame),
        `hop_length` (samples from one frame to the next), `sampling_rate`, `layer`, `source` (the id, or the folder's
        name) and `revision` (the commit that the weights are read from, where known); beside them what its family
        does to a waveform: `normalize` (whether each gets mean 0 and variance 1) or `mel` (the frames of its log-mel).

    Raises:
        `ValueError`: If there is no such encoder, it reads no waveforms, it has fewer layers, Whisper's feature
            extractor is missing or another one's, or its weights are not to be had in safetensors.
    """
    is_folder = Path(model_id).is_dir()
    name = Path(model_id).name if is_folder else model_id
    config = _read_config(model_id, revision)
    family = _family_of(config)
    family.check_shape(config, name)
    if not is_folder and (readable := find_safetensors_revision(model_id, revision)) != revision:
        # Configuration and weights come from one commit, so that the pin says all that was read.
        revision = readable
        config = _read_config(model_id, revision)
    layers = config.num_hidden_layers
    layer = family.default_layer(layers) if layer is None else layer
    if not 1 <= layer <= layers:
        raise ValueError(f"{name} has {layers} layer{'s' * (layers != 1)}; layer {layer} is none of them.")
    described = family.describe(config, _read_preprocessing(model_id, revision), name, layer)
    described |= {"hidden_size": config.hidden_size, "layer": layer, "source": name}
    return described | {"revision": _find_commit(model_id, revision) or revision}


def load_encoder_weights(
    model_id: str, pretrained: dict[str, Any], dtype: torch.dtype = torch.float32
) -> dict[str, torch.Tensor]:
    """
    Weights of an encoder up to the layer that is used; safetensors only.

    Args:
        model_id (`str`): A folder or an id on the Hub.
        pretrained (`dict`): As [`describe_encoder`] gives it.
        dtype (`torch.dtype`, *optional*, defaults to `torch.float32`): Their precision.

    Returns:
        `dict[str, torch.Tensor]`: Weights by name.

    Raises:
        `ValueError`: If the encoder has no weights in safetensors.
    """
    revision = pretrained["revision"]
    try:
        model = AutoModel.from_pretrained(model_id, revision=revision, dtype=dtype, use_safetensors=True)
    except OSError as error:
        raise ValueError(f"{pretrained['source']} has no weights in safetensors that can be read: {error}") from error
    return _family_of(model.config).cut_at_layer(model, pretrained["layer"]).state_dict()


def _family_of(config: PretrainedConfig) -> ModuleType:
    return whisper_encoder if config.model_type == "whisper" else ssl_encoder


def _read_config(model_id: str, revision: str | None) -> PretrainedConfig:
    try:
        return AutoConfig.from_pretrained(model_id, revision=revision)
    except (OSError, ValueError) as error:
        raise ValueError(f"{model_id!r} is no encoder: {str(error).splitlines()[0]}") from error


def _read_preprocessing(model_id: str, revision: str | None) -> dict[str, Any]:
    """What the encoder's feature extractor does, if it says so: in a file of its own, or in its processor's."""
    return _read_json(model_id, "preprocessor_config.json", revision) or _read_json(
        model_id, "processor_config.json", revision
    ).get("feature_extractor", {})


def _read_json(model_id: str, name: str, revision: str | None) -> dict[str, Any]:
    from transformers.utils import cached_file

    path = cached_file(
        model_id,
        name,
        revision=revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else {}


def _find_commit(model_id: str, revision: str | None) -> str | None:
    """The commit that a revision of a repository on the Hub is; `None` for a folder."""
    from transformers.utils import cached_file
    from transformers.utils.hub import extract_commit_hash

    return extract_commit_hash(cached_file(model_id, "config.json", revision=revision), None)
