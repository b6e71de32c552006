"""`evoslm pretrain-joint RUN`: joint models of speech units and text on a finished run.

a run's utterances, units, shape and protocol -> a joint tokenizer -> models of mixtures by training seed -> bits a
word, in a report.
"""

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from ...datasets_scripts.mixing.mixture import PAIRED, Mixture
from ...datasets_scripts.mixing.switching import read_rule_options, switching_rule
from ...models.files import read_json
from ...models.new_rows import read_shape
from ..arguments.fields import check_values
from ..arguments.study import CorpusArguments, HardwareArguments, ModelArguments, PretrainArguments
from ..external_units.quantizers import read_quantizer_config
from ..pretrain.deepspeed_config import refuse_sharing_alone
from ..pretrain.hardware import resolve_precision
from ..run import distributed
from ..run.execution import Execution
from ..run.folder import MODEL_FOLDER, SUMMARY_FILE, Run
from ..run.study_file import open_run, read_study
from ..run.workers import Job, count_cores, resolve_device, run_jobs
from ..stages.retrieval import BlockSettings, build_block_units, build_blocks
from .initial import find_initial_models, identify_tokenizer, identify_weights
from .report import REPORT_FILE, UNPAIRED, write_joint_report
from .stages import (
    InitialModel,
    JointModelSettings,
    JointSpeech,
    JointTokenizerSettings,
    build_joint_tokenizer,
    train_and_score,
)


def _shape(**sizes: int) -> dict[str, Any]:
    heads = {"num_key_value_heads": sizes["num_attention_heads"]}
    return sizes | heads | {"max_position_embeddings": 2048, "tie_word_embeddings": True}


MIXTURES = {
    "speech": ("speech",),
    "text": ("text",),
    UNPAIRED: ("speech", "text"),
    "cst": ("speech", "cst", "text"),
    "ast": ("speech", "ast", "text"),
    "cst_ast": ("speech", "cst", "ast", "text"),
}
"""The models by name: the kinds that each is trained on."""


SHAPES = {
    "30m": _shape(hidden_size=512, intermediate_size=1376, num_hidden_layers=8, num_attention_heads=8),
    "100m": _shape(hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12),
    "350m": _shape(hidden_size=1024, intermediate_size=3072, num_hidden_layers=24, num_attention_heads=16),
}
"""`LlamaConfig` arguments of models by about how many weights they have, with 12,000 pieces."""


@dataclass
class JointArguments:
    """
    Joint models and their training; shape, protocol and seeds are the run's where not given.

    Args:
        run_dir (`str`): A run's folder, with utterances and their units.
        output_dir (`str`, *optional*): Where they go; `<run_dir>/joint` when not given.
        models (`list[str]`, *optional*, defaults to `["speech", "text", "unpaired", "cst", "ast", "cst_ast"]`):
            Which, by the kinds of sequences that they are trained on; `unpaired` has both modalities, never in one
            sequence, and shows what paired data is worth.
        ratios (`list[float]`, *optional*, defaults to `[0.3333, 0.3333, 0.3333]`): Shares of speech alone, of both
            in one sequence, and of text alone, in models that have all three.
        ratios_of (`str`, *optional*, defaults to `"tokens"`): What the shares are of: tokens, or samples (sequences).
        rule (`str`, *optional*, defaults to `"spans"`): Where AST changes the modality.
        switch_probability (`float`, *optional*, defaults to 0.3): With `per_word`, of a change after a word.
        rule_options (`list[str]`, *optional*): Arguments of another rule: `text=10-30`, `speech=5-15`, `scaled=false`
            (spans), `mean=10`, `speech_share=0.3` (poisson), `seconds=10`, `repeat=0.5` (segments).
        units (`str`, *optional*, defaults to `"pieces"`): How speech is written: in SentencePiece `pieces` of runs,
            in `runs` of equal units, each once, or in `frames`, every unit.
        unit_bpe_vocab_size (`int`, *optional*): Pieces of units, more than units; as many as Speech-BPE of the run has
            when not given.
        loss_on (`str`, *optional*, defaults to `"all"`): Which tokens are learned; `target` is what is behind the
            first switch.
        alignment_jitter (`float`, *optional*, defaults to 0.0): How many frames bounds between words are moved, to see
            what errors of the alignment cost.
        num_blocks (`int`, *optional*, defaults to 50): Blocks of held-out passages for context retrieval (CRA); fewer
            where the text gives no more, and none with 0 or where the run's speech is recorded.
        block_size (`int`, *optional*, defaults to 8): Passages a block.
        any_voice (`bool`, *optional*, defaults to `False`): Speak each passage of a block by itself, in a voice of its
            own, and not the block in one.
        init_from (`str`, *optional*): A model of text to go on from, whose shape and vocabulary the joint models then
            have: a Llama's folder or Hub id, or a folder of a run with a model for each seed (models/text_bpe). With a
            tokenizer that is not of Text-BPE, speech is written in `runs` or `frames`.
        init_revision (`str`, *optional*): Commit, branch or tag of that model on the Hub.
        new_rows (`str`, *optional*, defaults to `"mean"`): How the rows of its new tokens begin: as draws with the
            `mean` and covariance of the old rows, `fresh` as from scratch, or as a `copy` of an old one.
        shape (`str`, *optional*, defaults to `"run"`): Of models from scratch: the run's, or that of about as many
            weights; `350m` has 24 layers of 1,024 with 16 heads (2310.08715).
        epochs (`float`, *optional*): Passes over the utterances; the run's when not given.
        learning_rate (`float`, *optional*): Its peak; the run's when not given.
        utterances_per_batch (`int`, *optional*): Of an update; the run's when not given.
        training_seeds (`list[int]`, *optional*): One model for each; the run's when not given.
        precision (`str`, *optional*, defaults to `"auto"`): Of the computation; `auto` is bf16 on a GPU alone.
        deepspeed (`str`, *optional*): `zero1`, `zero2`, `zero3` or a JSON file, for processes that a launcher starts.
        utterances_per_pass (`int`, *optional*): Utterances on a device at once; the whole share when not given.
        gradient_checkpointing (`bool`, *optional*, defaults to `False`): Compute layers twice to save memory.
        save_every (`int`, *optional*): Updates between checkpoints, beside those that follow every validation.
        num_proc (`int`, *optional*): Worker processes; the number of cores when not given.
        device (`str`, *optional*, defaults to `"auto"`): Where models run; `auto` takes a GPU where there is one.
        overwrite (`bool`, *optional*, defaults to `False`): Redo finished models whose configuration differs.
    """

    run_dir: str
    output_dir: str | None = None
    models: list[str] = field(default_factory=lambda: list(MIXTURES))
    ratios: list[float] = field(default_factory=lambda: [0.3333, 0.3333, 0.3333])
    ratios_of: Literal["tokens", "samples"] = "tokens"
    rule: Literal["spans", "per_word", "poisson", "segments"] = "spans"
    switch_probability: float = field(default=0.3, metadata={"least": 0, "most": 1})
    rule_options: list[str] | None = None
    units: Literal["pieces", "runs", "frames"] = "pieces"
    unit_bpe_vocab_size: int | None = field(default=None, metadata={"least": 3})
    loss_on: Literal["all", "speech", "text", "target"] = "all"
    alignment_jitter: float = field(default=0.0, metadata={"least": 0})
    num_blocks: int = field(default=50, metadata={"least": 0})
    block_size: int = field(default=8, metadata={"least": 2})
    any_voice: bool = False
    init_from: str | None = None
    init_revision: str | None = None
    new_rows: Literal["mean", "fresh", "copy"] = "mean"
    shape: Literal["run", "30m", "100m", "350m"] = "run"
    epochs: float | None = field(default=None, metadata={"above": 0})
    learning_rate: float | None = field(default=None, metadata={"above": 0})
    utterances_per_batch: int | None = field(default=None, metadata={"least": 1})
    training_seeds: list[int] | None = None
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    deepspeed: str | None = None
    utterances_per_pass: int | None = field(default=None, metadata={"least": 1})
    gradient_checkpointing: bool = False
    save_every: int | None = field(default=None, metadata={"least": 1})
    num_proc: int | None = field(default=None, metadata={"least": 1})
    device: Literal["auto", "cpu", "cuda"] = "auto"
    overwrite: bool = False


def pretrain_joint_models(arguments: JointArguments) -> Path:
    """
    Train joint models, or go on with trainings that were interrupted, and write their report.

    Args:
        arguments ([`JointArguments`]): What to train on what.

    Returns:
        `Path`: The report.

    Raises:
        `FileNotFoundError`: If the folder is no run, or the run has no utterances or no units.
        `ValueError`: If an argument is out of range, or the folder holds models of another configuration and
            `overwrite` is not set.
    """
    check_values(arguments)
    refuse_sharing_alone(arguments.deepspeed, "pretrain-joint")
    mixtures = {name: mixture_of(name, arguments.ratios) for name in arguments.models}
    run, study = open_run(arguments.run_dir), read_study(arguments.run_dir)
    folder = Path(arguments.output_dir or run.folder / "joint")
    device = resolve_device(arguments.device)
    execution = Execution(arguments.num_proc or count_cores(), device, arguments.overwrite)
    utterances, units = run.utterances(), run.units() / "utterances"
    if not units.is_dir():
        raise FileNotFoundError(
            f"{run.folder} has no units of speech; run evoslm fit-units with --modalities speech_units."
        )
    seeds = arguments.training_seeds or study["seeds"]
    initial = find_initial_models(arguments.init_from, arguments.init_revision, seeds) if arguments.init_from else {}
    for model in initial.values():
        read_shape(model)  # which refuses what is no Llama
    text_model = next(iter(initial.values()), None)
    tokens = tokenizer_settings(arguments, run, study["configuration"], text_model)
    tokenizer = folder / "tokenizer"
    distributed.say("evoslm: joint tokenizer")
    build_joint_tokenizer(tokenizer, utterances, units, tokens, execution, text_model)
    blocks = _build_blocks(arguments, folder, run, study["configuration"], execution)
    distributed.say("evoslm: joint models")
    jobs = []
    for name, ratios in mixtures.items():
        for seed in seeds:
            model = folder / "models" / name / f"seed-{seed}"
            training = {
                "folder": model,
                "tokenizer": tokenizer,
                "utterances": utterances,
                "units": units,
                "tokens": tokens,
                "settings": _model_settings(arguments, study, ratios, seed, device, initial.get(seed)),
                "hardware": HardwareArguments(
                    deepspeed=arguments.deepspeed,
                    utterances_per_pass=arguments.utterances_per_pass,
                    gradient_checkpointing=arguments.gradient_checkpointing,
                    save_every=arguments.save_every,
                ),
                "execution": execution,
                "initial": initial.get(seed),
            }
            scores = {
                "folder": folder / "scores" / name / f"seed-{seed}",
                "model": model,
                "utterances": utterances,
                "units": units,
                "pairs": run.pairs(),
                "pair_units": run.units() / "pairs",
                "blocks": blocks[0],
                "block_units": blocks[1],
                "speech": tokens.speech,
                "execution": execution,
            }
            cost = _tokens_of(tokenizer, ratios, arguments.ratios_of)
            jobs.append(Job(train_and_score, {"training": training, "scores": scores}, cost=cost))
    run_jobs(jobs, 1 if distributed.world_size() > 1 else execution.device_workers, "joint models")
    report = folder / REPORT_FILE
    if distributed.is_main():
        asked = asdict(arguments)
        configuration = {name: value for name, value in asked.items() if name not in ("run_dir", "output_dir")}
        write_joint_report(folder, list(mixtures), seeds, study, configuration, device)
        print(f"The report is {report}.")
    return report


def _build_blocks(
    arguments: JointArguments, folder: Path, run: Run, configuration: dict[str, Any], execution: Execution
) -> tuple[Path | None, Path | None]:
    """The stages of blocks and of their units, where there are any: nobody has recorded those of recordings."""
    corpus = CorpusArguments(**configuration["corpus"])
    if not arguments.num_blocks or corpus.is_recorded:
        return None, None
    if configuration["units"]["units"] is not None:  # a table, or a function that is not at hand
        return None, None
    distributed.say("evoslm: blocks for context retrieval")
    settings = BlockSettings(
        arguments.num_blocks,
        arguments.block_size,
        corpus.voices,
        corpus.rate,
        corpus.corpus_seed,
        corpus.max_skipped_fraction,
        arguments.any_voice,
        synthesizer=corpus.synthesizer,
    )
    spoken, units = folder / "blocks" / "spoken", folder / "blocks" / "units"
    build_blocks(spoken, run.passages, settings, execution)
    build_block_units(
        units, run.units() / MODEL_FOLDER, spoken, configuration["units"]["encoder_precision"], execution
    )
    return spoken, units


def mixture_of(name: str, ratios: list[float]) -> dict[str, float]:
    """
    The shares of the kinds that a model is trained on.

    Args:
        name (`str`): One of `MIXTURES`.
        ratios (`list[float]`): Shares of speech alone, of both in one sequence, and of text alone.

    Raises:
        `ValueError`: If there is no such model, there are not three shares, or they do not add up to 1.
    """
    if name not in MIXTURES:
        raise ValueError(f"There is no joint model {name!r}; choose from {', '.join(MIXTURES)}.")
    if len(ratios) != 3:
        raise ValueError(f"--ratios are three shares, of speech, of both and of text; {len(ratios)} were given.")
    kinds = MIXTURES[name]
    if len(kinds) == 1:
        return {kinds[0]: 1.0}
    speech, paired, text = ratios
    if name == UNPAIRED:
        paired, alone = 0.0, speech + text
        speech, text = speech / alone if alone else 0.0, text / alone if alone else 0.0
    both = [kind for kind in kinds if kind in PAIRED]
    shares = {"speech": speech, **{kind: paired / len(both) for kind in both}, "text": text}
    Mixture(shares)  # which refuses what cannot be
    return shares


def tokenizer_settings(
    arguments: JointArguments, run: Run, configuration: dict[str, Any], text_model: Path | None = None
) -> JointTokenizerSettings:
    """
    How contents become ids.

    Args:
        arguments ([`JointArguments`]): What is asked for.
        run ([`Run`]): The run.
        configuration (`dict`): What the run was made with.
        text_model (`Path`, *optional*): The model of text that is gone on from.
    """
    quantizer = read_quantizer_config(run.units() / MODEL_FOLDER)
    speech = JointSpeech(
        frame_rate=quantizer.frame_rate,
        collapse=arguments.units != "frames",
        alignment_jitter=arguments.alignment_jitter,
        seed=configuration["corpus"]["corpus_seed"],
    )
    pieces = arguments.unit_bpe_vocab_size or configuration["model"]["unit_bpe_vocab_size"]
    return JointTokenizerSettings(
        speech,
        num_units=quantizer.num_units,
        text_vocab_size=configuration["model"]["bpe_vocab_size"],
        unit_vocab_size=pieces if arguments.units == "pieces" else None,
        rule=arguments.rule,
        rule_options=_rule_options(arguments),
        text_tokenizer=identify_tokenizer(text_model) if text_model else None,
    )


def _rule_options(arguments: JointArguments) -> dict[str, Any]:
    """Arguments of the switching rule, as JSON has them."""
    options = {"probability": arguments.switch_probability} if arguments.rule == "per_word" else {}
    options |= read_rule_options(arguments.rule, arguments.rule_options or ())
    switching_rule(arguments.rule, **options)  # which refuses what cannot be
    return options


def _model_settings(
    arguments: JointArguments,
    study: dict[str, Any],
    ratios: dict[str, float],
    seed: int,
    device: str,
    initial: Path | None,
) -> JointModelSettings:
    configuration = study["configuration"]
    of_run = {
        entry.name: configuration["model"][entry.name]
        for entry in fields(ModelArguments)
        if "vocab_size" not in entry.name
    }
    shape = of_run if arguments.shape == "run" else SHAPES[arguments.shape]
    own = {name: getattr(arguments, name) for name in ("epochs", "learning_rate", "utterances_per_batch")}
    own = {name: value for name, value in own.items() if value is not None}
    protocol = PretrainArguments(**configuration["pretrain"] | {"points": []} | own)
    return JointModelSettings(
        ratios,
        arguments.ratios_of,
        arguments.loss_on,
        seed,
        read_shape(initial) if initial else shape,
        protocol,
        resolve_precision(arguments.precision, device),
        study["encoder_label"],
        InitialModel(identify_weights(initial), arguments.new_rows) if initial else None,
    )


def _tokens_of(tokenizer: Path, ratios: dict[str, float], ratios_of: str) -> float:
    """Tokens of a sequence in the mean, which say how long a training takes."""
    tokens = read_json(tokenizer / SUMMARY_FILE)["tokens"]
    if ratios_of == "samples":
        return sum(share * tokens[kind] for kind, share in ratios.items())
    return 1 / sum(share / tokens[kind] for kind, share in ratios.items() if share)
