"""What is known of external units: where they come from, how many a second, how many different ones.

flags, and what an adapter says of itself -> [`ExternalUnitsConfig`] -> `config.json` in the place of a quantizer.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ...models.audio import SAMPLE_RATE, count_frames, frame_samples_at
from ...models.speech_units.identity import EXTERNAL_UNITS


@dataclass(frozen=True)
class ExternalUnitsConfig:
    """
    What a [`SpeechUnitConfig`] says of other quantizers.

    Args:
        source (`str`): As `--units` names it.
        kind (`str`): `"callable"` or `"table"`.
        frame_rate (`float`): Ids a second.
        num_units (`int`, *optional*): How many different ids there are; `None` while that is being found out.
        label (`str`): Its name in tables and figures.
        model (`str`, *optional*): What its adapter is called with.
        fingerprint (`str`, *optional*): Stands for the ids of a table, or for those that a callable gives for a fixed
            waveform.
    """

    source: str
    kind: Literal["callable", "table"]
    frame_rate: float
    num_units: int | None
    label: str
    model: str | None = None
    fingerprint: str = ""

    model_type = EXTERNAL_UNITS
    sampling_rate = SAMPLE_RATE
    segment_parts = 0
    segmentation = None
    duration_penalty = 0.0
    normalization = "none"
    pretrained = None

    @property
    def _name_or_path(self) -> str:
        """What an error calls it."""
        return self.source

    @property
    def hop_length(self) -> float:
        """Samples from one frame to the next, which need not be a whole number."""
        return frame_samples_at(self.frame_rate)

    def num_frames(self, num_samples: int) -> int:
        """Whole frames of so many samples."""
        return count_frames(num_samples, self.hop_length)

    def describe(self) -> dict[str, Any]:
        """What decides their ids, wherever it lies and whatever it is called: part of a stage's fingerprint."""
        described = {"frame_rate": self.frame_rate, "num_units": self.num_units, self.kind: self.fingerprint}
        if self.kind == "callable":
            described |= {"source": _without_folder(self.source), "model": self.model and _without_folder(self.model)}
        return described

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        fixed = ("sampling_rate", "segment_parts", "segmentation", "duration_penalty", "normalization")
        return {"model_type": EXTERNAL_UNITS} | asdict(self) | {name: getattr(self, name) for name in fixed}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ExternalUnitsConfig":
        """From what [`~ExternalUnitsConfig.to_dict`] gave."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})


def _without_folder(name: str) -> str:
    """A name that says nothing of a machine: the id of a model as it is, of a file or folder the last of its path."""
    place, colon, function = name.partition(":")
    path = Path(place)
    return f"{path.name}{colon}{function}" if path.name and path.exists() else name
