"""The words of the generated stories: the lists that they are drawn from, and their inflected forms.

*.yaml (lists of words and of templates) -> `load_lexicon` -> `Lexicon.words(topic, name)` -> `WordList.draw`.
A word's place in its list sets its frequency, so that a corpus has some common words and a long tail of rare ones.
"""

import re
from bisect import bisect
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import accumulate
from random import Random

import yaml

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
_VOWEL_LETTER_CONSONANT_SOUND = re.compile(r"(one$|one-|once|uni|use|usual|eu|ukulele)")
_SILENT_H = re.compile(r"(hour|honest|honor|heir)")
_SHORT_CLOSED_SYLLABLE = re.compile(r"[^aeiou]*[aeiou][^aeiouwxy]|[^aeiou]*qu[aeiou][^aeiouwxy]")
_SIBILANT_END = re.compile(r"(s|x|z|ch|sh)$")
_CONSONANT_Y_END = re.compile(r"[^aeiou]y$")


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
    All lists by name, and the irregular forms.

    Args:
        shared (`dict[str, WordList]`): Lists that every topic uses.
        topics (`dict[str, dict[str, WordList]]`): Each topic's own lists, which hide shared ones of that name.
        irregular_nouns (`dict[str, str]`): Plural of each irregular noun.
        irregular_verbs (`dict[str, tuple[str, str]]`): Past tense and participle of each irregular verb.
        doubling_verbs (`frozenset[str]`): Verbs of several syllables that double their last letter (admit, admitted).
    """

    shared: dict[str, WordList]
    topics: dict[str, dict[str, WordList]]
    irregular_nouns: dict[str, str]
    irregular_verbs: dict[str, tuple[str, str]]
    doubling_verbs: frozenset[str]

    def words(self, topic: str, name: str) -> WordList:
        """The topic's list of that name, else the shared one."""
        own = self.topics[topic]
        return own[name] if name in own else self.shared[name]

    def gender(self, noun: str) -> str:
        """The pronoun that a noun for a person demands, or the empty string."""
        return "she" if noun in self.shared["female"] else "he" if noun in self.shared["male"] else ""

    def plural(self, noun: str) -> str:
        """Plural of a noun; of a compound, that of its last word."""
        *first, last = noun.split(" ")
        irregular = self.irregular_nouns.get(last) or (last[:-2] + "en" if last.endswith("man") else "")
        return " ".join([*first, irregular or _add_s(last)])

    def verb(self, lemma: str, tense: str, plural: bool) -> str:
        """The finite form of a verb in the third person; `tense` is `"present"` or `"past"`."""
        if lemma == "be":
            return ("were" if plural else "was") if tense == "past" else ("are" if plural else "is")
        if tense == "past":
            return self.past(lemma)
        if plural or lemma in ("can", "cannot", "will"):
            return lemma
        return "has" if lemma == "have" else _add_s(lemma)

    def past(self, lemma: str) -> str:
        """Past tense of a verb."""
        irregular = self.irregular_verbs.get(lemma)
        return irregular[0] if irregular else self._add_ed(lemma)

    def participle(self, lemma: str) -> str:
        """Past participle of a verb."""
        irregular = self.irregular_verbs.get(lemma)
        return irregular[1] if irregular else self._add_ed(lemma)

    def _add_ed(self, lemma: str) -> str:
        if lemma.endswith("e"):
            return lemma + "d"
        if _CONSONANT_Y_END.search(lemma):
            return lemma[:-1] + "ied"
        return self._doubled(lemma) + "ed"

    def _doubled(self, lemma: str) -> str:
        doubles = lemma in self.doubling_verbs or _SHORT_CLOSED_SYLLABLE.fullmatch(lemma)
        return lemma + lemma[-1] if doubles else lemma


def indefinite_article(next_word: str) -> str:
    """`"a"` or `"an"`, by the sound that the next word begins with."""
    word = next_word.lower()
    vowel = word[0] in "aeiou" and not _VOWEL_LETTER_CONSONANT_SOUND.match(word)
    return "an" if vowel or _SILENT_H.match(word) else "a"


@lru_cache(maxsize=1)
def load_lexicon() -> Lexicon:
    """Read the lexicon and the grammar that ship with the package (once a process)."""
    shared = {key: value for name in SHARED_FILES for key, value in _read_yaml(name).items()}
    nouns = (entry.split(":") for entry in shared.pop("irregular_nouns").split())
    verbs = (entry.replace("_", " ").split(":") for entry in shared.pop("irregular_verbs").split())
    irregular_nouns = {noun: noun if plural == "=" else plural for noun, plural in nouns}
    irregular_verbs = {lemma: (past, participle) for lemma, past, participle in verbs}
    doubling_verbs = frozenset(shared.pop("doubling_verbs").split())
    shared = {key: _parse_list(key, value, "shared") for key, value in shared.items()}
    topics = {}
    for name in TOPIC_FILES:
        for topic, lists in _read_yaml(name).items():
            topics[topic] = {key: _parse_list(key, value, "topic") for key, value in lists.items()}
    return Lexicon(shared, topics, irregular_nouns, irregular_verbs, doubling_verbs)


def _add_s(word: str) -> str:
    """The regular plural of a noun, which is also the third person of a verb."""
    if _CONSONANT_Y_END.search(word):
        return word[:-1] + "ies"
    return word + ("es" if _SIBILANT_END.search(word) or word in ("go", "do", "echo", "veto") else "s")


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
