"""What stands for a model or a dataset in the cards of metrics, and this release's own in its place.

a card of `metrics/` + the prepared models -> [`CardExamples`] -> the card with ids that the same push makes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ...models.files import read_json
from ...models.modalities import JOINT, MODALITIES, RECORDINGS_MODALITY, get_modality
from ...models.slu.configuration_slu import SLU_CONFIG_FILE
from .names import ReleaseNames
from .repository import ReleaseRepository

NAMESPACE = "<namespace>"
_FORM = "phones"  # which the cards of metrics ask for
_FIRST = ("phone_raw", "phone_bpe", "text_bpe")
_JUDGES = ("text_bpe", "text_raw")


@dataclass(frozen=True)
class CardExamples:
    """
    What the snippets of a metric's card may name.

    Args:
        names ([`ReleaseNames`]): How repositories are called.
        modalities (`dict[str, str]`): The modality of each language model that is released, by its repository.
    """

    names: ReleaseNames
    modalities: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, names: ReleaseNames, repositories: Iterable[ReleaseRepository]) -> "CardExamples":
        """
        Those of a release.

        Args:
            names ([`ReleaseNames`]): How repositories are called.
            repositories (`Iterable[ReleaseRepository]`): What is prepared.
        """
        models = (each for each in repositories if each.kind == "model" and is_language_model(each.folder))
        return cls(names, {each.name: read_json(each.folder / "config.json")["modality"] for each in models})

    def fill(self, card: str, metric: str) -> str:
        """
        Put this release's ids in the place of those that stand for any.

        Args:
            card (`str`): The text of a card.
            metric (`str`): The metric's name; of minimal pairs, also that of their task.

        Returns:
            `str`: The card. Where the release has no model of a kind, it says `<model>` still.
        """
        chosen = self._choose()
        column = get_modality(self.modalities[chosen[0]]).column if chosen else _FORM
        joint = [name for name, modality in self.modalities.items() if modality == JOINT.name]
        joint.sort(key=lambda name: name.endswith(("-speech", "-text")))  # one modality alone is what others beat
        judges = [name for part in _JUDGES for name, modality in self.modalities.items() if modality == part]
        found = {
            "<pairs>": [self.names.repository("pairs")],
            "<model>": chosen[:1],
            "<other model>": chosen[1:2],
            "<joint model>": joint[:1],
            "<other joint model>": joint[1:][-1:],
            "<language model>": judges[:1],
        }
        for placeholder, repository in found.items():
            if repository:
                card = card.replace(f"{NAMESPACE}/{placeholder}", repository[0])
        card = card.replace(NAMESPACE, self.names.namespace)
        if column == "units":
            card = card.replace(f', "{metric}", split="test")', f', "{metric}_units", split="test")')
        for written in (f'modality="{_FORM}"', f'"modality": "{_FORM}"'):
            card = card.replace(written, written.replace(_FORM, column))
        return card

    def _choose(self) -> list[str]:
        """Models that read one form of the pairs, up to two: phones, else text, else units."""
        order = dict.fromkeys([*_FIRST, *MODALITIES])
        of = {modality: name for name, modality in self.modalities.items() if modality != JOINT.name}
        texts = [modality for modality in order if modality in of and not get_modality(modality).is_speech]
        if not texts:
            units = [RECORDINGS_MODALITY, *(modality for modality in MODALITIES if get_modality(modality).is_speech)]
            return [of[modality] for modality in units if modality in of][:1]
        column = get_modality(texts[0]).column
        return [of[modality] for modality in texts if get_modality(modality).column == column][:2]


def is_language_model(folder: Path) -> bool:
    """Whether a prepared folder holds a language model of a modality, and no fine-tuning."""
    path = folder / "config.json"
    config = read_json(path) if path.is_file() and not (folder / SLU_CONFIG_FILE).is_file() else {}
    return "modality" in config and any(name.endswith("ForCausalLM") for name in config.get("architectures") or [])
