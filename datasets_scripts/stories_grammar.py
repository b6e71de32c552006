"""A probabilistic grammar with agreement: templates in a small language, and the story state that fills them.

template text -> `parse_template` (once) -> nodes -> `Story.sentence` -> an English sentence.

The language, in which a name stands for a list of the lexicon and a role for somebody or something in the story:

- `(one|two|)`: one of the alternatives, all equally likely; `[now|then]`: the first in a present-tense story, the second
  in a past-tense one.
- `<name>`: an item of the list `name`, itself a template; `<adj:people>`: an adjective for items of the list `people`.
- `{the adj? x=animals}`: brings in `x`, an item of the list in a number drawn at random (`animals.sg`, `animals.pl`: in
  that one). Before it stand `a`, `the`, `this` (this, that, these or those), a possessive (`hero.poss`) or nothing, and
  `adj` (an adjective) or `adj?` (perhaps one).
- `{hero}`, `{hero.obj}`: the role as subject and object, a pronoun wherever that cannot be misread; `.pro` prefers the
  pronoun, `.the` is the noun; `.poss`, `.self`: her, herself; `.new`, `.indef`: brought in, the second without a bare name.
- `{hero:find}`: the verb in the tense of the story, agreeing with the role. `{hero:<work>}`: so does the first word of an
  item of the list `work`; `{hero:<work>#skill}`: and the item is kept, to come again wherever `#skill` stands.
  In place of a role, `sg` and `pl` agree with a literal subject; `bare`, `ing` and `pp` give the non-finite forms.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random

from .stories_lexicon import Lexicon, WordList, indefinite_article

STORY_ROLES = frozenset({"hero", "friend", "thing", "tool", "pet"})
"""Roles that last for the whole story; any other name lasts for one sentence."""

ADJECTIVES = {
    "people": ("person_adjectives",),
    "folk": ("person_adjectives",),
    "judge": ("person_adjectives",),
    "animals": ("animal_adjectives",),
    "pets": ("animal_adjectives",),
    "tools": ("tool_adjectives", "object_adjectives"),
    "goods": ("goods_adjectives",),
    "fixtures": ("fixture_adjectives", "place_adjectives"),
    "machines": ("fixture_adjectives", "place_adjectives"),
}
"""Which lists the adjectives for the items of a list come from; the first is drawn from most."""

FIRST_ADJECTIVES = 0.65
NEAR = 0.85
PLURAL = {"thing": 0.35, "tool": 0.4}
PLURAL_ELSEWHERE = 0.5
QUANTIFIERS = WordList(("two", "some", "three", "several", "four", "many", "a few", "five", "six"), "topic words")
NONFINITE = ("bare", "ing", "pp", "past")

_PRONOUNS = {
    "they": ("they", "them", "their", "themselves"),
    "she": ("she", "her", "her", "herself"),
    "he": ("he", "him", "his", "himself"),
    "it": ("it", "it", "its", "itself"),
}
_ROLE = re.compile(r"(?P<role>\w+)(?:\.(?P<form>obj|pro|the|this|poss|self|noun|new|indef))?")
_AGREE = re.compile(r"(?P<role>\w+):(?:<(?P<list>\w+)>(?:#(?P<keep>\w+))?|(?P<verb>\w+))")
_DECLARE = re.compile(
    r"(?:(?P<det>a|the|this|\w+\.poss) )?(?:(?P<adj>\w+\??) )?(?P<role>\w+)=(?P<list>\w+)(?:\.(?P<number>sg|pl))?"
)


@dataclass
class Referent:
    """
    Somebody or something in a story.

    Args:
        noun (`str`): Its noun, in the singular.
        plural (`bool`): Whether there are several.
        gender (`str`): Pronoun of one of them: `"she"`, `"he"`, `"it"`, or `""` where the story never says.
        adjective (`str`): The adjective that it is brought in with, if any.
        names (`tuple[str, ...]`): Proper names, if any.
        quantity (`str`): How many there are, in a word, if there are several.
        owner (`str`): The role whose sister, neighbor, ... this is, if any.
        introduced (`bool`): Whether it has been mentioned.
        last_sentence (`int`): Number of the sentence that mentioned it last.
    """

    noun: str
    plural: bool = False
    gender: str = "it"
    adjective: str = ""
    names: tuple[str, ...] = ()
    owner: str = ""
    quantity: str = ""
    introduced: bool = False
    last_sentence: int = -9

    @property
    def pronoun(self) -> str:
        """`"they"`, or the pronoun of its gender."""
        return "they" if self.plural else self.gender


@dataclass
class Story:
    """
    What a story has settled so far, and the way to its next sentence.

    Args:
        lexicon (`Lexicon`): All lists.
        topic (`str`): Whose lists to use.
        tense (`str`): `"present"` or `"past"`.
        rng (`random.Random`): The source of every choice.
        roles (`dict[str, Referent]`, *optional*): The cast.
    """

    lexicon: Lexicon
    topic: str
    tense: str
    rng: Random
    roles: dict[str, Referent] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    kept: dict[str, tuple[str, str]] = field(default_factory=dict)
    number: int = 0
    subject: str = ""

    def sentence(self, template: str) -> str:
        """Render a template as the story's next sentence, with a capital, spaces and articles in order."""
        for role in [role for role in self.roles if role not in STORY_ROLES]:
            del self.roles[role]
        self.number += 1
        text = _tidy(parse_template(template).render(self))
        return text

    def draw(self, name: str) -> str:
        """An item of a list; one that the story has had is avoided."""
        item = self.lexicon.words(self.topic, name).draw(self.rng, self.used)
        if not item.startswith("<"):
            self.used.add(item)
        return item

    def rule(self, name: str) -> str:
        """An alternative of a grammar rule; one marked `~` is passed over while it speaks of the unmentioned."""
        while True:
            item = self.draw(name)
            if not item.startswith("~"):
                return item
            mentioned = {role for role, referent in self.roles.items() if referent.introduced}
            if parse_template(item[1:]).needs() <= mentioned:
                return item[1:]

    def adjective(self, list_name: str) -> str:
        """An adjective for an item of a list."""
        names = ADJECTIVES.get(list_name, ("object_adjectives",))
        return self.draw(names[0] if len(names) == 1 or self.rng.random() < FIRST_ADJECTIVES else names[1])

    def misread(self, role: str, back: int = 1) -> bool:
        """Whether a pronoun for the role would reach further back than that, or could be taken for another one."""
        me = self.roles[role]
        if not me.introduced or not me.pronoun or me.last_sentence < self.number - back:
            return True
        return any(
            other.pronoun == me.pronoun and other.last_sentence >= self.number - 1
            for name, other in self.roles.items()
            if name != role
        )

    def refer(self, role: str, form: str) -> str:
        """The role's noun phrase or pronoun in the given form."""
        me = self.roles[role]
        subject, objective, possessive, reflexive = _PRONOUNS.get(me.pronoun, _PRONOUNS["it"])
        if form == "self":
            return reflexive
        if form == "noun":
            return self.lexicon.plural(me.noun) if me.plural else me.noun
        in_sentence = me.last_sentence == self.number
        misread = self.misread(role)
        if form == "poss":
            return possessive if self.subject == role and in_sentence or not self.misread(role, back=3) else "the"
        if form in ("new", "indef") or not me.introduced:
            phrase = self._introduce(me, form)
        elif form == "this":
            noun = self.lexicon.plural(me.noun) if me.plural else me.noun
            phrase = f"{self.demonstrative(me.plural)} {noun}"
        elif form != "the" and not misread and self._prefers_pronoun(role, form, in_sentence):
            phrase = objective if form == "obj" else subject
        else:
            phrase = self._definite(me)
        me.introduced, me.last_sentence = True, self.number
        if form != "obj" and role in STORY_ROLES:
            self.subject = role
        return phrase

    def _prefers_pronoun(self, role: str, form: str, in_sentence: bool) -> bool:
        if in_sentence or form == "pro":
            return True
        return self.rng.random() < (0.8 if self.subject == role else 0.55)

    def _introduce(self, me: Referent, form: str) -> str:
        noun = self.lexicon.plural(me.noun) if me.plural else me.noun
        described = f"{me.adjective} {noun}".strip()
        name = " and ".join(me.names)
        if me.owner:
            phrase = f"{self.refer(me.owner, 'poss')} {described} {name}"
            return phrase.strip()
        phrase = f"{me.quantity if me.plural else 'a'} {described}"
        if not name:
            return phrase
        if form == "indef" or self.rng.random() < 0.5:
            return f"{phrase} {self.rng.choice(('named', 'called'))} {name}"
        return f"{name}, {phrase},"

    def _definite(self, me: Referent) -> str:
        if me.names and self.rng.random() < 0.7:
            return " and ".join(me.names)
        noun = self.lexicon.plural(me.noun) if me.plural else me.noun
        if me.owner:
            return f"{self.refer(me.owner, 'poss')} {noun}"
        adjective = me.adjective if me.adjective and self.rng.random() < 0.15 else ""
        return f"the {adjective} {noun}"

    def declare(self, role: str, list_name: str, number: str, determiner: str, adjective: str) -> str:
        """Bring in an item of a list under a role, with a determiner that agrees."""
        noun = self.draw(list_name)
        plural = number == "pl" if number else self.rng.random() < PLURAL.get(role, PLURAL_ELSEWHERE)
        me = Referent(noun, plural)
        if adjective and (not adjective.endswith("?") or self.rng.random() < 0.4):
            own = adjective.rstrip("?") == "adj"
            me.adjective = self.adjective(list_name) if own else self.draw(adjective.rstrip("?"))
        if list_name in ("people", "folk", "relations", "judge"):
            me.gender = ""
        phrase = f"{me.adjective} {self.lexicon.plural(noun) if plural else noun}"
        if determiner == "a":
            phrase = f"{QUANTIFIERS.draw(self.rng) if plural else 'a'} {phrase}"
        elif determiner == "this":
            phrase = f"{self.demonstrative(plural)} {phrase}"
        elif determiner.endswith(".poss"):
            phrase = f"{self.refer(determiner.removesuffix('.poss'), 'poss')} {phrase}"
        elif determiner:
            phrase = f"the {phrase}"
        self.roles[role] = me
        me.introduced, me.last_sentence = True, self.number
        return phrase

    def demonstrative(self, plural: bool) -> str:
        """This or that, these or those."""
        near = self.rng.random() < NEAR
        return ("these" if near else "those") if plural else ("this" if near else "that")

    def inflect(self, subject: str, lemma: str) -> str:
        """The verb's form for a role, for `sg` or `pl`, or the non-finite form `bare`, `ing` or `pp`."""
        if subject in NONFINITE:
            forms = self.lexicon
            return {"bare": str, "ing": forms.gerund, "pp": forms.participle, "past": forms.past}[subject](lemma)
        plural = subject == "pl" if subject in ("sg", "pl") else self.roles[subject].plural
        return self.lexicon.verb(lemma, self.tense, plural)


def _tidy(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" (?=[,.!?])", "", text)
    text = re.sub(r",(?=[,.!?])", "", text)
    text = re.sub(r"\b([Aa]) (?=(\w+))", lambda match: f"{_like(match[1], indefinite_article(match[2]))} ", text)
    return text[0].upper() + text[1:]


def _like(model: str, word: str) -> str:
    return word.capitalize() if model.isupper() else word


@dataclass(frozen=True)
class Sequence:
    """Nodes one after another."""

    parts: tuple

    def render(self, story: Story) -> str:
        """Text of all parts."""
        return "".join(part if isinstance(part, str) else part.render(story) for part in self.parts)

    def needs(self) -> set[str]:
        """Roles that last for the story and that the template speaks of without bringing them in."""
        needed, declared = set(), set()
        for node in walk(self):
            if isinstance(node, (Refer, Agree)):
                needed.add(node.role)
            elif isinstance(node, Declare):
                declared.add(node.role)
        return needed & STORY_ROLES - declared


@dataclass(frozen=True)
class Choice:
    """One of several alternatives, or with `by_tense` the one for the story's tense."""

    alternatives: tuple[Sequence, ...]
    by_tense: bool

    def render(self, story: Story) -> str:
        """Text of the alternative that was chosen."""
        if self.by_tense:
            return self.alternatives[story.tense == "past"].render(story)
        return story.rng.choice(self.alternatives).render(story)


@dataclass(frozen=True)
class Draw:
    """`<name>` or `<adj:name>`."""

    name: str
    adjective: bool

    def render(self, story: Story) -> str:
        """Text of an item of the list."""
        if self.adjective:
            return story.adjective(self.name)
        return parse_template(story.rule(self.name)).render(story)


@dataclass(frozen=True)
class Declare:
    """`{the adj? x=animals}`."""

    role: str
    list: str
    number: str
    determiner: str
    adjective: str

    def render(self, story: Story) -> str:
        """The noun phrase."""
        return story.declare(self.role, self.list, self.number, self.determiner, self.adjective)


@dataclass(frozen=True)
class Refer:
    """`{hero}` or `{hero.obj}`."""

    role: str
    form: str

    def render(self, story: Story) -> str:
        """The noun phrase or pronoun."""
        return story.refer(self.role, self.form)


@dataclass(frozen=True)
class Agree:
    """`{hero:find}` or `{hero:<work>#skill}`."""

    role: str
    verb: str
    list: str
    keep: str

    def render(self, story: Story) -> str:
        """The verb, agreeing, and the rest of its item."""
        if self.verb:
            return story.inflect(self.role, self.verb)
        if self.keep in story.kept:
            lemma, rest = story.kept[self.keep]
        else:
            lemma, _, rest = story.draw(self.list).partition(" ")
            rest = parse_template(rest).render(story)
            if self.keep:
                story.kept[self.keep] = lemma, rest
        return f"{story.inflect(self.role, lemma)} {rest}"


def walk(node) -> Iterator:
    """Yield a node and all below it."""
    yield node
    for child in getattr(node, "parts", ()) or getattr(node, "alternatives", ()):
        if not isinstance(child, str):
            yield from walk(child)


@lru_cache(maxsize=None)
def parse_template(text: str) -> Sequence:
    """Parse a template.

    Raises:
        ValueError: If a bracket is not closed, or what stands in braces is not of the language.
    """
    sequence, end = _parse_sequence(text, 0, "")
    if end != len(text):
        raise ValueError(f"{text[end]!r} closes nothing in the story template {text!r}")
    return sequence


def _parse_sequence(text: str, start: int, stops: str) -> tuple[Sequence, int]:
    parts, literal, position = [], "", start
    while position < len(text) and text[position] not in (stops or ")]"):
        character = text[position]
        if character in "{<([":
            if literal:
                parts.append(literal)
                literal = ""
            node, position = _parse_node(text, position)
            parts.append(node)
        else:
            literal += character
            position += 1
    if literal:
        parts.append(literal)
    return Sequence(tuple(parts)), position


def _parse_node(text: str, position: int):
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
    # The braces of {hero:<work>} may hold a list's name in its own brackets, so a brace is closed by a brace only.
    end = text.find(closing, position)
    _expect(text, end if end >= 0 else len(text), closing)
    inside = text[position + 1 : end]
    if opening == "<":
        return Draw(inside.removeprefix("adj:"), inside.startswith("adj:")), end + 1
    if match := _ROLE.fullmatch(inside):
        return Refer(match["role"], match["form"] or ""), end + 1
    if match := _AGREE.fullmatch(inside):
        return Agree(match["role"], match["verb"] or "", match["list"] or "", match["keep"] or ""), end + 1
    if match := _DECLARE.fullmatch(inside):
        fields = (match[name] or "" for name in ("role", "list", "number", "det", "adj"))
        return Declare(*fields), end + 1
    raise ValueError(
        f"{{{inside}}} in the story template {text!r} is neither a mention, an agreement nor a noun phrase"
    )


def _expect(text: str, position: int, closing: str) -> None:
    if text[position : position + 1] != closing:
        raise ValueError(f"the story template {text!r} lacks a closing {closing!r}")
