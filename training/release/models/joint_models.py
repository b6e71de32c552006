"""The joint models of speech units and text: a repository a mixture, a branch a training seed.

joint/models/<mixture>/seed-<n> + joint/results.json -> [`prepare_joint_models`] -> prepared folders with their cards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from ....metrics.tasks import TASKS
from ....models.files import read_json
from ....models.scoring.retrieval import DIRECTIONS
from ....models.slu.adapters import fingerprint_weights
from ...joint.report import LABELS, NEVER_SEEN, QUESTIONS, UNPAIRED, write_estimate
from ...pretrain.hardware import count_parameters
from ...report.formatting import count, interval, markdown_table, number, percent
from ...run.folder import TRAINING_FILE
from ...run.places import without_places
from ...run.stage import check_inputs
from ..card import (
    JOINT_UNITS_AND_TEXT,
    TAGS,
    UNKNOWN_LICENSE,
    cite,
    code,
    install,
    license_text,
    link,
    paper_link,
    write_card,
)
from ..names import ReleaseNames
from ..repository import ReleaseRepository
from .eval_results import joint_model_index, seen_accuracies, write_joint_eval_results
from .language_model_card import FAR_SMALLER, describe_data
from .language_models import check_trained_on, copy_model
from .ties import UnitTies, check_results

RESULTS_FILE = "results.json"
_SEEN = {
    "speech": "speech units alone",
    "text": "text alone, with the vocabulary of the joint models",
    UNPAIRED: "speech units and text, never both in one sequence",
    "cst": "speech units, text, and both of an utterance one behind the other (CST)",
    "ast": "speech units, text, and utterances that change between both at word bounds (AST)",
    "cst_ast": "speech units, text, and both of an utterance, one behind the other (CST) and alternating (AST)",
}
_SETTINGS = ("units", "rule", "ratios", "ratios_of", "loss_on", "shape", "epochs")


def prepare_joint_models(
    joint: Path,
    names: ReleaseNames,
    folder: Path,
    ties: UnitTies,
    study: dict[str, Any],
    corpus: dict[str, Any],
    license_id: str,
    models: Sequence[ReleaseRepository] = (),
    foreign_license: str = UNKNOWN_LICENSE,
) -> list[ReleaseRepository]:
    """
    Prepare a repository for each mixture.

    Args:
        joint (`Path`): The folder of the joint models.
        names ([`ReleaseNames`]): How repositories are called.
        folder (`Path`): Where to, a folder a repository.
        ties ([`UnitTies`]): Of the units that they read.
        study (`dict[str, Any]`): Of the run.
        corpus (`dict[str, Any]`): Its summary.
        license_id (`str`): Of the cards.
        models (`Sequence[ReleaseRepository]`, *optional*): The language models of this release, among which the one
            that joint models went on from is found by its weights.
        foreign_license (`str`, *optional*, defaults to `"unknown"`): Of models that went on from one of elsewhere.

    Returns:
        `list[ReleaseRepository]`: One a mixture.

    Raises:
        `FileNotFoundError`: If there are no joint models, or one of a seed is missing.
        `ValueError`: If there are no results for a card, or those of another model, or a model was trained on another
            tokenizer.
    """
    if not (joint / RESULTS_FILE).is_file():
        raise FileNotFoundError(f"{joint} holds no finished joint models; let `evoslm pretrain-joint` finish.")
    results, repositories = read_json(joint / RESULTS_FILE), []
    initial = _Initial.of(results["configuration"].get("init_from"), models)
    license_id = license_id if initial is None or initial.is_own else foreign_license
    for name in results["configuration"]["models"]:
        if not results["models"].get(name, {}).get("bits"):
            raise ValueError(
                f"A card says what was measured, and {joint / RESULTS_FILE} has no results of {name}; let `evoslm "
                "pretrain-joint` finish."
            )
        scores = [joint / "scores" / name / f"seed-{seed}" for seed in results["seeds"]]
        check_results(joint / RESULTS_FILE, results["models"][name].get("scores"), scores)
        repository = names.repository(f"joint-{name}")
        target = folder / repository.split("/")[1]
        branches = []
        for seed in results["seeds"]:
            source = joint / "models" / name / f"seed-{seed}"
            check_trained_on(source, joint / "tokenizer")
            check_inputs(joint / "scores" / name / f"seed-{seed}", "model", source)
            branch = "main" if seed == results["seeds"][0] else f"seed-{seed}"
            config = {"modality": "joint", "collapse_units": results["configuration"]["units"] != "frames"}
            copy_model(source, target / branch, config | ties.as_config(), tokenizer=source)
            training = read_json(source / TRAINING_FILE)
            branches.append((branch, seed, training["updates"], training["best_validation_loss"]))
            write_joint_eval_results(target / branch, repository, names, results, name, seed)
        card = _JointCard(repository, name, names, results, branches, ties, study, corpus, initial, license_id)
        for branch, *_ in branches:
            card.write(target / branch, branch)
        repositories.append(
            ReleaseRepository(
                repository,
                "model",
                target / "main",
                tuple((branch, target / branch) for branch, *_ in branches if branch != "main"),
                title=f"Joint model: {LABELS[name]}",
                note=f"One model, trained on {_SEEN[name]}.",
            )
        )
    return repositories


@dataclass(frozen=True)
class _Initial:
    """The model of text that joint models went on from: its name, and its repository where it has one."""

    name: str
    repository: str | None
    is_own: bool = False

    @classmethod
    def of(cls, init_from: str | None, models: Sequence[ReleaseRepository]) -> "_Initial | None":
        """What `--init_from` says; `None` where joint models were trained from scratch."""
        if init_from is None:
            return None
        name = without_places(init_from)
        if Path(init_from).is_dir():
            found = {fingerprint_weights(path) for path in (Path(init_from), *Path(init_from).glob("seed-*"))}
            own = (each for each in models if any(fingerprint_weights(path) in found for _, path in each.branches))
            if (repository := next(own, None)) is not None:
                return cls(repository.name, repository.name, is_own=True)
        return cls(name, name if name == init_from and name.count("/") == 1 else None)


@dataclass(frozen=True)
class _JointCard:
    """All that the card of a joint model says."""

    repository: str
    name: str
    names: ReleaseNames
    results: dict[str, Any]
    branches: list[tuple[str, int, int, float]]
    ties: UnitTies
    study: dict[str, Any]
    corpus: dict[str, Any]
    initial: _Initial | None
    license_id: str

    def write(self, folder: Path, branch: str) -> None:
        """Write the card of a branch."""
        metadata = {"language": "en", "license": self.license_id, "library_name": "transformers"}
        metadata |= {"pipeline_tag": "text-generation", "tags": [*TAGS, "joint-speech-text"]}
        metadata |= {"datasets": [self.names.repository(part) for part in ("utterances", "contents", "pairs")]}
        tasks = dict.fromkeys(task for _, task, _ in seen_accuracies(self.results, self.name))
        metadata |= {"metrics": ["accuracy", *map(self.names.shared, tasks)]} if tasks else {}
        metadata |= {"model_name": self.repository.split("/")[1]}
        metadata |= {"eval_results": joint_model_index(self.names, self.results, self.name)}
        if self.initial is not None and self.initial.repository:
            metadata |= {"base_model": [self.initial.repository], "base_model_relation": "finetune"}
        lead = f"A causal language model (Llama) that {self._begins()} on {_SEEN[self.name]}, as "
        lead += f"{paper_link(JOINT_UNITS_AND_TEXT)} describes; its tables and formulas were not to be had, and this "
        lead += "is an implementation of the description. "
        if self.ties.quantizer:
            lead += f"The units are those of {link(self.ties.quantizer)} (`{self.ties.hash}`)."
        if branch != "main":
            lead += f"\n\n> This is the branch `{branch}`."
        use = (
            "Research on what speech and text give each other in one model: retrieval, minimal pairs and "
            "continuations in either modality. It is no assistant and knows no facts."
        )
        sections = [
            ("Intended use", use),
            ("How to use", self._how_to_use(branch)),
            ("Results", self._results()),
            ("Branches", self._branches()),
            ("Training", self._training()),
            ("Data", describe_data(self.study, self.corpus, self.names)),
            ("Limits", self._limits(count_parameters(AutoConfig.from_pretrained(folder)))),
            cite(),
            ("License", license_text(self.license_id)),
        ]
        write_card(folder, metadata, f"EvoSLM {self.names.study}: joint model, {LABELS[self.name]}", lead, sections)

    def _begins(self) -> str:
        if self.initial is None:
            return "was trained from scratch"
        repository = self.initial.repository
        return f"goes on from {link(repository) if repository else f'`{self.initial.name}`'} and was trained"

    def _how_to_use(self, branch: str) -> str:
        revision = "" if branch == "main" else f', revision="{branch}"'
        content = "<speech> ▪17▪4▪8" if self.name == "speech" else "<text> The farmer"
        plain = code(f"""
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{self.repository}"{revision})
model = AutoModelForCausalLM.from_pretrained("{self.repository}"{revision})

ids = [tokenizer.bos_token_id, *tokenizer("{content}", add_special_tokens=False).input_ids]
torch.manual_seed(0)
output = model.generate(torch.tensor([ids]), max_new_tokens=40, do_sample=True, top_p=0.95)
print(tokenizer.decode(output[0]))
""")
        spoken = code(f"""
import evoslm

pipe = evoslm.pipeline("speech-continuation", model="{self.repository}"{revision})
continuation = pipe("The farmer", max_seconds=2.0, seed=0)[0]
print(continuation.content, continuation.stop_reason)
""")
        told = "It is a plain Llama. A sequence begins with `<speech>` or `<text>`, `<speech_to_text>` and "
        told += f"`<text_to_speech>` change between them, and unit 17 is written ▪17:\n\n{plain}"
        return f"{told}\n\n{spoken}\n\n{install(self.names)}" if self.ties.quantizer else told

    def _results(self) -> str:
        found, parts = self.results["models"][self.name], []
        asked = [question for question in QUESTIONS if self.name not in NEVER_SEEN or question == self.name]
        rows = [(question, write_estimate(found["bits"][question])) for question in asked]
        parts.append(
            "Bits for a word of the test split, fewer being better; ± is half of the 95 % interval over utterances "
            "and training seeds:\n\n" + markdown_table(["of", "bits a word"], rows)
        )
        if found.get("retrieval"):
            rows = [
                (f"{way[0]} to {way[-1]}", f"{percent(of['context']['value'])} {interval(of['context'])}")
                + (percent(of["shuffled"]["value"]),)
                for way, of in found["retrieval"].items()
                if way in DIRECTIONS
            ]
            size = self.results["configuration"]["block_size"]
            parts.append(
                f"Context retrieval (CRA): how often a continuation is likeliest after its own one of {size} "
                f"contexts, in per cent; chance is {percent(1 / size)}. u: units, t: text, context first. Beside it "
                "the same where no context is its own.\n\n"
                + markdown_table(["direction", "accuracy (%)", "no context its own"], rows)
            )
        rows = [
            (form, TASKS[task].label, TASKS[task].rule, f"{percent(of['value'])} {interval(of)}")
            for form, task, of in seen_accuracies(self.results, self.name)
        ]
        if rows:
            told = "Minimal pairs, in per cent with 95 % intervals; chance is 50:\n\n"
            parts.append(told + markdown_table(["form", "task", "rule", "accuracy (%)"], rows))
        return "\n\n".join(parts)

    def _branches(self) -> str:
        rows = [
            (f"`{branch}`", str(seed), f"{updates:,}", number(loss, 3))
            for branch, seed, updates, loss in self.branches
        ]
        return "Every training seed, as `revision`; the loss is in nats a token, on the validation split.\n\n" + (
            markdown_table(["branch", "training seed", "updates", "validation loss"], rows)
        )

    def _training(self) -> str:
        asked = self.results["configuration"]
        rows = [(name, str(asked[name])) for name in _SETTINGS if asked.get(name) is not None]
        rows += [
            ("tokens seen", count(self.results["models"][self.name]["tokens_seen"])),
            ("precision", self.results["precision"]),
            ("made on", self.results["device"]),
        ]
        return markdown_table(["setting", "value"], rows)

    def _limits(self, parameters: int) -> str:
        told = [
            f"It is {'far smaller than' if parameters < FAR_SMALLER else 'none of'} the paper's models, and its "
            "figures are not theirs.",
            "It was trained on English of one kind; what it does with other text or speech was not measured.",
        ]
        if len(self.results["seeds"]) == 1:
            told.append("There is one training of it: another seed would give other numbers, by an unknown amount.")
        if self.name in NEVER_SEEN:
            told.append(f"It has never seen {NEVER_SEEN[self.name]}, and is here to be compared with.")
        return "\n".join(f"- {sentence}" for sentence in told)
