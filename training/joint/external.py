"""The text language model that judges continuations, which is never the one that wrote them.

rich and simple stories of a seed of their own, as they are and as words alone -> Text-BPE -> `pretrain` -> a folder in
the cache, under the fingerprint of what made it. Any causal language model can take its place.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock

from ...metrics.continuation_texts import write_form
from ...models.cache import default_cache_dir
from ...models.hub_commit import find_commit
from ..arguments.study import HardwareArguments, PretrainArguments
from ..run.stage import Stage, fingerprint, fingerprint_files

MODEL_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
"""What a model and its tokenizer are made of, and all that is taken from a Hub."""
_FOLDER = "external_lm"
_VERSION = 1


@dataclass(frozen=True)
class EmbeddedModel:
    """
    What makes the language model that is trained here where no other is given.

    Args:
        words (`dict[str, int]`, *optional*): Words of stories by their language, of all splits together.
        corpus_seed (`int`, *optional*, defaults to 100): Seed of the stories.
        training_seed (`int`, *optional*, defaults to 0): Seed of the weights and of the order.
        vocab_size (`int`, *optional*, defaults to 2048): Pieces.
        shape (`dict`, *optional*): `LlamaConfig`'s arguments.
        protocol ([`PretrainArguments`], *optional*): The training protocol.
    """

    words: dict[str, int] = field(default_factory=lambda: {"rich": 200_000, "simple": 100_000})
    corpus_seed: int = 100
    training_seed: int = 0
    vocab_size: int = 2048
    shape: dict[str, Any] = field(
        default_factory=lambda: {
            "hidden_size": 128,
            "intermediate_size": 352,
            "num_hidden_layers": 4,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "max_position_embeddings": 2048,
            "initializer_range": 0.06,
        }
    )
    protocol: PretrainArguments = field(
        default_factory=lambda: PretrainArguments(
            epochs=1, utterances_per_batch=4, learning_rate=2e-3, adam_beta2=0.98, decay_fraction=0.3, points=[]
        )
    )


def external_language_model(
    source: str | None = None,
    cache: str | Path | None = None,
    embedded: EmbeddedModel | None = None,
    report_progress: Callable[[float], None] | None = None,
) -> Path:
    """
    Find the language model that judges, or train the embedded one, which takes minutes and is then kept.

    Args:
        source (`str`, *optional*): A causal language model with its tokenizer: an id on the Hub, a folder, or a .gguf
            file (or the folder of one), which is unpacked once and kept. When not given, the embedded one.
        cache (`str` or `Path`, *optional*): Where the embedded one is kept; `EVOSLM_CACHE` when not given.
        embedded ([`EmbeddedModel`], *optional*): What makes it.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of its training that is done.

    Returns:
        `Path`: A folder for `AutoModelForCausalLM.from_pretrained` and `AutoTokenizer.from_pretrained`.

    Raises:
        `FileNotFoundError`: If there is no such folder or repository.
        `ValueError`: If it has no weights in safetensors or no tokenizer, or a GGUF cannot be read.
    """
    if source is not None:
        packed = _find_gguf(Path(source))
        return _find_model(source) if packed is None else _unpack(packed, Path(cache or default_cache_dir()))
    embedded = embedded or EmbeddedModel()
    keys = {"version": _VERSION, **asdict(embedded)}
    folder = Path(cache or default_cache_dir()) / _FOLDER / fingerprint(keys)
    folder.parent.mkdir(parents=True, exist_ok=True)
    stage = Stage(folder, _VERSION, asdict(embedded), packages=("torch", "transformers", "accelerate"))
    # Another process that trains it is waited for: several parts of a run may ask for it at once.
    with FileLock(folder.with_suffix(".lock")):
        # What another version of a package has begun under the same fingerprint is not gone on with.
        stage.run(lambda partial: _train(partial, embedded, report_progress), overwrite=True)
    return folder


def describe_model(folder: str | Path) -> dict[str, str]:
    """
    What pins a model in a result.

    Args:
        folder (`str` or `Path`): A model's folder.

    Returns:
        `dict[str, str]`: `fingerprint`, of the files of the model and of its tokenizer, wherever they lie.
    """
    patterns = ("config.json", "tokenizer*", "*.safetensors", "*.model", "vocab*", "merges.txt")
    return {"fingerprint": fingerprint_files(Path(folder), patterns)}


def _find_model(source: str) -> Path:
    folder = Path(source)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        commit = find_commit(source, repo_type="model")
        try:
            folder = Path(snapshot_download(source, revision=commit, allow_patterns=list(MODEL_FILES)))
        except OSError as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise FileNotFoundError(f"The model {source!r} cannot be had from the Hub: {reason}") from error
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise ValueError(f"{source} has no language model in safetensors; give another language model.")
    if not list(folder.glob("tokenizer*")):
        raise ValueError(f"{source} has a model and no tokenizer; put the tokenizer's files beside the weights.")
    return folder


def _find_gguf(path: Path) -> Path | None:
    """The only .gguf file that is there, where there are no weights in safetensors."""
    if path.is_file() and path.suffix == ".gguf":
        return path
    files = [] if list(path.glob("*.safetensors")) else sorted(path.glob("*.gguf"))
    if len(files) > 1:
        raise ValueError(f"{path} has {len(files)} .gguf files; give one of them, such as {files[0]}.")
    return files[0] if files else None


def _unpack(packed: Path, cache: Path) -> Path:
    """The weights of a GGUF in safetensors, in fp32, with its tokenizer, under the fingerprint of its contents."""
    if find_spec("gguf") is None:
        raise ValueError(f"{packed} needs the package gguf, which is not installed: pip install evoslm[gguf].")
    contents = fingerprint_files(packed.parent, [packed.name])
    folder = cache / _FOLDER / f"gguf-{contents}"
    folder.parent.mkdir(parents=True, exist_ok=True)

    def unpack(partial: Path) -> None:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

        options = {"gguf_file": packed.name}
        try:
            tokenizer = AutoTokenizer.from_pretrained(packed.parent, **options)
            read = AutoModelForCausalLM.from_pretrained(packed.parent, dtype=torch.float32, **options)
            # What was read from a GGUF refuses to be saved, though its weights are ordinary ones by now.
            config = AutoConfig.from_pretrained(packed.parent, **options)
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
            model.load_state_dict(read.state_dict())
        except (MemoryError, PermissionError):
            raise  # of this machine, and they say so themselves
        except Exception as error:  # a broken file makes its reader stumble anywhere: struct.error, OverflowError, ...
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(f"transformers cannot read {packed} as the GGUF of a language model: {reason}") from error
        tokenizer.save_pretrained(partial)
        model.save_pretrained(partial)

    with FileLock(folder.with_suffix(".lock")):
        stage = Stage(folder, _VERSION, {"gguf": contents}, packages=("torch", "transformers", "gguf"))
        stage.run(unpack, overwrite=True)
    return folder


def _train(folder: Path, embedded: EmbeddedModel, report_progress: Callable[[float], None] | None) -> None:
    from ...models.tokenizers import stream_ids, train_tokenizer
    from ..pretrain.data import write_ids
    from ..pretrain.pretraining import pretrain

    tokenizer = train_tokenizer("text_bpe", _contents(embedded, "train"), vocab_size=embedded.vocab_size)
    tokenizer.save_pretrained(folder)
    for split in ("train", "validation"):
        write_ids(folder, split, stream_ids(tokenizer, _contents(embedded, split)), len(tokenizer))
    # In fp32, so that processors agree but for rounding.
    pretrain(
        "text_bpe",
        folder,
        folder,
        embedded.shape,
        embedded.protocol,
        embedded.training_seed,
        report_progress=report_progress,
        hardware=HardwareArguments(precision="fp32"),
    )
    for ids in folder.glob("*.npy"):
        ids.unlink()


def _contents(embedded: EmbeddedModel, split: str) -> Iterator[str]:
    """
    Every story of a split twice: as it is, and as a transcript would have it, so that either form can be judged.
    """
    from ...datasets_scripts.stories import generate_stories

    for stories, words in embedded.words.items():
        for passage in generate_stories(stories, words, embedded.corpus_seed):
            if passage.split == split:
                yield passage.text
                yield write_form(passage.text, "words")
