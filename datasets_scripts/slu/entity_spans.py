"""Entities as files and data sets write them -> [`Entity`] with its phrase, checked against the text.

`[label, start, length]`, `[label, phrase]`, dictionaries of either, dictionaries of lists, and texts of any of these.
"""

import ast
import json
from collections.abc import Mapping
from typing import Any

from ...metrics.entity_f1.entity_text import parse_entities
from .examples import Entity

_FORMS = '[label, phrase], [label, start, length], or a text such as "PLACE: europe; WHEN: today"'


def read_entities(value: Any, text: str, where: str) -> list[Entity]:
    """
    Read the entities of one text.

    Args:
        value: A list of `[label, phrase]` or `[label, start, length]`, in characters; of dictionaries with `label` (or
            `type`) and `phrase`, or `start` and `length` or `end`; a dictionary of such columns; a JSON or Python text
            of one of these; or a text such as `"PLACE: europe; WHEN: today"`. `None`, `""` and `"None"` are no
            entities.
        text (`str`): The text.
        where (`str`): Names the example in messages.

    Raises:
        `ValueError`: If it is nothing of the kind, or a span is not in the text or cuts a word.
    """
    if isinstance(value, str):
        value = _from_text(value, where)
    if value is None:
        return []
    if isinstance(value, Mapping):  # columns, as `datasets` has a list of structs
        names = list(value)
        value = [dict(zip(names, row)) for row in zip(*(value[name] for name in names))]
    return [_entity(item, text, where) for item in value]


def _from_text(value: str, where: str) -> Any:
    if value.strip() in ("", "None", "null", "nan"):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value)
        except (ValueError, SyntaxError):
            continue
        if isinstance(found, (list, tuple, dict)):
            return found
    parsed = parse_entities(value)
    if parsed.is_malformed:
        raise ValueError(f"The entities of {where} are {value!r}; give {_FORMS}.")
    return parsed.entities


def _entity(item: Any, text: str, where: str) -> Entity:
    if isinstance(item, Mapping):
        label = item.get("label", item.get("type"))
        phrase, start, length = item.get("phrase", item.get("text")), item.get("start"), item.get("length")
        if length is None and start is not None and item.get("end") is not None:
            length = item["end"] - start
        item = (label, phrase) if phrase is not None else (label, start, length)
    if not isinstance(item, (list, tuple)) or len(item) not in (2, 3) or not isinstance(item[0], str):
        raise ValueError(f"An entity of {where} is {item!r}; give {_FORMS}.")
    if len(item) == 2:
        return Entity(item[0], str(item[1]))
    label, start, length = item
    if not isinstance(start, int) or not isinstance(length, int):
        raise ValueError(f"An entity of {where} is {item!r}; give {_FORMS}.")
    if start < 0 or length < 1 or start + length > len(text):
        raise ValueError(
            f"The entity {label} of {where} is at characters {start} to {start + length}, which are not in its text, "
            f"of {len(text)} characters."
        )
    phrase = text[start : start + length]
    for inside, outside in ((phrase[0], text[start - 1 : start]), (phrase[-1], text[start + length :][:1])):
        if inside.isalnum() and outside.isalnum():
            raise ValueError(f"The entity {label} of {where} is {phrase!r}, which begins or ends inside a word.")
    return Entity(label, phrase, start)
