"""What was fine-tuned from the models of a release: a repository a task and base, a branch a training seed.

`evoslm finetune`'s folder + the prepared bases -> [`prepare_adapters`] -> prepared folders that name their base by its
id on the Hub, whichever folder it was trained from.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult

from ....models.files import read_json, write_json
from ....models.slu.adapters import ADAPTER_CONFIG_FILE, fingerprint_weights
from ....models.slu.configuration_slu import CLASSIFICATION, SLU_CONFIG_FILE, SluConfig
from ....models.slu.contents import SPEECH
from ....models.speech_units import SpeechUnitModel
from ....models.speech_units.identity import HASH_KEY, check_same_quantizer, quantizer_hash
from ...finetune.report import NAMES, RESULTS_FILE
from ...report.formatting import interval, markdown_table, percent
from ...run.folder import TRAINING_FILE
from ...run.places import without_places
from ...run.stage import check_inputs
from ..card import TAGS, UNKNOWN_LICENSE, cite, code, install, license_text, link, read_license, write_card
from ..files import copy_file, copy_json
from ..names import ReleaseNames
from ..repository import ReleaseRepository
from .eval_results import name_trainings
from .language_models import copy_tokenizer
from .ties import UnitTies, check_results

_METRICS = {"macro_f1": "f1", "macro_recall": "recall", "label_f1": "f1"}  # the Hub's names of ours
_WEIGHTS = ("adapter_model.safetensors", "model*.safetensors")
_CONFIGS = (ADAPTER_CONFIG_FILE, "config.json", "generation_config.json", "model.safetensors.index.json")


@dataclass(frozen=True)
class _Base:
    """What was fine-tuned, on the Hub: which units it reads, and the licence of its weights where that is known."""

    repository: str
    revision: str | None = None
    hash: str | None = None
    quantizer: str | None = None
    license_id: str | None = None

    @classmethod
    def prepared(cls, repository: str, branch: str, folder: Path) -> "_Base":
        """A model of this release."""
        path = folder / "config.json"
        config = read_json(path) if path.is_file() else {}
        revision = None if branch == "main" else branch
        return cls(repository, revision, config.get(HASH_KEY), config.get("unit_quantizer"), read_license(folder))


@dataclass(frozen=True)
class _Bases:
    """What can have been fine-tuned: models of this release by their weights, and any of the Hub."""

    by_weights: dict[str, _Base]
    quantizers: dict[str, str | None]  # of this release, by their hashes
    foreign_license: str

    def find(self, source: Path, config: SluConfig) -> _Base:
        """The base of a fine-tuning; its units have to be those that were used."""
        base, used = config.base, _units_of(config)
        if base.weights in self.by_weights:
            found = self.by_weights[base.weights]
            named = {HASH_KEY: found.hash, "_name_or_path": found.repository}
            check_same_quantizer({HASH_KEY: used, "_name_or_path": str(source)}, named)
            return found
        if without_places(base.model) == base.model and base.model.count("/") == 1:
            return _Base(base.model, base.revision, used, self.quantizers.get(used), self.foreign_license)
        raise ValueError(
            f"{source} was fine-tuned from {base.model}, which is not in this release; release that model, too, or "
            "leave this one out (--adapters)."
        )


def prepare_adapters(
    sources: Sequence[Path],
    names: ReleaseNames,
    folder: Path,
    units: Iterable[UnitTies],
    models: Iterable[ReleaseRepository],
    license_id: str,
    foreign_license: str = UNKNOWN_LICENSE,
) -> list[ReleaseRepository]:
    """
    Prepare a repository for each fine-tuning.

    Args:
        sources (`Sequence[Path]`): Output folders of `evoslm finetune`.
        names ([`ReleaseNames`]): How repositories are called.
        folder (`Path`): Where to, a folder a repository.
        units (`Iterable[UnitTies]`): Of this release's quantizers, among which that of a model from elsewhere is
            found; models of this release say of which they are.
        models (`Iterable[ReleaseRepository]`): The language models of this release, among which their bases are found
            by their weights.
        license_id (`str`): Of the cards.
        foreign_license (`str`, *optional*, defaults to `"unknown"`): Of whole models whose base is from elsewhere.

    Returns:
        `list[ReleaseRepository]`: In the order of the folders.

    Raises:
        `FileNotFoundError`: If a folder is none of a fine-tuning.
        `ValueError`: If there are no results for a card, or those of another training, two have one name, a base is
            neither in this release nor on the Hub, or reads other units than were used.
    """
    bases = _Bases(
        {
            fingerprint_weights(path): _Base.prepared(model.name, branch, path)
            for model in models
            for branch, path in model.branches
        },
        {tied.hash: tied.quantizer for tied in units if tied.hash},
        foreign_license,
    )
    return [_prepare(source, names, folder, bases, license_id) for source in sources]


def _prepare(source: Path, names: ReleaseNames, folder: Path, bases: _Bases, license_id: str) -> ReleaseRepository:
    if not (source / "models").is_dir():
        raise FileNotFoundError(f"{source} is no folder of a fine-tuning; give one that `evoslm finetune` made.")
    if not (source / RESULTS_FILE).is_file():
        raise ValueError(
            f"A card says what was measured, and {source} has no {RESULTS_FILE}; let `evoslm finetune` finish."
        )
    results = read_json(source / RESULTS_FILE)
    trained = {seed: source / "models" / f"seed-{seed}" for seed in results["seeds"]}
    tested = {seed: source / "predictions" / f"seed-{seed}" for seed in results["seeds"]}
    for seed, path in trained.items():
        check_inputs(tested[seed], "model", path)
    check_results(source / RESULTS_FILE, results.get("predictions"), list(tested.values()))
    configs = {seed: SluConfig.from_pretrained(path) for seed, path in trained.items()}
    first = configs[results["seeds"][0]]
    found = {seed: bases.find(source, config) for seed, config in configs.items()}
    base = found[results["seeds"][0]]
    of, repository = _part(base.repository, names), name_adapter(names, base.repository, first)
    target, branches = folder / repository.split("/")[1], []
    if target.exists():
        raise ValueError(f"{source} and another fine-tuning are both {repository}; release one of them (--adapters).")
    for seed, path in trained.items():
        branch = "main" if seed == results["seeds"][0] else f"seed-{seed}"
        _copy(path, target / branch, configs[seed], found[seed])
        _write_card(target / branch, repository, branch, configs[seed], found[seed], results, names, license_id)
        branches.append((branch, target / branch))
    return ReleaseRepository(
        repository,
        "model",
        target / "main",
        tuple(branches[1:]),
        title=f"{first.task}, fine-tuned from {of}",
        note=f"Learned from {first.trained_on}: {first.task}.",
    )


def name_adapter(names: ReleaseNames, base: str, config: SluConfig) -> str:
    """
    The repository of a fine-tuning: called by its base, its task and what it was trained on.

    Args:
        names ([`ReleaseNames`]): How repositories are called.
        base (`str`): The repository of the base.
        config ([`SluConfig`]): Of the fine-tuning.
    """
    return names.repository(f"{_part(base, names)}-{config.task}-{config.trained_on}")


def _part(repository: str, names: ReleaseNames) -> str:
    """What of a repository's name is its own."""
    return repository.split("/")[1].removeprefix(f"evoslm-{names.study}-")


def _units_of(config: SluConfig) -> str | None:
    """The hash of the quantizer that a fine-tuning was made with, as far as that is known."""
    if config.unit_quantizer_hash or not config.quantizer or not Path(config.quantizer).is_dir():
        return config.unit_quantizer_hash
    return quantizer_hash(SpeechUnitModel.from_pretrained(config.quantizer))


def _copy(source: Path, target: Path, config: SluConfig, base: _Base) -> None:
    target.mkdir(parents=True)
    weights = sorted({path for pattern in _WEIGHTS for path in source.glob(pattern)})
    if not weights:
        raise ValueError(f"{source} has no weights in safetensors, and no others are published.")
    for path in weights:
        copy_file(path, target / path.name)
    for name in _CONFIGS:
        if (source / name).is_file():
            of_base = {"base_model_name_or_path": base.repository, "revision": base.revision}
            copy_json(source / name, target / name, of_base if name == ADAPTER_CONFIG_FILE else None)
    copy_json(source / TRAINING_FILE, target / TRAINING_FILE)
    copy_tokenizer(source, target)
    published = replace(
        config,
        base=replace(config.base, model=base.repository, revision=base.revision),
        quantizer=base.quantizer,
        unit_quantizer_hash=base.hash or config.unit_quantizer_hash,
    )
    write_json(target / SLU_CONFIG_FILE, asdict(published))


def _write_card(
    folder: Path,
    repository: str,
    branch: str,
    config: SluConfig,
    base: _Base,
    results: dict[str, Any],
    names: ReleaseNames,
    license_id: str,
) -> None:
    is_lora = (folder / ADAPTER_CONFIG_FILE).is_file()
    license_id = license_id if is_lora else base.license_id or license_id
    does = "tells an utterance's class" if config.kind == CLASSIFICATION else "writes the entities of an utterance"
    lead = f"{'A LoRA adapter' if is_lora else 'A model'}, fine-tuned from {link(base.repository)} on "
    lead += f"`{config.task}`: it {does} ({', '.join(config.labels)}). It was trained on {config.trained_on}. "
    if config.trained_on == SPEECH and base.quantizer:
        lead += f"Its units are those of {link(base.quantizer)} (`{base.hash}`). "
    if branch != "main":
        lead += f"\n\n> This is the branch `{branch}`."
    metadata = {"language": "en", "license": license_id, "library_name": "peft" if is_lora else "transformers"}
    metadata |= {"base_model": [base.repository], "tags": [*TAGS, "spoken-language-understanding"]}
    metadata |= {"base_model_relation": "adapter" if is_lora else "finetune"}
    does_what = "text-classification" if config.kind == CLASSIFICATION else "token-classification"
    metadata |= {"pipeline_tag": does_what}
    if index := _model_index(does_what, results):
        metadata |= {
            "model_name": repository.split("/")[1],
            "metrics": sorted({each.metric_type for each in index}),
            "eval_results": index,
        }
    sizes = results["task"]["sizes"]
    sections = [
        ("Intended use", "Research on what a language model's alphabet is worth to spoken language understanding."),
        ("How to use", _how_to_use(repository, branch, config, base, is_lora, names)),
        ("Results", _results(results)),
        ("Data", ", ".join(f"{size:,} examples of {split}" for split, size in sizes.items()) + "."),
        ("Limits", _limits(results)),
        cite(),
        ("License", license_text(license_id)),
    ]
    write_card(folder, metadata, f"{config.task} in {config.trained_on}", lead, sections)


def _model_index(task_type: str, results: dict[str, Any]) -> list[EvalResult]:
    """What was measured of all trainings together: one a measure and an input that was tested."""
    task = results["task"]["name"]
    return [
        EvalResult(
            task_type=task_type,
            dataset_type=task,
            dataset_name=task,
            dataset_config=test["name"],
            dataset_split="test",
            metric_type=_METRICS.get(name, name),
            metric_name=f"{NAMES.get(name, name)}, {name_trainings(results['seeds'])}",
            metric_value=round(100 * found["mean"], 2),
        )
        for test in results["tests"]
        for name, found in test["measures"].items()
    ]


def _how_to_use(
    repository: str, branch: str, config: SluConfig, base: _Base, is_lora: bool, names: ReleaseNames
) -> str:
    revision = "" if branch == "main" else f', revision="{branch}"'
    asked = "clip.wav" if config.trained_on == SPEECH else '--text "The film was long, and I liked all of it."'
    at = "" if branch == "main" else f" --revision {branch}"
    answer = code(f"evoslm answer {repository}{at} {asked}", "bash")
    told = f"{answer}\n\n{install(names)}"
    if not is_lora:
        return told
    of_base = "" if base.revision is None else f', revision="{base.revision}"'
    auto = "AutoModelForSequenceClassification" if config.kind == CLASSIFICATION else "AutoModelForCausalLM"
    labels = f", num_labels={len(config.labels)}" if config.kind == CLASSIFICATION else ""
    resize = "" if config.kind == CLASSIFICATION else "base.resize_token_embeddings(len(tokenizer))\n"
    plain = code(f"""
from peft import PeftModel
from transformers import AutoTokenizer, {auto}

tokenizer = AutoTokenizer.from_pretrained("{repository}"{revision})
base = {auto}.from_pretrained("{base.repository}"{of_base}{labels})
{resize}model = PeftModel.from_pretrained(base, "{repository}"{revision})
""")
    return f"{told}\n\nThe weights alone, without this project's code:\n\n{plain}"


def _results(results: dict[str, Any]) -> str:
    rows = []
    for test in results["tests"]:
        for name, found in test["measures"].items():
            value = f"{percent(found['mean'])} {interval(found)}" if "low" in found else percent(found["mean"])
            rows.append((test["name"], NAMES.get(name, name), value, percent(found["control"])))
    return (
        f"On the test split, in per cent with 95 % intervals, over {len(results['seeds'])} training seed(s); beside "
        "it the same model with another utterance's input, which is what it gets without listening:\n\n"
        + markdown_table(["input", "measure", "value", "with another's input"], rows, left=2)
    )


def _limits(results: dict[str, Any]) -> str:
    told = ["It was trained on few examples of one task; other texts and speech are strange to it."]
    if len(results["seeds"]) == 1:
        told.append("There is one training of it: another seed would give other numbers, by an unknown amount.")
    return "\n".join(f"- {sentence}" for sentence in told)
