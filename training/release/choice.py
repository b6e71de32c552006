"""What of a run is released, where it is not everything."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ReleaseChoice:
    """
    What of a run is released.

    Args:
        modalities (`Sequence[str]`, *optional*): Whose models; all of the run when not given.
        joint_dir (`str` or `Path`, *optional*): Joint models; those of the run when not given.
        adapters (`Sequence[str]`, *optional*): Output folders of `evoslm finetune`; those of the joint models when not
            given.
        vocoder (`str` or `Path`, *optional*): A trained vocoder; the run's own when not given.
        license_id (`str`, *optional*): On all cards; `apache-2.0` of generated stories and `unknown` of others' text
            when not given.
    """

    modalities: Sequence[str] | None = None
    joint_dir: str | Path | None = None
    adapters: Sequence[str | Path] | None = None
    vocoder: str | Path | None = None
    license_id: str | None = None


EVERYTHING = ReleaseChoice()
