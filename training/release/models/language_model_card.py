"""The card of a modality's language model, written from the run's own results.

`results.json` of the report + what lies on each branch -> [`write_language_model_card`] -> `README.md`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....metrics.tasks import TASKS
from ....models.audio import FRAME_RATE
from ....models.modalities import MODALITIES, Modality
from ...report.formatting import count, duration, interval, listing, markdown_table, number, percent, scientific
from ...report.results import BASELINES
from ...run.places import describe_source, without_places
from ..card import (
    JOINT_UNITS_AND_TEXT,
    MODALITY_EVOLVING,
    TAGS,
    cite,
    code,
    install,
    license_text,
    link,
    paper_link,
    write_card,
)
from ..names import ReleaseNames
from .eval_results import PAIRS, baseline_label, model_index
from .ties import UnitTies

FAR_SMALLER = 100_000_000
"""Parameters, below which a model is far smaller than those of the papers, 1.1 and 0.35 billion."""
_CONTENTS = {
    "text_bpe": "text in subword pieces",
    "text_raw": "text in characters",
    "text_raw_no_space": "text without spaces and punctuation, in letters",
    "phone_bpe": "phones (ARPAbet with stress) in frequent groups",
    "phone_raw": "phones (ARPAbet with stress)",
    "phone_stretch": "phones, each repeated the same number of times",
    "phone_repeat": "phones, each repeated for as long as it lasts, {rate} symbols a second",
    "speech_units": "speech units: the numbers that a quantizer gives to the sounds of voices, {rate} a second",
    "speech_units_one_voice": "speech units of one voice: numbers that a quantizer gives to sounds, {rate} a second",
    "speech_dedup": "speech units, each run of equal ones once",
    "speech_bpe": "speech units in frequent groups",
    "speech_units_synthetic": "speech units of synthetic voices: numbers of sounds, {rate} a second",
    "speech_syllable": "speech units, one a syllable, whose bounds come from aligned phones",
    "speech_syllable_unsupervised": "speech units, one a syllable, whose bounds are found in the sound alone",
    "speech_duration_penalized": "speech units that are kept from changing too often, each run of equal ones once",
}
_TRAINED = ("epochs", "learning_rate", "lr_scheduler", "utterances_per_batch", "weight_decay", "train_until")
_SHAPE = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings")


@dataclass(frozen=True)
class Branch:
    """What lies on a branch: its name, the training seed, and the point along the training."""

    name: str
    seed: int
    updates: int
    epochs: float
    validation_loss: float | None

    @property
    def revision(self) -> str:
        """As an argument of `from_pretrained`; nothing of the main branch."""
        return "" if self.name == "main" else f', revision="{self.name}"'


@dataclass(frozen=True)
class LanguageModelCard:
    """
    All that the card of a modality's model says.

    Args:
        repository (`str`): Its id.
        modality ([`Modality`]): What it reads.
        names ([`ReleaseNames`]): How repositories are called.
        results (`dict[str, Any]`): Of the report.
        branches (`list[Branch]`): Of its repository, main first.
        prompt (`str`): The beginning of a validation utterance, as the model reads it.
        ties ([`UnitTies`], *optional*): What belongs to it, of speech.
        license_id (`str`): Of the card.
    """

    repository: str
    modality: Modality
    names: ReleaseNames
    results: dict[str, Any]
    branches: list[Branch]
    prompt: str
    ties: UnitTies | None
    license_id: str

    def write(self, folder: Path, branch: Branch) -> None:
        """
        Write the card of a branch.

        Args:
            folder (`Path`): The branch's folder.
            branch ([`Branch`]): What lies there.
        """
        label = self.results["modalities"][self.modality.name]["label"]
        sections = [
            ("Intended use", self._intended_use()),
            ("How to use", self._how_to_use(branch)),
            ("Results", self._results()),
            ("Branches", self._branches()),
            ("Training", self._training()),
            ("Data", describe_data(self.results["study"], self.results["corpus"], self.names)),
            ("Limits", self._limits()),
            cite(),
            ("License", license_text(self.license_id)),
        ]
        write_card(folder, self._metadata(), f"EvoSLM {self.names.study}: {label}", self._lead(branch), sections)

    def _metadata(self) -> dict[str, Any]:
        return {
            "language": "en",
            "license": self.license_id,
            "library_name": "transformers",
            "pipeline_tag": "text-generation",
            "tags": [*TAGS, self.modality.name.replace("_", "-"), "minimal-pairs"],
            "datasets": [self.names.repository(name) for name in ("utterances", "contents", PAIRS)],
            "metrics": ["accuracy", *(self.names.shared(task) for task in self.results["accuracies"][self._name])],
            "model_name": self.repository.split("/")[1],
            "eval_results": model_index(self.names, self.results, self._name),
        }

    @property
    def _name(self) -> str:
        return self.modality.name

    def _lead(self, branch: Branch) -> str:
        of = self.results["modalities"][self._name]
        others = [part["label"] for name, part in self.results["modalities"].items() if name != self._name]
        told = (
            f"A causal language model (Llama, {count(of['parameters'])} parameters) that was trained from scratch on "
        )
        told += f"{describe_content(self.modality, self.results['study'].get('frame_rate'))}. "
        if self.ties and self.ties.quantizer:
            told += f"The units are those of {link(self.ties.quantizer)} (`{self.ties.hash}`). "
        elif self.ties:
            told += "The units come from elsewhere, and what makes them is no part of this release: others are other "
            told += "sounds, and mean nothing to it. "
        if others:
            told += "It has siblings that were trained on the same utterances in the same order, each in an alphabet "
            told += "of its own, so that what a step from text to speech costs a language model can be read off their "
            told += f"differences ({paper_link(MODALITY_EVOLVING)}): {'; '.join(others)}."
        if branch.name != "main":
            told += (
                f"\n\n> This is the branch `{branch.name}`: training seed {branch.seed}, {branch.updates:,} updates."
            )
        return told

    def _intended_use(self) -> str:
        return (
            "Research on what speech language models learn: scoring minimal pairs, comparing alphabets, following a "
            "training along its branches, and continuing utterances of the kind that it was trained on. It is no "
            "assistant, it knows no facts, and it was not made to speak with anybody."
        )

    def _how_to_use(self, branch: Branch) -> str:
        plain = code(f"""
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{self.repository}"{branch.revision})
model = AutoModelForCausalLM.from_pretrained("{self.repository}"{branch.revision})

content = {self.prompt!r}
ids = [tokenizer.bos_token_id, *tokenizer(content, add_special_tokens=False).input_ids]
torch.manual_seed(0)
output = model.generate(torch.tensor([ids]), max_new_tokens=40, do_sample=True, top_p=0.95)
print(tokenizer.decode(output[0], skip_special_tokens=True))
""")
        spoken = code(f"""
import evoslm

pipe = evoslm.pipeline("speech-continuation", model="{self.repository}"{branch.revision})
continuation = pipe("The farmer", max_seconds=2.0, seed=0)[0]
print(continuation.content, continuation.stop_reason, len(continuation.audio))
""")
        reads_sound = self.modality.is_speech and self.ties and self.ties.quantizer
        told = "It is a plain Llama, and needs no code of this project:\n\n" + plain
        if self.modality.unit_of == "frame" and (not self.modality.is_speech or reads_sound):
            told += f"\n\nText{' or sound' if reads_sound else ''} in, sound out:\n\n{spoken}\n\n{install(self.names)}"
        return told

    def _results(self) -> str:
        seeds, parts = self.results["seeds"], []
        over = f"pairs and {len(seeds)} training seeds" if len(seeds) > 1 else "pairs (there is one training)"
        rows = []
        for task, found in self.results["accuracies"][self._name].items():
            estimate, rule = found["headline"], self.results["headline"][task]["rule"]
            best = found.get("best_baseline")
            shown = "yes" if found["above_chance"] else "no"
            baseline = f"{percent(found['baselines'][best]['value'])} ({baseline_label(best)})" if best else "–"
            rows.append(
                (TASKS[task].label, rule, f"{percent(estimate['value'])} {interval(estimate)}", _by_seed(estimate))
                + (baseline, shown, f"{estimate['n_pairs']:,}")
            )
        head = ["task", "rule", "accuracy (%)", "by seed", "best simple baseline", "above chance", "pairs"]
        parts.append(
            f"Minimal pairs of {link(self.names.repository(PAIRS), 'dataset')}: how often the model finds the real "
            "side likelier, in per cent; chance is 50, and ties count half. Intervals are 95 %, over "
            f"{over}. Sum and mean: of the log-probabilities of a side's tokens, behind `<s>` and without `</s>`; "
            "PMI: their sum behind the context, minus that without it. Pairs whose `band` says that they are "
            "unbalanced are not counted, since simpler rules can tell their sides apart.\n\n"
            + markdown_table(head, rows)
        )
        parts.append("By every rule:\n\n" + self._by_rule())
        parts.append(
            "Simple baselines on the same pairs: n-grams over this model's own ids (over runs: each run of equal ids "
            "once), trained on the same corpus; the side with fewer tokens; and the side that has more words or "
            "sounds in common with the context. What they solve shows nothing of the model.\n\n" + self._baselines()
        )
        return "\n\n".join(parts)

    def _by_rule(self) -> str:
        found = self.results["accuracies"][self._name]
        rules = [rule for rule in ("sum", "mean", "pmi") if any(rule in part["rules"] for part in found.values())]
        rows = [
            [TASKS[task].label, *(_with_interval(part["rules"].get(rule)) for rule in rules)]
            for task, part in found.items()
        ]
        return markdown_table(["task", *({"pmi": "PMI"}.get(rule, rule) for rule in rules)], rows)

    def _baselines(self) -> str:
        found = self.results["accuracies"][self._name]
        known = [name for name in (*BASELINES,) if any(name in part["baselines"] for part in found.values())]
        runs = sorted({name for part in found.values() for name in part["baselines"]} - set(known))
        rows = []
        for task, part in found.items():
            values = (part["baselines"].get(name) for name in [*known, *runs])
            rows.append([TASKS[task].label, *(percent(value["value"]) if value else "–" for value in values)])
        return markdown_table(["task", *map(baseline_label, [*known, *runs])], rows)

    def _branches(self) -> str:
        rows = [
            (f"`{branch.name}`", str(branch.seed), f"{branch.updates:,}", f"{branch.epochs:.3g}")
            + (number(branch.validation_loss, 3),)
            for branch in self.branches
        ]
        told = "Every training seed, and points along each training, each with its tokenizer; give the name as "
        told += "`revision`. The loss is in nats a token, on the validation split.\n\n"
        return told + markdown_table(["branch", "training seed", "updates", "epochs", "validation loss"], rows)

    def _training(self) -> str:
        study, of = self.results["study"], self.results["modalities"][self._name]
        settings = without_places(study["configuration"])
        rows = [(name, str(settings["model"][name])) for name in _SHAPE if name in settings["model"]]
        rows += [("vocabulary", f"{of['vocab_size']:,} ({of['vocabulary']})")]
        rows += [(name, str(settings["pretrain"][name])) for name in _TRAINED if name in settings["pretrain"]]
        rows += [
            ("precision", ", ".join(of["precision"])),
            ("tokens of the training split", count(of["train_tokens"])),
            ("tokens a second of speech", number(of["tokens_per_second"], 2)),
            ("tokens seen", count(of["tokens_seen"])),
            ("floating-point operations", scientific(of["flops"])),
            ("seconds of training", ", ".join(f"{value:,.0f}" for value in of["train_seconds"].values())),
            ("made on", study["device"]),
            ("versions", _versions(study)),
        ]
        return markdown_table(["setting", "value"], rows)

    def _limits(self) -> str:
        study, found = self.results["study"], self.results["accuracies"][self._name]
        told = [
            "It was trained on English of one kind; what it does with other text or speech was not measured.",
            "An accuracy speaks of these pairs, not of the language: other words, frames and topics may differ.",
        ]
        guessing = [TASKS[task].label for task, part in found.items() if not part["above_chance"]]
        if guessing:
            told.append(f"It may be guessing on {listing(guessing)}: it is not shown to be above chance there.")
        no_better = [
            TASKS[task].label
            for task, part in found.items()
            if (part.get("above_best_baseline") or {"low": 1})["low"] <= 0
        ]
        if no_better:
            told.append(
                f"On {listing(no_better)} it is not shown to be better than the best of the simple baselines above."
            )
        if not self.results["shows"]:
            told.append("There is one training of it: another seed would give other numbers, by an unknown amount.")
        corpus = study["configuration"]["corpus"]
        if corpus["corpus"] == "stories":
            told.append("Its corpus is a small language of generated stories; sentences outside it are strange to it.")
        if study["voices"] != "recorded" and self.modality.is_speech:
            told.append(f"Its speech is synthetic ({corpus['synthesizer']}); real speech was not tested here.")
        is_small = self.results["modalities"][self._name]["parameters"] < FAR_SMALLER
        told.append(
            f"It is {'far smaller than' if is_small else 'none of'} the models of the papers "
            f"({paper_link(MODALITY_EVOLVING)}, {paper_link(JOINT_UNITS_AND_TEXT)}), whose figures it does not repeat."
        )
        return "\n".join(f"- {sentence}" for sentence in told)


def describe_content(modality: Modality, frame_rate: float | None = None) -> str:
    """
    What a modality's content is, in words for somebody who has not read the papers.

    Args:
        modality ([`Modality`]): Which.
        frame_rate (`float`, *optional*): Units a second; those of the project's own quantizers when not given.
    """
    return _CONTENTS.get(modality.name, modality.vocabulary).format(rate=f"{frame_rate or FRAME_RATE:g}")


def describe_data(study: dict[str, Any], corpus: dict[str, Any], names: ReleaseNames) -> str:
    """
    What the models were trained on, for a section of a card.

    Args:
        study (`dict[str, Any]`): Of the run.
        corpus (`dict[str, Any]`): Its summary.
        names ([`ReleaseNames`]): How repositories are called.
    """
    source = describe_source(study["configuration"]["corpus"])
    told = (
        f"The corpus is {source}. Its utterances are in {link(names.repository('utterances'), 'dataset')}, and what "
    )
    told += f"each model reads of them in {link(names.repository('contents'), 'dataset')}. "
    if corpus.get("synthesizer") and study["voices"] != "recorded":
        voices = f"{corpus['speakers']} voices" if corpus.get("speakers", 1) > 1 else "one voice"
        told += f"It was spoken by {corpus['synthesizer']} in {voices}"
        has_one_voice = any(name in MODALITIES and MODALITIES[name].voices == "one" for name in study["modalities"])
        told += ", and once more in a single one." if has_one_voice and study["voices"] == "many" else "."
    rows = [
        (split, f"{words:,}", f"{corpus['utterances'][split]:,}", duration(corpus["seconds"][split]))
        for split, words in corpus.get("words", {}).items()
    ]
    return f"{told}\n\n" + markdown_table(["split", "words", "utterances", "speech"], rows)


def _by_seed(estimate: dict[str, Any]) -> str:
    return ", ".join(percent(value) for value in estimate.get("seeds") or [estimate["value"]])


def _with_interval(estimate: dict[str, Any] | None) -> str:
    return "–" if estimate is None else f"{percent(estimate['value'])} {interval(estimate)}"


def _versions(study: dict[str, Any]) -> str:
    shown = ("evoslm", "torch", "transformers", "tokenizers", "datasets")
    versions = ", ".join(f"{name} {study['versions'][name]}" for name in shown if name in study["versions"])
    return f"{versions}" + (f" (commit {study['commit']})" if study.get("commit") else "")


def order_of(modality: str) -> int:
    """Where a modality stands in the chain of factors."""
    return list(MODALITIES).index(modality)
