"""The encoder of a quantizer as a command names it: frame features, or a layer of a self-supervised encoder.

name, layer, revision, precision -> what [`fit_units`] takes, what a fingerprint holds, what tables call it.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....models.audio import FRAME_RATE, FRAME_SAMPLES, SAMPLE_RATE
from ...arguments.study import FRAME_FEATURES
from ...run.stage import fingerprint_files

_FILES = ("config.json", "preprocessor_config.json", "*.safetensors")


@dataclass(frozen=True)
class EncoderSettings:
    """
    What makes the frames that units stand for.

    Args:
        name (`str`): `"mfcc"`, `"log_mel"`, or the folder or Hub id of a self-supervised encoder.
        layer (`int`, *optional*): The layer of such an encoder, from 1; its last when not given.
        revision (`str`, *optional*): Its commit, branch or tag on the Hub.
        precision (`str`, *optional*, defaults to `"fp32"`): `"fp32"` or `"bf16"`.
    """

    name: str
    layer: int | None = None
    revision: str | None = None
    precision: str = "fp32"

    @property
    def is_ssl(self) -> bool:
        """Whether it is a self-supervised one."""
        return self.name not in FRAME_FEATURES

    @property
    def fit_arguments(self) -> dict[str, Any]:
        """Arguments of [`fit_units`] and [`fit_unit_seeds`]."""
        if not self.is_ssl:
            return {"encoder": self.name}
        return {"ssl_model_id": self.name, "ssl_layer": self.layer, "ssl_revision": self.revision}

    def describe(self) -> str | dict[str, Any]:
        """
        What makes the frames, wherever it lies: part of a stage's fingerprint.

        Returns:
            `str` or `dict`: The name of frame features; of a self-supervised encoder its layer, source, revision,
            precision and, if it is a folder, what its files hold.

        Raises:
            `ValueError`: If there is no such encoder, no such layer in it, or its frames are not those of a run.
        """
        if not self.is_ssl:
            return self.name
        ssl = self._describe_ssl()
        described = {name: ssl[name] for name in ("source", "layer", "revision")} | {"precision": self.precision}
        if Path(self.name).is_dir():
            # Not its other files: the record of a training says how long it took.
            described["files"] = fingerprint_files(Path(self.name), _FILES)
        return described

    @property
    def label(self) -> str:
        """The encoder's name in tables and figures: that of its kind."""
        from ....models.speech_units import SpeechUnitConfig

        config = {"encoder": "ssl", "ssl": self._describe_ssl()} if self.is_ssl else {"encoder": self.name}
        return SpeechUnitConfig(**config).encoder_label

    def _describe_ssl(self) -> dict[str, Any]:
        from ....models.speech_units.ssl_encoder import describe_ssl_encoder

        ssl = describe_ssl_encoder(self.name, self.layer, self.revision)
        samples, rate = math.prod(ssl["model"]["conv_stride"]), ssl["sampling_rate"]
        if (samples, rate) != (FRAME_SAMPLES, SAMPLE_RATE):
            raise ValueError(
                f"{ssl['source']} makes {rate / samples:g} frames a second of audio at {rate} Hz, and a run has "
                f"{FRAME_RATE:g} units a second at {SAMPLE_RATE} Hz; choose an encoder of that rate, such as "
                f"facebook/hubert-base-ls960, or fit a quantizer in Python with fit_units(..., ssl_model_id="
                f"{self.name!r}, sampling_rate={rate}, frame_rate={rate / samples:g})."
            )
        return ssl
