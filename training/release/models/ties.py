"""What a model of speech says of its units: their quantizer's hash, and the repositories that go with it.

[`UnitTies`] -> keys of a `config.json`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ....models.speech_units.identity import HASH_KEY
from ...run.stage import read_fingerprint


@dataclass(frozen=True)
class UnitTies:
    """
    What the configuration of a language model says of its units.

    Args:
        hash (`str`, *optional*): [`quantizer_hash`]; `None` of units from elsewhere.
        quantizer (`str`, *optional*): Repository of the quantizer; `None` of units from elsewhere.
        vocoder (`str`, *optional*): Repository of what makes sound of them.
        transcriber (`str`, *optional*): Repository of what makes text of them.
    """

    hash: str | None = None
    quantizer: str | None = None
    vocoder: str | None = None
    transcriber: str | None = None

    def as_config(self) -> dict[str, str | None]:
        """Keys of a `config.json`."""
        return {
            HASH_KEY: self.hash,
            "unit_quantizer": self.quantizer,
            "unit_vocoder": self.vocoder,
            "unit_transcriber": self.transcriber,
        }


def check_results(results: Path, fingerprints: Sequence[str] | None, stages: Sequence[Path]) -> None:
    """
    Refuse results of what was made anew since.

    Args:
        results (`Path`): The file, for the message.
        fingerprints (`Sequence[str]`, *optional*): What it says that it was made of; an older one does not say it.
        stages (`Sequence[Path]`): The stages that lie there now.

    Raises:
        `ValueError`: If it was made of others.
    """
    if fingerprints is not None and list(fingerprints) != [read_fingerprint(stage) for stage in stages]:
        raise ValueError(
            f"{results} has the figures of models that are no longer there; run the command that wrote it again."
        )
