"""`evoslm COMMAND [--preset NAME] [flags]`: the one door to everything that runs.

command -> arguments (preset underneath, flags on top) -> stages of a run, each finished or not done at all. A user's
mistake ends in one sentence and exit status 2.
"""

import errno
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module

from .arguments.parsing import list_presets, parse_arguments, parse_group
from .run import distributed

USAGE = """usage: evoslm COMMAND [--preset NAME] [--output_dir FOLDER] [flags]

commands, each of which first does what it needs of those above it:
  build-dataset    text, utterances and minimal pairs
  fit-units        the quantizer, and the units of utterances and pairs
  train-tokenizer  a tokenizer for each modality, and the ids of its utterances
  pretrain         a language model for each modality and seed
  evaluate         log-likelihoods of the minimal pairs, and the n-gram baselines
  study            all of these, and the report

and by themselves:
  score            log-likelihoods of any minimal pairs by any causal language model
  zerospeech       a finished run on the official items of ZeroSpeech 2021
  unit-report      whether speech units keep words apart and speakers together
  train-vocoder    a neural vocoder for the units of a run
  pretrain-encoder a HuBERT from scratch, on the speech of a run
  encode-audio     the units of many hours, with datatrove: locally, with SLURM or Ray
                   (build-dataset --executor ... is the same)

presets: {presets}
`evoslm COMMAND --help` lists a command's flags.
"""
# Functions of `study.py`, whose arguments are those of a study.
_STUDY = {
    "build-dataset": "build_dataset",
    "fit-units": "fit_units",
    "train-tokenizer": "train_tokenizers",
    "pretrain": "pretrain_models",
    "evaluate": "evaluate_models",
    "study": "run_study",
}
# Commands with arguments of their own: module, function and dataclass, imported when they are asked for.
_ALONE = {
    "score": ("score.pair_files", "score_file", "ScoreArguments"),
    "zerospeech": ("score.zerospeech_2021", "score_zerospeech", "ZeroSpeechArguments"),
    "unit-report": ("unit_report.measuring", "report_units", "UnitReportArguments"),
    "train-vocoder": ("vocoder.training", "train_vocoder", "VocoderArguments"),
    "pretrain-encoder": ("encoder.training", "pretrain_encoder", "EncoderArguments"),
    "encode-audio": ("scale.encoding", "encode_audio", "EncodeArguments"),
}
SHARED_COMMANDS = ("pretrain", "evaluate", "study", "score")
"""What several processes that a launcher started can do together."""


def main(argv: list[str] | None = None) -> int:
    """
    Run one command.

    Args:
        argv (`list[str]`, *optional*): Command and flags; the process's own when not given.

    Returns:
        `int`: The exit status: 0, 2 for a user's mistake, which is printed in one sentence, 1 if processes that did a
        part of the work were killed, or 75 if SIGTERM stopped a training, which was saved.
    """
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE.format(presets=", ".join(list_presets())), end="")
        return 0 if argv else 2
    if argv[0] == "--version":
        from .. import __version__

        print(__version__)
        return 0
    try:
        # DeepSpeed's launcher says so; the environment does as well.
        argv = [word for word in argv if not word.startswith("--local_rank")]
        # The one step of a dataset that an executor can have: units of audio, shard by shard.
        if argv[0] == "build-dataset" and any(word.split("=")[0] == "--executor" for word in argv):
            print("evoslm: build-dataset --executor is encode-audio; its flags are those of that command.", flush=True)
            argv[0] = "encode-audio"
        run_command, parse = _find_command(argv[0])
        if distributed.world_size() > 1 and argv[0] not in SHARED_COMMANDS:
            raise ValueError(
                f"Several processes can share {', '.join(SHARED_COMMANDS)} only; run `evoslm {argv[0]}` in one."
            )
        run_command(parse(argv=argv[1:]))
    except (ValueError, FileNotFoundError, NotADirectoryError, FileExistsError, PermissionError) as error:
        return _fail(str(error))
    except distributed.TrainingStopped as stopped:
        print(f"evoslm: {stopped}", file=sys.stderr)
        return distributed.PREEMPTED
    except distributed.WorkFailed as failed:
        print(f"evoslm: error: {failed}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _fail(f"The disk is full ({error.filename or error}); free some space and run the command again.")
        if error.errno == errno.EROFS:
            return _fail(f"{error.filename or 'The output folder'} cannot be written to; choose another --output_dir.")
        raise
    except KeyboardInterrupt:
        print("evoslm: stopped; run the same command to go on.", file=sys.stderr)
        return 130
    return 0


def _find_command(name: str) -> tuple[Callable, Callable]:
    """What a command runs, and what reads its arguments."""
    if name in _STUDY:
        return getattr(import_module(".commands", __package__), _STUDY[name]), partial(parse_arguments, command=name)
    if name not in _ALONE:
        raise ValueError(f"Unknown command {name!r}; choose from {', '.join([*_STUDY, *_ALONE])}.")
    module, function, group = _ALONE[name]
    module = import_module(f".{module}", __package__)
    return getattr(module, function), partial(parse_group, getattr(module, group), command=name)


def _fail(message: str) -> int:
    print(f"evoslm: error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
