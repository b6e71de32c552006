"""Which quantizer units come from: a short hash that ties models, vocoders and transcribers to their codebook.

[`SpeechUnitModel`] -> [`quantizer_hash`] -> `unit_quantizer_hash` in the `config.json` of all that reads or writes its
units -> [`check_same_quantizer`]. Unit 17 of one quantizer is another sound than unit 17 of the next.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from .modeling_speech_units import SpeechUnitModel

HASH_KEY = "unit_quantizer_hash"
"""The key of a configuration that holds the hash."""
EXTERNAL_UNITS = "external_units"
"""The `model_type` of units that a function or a table makes, in the place of a quantizer."""

_CODEBOOK = ("centroids", "feature_mean", "feature_std", "feature_weight")
_FRAME_KEYS = ("encoder", "sampling_rate", "frame_rate", "normalization", "num_mel_bins", "num_cepstra", "window_ms")
_FRAME_KEYS += ("log_floor", "delta_weights", "segment_parts", "segmentation", "duration_penalty")
_NAMES = ("source", "revision")  # of an encoder: where it came from, not what it computes


def quantizer_hash(model: "SpeechUnitModel") -> str:
    """
    Tell a quantizer from all others: from what its units mean, not from where it lies or how it was fitted. A speaker
    who is added does not change it.

    Args:
        model ([`SpeechUnitModel`]): The quantizer, or what takes its place: units that a function makes.

    Returns:
        `str`: The first 16 hexadecimal digits of a SHA-256 over the codebook and over how frames are made; of a
        function the fingerprint of the ids that it gives.
    """
    if model.config.model_type == EXTERNAL_UNITS:
        return model.fingerprint()
    config = {key: getattr(model.config, key) for key in _FRAME_KEYS}
    if model.config.duration_penalty:
        config["mean_distance"] = model.config.mean_distance
    pretrained = model.config.pretrained or {}
    config["pretrained"] = {key: value for key, value in pretrained.items() if key not in _NAMES}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    tensors = model.state_dict()
    for name in _CODEBOOK:
        digest.update(f"{name} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].detach().cpu().float().numpy().astype("<f4").tobytes())
    return digest.hexdigest()[:16]


def is_external(folder: str | Path) -> bool:
    """Whether a quantizer's folder holds units that a function or a table makes, and no [`SpeechUnitModel`]."""
    path = Path(folder) / "config.json"
    return path.is_file() and json.loads(path.read_text(encoding="utf-8")).get("model_type") == EXTERNAL_UNITS


def check_same_quantizer(config_a: "PretrainedConfig | Mapping", config_b: "PretrainedConfig | Mapping") -> None:
    """
    Check that two models read or write units of one quantizer. A model that was not released says of none, and goes
    with any.

    Args:
        config_a ([`~transformers.PretrainedConfig`] or `Mapping`): Configuration of a language model, quantizer,
            vocoder or transcriber of units.
        config_b ([`~transformers.PretrainedConfig`] or `Mapping`): That of another one.

    Raises:
        `ValueError`: If both name a quantizer, and not the same one.
    """
    hash_a, hash_b = _read(config_a, HASH_KEY), _read(config_b, HASH_KEY)
    if hash_a and hash_b and hash_a != hash_b:
        raise ValueError(
            f"{_name(config_a)} is of the speech units {hash_a} and {_name(config_b)} of {hash_b}, so that a unit of "
            "one means nothing to the other; take both from one release."
        )


def _read(config: "PretrainedConfig | Mapping", key: str):
    return config.get(key) if isinstance(config, Mapping) else getattr(config, key, None)


def _name(config: "PretrainedConfig | Mapping") -> str:
    return _read(config, "_name_or_path") or f"A model of the kind {_read(config, 'model_type') or 'unknown'!r}"
