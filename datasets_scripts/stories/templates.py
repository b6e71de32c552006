"""The small language that the stories' sentence patterns are written in.

a line of a YAML file -> `parse_template` (once a process) -> nodes -> `node.render(story)` -> text.

In a template a name stands for a list of the lexicon, and a role for somebody or something in the story:

- `(one|two|)`: one of the alternatives, all equally likely. `[now|then]`: the first in a story told in the present
  tense, the second in one told in the past.
- `<name>`: an item of the list `name`, itself a template; `<adj:people>`: an adjective that suits the list `people`.
- `{the adj? x=animals}`: brings in `x`, an item of the list in a number drawn at random (`animals.sg`, `animals.pl`:
  in that one). Before it stand `a`, `the`, `this` (that, these, those), a possessive (`hero.poss`) or nothing; then
  `adj` (an adjective), `adj?` (perhaps one) or the name of a list to draw the adjective from.
- `{hero}`, `{hero.obj}`: the role as subject and as object, a pronoun wherever that cannot be misread. `.pro` prefers
  the pronoun; `.the` and `.this` give the noun; `.poss` and `.self` give her and herself; `.new` and `.indef` bring
  the role in, the second with a or a number first.
- `{hero:find}`: the verb in the tense of the story, agreeing with the role. `{hero:<work>}`: so does the first word of
  an item of the list `work`; `{hero:<work>#skill}` keeps the item, to come again wherever `#skill` stands. In place of
  a role, `sg` and `pl` agree with a literal subject, and `bare`, `past` and `pp` give forms that agree with nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Protocol

_REFER = re.compile(r"(?P<role>\w+)(?:\.(?P<form>obj|pro|the|this|poss|self|new|indef))?")
_AGREE = re.compile(r"(?P<role>\w+):(?:<(?P<list>\w+)>(?:#(?P<keep>\w+))?|(?P<verb>\w+))")
_DECLARE = re.compile(
    r"(?:(?P<det>a|the|this|\w+\.poss) )?(?:(?P<adj>\w+\??) )?(?P<role>\w+)=(?P<list>\w+)(?:\.(?P<number>sg|pl))?"
)


class Storyteller(Protocol):
    """What a template asks of the story that it is told in."""

    tense: str
    rng: Random

    def draw_rule(self, name: str) -> str:
        """An item of a list."""

    def draw_adjective(self, list_name: str) -> str:
        """An adjective that suits a list."""

    def draw_verb(self, list_name: str, keep: str) -> tuple[str, str]:
        """The first word of an item of a list, and the rest of it."""

    def inflect(self, subject: str, lemma: str) -> str:
        """The form of a verb that agrees with a role."""

    def declare(self, role: str, list_name: str, number: str, determiner: str, adjective: str) -> str:
        """The noun phrase that brings a role in."""

    def refer(self, role: str, form: str) -> str:
        """The noun phrase or pronoun of a role."""


@dataclass(frozen=True)
class Sequence:
    """Text and nodes, one after another."""

    parts: tuple

    def render(self, story: Storyteller) -> str:
        """The text of all parts."""
        return "".join(part if isinstance(part, str) else part.render(story) for part in self.parts)


@dataclass(frozen=True)
class Choice:
    """`(one|two)` or, with `by_tense`, `[now|then]`."""

    alternatives: tuple[Sequence, ...]
    by_tense: bool

    def render(self, story: Storyteller) -> str:
        """The text of the alternative that was chosen."""
        chosen = self.alternatives[story.tense == "past"] if self.by_tense else story.rng.choice(self.alternatives)
        return chosen.render(story)


@dataclass(frozen=True)
class Draw:
    """`<name>` or `<adj:name>`."""

    list: str
    adjective: bool

    def render(self, story: Storyteller) -> str:
        """The text of an item of the list."""
        if self.adjective:
            return story.draw_adjective(self.list)
        return parse_template(story.draw_rule(self.list)).render(story)


@dataclass(frozen=True)
class Declare:
    """`{the adj? x=animals.pl}`."""

    role: str
    list: str
    number: str
    determiner: str
    adjective: str

    def render(self, story: Storyteller) -> str:
        """The noun phrase."""
        return story.declare(self.role, self.list, self.number, self.determiner, self.adjective)


@dataclass(frozen=True)
class Refer:
    """`{hero}` or `{hero.obj}`."""

    role: str
    form: str

    def render(self, story: Storyteller) -> str:
        """The noun phrase or pronoun."""
        return story.refer(self.role, self.form)


@dataclass(frozen=True)
class Agree:
    """`{hero:find}` or `{hero:<work>#skill}`."""

    role: str
    verb: str
    list: str
    keep: str

    def render(self, story: Storyteller) -> str:
        """The verb, agreeing, with the rest of its item if it is drawn from a list."""
        if self.verb:
            return story.inflect(self.role, self.verb)
        lemma, rest = story.draw_verb(self.list, self.keep)
        return f"{story.inflect(self.role, lemma)} {rest}"


def walk(node) -> Iterator:
    """Yield a node and all nodes and texts below it."""
    yield node
    for child in getattr(node, "parts", ()) or getattr(node, "alternatives", ()):
        yield from walk(child)


@cache
def mentions(template: str) -> frozenset[str]:
    """The roles that a template speaks of without bringing them in."""
    nodes = list(walk(parse_template(template)))
    declared = {node.role for node in nodes if isinstance(node, Declare)}
    return frozenset(node.role for node in nodes if isinstance(node, (Refer, Agree))) - declared


@cache
def parse_template(text: str) -> Sequence:
    """
    Parse a template.

    Raises:
        `ValueError`: If a bracket is not closed, or what stands in braces is not of the language.
    """
    sequence, end = _parse_sequence(text, 0, ")]")
    if end != len(text):
        raise ValueError(f"{text[end]!r} closes nothing in the story template {text!r}")
    return sequence


def _parse_sequence(text: str, position: int, stops: str) -> tuple[Sequence, int]:
    parts, literal = [], ""
    while position < len(text) and text[position] not in stops:
        if text[position] in "{<([":
            node, position = _parse_node(text, position)
            parts += [literal, node] if literal else [node]
            literal = ""
        else:
            literal += text[position]
            position += 1
    return Sequence((*parts, literal) if literal else tuple(parts)), position


def _parse_node(text: str, position: int) -> tuple:
    opening = text[position]
    if opening in "([":
        closing = ")" if opening == "(" else "]"
        alternatives = []
        while not alternatives or text[position : position + 1] == "|":
            alternative, position = _parse_sequence(text, position + 1, "|" + closing)
            alternatives.append(alternative)
        _expect(text, position, closing)
        return Choice(tuple(alternatives), opening == "["), position + 1
    closing = "}" if opening == "{" else ">"
    end = text.find(closing, position)
    _expect(text, end, closing)
    inside = text[position + 1 : end]
    if opening == "<":
        return Draw(inside.removeprefix("adj:"), inside.startswith("adj:")), end + 1
    if match := _REFER.fullmatch(inside):
        return Refer(match["role"], match["form"] or ""), end + 1
    if match := _AGREE.fullmatch(inside):
        return Agree(*(match[name] or "" for name in ("role", "verb", "list", "keep"))), end + 1
    if match := _DECLARE.fullmatch(inside):
        return Declare(*(match[name] or "" for name in ("role", "list", "number", "det", "adj"))), end + 1
    raise ValueError(f"{{{inside}}} is neither a mention, a verb nor a noun phrase in the story template {text!r}")


def _expect(text: str, position: int, closing: str) -> None:
    if position < 0 or text[position : position + 1] != closing:
        raise ValueError(f"a {closing!r} is missing in the story template {text!r}")
