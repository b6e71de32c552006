"""What of a run is released, where it is not everything."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

JOINT_FOLDER = "joint"
"""Where `evoslm pretrain-joint` writes in a run."""
_JOINT_RESULTS = "results.json"  # its last file


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
        evaluation_framework (`str`, *optional*): A name on the Hub's list of frameworks, by which it takes the minimal
            pairs as a benchmark; without one it is not asked to.
    """

    modalities: Sequence[str] | None = None
    joint_dir: str | Path | None = None
    adapters: Sequence[str | Path] | None = None
    vocoder: str | Path | None = None
    license_id: str | None = None
    evaluation_framework: str | None = None

    def joint_folder(self, run: Path) -> Path | None:
        """
        The folder of joint models that are released.

        Args:
            run (`Path`): The run's folder, which may have some.

        Returns:
            `Path` or `None`: `None` where none were asked for and the run has none that are finished.
        """
        if self.joint_dir is not None:
            return Path(self.joint_dir)
        own = Path(run) / JOINT_FOLDER
        return own if (own / _JOINT_RESULTS).is_file() else None


EVERYTHING = ReleaseChoice()
