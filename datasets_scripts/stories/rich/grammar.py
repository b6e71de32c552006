"""What a story has settled so far (its cast, tense and words), and how its next sentence follows from that.

template -> `Story.sentence` -> an English sentence, in which verbs, determiners and pronouns agree with the cast.
"""

import re
from dataclasses import dataclass, field
from random import Random

from ..inflection import indefinite_article
from ..templates import mentions, parse_template
from .lexicon import Lexicon, WordList

STORY_ROLES = frozenset({"hero", "friend", "thing", "tool", "pet"})
"""Roles that last for the whole story; any other name lasts for one sentence."""

ADJECTIVES = {
    "people": ("person_adjectives",),
    "folk": ("person_adjectives",),
    "animals": ("animal_adjectives",),
    "pets": ("animal_adjectives",),
    "tools": ("tool_adjectives", "object_adjectives"),
    "goods": ("goods_adjectives",),
    "fixtures": ("fixture_adjectives", "place_adjectives"),
    "machines": ("fixture_adjectives", "place_adjectives"),
}
"""For a list of nouns, the lists that its adjectives come from; the first is drawn from most."""

PEOPLE_LISTS = frozenset({"people", "folk", "gendered", "relations", "judge"})
NUMBERS = WordList(("two", "some", "three", "several", "four", "many", "a few", "five", "six"), "topic words")
NAME_AGAIN, ADJECTIVE_AGAIN, SOME_ADJECTIVE, FIRST_ADJECTIVES, NEAR = 0.7, 0.15, 0.4, 0.65, 0.85
POINTED_AT, POINTED = ("thing", "tool"), 0.25
POINTED_LISTS, POINTED_FIRST = frozenset({"people", "folk", "gendered", "animals", "tools", "goods"}), 0.3
FOLK_AMONG_PEOPLE = 0.4
PLURAL, PLURAL_IN_SENTENCE = {"thing": 0.42, "tool": 0.45}, 0.5
PRONOUN_FOR_SUBJECT, PRONOUN_FOR_OTHERS = 0.8, 0.55

_PRONOUNS = {
    "they": ("they", "them", "their", "themselves"),
    "she": ("she", "her", "her", "herself"),
    "he": ("he", "him", "his", "himself"),
    "it": ("it", "it", "its", "itself"),
}


@dataclass
class Referent:
    """
    Somebody or something in a story.

    Args:
        noun (`str`): Its noun, in the singular.
        plural (`bool`): Whether there are several.
        gender (`str`): The pronoun of one of them: `"she"`, `"he"`, `"it"`, or `""` where the story never says.
        adjective (`str`): The adjective that it is brought in with, if any.
        names (`tuple[str, ...]`): Proper names, if any.
        owner (`str`): The role whose sister, neighbor, ... this is, if any.
        quantity (`str`): How many there are, in a word, if there are several.
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
    A story while it is told.

    Args:
        lexicon (`Lexicon`): All lists.
        topic (`str`): Whose own lists to use.
        tense (`str`): `"present"` or `"past"`.
        rng (`random.Random`): Makes every choice.
        roles (`dict[str, Referent]`): Who and what the story is about, by role.
        used (`set[str]`): Items and words that have been drawn, which are avoided from then on.
        kept (`dict[str, tuple[str, str]]`): Verb and rest of the items that a template keeps.
        number (`int`): Number of the sentence, from 1.
        subject (`str`): The role that was the subject last.
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
        """Render a template as the story's next sentence."""
        for role in self.roles.keys() - STORY_ROLES:
            del self.roles[role]
        self.number += 1
        return _tidy(parse_template(template).render(self))

    def draw(self, name: str) -> str:
        """An item of a list, if possible one that the story has not had."""
        item = self.lexicon.words(self.topic, name).draw(self.rng, self.used)
        if not item.startswith("<"):
            self.used.add(item)
        return item

    def draw_rule(self, name: str) -> str:
        """An item of a list; one marked `~` is passed over while it speaks of somebody who was not mentioned."""
        while True:
            item = self.draw(name)
            if not item.startswith("~"):
                return item
            if all(self.roles[role].introduced for role in mentions(item[1:]) & self.roles.keys()):
                return item[1:]

    def draw_adjective(self, list_name: str) -> str:
        """An adjective for an item of a list."""
        first, *second = ADJECTIVES.get(list_name, ("object_adjectives",))
        return self.draw(second[0] if second and self.rng.random() > FIRST_ADJECTIVES else first)

    def draw_verb(self, list_name: str, keep: str) -> tuple[str, str]:
        """The verb of an item of a list, and the rest of the item; the kept item where there is one."""
        if keep in self.kept:
            return self.kept[keep]
        lemma, _, rest = self.draw(list_name).partition(" ")
        item = lemma, parse_template(rest).render(self)
        if keep:
            self.kept[keep] = item
        return item

    def inflect(self, subject: str, lemma: str) -> str:
        """The verb's form for a role, for `sg` or `pl`, or the form `bare`, `past` or `pp`."""
        if subject == "bare":
            return lemma
        if subject in ("past", "pp"):
            return self.lexicon.past(lemma) if subject == "past" else self.lexicon.participle(lemma)
        plural = subject == "pl" if subject in ("sg", "pl") else self.roles[subject].plural
        return self.lexicon.verb(lemma, self.tense, plural)

    def declare(self, role: str, list_name: str, number: str, determiner: str, adjective: str) -> str:
        """Bring in an item of a list under a role, with a determiner that agrees."""
        plural = number == "pl" if number else self.rng.random() < PLURAL.get(role, PLURAL_IN_SENTENCE)
        if list_name == "people" and self.rng.random() < FOLK_AMONG_PEOPLE:
            list_name = "folk"
        me = Referent(self.draw(list_name), plural)
        if list_name in PEOPLE_LISTS:
            me.gender = self.lexicon.gender(me.noun)
        if adjective and (not adjective.endswith("?") or self.rng.random() < SOME_ADJECTIVE):
            kind = adjective.rstrip("?")
            me.adjective = self.draw_adjective(list_name) if kind == "adj" else self.draw(kind)
        if determiner == "a":
            determiner = NUMBERS.draw(self.rng) if plural else "a"
        elif determiner == "this" or (
            determiner == "the" and list_name in POINTED_LISTS and self.rng.random() < POINTED_FIRST
        ):
            determiner = self._demonstrative(plural)
        elif determiner.endswith(".poss"):
            determiner = self.refer(determiner.removesuffix(".poss"), "poss")
        self.roles[role] = me
        me.introduced, me.last_sentence = True, self.number
        return f"{determiner} {me.adjective} {self._noun(me)}"

    def refer(self, role: str, form: str) -> str:
        """The role's noun phrase or pronoun in the given form."""
        me = self.roles[role]
        subject, objective, possessive, reflexive = _PRONOUNS[me.pronoun or "it"]
        in_sentence = me.last_sentence == self.number
        if form == "self":
            return reflexive
        if form == "poss":
            clear = (self.subject == role and in_sentence) or not self.misread(role, back=3)
            return possessive if clear else "the"
        if form in ("new", "indef") or not me.introduced:
            phrase = self._introduce(me, form)
        elif form == "this" or (form == "the" and role in POINTED_AT and self.rng.random() < POINTED):
            phrase = f"{self._demonstrative(me.plural)} {self._noun(me)}"
        elif form != "the" and not self.misread(role) and self._prefers_pronoun(role, form, in_sentence):
            phrase = objective if form == "obj" else subject
        else:
            phrase = self._definite(me)
        me.introduced, me.last_sentence = True, self.number
        if form != "obj" and role in STORY_ROLES:
            self.subject = role
        return phrase

    def misread(self, role: str, back: int = 1) -> bool:
        """Whether a pronoun would have to reach back more than so many sentences, or could stand for another role."""
        me = self.roles[role]
        if not me.introduced or not me.pronoun or me.last_sentence < self.number - back:
            return True
        return any(
            other.pronoun == me.pronoun and other.last_sentence >= self.number - 1
            for name, other in self.roles.items()
            if name != role
        )

    def _prefers_pronoun(self, role: str, form: str, in_sentence: bool) -> bool:
        if in_sentence or form == "pro":
            return True
        return self.rng.random() < (PRONOUN_FOR_SUBJECT if self.subject == role else PRONOUN_FOR_OTHERS)

    def _noun(self, me: Referent) -> str:
        return self.lexicon.plural(me.noun) if me.plural else me.noun

    def _demonstrative(self, plural: bool) -> str:
        near = self.rng.random() < NEAR
        return ("these" if near else "those") if plural else ("this" if near else "that")

    def _introduce(self, me: Referent, form: str) -> str:
        name = " and ".join(me.names)
        if me.owner:
            return f"{self.refer(me.owner, 'poss')} {me.adjective} {self._noun(me)} {name}"
        phrase = f"{me.quantity if me.plural else 'a'} {me.adjective} {self._noun(me)}"
        if not name:
            return phrase
        if form == "indef" or self.rng.random() < 0.5:
            return f"{phrase} {self.rng.choice(('named', 'called'))} {name}"
        return f"{name}, {phrase},"

    def _definite(self, me: Referent) -> str:
        if me.names and self.rng.random() < NAME_AGAIN:
            return " and ".join(me.names)
        if me.owner:
            return f"{self.refer(me.owner, 'poss')} {self._noun(me)}"
        return f"the {me.adjective if self.rng.random() < ADJECTIVE_AGAIN else ''} {self._noun(me)}"


def _tidy(text: str) -> str:
    """Put spaces, commas, `a` or `an` and the capital in order."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"[ ,]*(?=[.!?])|[ ,]+(?=,)", "", text)
    text = re.sub(r"\ba (?=(\w+))", lambda match: indefinite_article(match[1]) + " ", text)
    return text[0].upper() + text[1:]
