"""Fine-tuned models in folders or on the Hub: an adapter beside its base, or a whole model.

base + [`SluConfig`] -> [`load_base`] -> a model with the head or the new rows that the task needs -> [`add_lora`] ->
trained -> [`save_adapter`] -> [`load_finetuned`], which refuses another base; [`merge_adapter`] -> a plain model.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from ..released_files import check_released_files
from .configuration_slu import CLASSIFICATION, BaseModel, SluConfig

ADAPTER_CONFIG_FILE = "adapter_config.json"
_HUB_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")


def fingerprint_weights(folder: str | Path) -> str:
    """Sixteen hexadecimal digits for the safetensors files of a model's folder."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(2**24):
                digest.update(block)
    return digest.hexdigest()[:16]


def fingerprint_vocabulary(tokenizer: PreTrainedTokenizerBase) -> str:
    """Sixteen hexadecimal digits for the tokens of a tokenizer and their ids."""
    return hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()[:16]


def describe_base(name: str, folder: str | Path, revision: str | None = None) -> BaseModel:
    """
    What an adapter records of its base.

    Args:
        name (`str`): The base's folder or id on the Hub, under which it is found again.
        folder (`str` or `Path`): Where it lies.
        revision (`str`, *optional*): The commit, branch or tag on the Hub.
    """
    vocabulary = fingerprint_vocabulary(AutoTokenizer.from_pretrained(folder))
    name = str(Path(name).resolve()) if Path(name).is_dir() else name
    return BaseModel(name, fingerprint_weights(folder), vocabulary, revision)


def load_base(
    folder: str | Path, config: SluConfig, tokenizer: PreTrainedTokenizerBase, from_scratch: bool = False
) -> PreTrainedModel:
    """
    Load a model for a task: with a head of the task's classes, or with rows for the tokens that answers need.

    Args:
        folder (`str` or `Path`): Of any causal language model, in safetensors.
        config ([`SluConfig`]): The task.
        tokenizer (`PreTrainedTokenizerBase`): The grown one, for entities.
        from_scratch (`bool`, *optional*, defaults to `False`): Draw all weights anew, from torch's generator, and take
            the architecture alone.

    Returns:
        `PreTrainedModel`: In fp32, with the ids of padding and of the end in its configuration. What is new to it has
        random weights, from torch's generator.

    Raises:
        `ValueError`: If neither model nor tokenizer has the ids that the task needs.
    """
    kind, head = AutoModelForCausalLM, {}
    if config.kind == CLASSIFICATION:
        names = dict(enumerate(config.labels))
        kind = AutoModelForSequenceClassification
        head = {"num_labels": len(names), "id2label": names, "label2id": {label: i for i, label in names.items()}}
    if from_scratch:
        model = kind.from_config(AutoConfig.from_pretrained(folder, **head), dtype=torch.float32)
    else:
        model = kind.from_pretrained(folder, **head, dtype=torch.float32, use_safetensors=True)
    if config.kind != CLASSIFICATION and len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer))
    _set_special_ids(model, tokenizer, config, folder)
    return model


def add_lora(model: PreTrainedModel, config: SluConfig, new_ids: list[int], rank: int, alpha: float, dropout: float):
    """
    Put LoRA beside all matrices of a model's layers, and make the rows of new tokens trainable.

    Args:
        model (`PreTrainedModel`): Of [`load_base`].
        config ([`SluConfig`]): The task.
        new_ids (`list[int]`): Ids of the tokens that are new to it.
        rank (`int`): Of the two matrices.
        alpha (`float`): Their product is scaled by `alpha / rank`.
        dropout (`float`): Of what they read.

    Returns:
        `PeftModel`: Whose other weights are not trained. The new rows are one tensor where the output layer is tied to
        the embedding, else two.
    """
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(
        task_type="SEQ_CLS" if config.kind == CLASSIFICATION else "CAUSAL_LM",
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules="all-linear",
        trainable_token_indices={name: list(new_ids) for name in _names_of_rows(model)} if new_ids else None,
    )
    with _old_names_allowed():
        return get_peft_model(model, lora)


def save_adapter(model, tokenizer: PreTrainedTokenizerBase, config: SluConfig, folder: str | Path) -> None:
    """
    Write an adapter with its tokenizer and `slu_config.json`.

    Args:
        model (`PeftModel`): The trained model.
        tokenizer (`PreTrainedTokenizerBase`): The grown one.
        config ([`SluConfig`]): What it does.
        folder (`str` or `Path`): Where to.
    """
    model.active_peft_config.base_model_name_or_path = config.base.model
    # Left to itself, peft saves all of both matrices as soon as a vocabulary has grown; the new rows are in any case.
    model.save_pretrained(folder, save_embedding_layers=False)
    tokenizer.save_pretrained(folder)
    config.save(folder)


def load_finetuned(
    folder: str | Path, base_model: str | Path | None = None, revision: str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, SluConfig]:
    """
    Load what `evoslm finetune` made: an adapter on its base, or a whole model.

    Args:
        folder (`str` or `Path`): The fine-tuned folder, or its id on the Hub.
        base_model (`str` or `Path`, *optional*): Of an adapter, where its base lies; where it was found in training
            when not given.
        revision (`str`, *optional*): Commit, branch or tag of an id.

    Returns:
        `tuple`: The model, its tokenizer and its [`SluConfig`].

    Raises:
        `FileNotFoundError`: If the folder is none of a fine-tuned model, or its base is not found.
        `ValueError`: If the base has other weights or another vocabulary than the one that was fine-tuned, or a file
            is not the one that was released.
    """
    folder = _find_finetuned(folder, revision)
    check_released_files(folder)
    config = SluConfig.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not (folder / ADAPTER_CONFIG_FILE).is_file():
        return load_base(folder, config, tokenizer).eval(), tokenizer, config
    from peft import PeftModel

    base = _find_base(folder, config, base_model)
    _check_base(folder, base, config)
    with _old_names_allowed():
        model = PeftModel.from_pretrained(load_base(base, config, tokenizer), folder)
    return model.eval(), tokenizer, config


def merge_adapter(folder: str | Path, output_dir: str | Path, base_model: str | Path | None = None) -> None:
    """
    Write an adapter and its base as one plain model, which loads without peft.

    Args:
        folder (`str` or `Path`): The adapter.
        output_dir (`str` or `Path`): Where to.
        base_model (`str` or `Path`, *optional*): As in [`load_finetuned`].

    Raises:
        `FileNotFoundError`, `ValueError`: As [`load_finetuned`], or if the folder holds a whole model already.
    """
    if not (Path(folder) / ADAPTER_CONFIG_FILE).is_file():
        raise ValueError(f"{folder} holds no adapter; there is nothing to merge.")
    model, tokenizer, config = load_finetuned(folder, base_model)
    model.merge_and_unload().save_pretrained(output_dir)
    tokenizer.save_pretrained(output_dir)
    config.save(output_dir)


@contextmanager
def _old_names_allowed() -> Iterator[None]:
    """Without the warning that peft asks transformers by a name that goes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _set_special_ids(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, config: SluConfig, folder: str | Path
) -> None:
    """Fill in what the configuration leaves open from the tokenizer; padding may be the end of a sequence."""
    own = model.config
    if own.eos_token_id is None:
        own.eos_token_id = tokenizer.eos_token_id
    if own.eos_token_id is None and config.kind != CLASSIFICATION:
        raise ValueError(
            f"{folder} has no token that ends a sequence, and an answer needs one; set eos_token in its tokenizer."
        )
    end = own.eos_token_id[0] if isinstance(own.eos_token_id, list) else own.eos_token_id
    if own.pad_token_id is None:
        own.pad_token_id = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    if own.pad_token_id is None:
        raise ValueError(
            f"{folder} has neither a padding token nor one that ends a sequence; set pad_token in its tokenizer."
        )
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.eos_token_id = own.eos_token_id
        model.generation_config.pad_token_id = own.pad_token_id


def _names_of_rows(model: PreTrainedModel) -> list[str]:
    """What the modules are called that have a row for each token: the embedding, and an output layer of its own."""
    modules = [model.get_input_embeddings()]
    output = model.get_output_embeddings()
    if output is not None and output.weight is not modules[0].weight:
        modules.append(output)
    return [next(name for name, own in model.named_modules() if own is module) for module in modules]


def _find_finetuned(name: str | Path, revision: str | None) -> Path:
    """The folder of a fine-tuned model, which is downloaded if the name is an id on the Hub."""
    folder = Path(name)
    if folder.is_dir() and revision is not None:
        raise ValueError(f"{name} lies on this machine and has no revision {revision!r}; give an id on the Hub.")
    if folder.exists() or folder.is_absolute() or str(name).count("/") != 1:
        return folder
    named = name if revision is None else f"{name} at {revision}"
    return _download(str(name), revision, f"{named} cannot be had, neither as a folder nor from the Hub")


def _find_base(folder: Path, config: SluConfig, base_model: str | Path | None) -> Path:
    name = str(base_model or config.base.model)
    if Path(name).is_dir():
        return Path(name)
    missing, way_out = f"{folder} is an adapter of {name}, which is not found", "give its base as base_model"
    if Path(name).is_absolute():
        raise FileNotFoundError(f"{missing}; {way_out} (--base_model).")
    return _download(name, config.base.revision, missing, f"; {way_out} (--base_model)")


def _download(name: str, revision: str | None, missing: str, way_out: str = "") -> Path:
    """A repository's folder in the cache, which is as good where the Hub cannot be reached."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(_HUB_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise FileNotFoundError(f"{missing}{way_out} ({reason}).") from error


def _check_base(folder: Path, base: Path, config: SluConfig) -> None:
    found = describe_base(str(base), base)
    for what in ("vocabulary", "weights"):
        if getattr(found, what) != getattr(config.base, what):
            has = "has another vocabulary" if what == "vocabulary" else "has other weights"
            raise ValueError(
                f"{folder} is an adapter of {config.base.model}, and {base} {has} than the model that it was trained "
                "on; give that one as base_model (--base_model)."
            )
