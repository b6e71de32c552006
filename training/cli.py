"""`evoslm COMMAND [flags]`: the one door to everything that runs.

command -> arguments (preset underneath, flags on top) -> stages of a run, each finished or not done at all. A user's
mistake ends in one sentence and exit status 2.
"""

import errno
import sys

from ..datasets_scripts.shards.worker_pool import WorkFailed
from .arguments.command_flags import COMMANDS, find_command
from .arguments.parsing import list_presets, parse_command
from .run import distributed

SHARED_COMMANDS = ("pretrain", "evaluate", "study", "score", "pretrain-joint", "finetune")
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
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(describe_commands(), end="")
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
        command = find_command(argv[0])
        if distributed.world_size() > 1 and command.name not in SHARED_COMMANDS:
            raise ValueError(
                f"Several processes can share {', '.join(SHARED_COMMANDS)} only; run `evoslm {command.name}` in one."
            )
        command.load()(parse_command(argv[1:], command))
        distributed.leave()
    except (ValueError, FileNotFoundError, NotADirectoryError, FileExistsError, PermissionError) as error:
        return _fail(str(error))
    except distributed.TrainingStopped as stopped:
        print(f"evoslm: {stopped}", file=sys.stderr)
        distributed.leave()
        return distributed.PREEMPTED
    except WorkFailed as failed:
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


def describe_commands() -> str:
    """The commands, what each does, and the presets."""
    of_study = [command for command in COMMANDS.values() if command.is_of_study]
    alone = [command for command in COMMANDS.values() if not command.is_of_study]
    lines = [
        "usage: evoslm COMMAND [--preset NAME] [--output_dir FOLDER] [flags]",
        "       evoslm COMMAND RUN [flags]",
    ]
    lines += ["", "commands, each of which first does what it needs of those above it:"]
    lines += [f"  {command.name:16} {command.does}" for command in of_study]
    lines += ["", "and of finished runs, or by themselves:"]
    lines += [f"  {command.name:16} {command.does}" for command in alone]
    lines += ["", f"presets: {', '.join(list_presets())}", "`evoslm COMMAND --help` says what a command takes."]
    return "\n".join(lines) + "\n"


def _fail(message: str) -> int:
    print(f"evoslm: error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
