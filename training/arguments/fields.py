"""What a dataclass of arguments says of its fields: their descriptions, their choices and their bounds.

docstring -> [`describe_arguments`] -> help; `Literal` types and `metadata` (`least`, `most`, `above`, `below`) ->
[`check_values`] -> one sentence about the first value that cannot be.
"""

import inspect
import re
from dataclasses import MISSING, Field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

_ENTRY = re.compile(r"^ {4}(\w+) \((.*?)\):\s+(.*(?:\n {8,}.*)*)", re.MULTILINE)
_BOUNDS = {
    "least": ("at least", lambda value, bound: value >= bound),
    "most": ("at most", lambda value, bound: value <= bound),
    "above": ("above", lambda value, bound: value > bound),
    "below": ("below", lambda value, bound: value < bound),
}


def describe_arguments(group: type) -> dict[str, str]:
    """
    What the docstring of a dataclass says of each argument.

    Args:
        group (`type`): A dataclass with an `Args:` section.

    Returns:
        `dict[str, str]`: By name, on one line.
    """
    _, _, entries = inspect.getdoc(group).partition("Args:\n")
    return {name: " ".join(text.split()) for name, _, text in _ENTRY.findall(entries)}


def describe_group(group: type) -> str:
    """The first sentence of a dataclass's docstring."""
    return first_sentence(" ".join(inspect.getdoc(group).split()))


def first_sentence(text: str) -> str:
    """A text up to its first full stop that a capital or a backtick follows."""
    return re.split(r"(?<=[.])\s+(?=[A-Z`])", text, maxsplit=1)[0]


def choices_of(hint: Any) -> tuple:
    """The values that a type lets through: those of a `Literal`, also in a list or beside `None`; else none."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(choice for part in get_args(hint) for choice in choices_of(part))


def is_needed(item: Field) -> bool:
    """Whether a field has no default."""
    return item.default is MISSING and item.default_factory is MISSING


def check_values(arguments: Any) -> None:
    """
    Check every value of a dataclass against its type's choices and its field's bounds.

    Args:
        arguments (`Any`): A dataclass of arguments; `None` is let through.

    Raises:
        `ValueError`: If a value is none of the choices, or out of bounds.
    """
    hints = get_type_hints(type(arguments))
    for item in fields(arguments):
        value = getattr(arguments, item.name)
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                check_choice(f"--{item.name}", one, choices_of(hints[item.name]))
                _check_bounds(item.name, one, item.metadata)


def check_choice(flag: str, value: Any, choices: tuple) -> None:
    """Raise a `ValueError` that names the choices, where there are some and the value is none of them."""
    if choices and value not in choices:
        raise ValueError(f"{flag} is {value!r}; choose from {', '.join(map(str, choices))}.")


def _check_bounds(name: str, value: Any, metadata: Any) -> None:
    for kind, (words, holds) in _BOUNDS.items():
        if kind in metadata and not holds(value, metadata[kind]):
            raise ValueError(f"--{name} is {value}; it must be {words} {metadata[kind]}.")
