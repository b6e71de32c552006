"""Whether the arguments of a study can work together, and here: asked before any work is done.

[`Arguments`] -> [`check_arguments`] -> nothing, or one sentence that names the flags.
"""

from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

from ...datasets_scripts.stories.simple.language import load_language
from ...datasets_scripts.synthesis.by_name import ESPEAK, load_synthesizer
from ...models.modalities import SYNTHETIC_MODALITY, get_modality
from ..pretrain.deepspeed_config import read_deepspeed
from ..run import distributed
from .fields import check_values
from .study import (
    FRAME_FEATURES,
    GROUPS,
    Arguments,
    CorpusArguments,
    HardwareArguments,
    ModelArguments,
    PretrainArguments,
    UnitArguments,
)


def check_arguments(arguments: Arguments, command: str = "study") -> None:
    """
    Check the values of all groups, one by one and together.

    Args:
        arguments ([`Arguments`]): Of a command.
        command (`str`, *optional*, defaults to `"study"`): Its name.

    Raises:
        `ValueError`: If a value is none of the choices or out of bounds, values do not go together, or a package that
            they need is not installed.
        `FileNotFoundError`: If there is no such folder of text or file of words.
    """
    for name in GROUPS:
        check_values(getattr(arguments, name))
    if not arguments.modalities:
        raise ValueError("No modality is asked for; give --modalities, for example `--modalities paper`.")
    _check_runs(arguments)
    _check_hardware(arguments.hardware)
    _check_encoder(arguments.units)
    _check_external_units(arguments, command)
    _check_source(arguments.corpus, arguments.hardware.dry_run)
    _check_recordings(arguments.corpus, arguments.units)
    _check_synthesizer(arguments)
    _check_shape(arguments.model)
    check_protocol(arguments.pretrain)
    if "speech_bpe" in arguments.modalities and arguments.model.unit_bpe_vocab_size <= (
        num_units := arguments.units.vocabulary("frame")
    ):
        raise ValueError(
            f"--unit_bpe_vocab_size is {arguments.model.unit_bpe_vocab_size}; it must be above the number of "
            f"different units, {num_units}, since every unit is a piece of its own."
        )


def _check_runs(arguments: Arguments) -> None:
    seeds = arguments.run.training_seeds
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"--training_seeds {' '.join(map(str, seeds))} names a seed twice; each trains one model.")
    if arguments.joint.study == "joint" and arguments.run.replicates > 1:
        raise ValueError(
            "--study joint has no report over replicates; leave --replicates out, or give several --training_seeds."
        )


def check_protocol(protocol: PretrainArguments) -> None:
    """
    Check that the values of a training's protocol go together.

    Raises:
        `ValueError`: If a training until convergence could not decay.
    """
    if protocol.train_until != "converged":
        return
    if protocol.lr_scheduler != "wsd":
        raise ValueError(
            f"--train_until converged does not go with --lr_scheduler {protocol.lr_scheduler}, which falls towards an "
            "update that has to be known beforehand; choose wsd."
        )
    if protocol.decay_fraction == 0:
        raise ValueError(
            "--train_until converged takes the best model of the decay; give a --decay_fraction above 0, such as 0.2."
        )


def _check_source(corpus: CorpusArguments, dry_run: bool) -> None:
    if corpus.lexicon is not None and (corpus.corpus, corpus.stories) != ("stories", "simple"):
        raise ValueError("--lexicon has words for simple stories: give it with --corpus stories --stories simple.")
    if corpus.lexicon is not None:
        load_language(corpus.lexicon)
    if corpus.corpus == "text" and not corpus.text_dir and not dry_run:
        raise ValueError("--corpus text needs --text_dir, a folder of .txt files.")
    if corpus.corpus == "hub" and not corpus.dataset and not dry_run:
        raise ValueError("--corpus hub needs --dataset, a dataset's id or folder.")
    if corpus.corpus != "stories" and corpus.text_dir and not Path(corpus.text_dir).is_dir():
        raise FileNotFoundError(f"There is no folder {corpus.text_dir}; --text_dir names a folder of .txt files.")


def _check_recordings(corpus: CorpusArguments, units: UnitArguments) -> None:
    if corpus.corpus in ("audio", "libriheavy") and not corpus.audio_dir:
        raise ValueError(f"--corpus {corpus.corpus} needs --audio_dir, a folder of recordings.")
    if corpus.corpus == "libriheavy" and not corpus.manifest:
        raise ValueError("--corpus libriheavy needs --manifest, a file or folder of its *_cuts_*.jsonl.gz.")
    if corpus.is_recorded and units.unit_normalization == "speaker":
        raise ValueError(
            "--unit_normalization speaker needs statistics of every voice, and minimal pairs are spoken by synthetic "
            "ones that no recording has; choose none or utterance."
        )


def _check_synthesizer(arguments: Arguments) -> None:
    corpus = arguments.corpus
    if corpus.synthesizer == ESPEAK:
        return
    synthesizer = load_synthesizer(corpus.synthesizer)
    if not corpus.is_recorded:
        synthesizer.speakers(corpus.voices)
        return
    try:
        synthesizer.speakers("many")
    except ValueError:
        raise ValueError(
            f"Minimal pairs of recordings are spoken in many voices, and {corpus.synthesizer} has a single speaker; "
            f"choose --synthesizer {ESPEAK} or a voice of several speakers."
        ) from None


def _check_encoder(units: UnitArguments) -> None:
    if units.is_pretrained and "/" not in units.encoder and not Path(units.encoder).is_dir():
        raise ValueError(
            f"--encoder is {units.encoder!r}; choose from {', '.join(FRAME_FEATURES)}, or give the folder or the Hub "
            "id of an encoder such as HuBERT or Whisper."
        )
    if units.kmeans == "faiss" and find_spec("faiss") is None:
        raise ValueError("--kmeans faiss needs the package faiss-cpu or faiss-gpu, which is not installed.")
    asked = (units.encoder_layer, units.encoder_revision, units.encoder_precision)
    if not units.is_pretrained and asked != (None, None, "fp32"):
        raise ValueError(f"--encoder {units.encoder} has no layers, revision or precision to choose.")


def _check_external_units(arguments: Arguments, command: str) -> None:
    units = arguments.units
    if units.units is None:
        # The frames of pairs are made before there are units, and those of a table after that.
        named = ["units_model", "units_name", "units_codebook_size"]
        named += [] if command == "build-dataset" else ["units_frame_rate"]
        given = [name for name in named if getattr(units, name) is not None]
        if given:
            raise ValueError(f"--{given[0]} says something of --units, which is not given; give both or neither.")
        return
    fitted = {"encoder": "mfcc", "unit_normalization": "none", "compare_seeds": 0}
    for name, default in fitted.items():
        if getattr(units, name) != default:
            raise ValueError(_describe_unfitted(units, name))
    pooled = [name for name in arguments.modalities if get_modality(name).unit_of != "frame"]
    if pooled:
        raise ValueError(f"{pooled[0]} pools an encoder's frames, which --units has none of; leave it out.")
    opened = units.open_external()
    if opened.config.kind == "table" and SYNTHETIC_MODALITY in arguments.modalities:
        raise ValueError(
            f"{SYNTHETIC_MODALITY} needs the units of pairs that are cut out of recordings last of all, which no "
            "table can have; leave it out, or give --units as module:function."
        )


def check_flags(arguments: Arguments, given: Collection[str]) -> None:
    """
    Check flags that would do nothing beside others. Presets set the same for those that need it.

    Args:
        arguments ([`Arguments`]): Of a command.
        given (`Collection[str]`): Names of the values that differ from the preset's.

    Raises:
        `ValueError`: If there is such a flag.
    """
    wrong = [name for name in ("num_units", "fit_frames", "kmeans") if name in given]
    if arguments.units.units is not None and wrong:
        raise ValueError(_describe_unfitted(arguments.units, wrong[0]))


def _describe_unfitted(units: UnitArguments, name: str) -> str:
    return (
        f"--units brings units that are not fitted, and --{name} {getattr(units, name)} is about those that are; "
        "leave out one of them."
    )


def _check_shape(model: ModelArguments) -> None:
    if model.hidden_size % model.num_attention_heads or model.num_attention_heads % model.num_key_value_heads:
        raise ValueError(
            f"--hidden_size {model.hidden_size} must be a multiple of --num_attention_heads "
            f"{model.num_attention_heads}, and that of --num_key_value_heads {model.num_key_value_heads}."
        )
    width = model.hidden_size // model.num_attention_heads
    if width % 2:
        raise ValueError(
            f"--hidden_size {model.hidden_size} by --num_attention_heads {model.num_attention_heads} makes heads of "
            f"{width}; their width has to be even, because positions turn it in pairs."
        )


def _check_hardware(hardware: HardwareArguments) -> None:
    if hardware.deepspeed is not None:
        read_deepspeed(hardware.deepspeed)
        if not (hardware.dry_run or distributed.is_launched()):
            raise ValueError(
                "--deepspeed shares a training out among processes: start `evoslm pretrain` with torchrun, accelerate "
                "launch or deepspeed (docs/training.md)."
            )
    needed = {
        "--attention flash_attention_2": ("flash_attn", hardware.attention == "flash_attention_2"),
        "--report_to tensorboard": ("tensorboard", hardware.report_to == "tensorboard"),
        "--report_to trackio": ("trackio", hardware.report_to == "trackio"),
    }
    for flag, (package, is_asked) in needed.items():
        if is_asked and find_spec(package) is None:
            raise ValueError(f"{flag} needs the package {package.replace('_', '-')}, which is not installed.")
