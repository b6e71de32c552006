"""Every command: what it does, what runs it, and which flags it takes.

name -> [`Command`] -> its flags, by group -> the parser (`parser.py`). A new command is one entry in `COMMANDS`.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from importlib import import_module
from typing import Any

from .study import GROUPS

RUN_FIELD, RUNS_FIELD = "run_dir", "run_dirs"


@dataclass(frozen=True)
class Command:
    """
    One command.

    Args:
        name (`str`): As it is typed.
        does (`str`): What it does, in one line.
        example (`str`): Flags that somebody might give it.
        function (`str`): What runs it: `module:function`, seen from `training`.
        common (`tuple[str, ...]`): The flags that `--help` shows.
        dataclass (`str`, *optional*): The dataclass of its arguments, beside the function. A study's commands have the
            groups of a study instead, and a preset.
        flags (`dict[str, tuple[str, ...]]`, *optional*): Of a study's command, the flags that it takes, by group.
        reads_run (`bool`, *optional*, defaults to `False`): Whether a finished run is given in front of the flags (or
            with `--run_dir`), or can be.
        reads_runs (`bool`, *optional*, defaults to `False`): The same of several runs (`--run_dirs`).
        positionals (`tuple[str, ...]`, *optional*): Other fields that can be given in front of the flags, in order.
    """

    name: str
    does: str
    example: str
    function: str
    common: tuple[str, ...]
    dataclass: str | None = None
    flags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    reads_run: bool = False
    reads_runs: bool = False
    positionals: tuple[str, ...] = ()

    @property
    def is_of_study(self) -> bool:
        """Whether its arguments are those of a study, with a preset underneath."""
        return self.dataclass is None

    def load(self) -> Callable:
        """The function that runs it."""
        return getattr(self._module(), self.function.split(":")[1])

    def groups(self) -> dict[type, tuple[str, ...]]:
        """Its dataclasses, and the fields of each that are its flags."""
        if self.is_of_study:
            return {GROUPS[name]: names for name, names in self.flags.items()}
        group = getattr(self._module(), self.dataclass)
        return {group: _all_of(group)}

    def takes(self, name: str) -> bool:
        """Whether one of its flags is called so, or was."""
        return any(
            name in (item.name, *(alias.lstrip("-") for alias in item.metadata.get("aliases", ())))
            for group, names in self.groups().items()
            for item in fields(group)
            if item.name in names
        )

    def needs_run(self) -> bool:
        """Whether it cannot do without a finished run."""
        return any(
            item.name == RUN_FIELD and item.default is MISSING for group in self.groups() for item in fields(group)
        )

    def _module(self) -> Any:
        return import_module(f"..{self.function.split(':')[0]}", __package__)


def find_command(name: str) -> Command:
    """
    Look a command up.

    Raises:
        `ValueError`: If there is none of that name.
    """
    if name not in COMMANDS:
        raise ValueError(f"Unknown command {name!r}; choose from {', '.join(COMMANDS)}.")
    return COMMANDS[name]


def _all_of(group: type, *others: str) -> tuple[str, ...]:
    """Names of a dataclass's fields, some left out."""
    return tuple(item.name for item in fields(group) if item.name not in others)


_EVERYTHING = {name: _all_of(group) for name, group in GROUPS.items()}
# What a study's command takes is what it does, and what the commands before it do. sWUGGY's pseudo-words are balanced
# with the text model's pieces, so that the first of them needs the size of that vocabulary.
_DATASET = {
    "run": _all_of(GROUPS["run"], "training_seeds", "replicates", "analysis"),
    "corpus": _EVERYTHING["corpus"],
    "pairs": _EVERYTHING["pairs"],
    "model": ("bpe_vocab_size",),
    "units": ("units_frame_rate",),
    "hardware": ("dry_run", "device_tflops"),
}
_UNITS = {**_DATASET, "units": _EVERYTHING["units"]}
_TOKENIZERS = {**_UNITS, "model": ("bpe_vocab_size", "unit_bpe_vocab_size")}
_TRAINING = {name: names for name, names in _EVERYTHING.items() if name != "joint"}
_TRAINING |= {"run": _all_of(GROUPS["run"], "replicates", "analysis")}

_COMMON_DATASET = ("preset", "output_dir", "modalities", "num_proc", "overwrite")
_COMMON_DATASET += ("corpus", "stories", "text_dir", "audio_dir", "dataset", "max_words")
_COMMON_DATASET += ("voices", "rate", "corpus_seed")
_COMMON_UNITS = (*_COMMON_DATASET, "encoder", "encoder_layer", "num_units", "units", "units_frame_rate")
_COMMON_TRAINING = (*_COMMON_UNITS, "training_seeds", "device", "epochs")

COMMANDS = {
    command.name: command
    for command in (
        Command(
            "build-dataset",
            "text, utterances and minimal pairs",
            "--preset laptop --voices one",
            "commands:build_dataset",
            (*_COMMON_DATASET, "pairs_per_task", "blimp", "dry_run"),
            flags=_DATASET,
        ),
        Command(
            "fit-units",
            "the quantizer, and the units of utterances and pairs",
            "--encoder facebook/hubert-base-ls960 --encoder_layer 9 --num_units 500",
            "commands:fit_units",
            (*_COMMON_UNITS, "unit_normalization", "kmeans"),
            flags=_UNITS,
        ),
        Command(
            "train-tokenizer",
            "a tokenizer for each modality, and the ids of its utterances",
            "--modalities text_bpe phone_bpe --bpe_vocab_size 1024",
            "commands:train_tokenizers",
            (*_COMMON_UNITS, "bpe_vocab_size", "unit_bpe_vocab_size"),
            flags=_TOKENIZERS,
        ),
        Command(
            "pretrain",
            "a language model for each modality and seed",
            "--modalities text_bpe phone_raw --training_seeds 0 1 2",
            "commands:pretrain_models",
            (*_COMMON_TRAINING, "deepspeed", "dry_run"),
            flags=_TRAINING,
        ),
        Command(
            "evaluate",
            "log-likelihoods of the minimal pairs, and the n-gram baselines",
            "--modalities paper --training_seeds 0 1 2",
            "commands:evaluate_models",
            _COMMON_TRAINING,
            flags=_TRAINING,
        ),
        Command(
            "study",
            "all of it, from text to the tables of the report",
            "--preset smoke --modalities all --output_dir runs/first",
            "commands:run_study",
            (*_COMMON_TRAINING, "study", "replicates", "analysis", "dry_run"),
            flags=_EVERYTHING,
        ),
        Command(
            "report",
            "the report of a finished run, or over replicates, written again",
            "runs/laptop",
            "report.command:rewrite_report",
            (),
            "ReportArguments",
            reads_run=True,
        ),
        Command(
            "analyze",
            "what each layer of a run's models knows, where they find words, and the like",
            "runs/laptop --parts layers",
            "analysis.command:analyze",
            ("parts", "modalities", "lens", "num_proc", "device", "overwrite"),
            "AnalyzeArguments",
            reads_run=True,
        ),
        Command(
            "compare",
            "what several finished runs agree on, in one report",
            "runs/laptop runs/other --output_dir runs/comparison",
            "report.comparison.command:compare_finished_runs",
            ("output_dir",),
            "CompareArguments",
            reads_runs=True,
        ),
        Command(
            "score",
            "log-likelihoods of any minimal pairs by a run's model or any other",
            "runs/laptop --modality phone_raw",
            "score.pair_files:score_file",
            ("modality", "training_seed", "model_id", "pairs", "output_dir", "num_proc", "device", "overwrite"),
            "ScoreArguments",
            reads_run=True,
        ),
        Command(
            "zerospeech",
            "a finished run on the official items of ZeroSpeech 2021 or BabySLM",
            "runs/laptop --zerospeech_dir zerospeech2021 --split dev",
            "score.zerospeech_2021:score_zerospeech",
            (
                "zerospeech_dir",
                "split",
                "benchmark",
                "output_dir",
                "modalities",
                "joint_models",
                "units",
                "training_seed",
                "num_proc",
                "device",
            ),
            "ZeroSpeechArguments",
            reads_run=True,
        ),
        Command(
            "export-units",
            "a run's units of a benchmark's recordings, in the files that the benchmark takes",
            "runs/laptop --benchmark discophon --benchmark_dir discophon --to units",
            "score.benchmark_units:export_units",
            ("benchmark", "benchmark_dir", "to", "modality", "num_proc", "device"),
            "ExportUnitsArguments",
            reads_run=True,
        ),
        Command(
            "unit-report",
            "whether speech units keep words apart and speakers together",
            "runs/laptop",
            "unit_report.measuring:report_units",
            ("source", "quantizer", "output_dir", "num_units", "normalizations", "seed"),
            "UnitReportArguments",
            reads_run=True,
        ),
        Command(
            "diagnose",
            "what a tokenizer of speech costs a language model, and why, beside text and phones",
            "Mine=mine.py:encode,frame_rate=50,codebook_size=500",
            "diagnose.command:diagnose",
            ("preset", "output_dir", "training_seeds", "export_audio", "num_proc", "device", "overwrite"),
            "DiagnoseArguments",
            positionals=("tokenizers",),
        ),
        Command(
            "export-audio",
            "every utterance and side of a pair as a wav, for units from elsewhere",
            "runs/laptop --to audio",
            "external_units.export:export_audio",
            ("to", "num_proc", "overwrite"),
            "ExportArguments",
            reads_run=True,
        ),
        Command(
            "train-vocoder",
            "a neural vocoder for the units of a run",
            "runs/laptop --max_steps 20000",
            "vocoder.training:train_vocoder",
            ("output_dir", "voices", "max_steps", "batch_size", "learning_rate", "seed", "device", "overwrite"),
            "VocoderArguments",
            reads_run=True,
        ),
        Command(
            "pretrain-joint",
            "joint models of speech units and text, on the speech of a run",
            "runs/laptop --models cst ast --training_seeds 0 1 2",
            "joint.command:pretrain_joint_models",
            (
                "output_dir",
                "models",
                "ratios",
                "rule",
                "units",
                "unit_bpe_vocab_size",
                "loss_on",
                "init_from",
                "shape",
                "epochs",
                "training_seeds",
            )
            + ("num_proc", "device", "overwrite"),
            "JointArguments",
            reads_run=True,
        ),
        Command(
            "listening-sheet",
            "continuations of a joint study for people to rate, and what they rated",
            "runs/laptop --num_passages 15",
            "joint.listening:make_listening_sheet",
            ("output_dir", "models", "training_seed", "num_passages", "vocoder", "ratings"),
            "ListeningArguments",
            reads_run=True,
        ),
        Command(
            "finetune",
            "a model that tells the sentiment or the entities of texts or speech, by LoRA",
            "runs/laptop/models/text_bpe/seed-0 --task stories_sa --output_dir finetuned",
            "finetune.command:finetune",
            ("task", "output_dir", "input", "test_input", "method", "training_seeds", "quantizer", "speech_dir", "snr")
            + ("epochs", "batch_size", "learning_rate", "merge", "num_proc", "device", "overwrite"),
            "FinetuneArguments",
            positionals=("checkpoint",),
        ),
        Command(
            "answer",
            "what a fine-tuned model says of recordings or texts",
            "finetuned/models/seed-0 clip.wav",
            "finetune.answering:answer",
            ("text", "base_model", "quantizer", "revision", "device"),
            "AnswerArguments",
            positionals=("model", "audio"),
        ),
        Command(
            "continue",
            "what a model makes of a prompt of one's own: a text, phones or a recording",
            "runs/laptop --modality phone_raw --prompt 'The old man'",
            "analysis.continuation.command:continue_prompt",
            ("prompt", "phones", "audio", "modality", "training_seed", "num_continuations", "seeds", "temperature")
            + ("top_p", "max_seconds", "max_new_tokens", "transcriber", "output_dir", "device"),
            "ContinueArguments",
            positionals=("model",),
        ),
        Command(
            "transcribe",
            "what a speech recogniser hears in recordings or in a run's units, and its errors",
            "runs/laptop --model_id openai/whisper-small.en",
            "transcription.transcribing:transcribe_sounds",
            (
                "source",
                "vocoders",
                "output_dir",
                "split",
                "max_utterances",
                "model_id",
                "revision",
                "language",
                "engine",
            )
            + ("num_beams", "batch_size", "precision", "device", "overwrite"),
            "TranscribeArguments",
            reads_run=True,
        ),
        Command(
            "train-transcriber",
            "units or phones of a run to text, and the word errors",
            "runs/laptop --modality speech_dedup",
            "transcriber.training:train_transcriber",
            ("output_dir", "modality", "transcriber", "max_heard", "max_steps", "batch_size", "learning_rate", "seed")
            + ("device", "overwrite"),
            "TranscriberArguments",
            reads_run=True,
        ),
        Command(
            "demo",
            "a page on which one hears what the models of a run, or of the Hub, make of a prompt",
            "runs/laptop --port 7860",
            ".spaces.speech_continuation.serving:open_demo",
            ("host", "port", "device"),
            "DemoArguments",
            positionals=("models",),
        ),
        Command(
            "pretrain-encoder",
            "a HuBERT from scratch, on the speech of a run",
            "runs/laptop --output_dir encoders/first",
            "encoder.training:pretrain_encoder",
            ("output_dir", "voices", "targets", "target_layer", "num_targets", "hidden_size", "num_hidden_layers")
            + ("batch_seconds", "max_steps", "learning_rate", "precision", "seed", "device", "num_proc", "overwrite"),
            "EncoderArguments",
            reads_run=True,
        ),
        Command(
            "release",
            "a finished run as repositories of the Hub, or as the folders that would be pushed",
            "runs/laptop --namespace user --dry_run",
            "release.command:release",
            ("namespace", "dry_run", "private", "force", "output_dir", "name", "license"),
            "ReleaseArguments",
            reads_run=True,
        ),
        Command(
            "encode-audio",
            "the units of many hours, with datatrove: locally, with SLURM or Ray",
            "runs/laptop --audio_dir recordings --output_dir encoded",
            "scale.encoding:encode_audio",
            ("model_dir", "output_dir", "utterances_dir", "audio_dir", "manifest", "shard_size", "executor")
            + ("num_proc", "device", "max_skipped_fraction", "slurm_partition", "slurm_time"),
            "EncodeArguments",
            reads_run=True,
        ),
    )
}
