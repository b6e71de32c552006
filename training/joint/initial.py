"""The models of text that joint models go on from: one for all, or one for each training seed.

folder, folder of `seed-*` folders, or Hub id -> a folder by seed, and what tells one model from another.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ...models.hub_commit import find_commit
from ..score.pair_files import find_model

_TOKENIZER_FILE = "tokenizer.json"


def find_initial_models(model_id: str, revision: str | None, seeds: Sequence[int]) -> dict[int, Path]:
    """
    Find the model of text that each training seed goes on from.

    Args:
        model_id (`str`): A model's folder, a folder of a run with one `seed-N` folder a seed (`models/text_bpe`), or
            an id on the Hub.
        revision (`str`, *optional*): Commit, branch or tag on the Hub.
        seeds (`Sequence[int]`): Training seeds.

    Returns:
        `dict[int, Path]`: A folder for each.

    Raises:
        `FileNotFoundError`: If there is no such model or revision.
        `ValueError`: If it has no weights in safetensors or no tokenizer.json, a seed has none, or the seeds' models
            have different tokenizers.
    """
    folder = Path(model_id)
    if folder.is_dir() and any(folder.glob("seed-*/config.json")):
        found = {seed: folder / f"seed-{seed}" for seed in seeds}
        for seed, own in found.items():
            if not own.is_dir():
                raise ValueError(f"{model_id} has no model of seed {seed}; choose other --training_seeds.")
            find_model(str(own))
    else:
        found = dict.fromkeys(seeds, find_model(model_id, find_commit(model_id, revision, "model")))
    for own in found.values():
        if not (own / _TOKENIZER_FILE).is_file():
            raise ValueError(f"{own} has no {_TOKENIZER_FILE}, which a joint vocabulary is made of.")
    if len({identify_tokenizer(own) for own in found.values()}) > 1:
        raise ValueError(f"The models of {model_id} have different tokenizers; go on from one of them.")
    return found


def identify_tokenizer(folder: Path) -> str:
    """A hash of what is in a model's tokenizer.json."""
    return _hash(folder, [_TOKENIZER_FILE])


def identify_weights(folder: Path) -> str:
    """A hash of what is in a model's configuration, tokenizer and weights."""
    return _hash(folder, ["config.json", _TOKENIZER_FILE, *sorted(path.name for path in folder.glob("*.safetensors"))])


def _hash(folder: Path, names: list[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        with open(folder / name, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
