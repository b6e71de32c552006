"""The words of the generated stories: the lists that they are drawn from, and their inflected forms.

*.yaml (lists of words and of templates) -> `load_lexicon` -> `Lexicon.words(topic, name)` -> `WordList.draw`.
A word's place in its list sets its frequency, so that a corpus has some common words and a long tail of rare ones.
"""

from bisect import bisect
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import accumulate
from random import Random

import yaml

from ..inflection import Inflections

SHARED_FILES = ("lexicon.yaml", "grammar.yaml")
TOPIC_FILES = tuple(f"lexicon_{part}.yaml" for part in ("country", "town", "stage", "travel"))

RANK_LAWS = {
    "names": (10, 1.5),
    "shared words": (3, 2.8),
    "topic words": (2, 2.8),
    "shared templates": (4, 2.6),
    "topic templates": (6, 1.3),
}
"""For each kind of list (plateau, exponent): an item of rank r (from 0) is drawn in proportion to
1 / (1 + (r / plateau) ** exponent), so that the first few are about equally common and the rest fall off as in Zipf's
law."""

_AVOID_TRIES = 8


class WordList(tuple):
    """Items (words or templates) from the commonest to the rarest."""

    def __new__(cls, items, law: str):
        """Keep the items and the cumulative weights of their ranks."""
        self = super().__new__(cls, items)
        plateau, exponent = RANK_LAWS[law]
        self.weights = tuple(accumulate(1 / (1 + (rank / plateau) ** exponent) for rank in range(len(self))))
        return self

    def draw(self, rng: Random, avoid: frozenset[str] | set[str] = frozenset()) -> str:
        """Draw one item by its rank's weight, if possible none of `avoid` and none that contains a word of it."""
        for _ in range(_AVOID_TRIES):
            item = self[bisect(self.weights, rng.random() * self.weights[-1], hi=len(self) - 1)]
            if item not in avoid and (" " not in item or avoid.isdisjoint(item.split())):
                break
        return item


@dataclass(frozen=True)
class Lexicon:
    """
    All lists by name, and how their words inflect.

    Args:
        shared (`dict[str, WordList]`): Lists that every topic uses.
        topics (`dict[str, dict[str, WordList]]`): Each topic's own lists, which hide shared ones of that name.
        inflections ([`Inflections`]): Plurals and forms of verbs.
    """

    shared: dict[str, WordList]
    topics: dict[str, dict[str, WordList]]
    inflections: Inflections

    def words(self, topic: str, name: str) -> WordList:
        """The topic's list of that name, else the shared one."""
        own = self.topics[topic]
        return own[name] if name in own else self.shared[name]

    def gender(self, noun: str) -> str:
        """The pronoun that a noun for a person demands, or the empty string."""
        return "she" if noun in self.shared["female"] else "he" if noun in self.shared["male"] else ""

    def plural(self, noun: str) -> str:
        """Plural of a noun; of a compound, that of its last word."""
        return self.inflections.plural(noun)

    def verb(self, lemma: str, tense: str, plural: bool) -> str:
        """The finite form of a verb in the third person; `tense` is `"present"` or `"past"`."""
        return self.inflections.verb(lemma, tense, plural)

    def past(self, lemma: str) -> str:
        """Past tense of a verb."""
        return self.inflections.past(lemma)

    def participle(self, lemma: str) -> str:
        """Past participle of a verb."""
        return self.inflections.participle(lemma)


@lru_cache(maxsize=1)
def load_lexicon() -> Lexicon:
    """Read the lexicon and the grammar that ship with the package (once a process)."""
    shared = {key: value for name in SHARED_FILES for key, value in _read_yaml(name).items()}
    forms = (shared.pop(name) for name in ("irregular_nouns", "irregular_verbs", "doubling_verbs"))
    inflections = Inflections.parse(*forms)
    shared = {key: _parse_list(key, value, "shared") for key, value in shared.items()}
    topics = {}
    for name in TOPIC_FILES:
        for topic, lists in _read_yaml(name).items():
            topics[topic] = {key: _parse_list(key, value, "topic") for key, value in lists.items()}
    return Lexicon(shared, topics, inflections)


def _parse_list(name: str, text: str, owner: str) -> WordList:
    """Several lines are one template each; a single (folded) line is words, with `_` for the space in a compound."""
    lines = text.strip().split("\n")
    if len(lines) > 1:
        return WordList((line.strip() for line in lines), f"{owner} templates")
    words = (word.replace("_", " ") for word in lines[0].split())
    return WordList(words, "names" if name.endswith("_names") else f"{owner} words")


def _read_yaml(name: str) -> dict:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
