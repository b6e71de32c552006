"""The stages of joint models: the tokenizer, each model, and how well it predicts each modality.

utterances and units of a run -> [`build_joint_tokenizer`] -> [`build_joint_model`] and [`build_joint_scores`], a
mixture and a seed at a time.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ...datasets_scripts.mixing.base import JointConfig, joint_utterances, read_side_by_side
from ...datasets_scripts.mixing.mixture import Mixture, measure_tokens
from ...datasets_scripts.mixing.sequences import JointUtterance
from ...datasets_scripts.mixing.switching import switching_rule
from ...datasets_scripts.shards.reading import find_shards
from ...models.files import read_json, write_json
from ...models.tokenizers.joint import TEXT_TOKEN
from ..arguments.study import HardwareArguments, PretrainArguments
from ..pretrain.deepspeed_config import load_whole
from ..run.execution import Execution
from ..run.folder import SUMMARY_FILE
from ..run.stage import Stage
from ..stages.retrieval import BLOCKS_FOLDER
from .bits import bits_per_word
from .scores import score_joint, score_retrieval

BITS_FILE = "bits.json"
RETRIEVAL_FILE = "retrieval.parquet"
# Utterances whose sequences say how many tokens each kind has.
_MEASURED = 500


@dataclass(frozen=True)
class JointSpeech:
    """
    How an utterance's units are written.

    Args:
        frame_rate (`float`): Frames a second.
        collapse (`bool`): Whether a run of equal units is written once.
        alignment_jitter (`float`): How many frames a bound between words is moved at most.
        seed (`int`): Seed of how far, and of what is measured.
    """

    frame_rate: float
    collapse: bool = True
    alignment_jitter: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class JointTokenizerSettings:
    """
    How contents become ids.

    Args:
        speech ([`JointSpeech`]): How units are written.
        num_units (`int`): K, the size of the codebook.
        text_vocab_size (`int`): Pieces of text.
        unit_vocab_size (`int`, *optional*): Pieces of units; `None` for one id a unit.
        rule (`str`): Where AST changes the modality, one of `SWITCHING_RULES`.
        rule_options (`dict`): Arguments of the rule.
        text_tokenizer (`str`, *optional*): Which tokenizer of a model of text it goes on from, by what is in it.
    """

    speech: JointSpeech
    num_units: int
    text_vocab_size: int
    unit_vocab_size: int | None
    rule: str = "spans"
    rule_options: dict[str, Any] = field(default_factory=dict)
    text_tokenizer: str | None = None


@dataclass(frozen=True)
class InitialModel:
    """
    The model of text that a joint one goes on from.

    Args:
        weights (`str`): Which, by what is in its folder.
        new_rows (`str`): How the rows of tokens begin that it did not have, one of `NEW_ROWS`.
    """

    weights: str
    new_rows: str


@dataclass(frozen=True)
class JointModelSettings:
    """
    What makes a joint model beside its tokenizer.

    Args:
        ratios (`dict[str, float]`): Shares of the kinds in `KINDS`.
        ratios_of (`str`): `"tokens"` or `"samples"`.
        loss_on (`str`): Which tokens are learned, one of `LOSS_ON`.
        training_seed (`int`): Seed of the weights, of the order and of all draws.
        shape (`dict`): `LlamaConfig`'s arguments.
        protocol ([`PretrainArguments`]): The training protocol.
        precision (`str`): Of the computation, `"bf16"` or `"fp32"`.
        unit_encoder (`str`, *optional*): The encoder that its units are of, noted in its configuration.
        initial ([`InitialModel`], *optional*): The model of text that it goes on from; from scratch when not given.
    """

    ratios: dict[str, float]
    ratios_of: str
    loss_on: str
    training_seed: int
    shape: dict[str, Any]
    protocol: PretrainArguments
    precision: str = "fp32"
    unit_encoder: str | None = None
    initial: InitialModel | None = None


def read_split(utterances: Path, units: Path, split: str, speech: JointSpeech) -> Iterator[tuple[str, JointUtterance]]:
    """
    Read the utterances of a split with their units.

    Args:
        utterances (`Path`): The folder of utterance shards.
        units (`Path`): The folder of the shards of their units.
        split (`str`): The split's name.
        speech ([`JointSpeech`]): How units are written.

    Raises:
        `FileNotFoundError`, `ValueError`: If shards are missing or broken, or a row cannot be joined.
    """
    config = JointConfig(
        name="joint",
        frame_rate=speech.frame_rate,
        collapse=speech.collapse,
        seed=speech.seed,
        alignment_jitter=speech.alignment_jitter,
    )
    for shard in find_shards(utterances, ("id", "words")).get(split, []):
        for batch in read_side_by_side(shard, units / Path(shard).name):
            try:
                yield from joint_utterances(batch, config)
            except ValueError as error:
                raise ValueError(f"{shard}: {error}") from error


def build_joint_tokenizer(
    folder: Path,
    utterances: Path,
    units: Path,
    settings: JointTokenizerSettings,
    execution: Execution,
    text_model: Path | None = None,
) -> None:
    """
    Build the tokenizer of joint models, and measure how many tokens a sequence of each kind has.

    Args:
        folder (`Path`): Where to.
        utterances (`Path`): The run's utterances.
        units (`Path`): Their units.
        settings ([`JointTokenizerSettings`]): How contents become ids.
        execution ([`Execution`]): How it is done.
        text_model (`Path`, *optional*): The folder of the tokenizer that it goes on from, where the settings name one.
    """
    from transformers import AutoTokenizer

    from ...datasets_scripts.builders import stream_contents
    from ...models.tokenizers.joint import join_units, train_joint

    def build(partial: Path) -> None:
        with tempfile.TemporaryDirectory(dir=partial) as cache:
            texts = stream_contents("text_bpe", utterances, cache)["train"]
            of_units = "speech_dedup" if settings.speech.collapse else "speech_units"
            contents = stream_contents(of_units, units, cache)["train"]
            if text_model is None:
                sizes = settings.text_vocab_size, settings.unit_vocab_size
                tokenizer = train_joint(texts, contents, settings.num_units, *sizes)
            else:
                own = AutoTokenizer.from_pretrained(text_model)
                tokenizer = join_units(own, contents, settings.num_units, settings.unit_vocab_size)
        tokenizer.save_pretrained(partial)
        rows = read_split(utterances, units, "train", settings.speech)
        measured = [row for row, _ in zip(rows, range(_MEASURED))]
        rule = switching_rule(settings.rule, **settings.rule_options)
        tokens = measure_tokens(measured, tokenizer, rule, settings.speech.seed)
        write_json(partial / SUMMARY_FILE, {"vocab_size": len(tokenizer), "tokens": tokens})

    inputs = {"utterances": utterances, "units": units}
    stage = Stage(folder, 1, _given(settings), inputs, packages=("sentencepiece", "tokenizers"))
    stage.run(build, execution.overwrite)


def joint_model_stage(folder: Path, tokenizer: Path, settings: JointModelSettings) -> Stage:
    """What makes a joint model."""
    packages = ("torch", "transformers", "accelerate")
    return Stage(folder, 1, _given(settings), {"tokenizer": tokenizer}, packages)


def _given(settings: JointTokenizerSettings | JointModelSettings) -> dict[str, Any]:
    """What makes a result, without what it goes on from where that is nothing."""
    return {
        name: value
        for name, value in asdict(settings).items()
        if value is not None or name not in ("initial", "text_tokenizer")
    }


def build_joint_model(
    folder: Path,
    tokenizer: Path,
    utterances: Path,
    units: Path,
    tokens: JointTokenizerSettings,
    settings: JointModelSettings,
    hardware: HardwareArguments,
    execution: Execution,
    report_progress: Callable[[float], None] | None = None,
    initial: Path | None = None,
) -> None:
    """
    Train a joint model; processes that a launcher started do it together.

    Args:
        folder (`Path`): Where to.
        tokenizer (`Path`): The stage of its tokenizer, made of the same utterances and units.
        utterances (`Path`): The run's utterances.
        units (`Path`): Their units.
        tokens ([`JointTokenizerSettings`]): What made the tokenizer.
        settings ([`JointModelSettings`]): What makes the model.
        hardware ([`HardwareArguments`]): How the device is used, but for the precision.
        execution ([`Execution`]): How it is done.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of updates that are done.
        initial (`Path`, *optional*): The folder of the model that it goes on from, where the settings name one.
    """
    from transformers import AutoTokenizer

    from ..pretrain.joint import pretrain_joint

    def build(partial: Path) -> None:
        loaded = AutoTokenizer.from_pretrained(tokenizer)
        splits = {name: list(read_split(utterances, units, name, tokens.speech)) for name in ("train", "validation")}
        mixture = Mixture(
            settings.ratios,
            read_json(tokenizer / SUMMARY_FILE)["tokens"] if settings.ratios_of == "tokens" else None,
            switching_rule(tokens.rule, **tokens.rule_options),
            settings.training_seed,
        )
        extra = {"unit_encoder": settings.unit_encoder} if settings.unit_encoder else {}
        pretrain_joint(
            splits,
            loaded,
            partial,
            settings.shape,
            mixture,
            settings.protocol,
            settings.training_seed,
            settings.loss_on,
            execution.device,
            report_progress,
            replace(hardware, precision=settings.precision),
            initial,
            settings.initial.new_rows if settings.initial else "mean",
            **extra,
        )

    stage = joint_model_stage(folder, tokenizer, settings)
    stage.run(build, execution.overwrite, together=True)


def build_joint_scores(
    folder: Path,
    model: Path,
    utterances: Path,
    units: Path,
    pairs: Path,
    pair_units: Path,
    blocks: Path | None,
    block_units: Path | None,
    speech: JointSpeech,
    execution: Execution,
) -> None:
    """
    Ask a joint model: bits for a held-out word (`bits.json`), the run's minimal pairs in both forms
    (`text/items.parquet`, `speech/items.parquet`), and which context belongs (`retrieval.parquet`).

    Args:
        folder (`Path`): Where to.
        model (`Path`): The stage of the model.
        utterances (`Path`): The run's utterances.
        units (`Path`): Their units.
        pairs (`Path`): The run's spoken pairs.
        pair_units (`Path`): Their units.
        blocks (`Path`, *optional*): The stage of blocks of passages, where there are any.
        block_units (`Path`, *optional*): The stage of their units.
        speech ([`JointSpeech`]): How units are written.
        execution ([`Execution`]): How it is done.
    """

    def build(partial: Path) -> None:
        load_whole()
        held_out = list(read_split(utterances, units, "test", speech))
        write_json(partial / BITS_FILE, bits_per_word(model, held_out, execution.device))
        score_joint(model, partial, pairs, pair_units, speech.collapse, execution.device)
        if blocks is not None:
            folders = blocks / BLOCKS_FOLDER, block_units / BLOCKS_FOLDER
            retrieval = score_retrieval(model, *folders, speech.collapse, execution.device)
            retrieval.to_parquet(partial / RETRIEVAL_FILE)

    inputs = {"model": model, "utterances": utterances, "units": units, "pairs": pairs, "pair_units": pair_units}
    inputs |= {"blocks": blocks, "block_units": block_units} if blocks is not None else {}
    version = 2 if blocks is not None and _writes_spaces(model) else 1
    stage = Stage(folder, version, asdict(speech), inputs, packages=("torch", "transformers"))
    stage.run(build, execution.overwrite)


def _writes_spaces(model: Path) -> bool:
    """Whether a text begins otherwise by itself than behind `<text>`: version 1 of the scores had continuations so."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    alone, behind = tokenizer(["a", f"{TEXT_TOKEN} a"], add_special_tokens=False)["input_ids"]
    return behind[1:] != alone


def train_and_score(
    training: dict[str, Any], scores: dict[str, Any], report_progress: Callable[[float], None]
) -> None:
    """
    One joint model and its scores, in the process that has just trained it.

    Args:
        training (`dict[str, Any]`): Arguments of [`build_joint_model`].
        scores (`dict[str, Any]`): Arguments of [`build_joint_scores`].
        report_progress (`Callable[[float], None]`): Called with the share of the work that is done.
    """
    build_joint_model(**training, report_progress=lambda share: report_progress(0.95 * share))
    build_joint_scores(**scores)
    report_progress(1.0)
