"""A command's parser: an `HfArgumentParser` of the fields of dataclasses, whose docstrings are its help.

[`Command`] -> fields that it takes, each with its help -> [`make_parser`] -> [`read_flags`] -> values by name.
"""

import argparse
import copy
from collections.abc import Container
from dataclasses import field, fields, make_dataclass
from functools import partial
from typing import Any, get_origin, get_type_hints

from transformers import HfArgumentParser

from .command_flags import COMMANDS, RUN_FIELD, RUNS_FIELD, Command
from .fields import check_choice, choices_of, describe_arguments, describe_group, first_sentence, is_needed

_METAVARS = {int: "N", float: "X", bool: "true|false"}


def make_parser(command: Command, show_all: bool = False) -> HfArgumentParser:
    """
    A parser of the flags that a command takes.

    Args:
        command (`Command`): The command.
        show_all (`bool`, *optional*, defaults to `False`): Whether its help shows all flags, with all that is to be
            said of them, or the commonest with a sentence each.

    Returns:
        `HfArgumentParser`: It raises `ValueError` instead of printing its usage.
    """
    run = "RUN RUN ... " if command.reads_runs else ""
    run = run if not command.reads_run else "RUN " if command.needs_run() else "[RUN] "
    run += "".join(f"{name.upper()} " for name in command.positionals)
    parser = _Parser(
        [
            _with_help(group, names, None if show_all else command.common, (RUN_FIELD, *command.positionals))
            for group, names in command.groups().items()
        ],
        prog=f"evoslm {command.name}",
        usage=f"evoslm {command.name} {run}[flags]",
        description=f"{command.does[0].upper()}{command.does[1:]}.\n\nevoslm {command.name} {command.example}",
        epilog=f"`evoslm {command.name} --help_all` lists every flag.",
        formatter_class=partial(_Formatter, max_help_position=32),
        allow_abbrev=False,
    )
    parser.add_argument("--help_all", "--help-all", action="help", help="show every flag and exit")
    if command.reads_run:
        about = "Folder of a finished run; --run_dir is the same."
        parser.add_argument(RUN_FIELD, nargs="?", default=argparse.SUPPRESS, metavar="RUN", help=about)
    if command.reads_runs:
        about = "Folders of finished runs; --run_dirs is the same."
        parser.add_argument(RUNS_FIELD, nargs="*", default=argparse.SUPPRESS, metavar="RUN", help=about)
    hints = {name: hint for group in command.groups() for name, hint in get_type_hints(group).items()}
    for name in command.positionals:
        nargs = "*" if list in map(get_origin, _kinds(hints[name])) else "?"
        about = f"The same as --{name}."
        parser.add_argument(name, nargs=nargs, default=argparse.SUPPRESS, metavar=name.upper(), help=about)
    return parser


def read_flags(parser: HfArgumentParser, argv: list[str], command: Command) -> dict[str, Any]:
    """
    Values by name, from flags and defaults.

    Args:
        parser (`HfArgumentParser`): Of [`make_parser`].
        argv (`list[str]`): Flags, and the run where the command takes one, in any order.
        command (`Command`): The command.

    Raises:
        `ValueError`: If a flag is unknown or another command's, or a value is missing or cannot be.
    """
    namespace, unknown = parser.parse_known_intermixed_args(argv)
    if unknown:
        raise ValueError(_describe_unknown(unknown, command))
    return vars(namespace)


class _Parser(HfArgumentParser):
    """Errors are raised, in the words of all others."""

    def error(self, message: str) -> None:
        raise ValueError(f"{message[0].upper()}{message[1:]}; see `{self.prog} --help`.")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices:
            check_choice(_shown_name(action), value, action.choices)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """One name a flag, and its default where that says something."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        shown = copy.copy(action)
        if action.option_strings:
            shown.option_strings = [_shown_name(action)]
        return super()._format_action_invocation(shown)

    def _get_help_string(self, action: argparse.Action) -> str:
        default = action.default
        if action.nargs == 0 and action.const is False:
            return f"The same as --{action.dest} false."
        if default is None or default is False or default is argparse.SUPPRESS:
            return action.help
        shown = " ".join(map(str, default)) if isinstance(default, list) else str(default)
        return f"{action.help} (default: {shown.replace('%', '%%')})"


class _Renamed(argparse.Action):
    """Takes a flag by its old name, too, and says what it is called now."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        if option_string.lstrip("-").replace("-", "_") != self.dest:
            print(
                f"evoslm: {option_string} is {_shown_name(self)} now; the old name goes with the next release.",
                flush=True,
            )
        setattr(namespace, self.dest, values)


def _shown_name(action: argparse.Action) -> str:
    return next(name for name in action.option_strings if name.startswith("--"))


def _with_help(group: type, names: tuple[str, ...], shown: Container[str] | None, positionals: Container[str]) -> type:
    """The dataclass as `HfArgumentParser` wants it: some of its fields, what argparse needs to know in `metadata`."""
    about, hints = describe_arguments(group), get_type_hints(group)
    made = []
    for item in fields(group):
        if item.name not in names:
            continue
        hint, default = hints[item.name], item.default
        metadata: dict[str, Any] = {"help": _help(about[item.name], item.name, shown)}
        if "aliases" in item.metadata:
            metadata |= {"aliases": item.metadata["aliases"], "action": _Renamed}
        if list in map(get_origin, _kinds(hint)) and choices_of(hint):  # of which HfArgumentParser knows nothing
            metadata["choices"], hint = choices_of(hint), list[str] if get_origin(hint) is list else list[str] | None
        of_kind = next((word for kind, word in _METAVARS.items() if kind in _kinds(hint)), None)
        metavar = item.metadata.get("metavar", of_kind)  # choices that are many are named in the help
        if metavar and default is not True:  # whose flag has a twin that takes no value
            metadata["metavar"] = metavar
        if item.name in positionals and is_needed(item):  # it may be in front of the flags
            hint, default = str | None, None
        made.append((item.name, hint, field(default=default, default_factory=item.default_factory, metadata=metadata)))
    title = describe_group(group).replace("`", "").rstrip(".")
    return make_dataclass(group.__name__, made, namespace={"_argument_group_name": title}, kw_only=True)


def _help(text: str, name: str, shown: Container[str] | None) -> str:
    if shown is not None and name not in shown:
        return argparse.SUPPRESS
    return (text if shown is None else first_sentence(text)).replace("`", "").replace("%", "%%")


def _kinds(hint: Any) -> tuple:
    """A type, and those that it is made of."""
    return (hint, *getattr(hint, "__args__", ()))


def _describe_unknown(unknown: list[str], command: Command) -> str:
    flags = [word.split("=")[0] for word in unknown if word.startswith("-")]
    if not flags:
        return f"`evoslm {command.name}` takes no {unknown[0]!r}; `evoslm {command.name} --help` says what it takes."
    name = flags[0].lstrip("-").replace("-", "_")
    others = [other.name for other in COMMANDS.values() if other.takes(name)]
    if others:
        return f"{flags[0]} is a flag of {', '.join(others)}, not of {command.name}; leave it out."
    return f"Unknown flag {flags[0]!r}; `evoslm {command.name} --help_all` lists all of them."
