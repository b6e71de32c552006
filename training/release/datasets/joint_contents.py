"""What joint models read: speech units and text of an utterance in one sequence, one draw of the many of a training.

joint/results.json + utterances and units of the run -> [`JointDraw`] -> the configurations `joint_cst` and `joint_ast`
of the dataset of contents.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....datasets_scripts.mixing.mixture import PAIRED
from ....models.files import read_json
from ...joint.command import JointArguments, mixture_of, tokenizer_settings
from ...joint.report import RESULTS_FILE
from ...joint.stages import JointTokenizerSettings
from ...run.folder import Run

EPOCH = 0
_WHAT = {
    "cst": "speech units and text of each utterance one behind the other, in the order that a coin gave (CST)",
    "ast": "each utterance with words in speech units and in text in turn (AST)",
}


@dataclass(frozen=True)
class JointDraw:
    """
    How the sequences of a run's joint models are drawn.

    Args:
        models (`dict[str, tuple[str, ...]]`): The paired kinds that each model was trained on, by its name.
        settings ([`JointTokenizerSettings`]): Of the units, and where the modality changes.
    """

    models: dict[str, tuple[str, ...]]
    settings: JointTokenizerSettings

    @classmethod
    def of(cls, run: Run, study: dict[str, Any], joint: Path) -> "JointDraw":
        """
        That of the joint models in a folder.

        Args:
            run ([`Run`]): The run whose utterances they read.
            study (`dict[str, Any]`): Its `study.json`.
            joint (`Path`): The folder of `evoslm pretrain-joint`.
        """
        made_with = JointArguments(str(run.folder), **read_json(joint / RESULTS_FILE)["configuration"])
        models = {
            name: tuple(kind for kind in PAIRED if mixture_of(name, made_with.ratios).get(kind))
            for name in made_with.models
        }
        return cls(models, tokenizer_settings(made_with, run, study["configuration"]))

    @property
    def kinds(self) -> list[str]:
        """The paired kinds that any of the models was trained on."""
        return [kind for kind in PAIRED if any(kind in kinds for kinds in self.models.values())]

    @property
    def seed(self) -> int:
        """Seed of the published draw."""
        return self.settings.speech.seed

    def models_of(self, kind: str) -> list[str]:
        """Those of the models that were trained on a kind, the one of this kind alone first."""
        return sorted((name for name, kinds in self.models.items() if kind in kinds), key=lambda name: name != kind)

    def builder_options(self, kind: str, units: Path) -> dict[str, Any]:
        """
        Arguments of the builder of a kind.

        Args:
            kind (`str`): `"cst"` or `"ast"`.
            units (`Path`): The shards of the utterances' units.
        """
        speech = self.settings.speech
        options = {
            "units_dir": units,
            "frame_rate": speech.frame_rate,
            "collapse": speech.collapse,
            "alignment_jitter": speech.alignment_jitter,
            "seed": self.seed,
            "epoch": EPOCH,
        }
        if kind == "ast":
            options |= {"rule": self.settings.rule, "rule_options": self.settings.rule_options}
        return options

    def describe(self, kind: str) -> str:
        """What a configuration holds, in a sentence."""
        units = "each run of equal units once" if self.settings.speech.collapse else "every frame"
        where = f", changing by the rule `{self.settings.rule}`" if kind == "ast" else ""
        return f"Joint: {_WHAT[kind]}{where}; {units}. One draw, of seed {self.seed}."

    def how_made(self) -> str:
        """How the draw was made, and that a training makes others."""
        return (
            f"What joint models read is one draw, of seed {self.seed} and epoch {EPOCH}: a training draws anew in "
            "each of its epochs, from its own seed, what an utterance is (speech alone, text alone, or both), which "
            "of the two comes first and where the modality changes. `<speech>` and `<text>` begin a sequence, "
            "`<speech_to_text>` and `<text_to_speech>` change between them, and unit 17 is written ▪17."
        )
