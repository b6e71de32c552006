"""The encoder of a quantizer as a command names it: frame features, or a layer of a self-supervised encoder.

name, layer, revision, precision -> what [`fit_units`] takes, what a fingerprint holds, what tables call it.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....models.audio import FRAME_SAMPLES, SAMPLE_RATE
from ...arguments.study import FRAME_FEATURES
from ...run.stage import fingerprint_files

# 100 and 12.5 frames a second.
_FEWEST_SAMPLES, _MOST_SAMPLES = 160, 1_280
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
        named = {"ssl_model_id": self.name, "ssl_layer": self.layer, "ssl_revision": self.revision}
        return named | {"frame_rate": self.frame_rate}

    @property
    def frame_samples(self) -> int:
        """
        Samples from one frame to the next, at 16 kHz: 320, unless the encoder says otherwise.

        Raises:
            `ValueError`: As [`~EncoderSettings.describe`].
        """
        return math.prod(self._describe_ssl()["model"]["conv_stride"]) if self.is_ssl else FRAME_SAMPLES

    @property
    def frame_rate(self) -> float:
        """Frames, and so units, a second."""
        return SAMPLE_RATE / self.frame_samples

    def describe(self) -> str | dict[str, Any]:
        """
        What makes the frames, wherever it lies: part of a stage's fingerprint.

        Returns:
            `str` or `dict`: The name of frame features; of a self-supervised encoder its layer, source, revision,
            precision and, if it is a folder, what its files hold.

        Raises:
            `ValueError`: If there is no such encoder, no such layer in it, or a run cannot have its frames.
        """
        if not self.is_ssl:
            return self.name
        ssl = self._describe_ssl()
        described = {name: ssl[name] for name in ("source", "layer", "revision")} | {"precision": self.precision}
        described["frame_rate"] = self.frame_rate
        if Path(self.name).is_dir():
            # Not its other files: the record of a training says how long it took.
            described["files"] = fingerprint_files(Path(self.name), _FILES)
        return described

    @property
    def label(self) -> str:
        """The encoder's name in tables and figures: that of its kind."""
        from ....models.speech_units import SpeechUnitConfig

        if not self.is_ssl:
            return SpeechUnitConfig(encoder=self.name).encoder_label
        ssl = self._describe_ssl()
        return SpeechUnitConfig(encoder="ssl", ssl=ssl, frame_rate=self.frame_rate).encoder_label

    def _describe_ssl(self) -> dict[str, Any]:
        from ....models.speech_units.ssl_encoder import describe_ssl_encoder

        ssl = describe_ssl_encoder(self.name, self.layer, self.revision)
        samples, rate = math.prod(ssl["model"]["conv_stride"]), ssl["sampling_rate"]
        if rate != SAMPLE_RATE:
            raise ValueError(
                f"{ssl['source']} reads audio at {rate} Hz, and a run has it at {SAMPLE_RATE} Hz; choose an encoder "
                f"of that rate, such as facebook/hubert-base-ls960, or fit a quantizer in Python with fit_units(..., "
                f"ssl_model_id={self.name!r}, sampling_rate={rate}, frame_rate={rate / samples:g})."
            )
        if not _FEWEST_SAMPLES <= samples <= _MOST_SAMPLES or rate % (rate / samples):
            fewest, most = rate / _MOST_SAMPLES, rate / _FEWEST_SAMPLES
            raise ValueError(
                f"{ssl['source']} makes {rate / samples:g} frames a second, and a run has {fewest:g} to {most:g}, a "
                f"number that divides {rate}; choose another encoder."
            )
        return ssl
