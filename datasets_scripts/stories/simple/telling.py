"""How a simple story is told: its tense, its topic, and words that do not come twice.

template -> [`Telling.sentence`] -> an English sentence, whose verbs, determiners and pronouns agree.
"""

import re
from dataclasses import dataclass, field
from random import Random

from ..inflection import indefinite_article
from ..templates import parse_template
from .language import Language

OWN_WORD = 0.85
"""How often a word of a class is the topic's own, where both have one."""
PLURAL, ADJECTIVE, NEAR = 0.5, 0.4, 0.75
_ADJECTIVES_OF_PEOPLE = frozenset({"people", "gendered", "anyone"})
_GENDERED_AMONG_ANYONE = 0.5
_PRONOUNS = {"they": ("they", "themselves"), "she": ("she", "herself"), "he": ("he", "himself")}
_TRIES = 50


@dataclass
class Mention:
    """
    Who or what a sentence speaks of.

    Args:
        noun (`str`): Its noun, in the singular.
        plural (`bool`): Whether there are several.
        gender (`str`): `"she"`, `"he"` or the empty string.
    """

    noun: str
    plural: bool
    gender: str

    @property
    def pronoun(self) -> str:
        """`"they"`, `"she"`, `"he"`, or the empty string where none is sure."""
        return "they" if self.plural else self.gender


@dataclass
class Telling:
    """
    A story while it is told.

    Args:
        language ([`Language`]): Its words.
        topic (`str`): Whose own words it uses.
        tense (`str`): `"present"` or `"past"`.
        rng (`random.Random`): Makes every choice.
        used (`set[str]`): Words that it has had.
        roles (`dict[str, Mention]`): Who and what was mentioned; `hero` stays, the others are of one sentence.
    """

    language: Language
    topic: str
    tense: str
    rng: Random
    used: set[str] = field(default_factory=set)
    roles: dict[str, Mention] = field(default_factory=dict)

    def sentence(self, template: str) -> str:
        """
        The next sentence, in which no words stand beside each other that are [`withheld`].

        Raises:
            `LookupError`: If the words that are left do not make one.
        """
        roles = {role: mention for role, mention in self.roles.items() if role == "hero"}
        used = set(self.used)
        for _ in range(_TRIES):
            self.roles, self.used = dict(roles), set(used)
            text = self._render(template)
            words = re.findall(r"[a-z]+", text.lower())
            if not any(self.language.withholds(*pair) for pair in zip(words, words[1:])):
                return text
        raise LookupError(f"No sentence can be made of {template!r}.")

    def _render(self, template: str) -> str:
        text = re.sub(r"\s+", " ", parse_template(template).render(self)).strip().replace(" .", ".")
        text = re.sub(r"\b[Aa] (?=(\w+))", lambda match: indefinite_article(match[1]) + " ", text)
        return text[0].upper() + text[1:]

    def draw(self, name: str) -> str:
        """
        A word of a class that the story has not had.

        Raises:
            `LookupError`: If it has had them all.
        """
        own, common = (
            [word for word in words if word not in self.used]
            for words in (self.language.own(self.topic, name), self.language.common(name))
        )
        if own and common:
            own = own if self.rng.random() < OWN_WORD else common
        if not (own or common):
            raise LookupError(f"The stories have no further word of the class {name}.")
        word = self.rng.choice(own or common)
        self.used.add(word)
        return word

    def headword(self) -> str:
        """A form of a word of the topic, or of one that all topics use; the story does not have it again."""
        classes = self.language.topics[self.topic] if self.rng.random() < OWN_WORD else self.language.shared
        word = self.rng.choice([word for words in classes.values() for word in words])
        self.used.add(word)
        return self.rng.choice(self.language.forms(word))

    def draw_rule(self, name: str) -> str:
        """A word of a class."""
        return self.draw(name)

    def draw_adjective(self, list_name: str) -> str:
        """An adjective that suits a class of nouns."""
        return self.draw("people_adjectives" if list_name in _ADJECTIVES_OF_PEOPLE else "adjectives")

    def draw_verb(self, list_name: str, keep: str) -> tuple[str, str]:
        """A verb of a class; nothing follows it."""
        return self.draw(list_name), ""

    def inflect(self, subject: str, lemma: str) -> str:
        """The verb's form for a role, or for `sg` or `pl`."""
        plural = subject == "pl" if subject in ("sg", "pl") else self.roles[subject].plural
        return self.language.inflections.verb(lemma, self.tense, plural)

    def declare(self, role: str, list_name: str, number: str, determiner: str, adjective: str) -> str:
        """Bring in a noun of a class under a role."""
        plural = number == "pl" if number else self.rng.random() < PLURAL
        described = adjective == "adj" or (adjective == "adj?" and self.rng.random() < ADJECTIVE)
        name = list_name
        if name == "anyone":
            name = "gendered" if self.rng.random() < _GENDERED_AMONG_ANYONE else "people"
        noun = self.draw(name)
        self.roles[role] = Mention(noun, plural, self.language.gender(noun))
        shown = self.language.inflections.plural(noun) if plural else noun
        if determiner == "this":
            near = self.rng.random() < NEAR
            determiner = ("these" if near else "those") if plural else ("this" if near else "that")
        elif determiner == "a" and plural:
            determiner = self.rng.choice(("some", "two"))
        return f"{determiner} {self.draw_adjective(list_name) if described else ''} {shown}"

    def refer(self, role: str, form: str) -> str:
        """
        The pronoun of a role, as subject or (`self`) reflexive.

        Raises:
            `LookupError`: If the story has had that reflexive.
        """
        subject, reflexive = _PRONOUNS[self.roles[role].pronoun]
        if form != "self":
            return subject
        if reflexive in self.used:
            raise LookupError(f"The story has had {reflexive}.")
        self.used.add(reflexive)
        return reflexive
