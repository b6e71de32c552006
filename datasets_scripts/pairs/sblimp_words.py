"""The stories' words that are frequent enough to ask a language model about.

word counts of the stories -> `FrequentWords` -> nouns, verbs and phrases for the frames of `sblimp.py`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from random import Random

from ..stories.rich.generation import generate_stories
from ..stories.rich.lexicon import load_lexicon

REFERENCE_WORDS, REFERENCE_SEED, MIN_COUNT = 60_000, 0, 10
"""Without other counts, words are frequent that occur at least `MIN_COUNT` times in so many words of that seed."""

PEOPLE = ("folk", "people")
Pool = dict[str, int]


@cache
def reference_counts() -> Counter:
    """How often each word, in lower case, occurs in a corpus of the default size."""
    stories = generate_stories(REFERENCE_WORDS, REFERENCE_SEED)
    return Counter(word for story in stories for word in words_of(story.text))


def words_of(text: str) -> list[str]:
    """The words of a text in lower case."""
    return re.findall(r"[a-z]+", text.lower())


class FrequentWords:
    """
    Draws words of the stories' lexicon that are frequent in every form that a frame needs.

    A word is drawn in proportion to how often its rarest needed form occurs in the stories, and comes once in a frame.

    Args:
        rng (`random.Random`): Makes every choice.
        counts (`Mapping[str, int]`): How often each word, in lower case, occurs in the training text.
        min_count (`int`): How often it must occur.
    """

    def __init__(self, rng: Random, counts: Mapping[str, int], min_count: int):
        self.rng, self.counts, self.min_count = rng, counts, min_count
        self.lexicon = load_lexicon()
        self._pools: dict[tuple, Pool] = {}
        self._had: set[str] = set()

    def new_frame(self) -> None:
        """Forget what the last frame had."""
        self._had = set()

    def count(self, text: str) -> int:
        """The count of the rarest word of a text."""
        return min((self.counts.get(word, 0) for word in words_of(text)), default=0)

    def draw(self, pool: Pool) -> str:
        """One of the items of a pool that this frame has not had."""
        items = [item for item in pool if item not in self._had]
        item = self.rng.choices(items, [pool[item] for item in items])[0]
        self._had.add(item)
        return item

    def pool(self, items: Iterable[str], forms: Callable[[str], str] = str) -> Pool:
        """The items of which all forms (words of one text) are frequent, with the count of the rarest."""
        weights = {item: self.count(forms(item)) for item in items}
        return {item: weight for item, weight in weights.items() if weight >= self.min_count}

    def nouns(self, *names: str, numbers: tuple[bool, ...] = (False, True)) -> Pool:
        """The nouns of some lists, of all topics, that are frequent in the numbers (plural or not) that are needed."""
        key = (names, numbers)
        if key not in self._pools:
            shared, topics = self.lexicon.shared, self.lexicon.topics.values()
            lists = [owner[name] for name in names for owner in (shared, *topics) if name in owner]
            every = sorted({noun for nouns in lists for noun in nouns if self.lexicon.plural(noun) != noun})
            self._pools[key] = self.pool(every, lambda noun: " ".join(self.noun(noun, number) for number in numbers))
        return self._pools[key]

    def words(self, name: str) -> Pool:
        """The frequent items of a shared list."""
        if (name,) not in self._pools:
            self._pools[(name,)] = self.pool(self.lexicon.shared[name])
        return self._pools[(name,)]

    def noun(self, noun: str, plural: bool) -> str:
        """The singular or the plural."""
        return self.lexicon.plural(noun) if plural else noun

    def verb(self, lemma: str, plural: bool) -> str:
        """The present tense, third person."""
        return self.lexicon.verb(lemma, "present", plural)

    def verbs(self, lemmas: Iterable[str]) -> Pool:
        """The verbs that are frequent in both numbers of the present tense."""
        return self.pool(lemmas, lambda lemma: f"{lemma} {self.verb(lemma, False)}")

    def the(self, *names: str) -> tuple[str, bool]:
        """A noun of some lists, in either number, after `the`; and whether it is in the plural."""
        plural = self.rng.random() < 0.5
        return f"the {self.noun(self.draw(self.nouns(*names, numbers=(plural,))), plural)}", plural

    def place(self) -> str:
        """Near, beside or behind something."""
        return f"{self.draw(self.words('near'))} {self.the('fixtures')[0]}"

    def modifier(self) -> str:
        """A phrase that may stand between a subject and its verb, with one noun in either number."""
        return self.place() if self.rng.random() < 0.5 else self.draw(self.words("origins"))

    def attention(self) -> tuple[str, str]:
        """A verb with the rest of its phrase: somebody helps or smiles at somebody."""
        if ("attention",) not in self._pools:
            phrases = (*self.lexicon.shared["attention"], *self.lexicon.shared["gestures"])
            bare = [phrase.removesuffix(" {hero.obj}") for phrase in phrases]
            forms = {phrase: f"{phrase} {self.verb(phrase.split()[0], False)}" for phrase in bare}
            self._pools[("attention",)] = self.pool(forms, forms.__getitem__)
        verb, _, rest = self.draw(self._pools[("attention",)]).partition(" ")
        return verb, f"{rest} {self.the(*PEOPLE)[0]}"

    def deed(self, forms: tuple[str, ...]) -> tuple[dict[str, str], str]:
        """A verb whose past and participle differ, in the forms needed (`"past"`, `"participle"`), and its object."""
        lexicon = self.lexicon
        inflected = {
            lemma: {"past": lexicon.past(lemma), "participle": lexicon.participle(lemma)}
            for lemma in ("take", "hide", "give", "choose", "forget", "break")
        }
        pool = self.pool(inflected, lambda lemma: " ".join(inflected[lemma][form] for form in forms))
        lemma = self.draw(pool)
        rest = self.the("tools")[0] + (f" to {self.the(*PEOPLE)[0]}" if lemma == "give" else "")
        return inflected[lemma], rest
