"""From flags to arguments: a YAML preset underneath, flags on top.

argv -> preset -> the command's own flags (`parser.py`) -> [`parse_arguments`] -> `Arguments`, checked before any work
is done. A command that is no study's has one dataclass and no preset: [`parse_group`].
"""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from .checks import check_arguments, check_flags
from .command_flags import COMMANDS, RUN_FIELD, Command, find_command
from .fields import check_values, is_needed
from .study import GROUPS, Arguments, RunArguments

PRESET_FOLDER = Path(__file__).parents[1] / "presets"


def list_presets() -> list[str]:
    """Names of the presets that come with the package."""
    return sorted(path.stem for path in PRESET_FOLDER.glob("*.yaml"))


def read_preset(preset: str) -> dict[str, Any]:
    """
    Read a preset as a flat dict of argument values. A lexicon that lies where its path leads from the preset's folder
    is that one, wherever the command runs.

    Raises:
        `ValueError`: If there is no such preset or it sets something that is no argument.
    """
    path = Path(preset) if preset.endswith((".yaml", ".yml")) else PRESET_FOLDER / f"{preset}.yaml"
    if not path.is_file():
        raise ValueError(f"Unknown preset {preset!r}; choose from {', '.join(list_presets())}, or give a YAML file.")
    values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    known = {item.name for group in GROUPS.values() for item in fields(group)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"Preset {preset!r} sets {', '.join(unknown)}, which is no argument of a study.")
    if (lexicon := values.get("lexicon")) and (beside := path.parent / lexicon).is_file():
        values["lexicon"] = str(beside.resolve())
    return values


def parse_command(argv: list[str], command: Command) -> Any:
    """
    Read a command's arguments.

    Args:
        argv (`list[str]`): Flags, without the command's name.
        command ([`Command`]): The command.

    Returns:
        `Any`: [`Arguments`] of a study, or the command's own dataclass.

    Raises:
        `ValueError`: As [`parse_arguments`] and [`parse_group`].
    """
    if command.is_of_study:
        return parse_arguments(argv, command.name)
    return parse_group(argv, command.name)


def parse_arguments(argv: list[str], command: str = "study") -> Arguments:
    """
    Read the arguments of a study's command: defaults, then the preset, then the flags.

    Args:
        argv (`list[str]`): Flags, without the command's name.
        command (`str`, *optional*, defaults to `"study"`): The command's name: groups that it takes no flags of have
            the values of preset and defaults.

    Returns:
        [`Arguments`]: One dataclass a group.

    Raises:
        `ValueError`: If a preset, flag, value or combination is unknown or cannot work.
    """
    from .parser import read_flags

    # Of all commands, study takes every flag: its parser knows the types of what a preset sets.
    everything = COMMANDS["study"]
    preset = read_preset(_find_preset(argv))
    values = read_flags(_parser(everything, [], preset), [], everything)
    chosen = find_command(command)
    taken = {name: value for name, value in values.items() if any(name in names for names in chosen.flags.values())}
    flags = read_flags(_parser(chosen, argv, taken), argv, chosen)
    given = {name for name, value in flags.items() if name in taken and value != taken[name]}
    values |= flags
    arguments = Arguments(
        **{name: group(**{item.name: values[item.name] for item in fields(group)}) for name, group in GROUPS.items()}
    )
    check_arguments(arguments, command)
    check_flags(arguments, given)
    return arguments


def parse_group(argv: list[str], command: str) -> Any:
    """
    Read the arguments of a command that is no study's: of one dataclass, without a preset.

    Args:
        argv (`list[str]`): Flags, and the folder of a run where the command reads one, without the command's name.
        command (`str`): The command's name.

    Returns:
        `Any`: The dataclass with what the flags say.

    Raises:
        `ValueError`: If a flag or value is unknown or missing.
    """
    from .parser import read_flags

    chosen = find_command(command)
    (group,) = chosen.groups()
    values = read_flags(_parser(chosen, argv, {}), argv, chosen)
    if chosen.needs_run() and values[RUN_FIELD] is None:
        raise ValueError(f"Give the folder of a finished run, as in `evoslm {command} {chosen.example}`.")
    needed = (item.name for item in fields(group) if item.name in chosen.positionals and is_needed(item))
    if absent := [name for name in needed if values[name] is None]:
        raise ValueError(f"Give the {absent[0]}, as in `evoslm {command} {chosen.example}`.")
    arguments = group(**values)
    check_values(arguments)
    return arguments


def _parser(command: Command, argv: list[str], defaults: dict[str, Any]):
    # transformers takes a second to import, which a list of commands need not wait for.
    from .parser import make_parser

    parser = make_parser(command, show_all=any(word in ("--help_all", "--help-all") for word in argv))
    parser.set_defaults(**defaults)
    return parser


def _find_preset(argv: list[str]) -> str:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--preset", default=RunArguments.preset)
    try:
        return parser.parse_known_args(argv)[0].preset
    except argparse.ArgumentError as error:
        raise ValueError(
            f"{str(error)[0].upper()}{str(error)[1:]}; choose from {', '.join(list_presets())}."
        ) from None
