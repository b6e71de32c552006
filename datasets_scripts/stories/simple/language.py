"""The words and sentences of the simple stories.

language.yaml, or a file of the same form -> [`load_language`], which checks that each class has enough words ->
[`Language`]: classes by topic, inflected forms, templates.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import yaml

from ..inflection import Inflections
from ..templates import parse_template

LANGUAGE_FILE = Path(__file__).with_name("language.yaml")
PHASES = ("opening", "middle", "pronoun")
"""Kinds of sentences, by where they stand in a story."""

# How many words a class needs: a story has each word once, and an ending none of its context.
_LEAST_SHARED = {
    "women": 3,
    "men": 3,
    "handling": 4,
    "meeting": 4,
    "reflexive": 2,
    "adjectives": 4,
    "people_adjectives": 4,
    "near": 2,
    "frequency": 2,
    "degree": 2,
}
_LEAST_OF_TOPIC = {"people": 3, "places": 3, "handling": 3, "adjectives": 2, "things": 6, "rarities": 6}
_LEAST_TOPICS = 2


_WITHHELD = 0.25
_POINTERS = (("this", "this"), ("this", "these"), ("that", "that"), ("that", "those"))


class Form(NamedTuple):
    """What a word is a form of: a noun, a verb or a pointing word, and of which."""

    kind: str
    lemma: str


@dataclass(frozen=True)
class Language:
    """
    Classes of words, how they inflect, and the sentences that they stand in.

    Args:
        shared (`dict[str, tuple[str, ...]]`): Classes that every topic uses.
        topics (`dict[str, dict[str, tuple[str, ...]]]`): Classes of each topic.
        inflections ([`Inflections`]): Plurals and forms of verbs.
        sentences (`dict[str, tuple[str, ...]]`): Templates by phase, one of [`PHASES`].
    """

    shared: dict[str, tuple[str, ...]]
    topics: dict[str, dict[str, tuple[str, ...]]]
    inflections: Inflections
    sentences: dict[str, tuple[str, ...]]

    def own(self, topic: str, name: str) -> tuple[str, ...]:
        """The topic's words of a class."""
        return self.topics[topic].get(name, ())

    def common(self, name: str) -> tuple[str, ...]:
        """The words of a class that every topic uses."""
        if name == "gendered":
            return self.shared["women"] + self.shared["men"]
        return self.shared.get(name, ())

    def every(self, name: str) -> tuple[str, ...]:
        """The words of a class, of all topics."""
        own = (word for lists in self.topics.values() for word in lists.get(name, ()))
        return tuple(dict.fromkeys((*self.common(name), *own)))

    def withholds(self, first: str, second: str) -> bool:
        """
        Whether two words never stand beside each other in a story, in any of their forms: a quarter of all nouns with
        a verb behind them, and of all pointing words with a noun. Minimal pairs ask about these.
        """
        kinds = self.kinds
        one, other = kinds.get(first), kinds.get(second)
        if one is None or other is None or (one.kind, other.kind) not in (("noun", "verb"), ("pointer", "noun")):
            return False
        digest = hashlib.blake2b(f"{one.lemma} {other.lemma}".encode(), digest_size=1).digest()
        return digest[0] < 256 * _WITHHELD

    @cached_property
    def kinds(self) -> dict[str, "Form"]:
        """Kind and lemma of every form of nouns, verbs and pointing words."""
        inflect = self.inflections
        forms = {form: Form("verb", "be") for form in ("is", "are", "was", "were")}
        forms |= {form: Form("pointer", lemma) for lemma, form in _POINTERS}
        for name in ("handling", "meeting", "reflexive"):
            for verb in self.every(name):
                shown = (verb, inflect.verb(verb, "present", False), inflect.past(verb))
                forms |= {form: Form("verb", verb) for form in shown}
        for name in ("people", "women", "men", "places", "things", "rarities"):
            for noun in self.every(name):
                forms |= {form: Form("noun", noun) for form in (noun, inflect.plural(noun))}
        return forms

    def forms(self, word: str) -> tuple[str, ...]:
        """The forms of a word: singular and plural, present and past, or of other words itself."""
        kind = self.kinds.get(word)
        return tuple(form for form, of in self.kinds.items() if of == kind) if kind else (word,)

    def gender(self, noun: str) -> str:
        """The pronoun of a noun: `"she"`, `"he"`, or the empty string where the language does not say."""
        return "she" if noun in self.shared["women"] else "he" if noun in self.shared["men"] else ""


@lru_cache(maxsize=4)
def load_language(path: str | Path | None = None) -> Language:
    """
    Read a language and check that stories can be told in it.

    Args:
        path (`str` or `Path`, *optional*): A YAML file of the form of `language.yaml` beside this module, which is the
            default.

    Raises:
        `FileNotFoundError`: If there is no such file.
        `ValueError`: If it is no such file, a class has too few words, or a sentence cannot be read.
    """
    path = Path(path or LANGUAGE_FILE)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}; --lexicon names a YAML file of words and sentences.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        shared = {key: tuple(words.split()) for key, words in content["shared"].items()}
        topics = {
            topic: {key: tuple(words.split()) for key, words in lists.items()}
            for topic, lists in content["topics"].items()
        }
        sentences = {phase: tuple(line.strip() for line in content[phase].strip().splitlines()) for phase in PHASES}
        inflections = Inflections.parse(content.get("irregular_nouns", ""), content.get("irregular_verbs", ""))
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} has not the form of a lexicon of stories ({_first_line(error)}).") from error
    for complaint in _complaints(shared, topics):
        raise ValueError(f"{path} {complaint}")
    for line in (line for lines in sentences.values() for line in lines):
        parse_template(line)
    return Language(shared, topics, inflections, sentences)


def _complaints(shared: dict, topics: dict) -> Iterator[str]:
    if len(topics) < _LEAST_TOPICS:
        yield f"has {len(topics)} topic; a wrong ending is of another one: give {_LEAST_TOPICS} or more."
    owners = [("shared", shared, _LEAST_SHARED)]
    owners += [(f"the topic {topic}", lists, _LEAST_OF_TOPIC) for topic, lists in topics.items()]
    for owner, lists, least in owners:
        for name, number in least.items():
            words = set(lists.get(name, ()))
            if len(words) < number:
                yield f"has {len(words)} words in the class {name} of {owner}; stories need at least {number}."


def _first_line(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"the key {error} is missing"
    return str(error).splitlines()[0]
