"""The language models of a study: a repository a modality, a branch a training seed and a point along its training.

models/<modality>/seed-<n> + points -> [`prepare_language_models`] -> prepared folders, each with its tokenizer.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from ....models.audio import FRAME_RATE, frame_samples_at
from ....models.files import read_json, write_json
from ....models.modalities import Modality, get_modality
from ...run.folder import POINTS_FOLDER, TRAINING_FILE, Run
from ...run.places import without_places
from ...run.stage import read_stage
from ...stages.speech import read_stretch_factor
from ..files import copy_file, copy_json
from ..names import ReleaseNames
from ..repository import ReleaseRepository
from .eval_results import write_eval_results
from .language_model_card import Branch, LanguageModelCard, describe_content, order_of
from .ties import UnitTies

_PROMPT_TOKENS = 24
_TOKENIZER_FILES = ("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt")
_OF_THIS_MACHINE = ("is_local", "local_files_only", "name_or_path")


def prepare_language_models(
    run: Run,
    names: ReleaseNames,
    folder: Path,
    modalities: list[str],
    ties: dict[Path, UnitTies],
    results: dict[str, Any],
    license_id: str,
) -> list[ReleaseRepository]:
    """
    Prepare a repository for each modality.

    Args:
        run ([`Run`]): The run.
        names ([`ReleaseNames`]): How repositories are called.
        folder (`Path`): Where to, a folder a repository.
        modalities (`list[str]`): Which.
        ties (`dict[Path, UnitTies]`): Of [`prepare_units`].
        results (`dict[str, Any]`): `results.json` of the report.
        license_id (`str`): Of the cards.

    Returns:
        `list[ReleaseRepository]`: In the order of the chain of factors.

    Raises:
        `FileNotFoundError`: If a model of a training seed is missing.
        `ValueError`: If there are no results for a card.
    """
    repositories = []
    for modality in map(get_modality, sorted(modalities, key=order_of)):
        if not results["accuracies"].get(modality.name):
            raise ValueError(
                f"A card says what was measured, and the report has no results of {modality.name}; run `evoslm report "
                f"{run.folder}`, or leave it out (--modalities)."
            )
        repositories.append(_prepare(run, names, folder, modality, ties, results, license_id))
    return repositories


def _prepare(
    run: Run,
    names: ReleaseNames,
    folder: Path,
    modality: Modality,
    ties: dict[Path, UnitTies],
    results: dict[str, Any],
    license_id: str,
) -> ReleaseRepository:
    repository = names.repository(modality.name)
    target = folder / repository.split("/")[1]
    tied = ties[run.units_of(modality.name)] if modality.is_speech else None
    config = {"modality": modality.name} | (tied.as_config() if tied else {})
    if modality.column == "phones_stretch":  # who continues a text has to write it as the corpus was written
        frame_samples = frame_samples_at(results["study"].get("frame_rate") or FRAME_RATE)
        config["stretch_factor"] = read_stretch_factor(run.utterances(), frame_samples)
    seeds = results["study"]["seeds"]
    branches: list[tuple[Branch, Path]] = []
    for seed in seeds:
        model = run.model(modality.name, seed)
        check_trained_on(model, run.tokenizer(modality.name))
        for branch, source in _branches(model, seed, is_main=seed == seeds[0]):
            copy_model(source, target / branch.name, config, tokenizer=model)
            branches.append((branch, target / branch.name))
    of_all = [branch for branch, _ in branches]
    prompt = read_prompt(run.tokenizer(modality.name))
    card = LanguageModelCard(repository, modality, names, results, of_all, prompt, tied, license_id)
    for branch, path in branches:
        card.write(path, branch)
        if branch.name in ("main", f"seed-{branch.seed}"):
            write_eval_results(path, repository, names, results, modality.name, branch.seed)
    return ReleaseRepository(
        repository,
        "model",
        target / "main",
        tuple((branch.name, path) for branch, path in branches if branch.name != "main"),
        title=f"{results['modalities'][modality.name]['label']}, a language model",
        note=f"A language model of {describe_content(modality, results['study'].get('frame_rate'))}.",
    )


def _branches(model: Path, seed: int, is_main: bool) -> Iterator[tuple[Branch, Path]]:
    """A training's best model, and the points along it."""
    training = read_json(model / TRAINING_FILE)
    best = training["best_update"]
    epochs = next((e["epochs"] for e in training["evaluations"] if e["updates"] == best), training["epochs"])
    name = "main" if is_main else f"seed-{seed}"
    yield Branch(name, seed, best, epochs, training["best_validation_loss"]), model
    for point in training["points"]:
        name = f"seed-{seed}-step-{point['updates']}"
        source = model / POINTS_FOLDER / point["name"]
        yield Branch(name, seed, point["updates"], point["epochs"], point["validation_loss"]), source


def copy_model(source: Path, target: Path, config: dict[str, Any], tokenizer: Path) -> None:
    """
    Copy a model as others load it: weights, configuration and tokenizer.

    Args:
        source (`Path`): The model's folder.
        target (`Path`): Where to.
        config (`dict[str, Any]`): Keys that its configuration gets.
        tokenizer (`Path`): The folder of its tokenizer.

    Raises:
        `FileNotFoundError`: If the model is not there.
        `ValueError`: If its weights are not in safetensors.
    """
    if not (source / "config.json").is_file():
        raise FileNotFoundError(f"There is no model in {source}; let `evoslm study` finish.")
    weights = sorted(source.glob("model*.safetensors"))
    if not weights:
        raise ValueError(f"{source} has no weights in safetensors, and no others are published.")
    target.mkdir(parents=True)
    for path in weights:
        copy_file(path, target / path.name)
    copy_json(source / "config.json", target / "config.json", config)
    for name in ("generation_config.json", "model.safetensors.index.json"):
        if (source / name).is_file():
            copy_json(source / name, target / name)
    if (source / TRAINING_FILE).is_file():
        copy_json(source / TRAINING_FILE, target / TRAINING_FILE)
    copy_tokenizer(tokenizer, target)


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy a tokenizer's files, without what says how it was loaded here."""
    for path in sorted({path for pattern in _TOKENIZER_FILES for path in source.glob(pattern)}):
        copy_file(path, target / path.name)
    config = without_places(read_json(source / "tokenizer_config.json"))
    kept = {name: value for name, value in config.items() if name not in _OF_THIS_MACHINE}
    write_json(target / "tokenizer_config.json", kept)


def check_trained_on(model: Path, tokenizer: Path) -> None:
    """
    Check that a model was trained on the tokenizer that lies in the run.

    Args:
        model (`Path`): The model's folder.
        tokenizer (`Path`): The tokenizer's.

    Raises:
        `FileNotFoundError`: If there is no finished model.
        `ValueError`: If it was trained on another one.
    """
    made, there = read_stage(model), read_stage(tokenizer)
    if made is None:
        raise FileNotFoundError(f"{model} holds no finished model; let `evoslm study` finish.")
    if there is not None and made["keys"].get("inputs.tokenizer") != there["fingerprint"]:
        raise ValueError(f"{model} was trained on another tokenizer than {tokenizer}; train it again.")


def read_prompt(tokenizer_dir: Path) -> str:
    """The beginning of the first validation utterance, as a model of the tokenizer reads it."""
    ids = np.load(tokenizer_dir / "validation.ids.npy", mmap_mode="r")[:_PROMPT_TOKENS]
    return AutoTokenizer.from_pretrained(tokenizer_dir).decode(ids.tolist(), skip_special_tokens=True)
