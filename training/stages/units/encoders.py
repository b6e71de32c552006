"""The encoder of a quantizer as a command names it: frame features, or a layer of an encoder with weights.

name, layer, revision, precision -> what [`fit_units`] takes, what a fingerprint holds, what tables call it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....models.audio import FRAME_SAMPLES, SAMPLE_RATE
from ...arguments.study import FRAME_FEATURES
from ...run.stage import fingerprint_files

# 100 and 12.5 frames a second.
_FEWEST_SAMPLES, _MOST_SAMPLES = 160, 1_280
_FILES = ("config.json", "preprocessor_config.json", "processor_config.json", "*.safetensors")


@dataclass(frozen=True)
class EncoderSettings:
    """
    What makes the frames that units stand for.

    Args:
        name (`str`): `"mfcc"`, `"log_mel"`, or the folder or Hub id of a self-supervised encoder or of Whisper.
        layer (`int`, *optional*): The layer of such an encoder, from 1; as [`describe_encoder`] chooses it when not
            given.
        revision (`str`, *optional*): Its commit, branch or tag on the Hub.
        precision (`str`, *optional*, defaults to `"fp32"`): `"fp32"` or `"bf16"`.
    """

    name: str
    layer: int | None = None
    revision: str | None = None
    precision: str = "fp32"

    @property
    def is_pretrained(self) -> bool:
        """Whether it has weights, which were trained elsewhere."""
        return self.name not in FRAME_FEATURES

    @property
    def fit_arguments(self) -> dict[str, Any]:
        """Arguments of [`fit_units`] and [`fit_unit_seeds`]."""
        if not self.is_pretrained:
            return {"encoder": self.name}
        named = {"encoder_id": self.name, "encoder_layer": self.layer, "encoder_revision": self.revision}
        return named | {"frame_rate": self.frame_rate}

    @property
    def frame_samples(self) -> int:
        """
        Samples from one frame to the next, at 16 kHz: 320, unless the encoder says otherwise.

        Raises:
            `ValueError`: As [`~EncoderSettings.describe`].
        """
        return self._describe_pretrained()["hop_length"] if self.is_pretrained else FRAME_SAMPLES

    @property
    def frame_rate(self) -> float:
        """Frames, and so units, a second."""
        return SAMPLE_RATE / self.frame_samples

    def describe(self) -> str | dict[str, Any]:
        """
        What makes the frames, wherever it lies: part of a stage's fingerprint.

        Returns:
            `str` or `dict`: The name of frame features; of an encoder with weights its layer, source, revision,
            precision and, if it is a folder, what its files hold.

        Raises:
            `ValueError`: If there is no such encoder, no such layer in it, or a run cannot have its frames.
        """
        if not self.is_pretrained:
            return self.name
        pretrained = self._describe_pretrained()
        described = {name: pretrained[name] for name in ("source", "layer", "revision")}
        described |= {"precision": self.precision, "frame_rate": self.frame_rate}
        if Path(self.name).is_dir():
            # Not its other files: the record of a training says how long it took.
            described["files"] = fingerprint_files(Path(self.name), _FILES)
        return described

    @property
    def label(self) -> str:
        """The encoder's name in tables and figures: that of its kind."""
        from ....models.speech_units import SpeechUnitConfig

        if not self.is_pretrained:
            return SpeechUnitConfig(encoder=self.name).encoder_label
        pretrained = self._describe_pretrained()
        config = SpeechUnitConfig(encoder="pretrained", pretrained=pretrained, frame_rate=self.frame_rate)
        return config.encoder_label

    def _describe_pretrained(self) -> dict[str, Any]:
        from ....models.speech_units.pretrained_encoder import describe_encoder

        pretrained = describe_encoder(self.name, self.layer, self.revision)
        samples, rate = pretrained["hop_length"], pretrained["sampling_rate"]
        if rate != SAMPLE_RATE:
            raise ValueError(
                f"{pretrained['source']} reads audio at {rate} Hz, and a run has it at {SAMPLE_RATE} Hz; choose an "
                f"encoder of that rate, such as facebook/hubert-base-ls960, or fit a quantizer in Python with "
                f"fit_units(..., encoder_id={self.name!r}, sampling_rate={rate}, frame_rate={rate / samples:g})."
            )
        if not _FEWEST_SAMPLES <= samples <= _MOST_SAMPLES or rate % (rate / samples):
            fewest, most = rate / _MOST_SAMPLES, rate / _FEWEST_SAMPLES
            raise ValueError(
                f"{pretrained['source']} makes {rate / samples:g} frames a second, and a run has {fewest:g} to "
                f"{most:g}, a number that divides {rate}; choose another encoder."
            )
        return pretrained
