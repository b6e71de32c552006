"""sBLIMP for the simple stories: a ladder from cues beside their targets to cues that a clause stands between.

training sentences -> [`Material`], their frequent words and what stands beside what -> a frame of each rung, drawn
until no model can have read it -> mirrored pairs ([`mirrored_pairs`]) -> `PairText`.
"""

import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from ..stories.simple.language import Language
from .mirrored import Say, mirrored_pairs
from .texts import PairText

MIN_COUNT = 2
"""How often a word of a pair must occur in training, in the form that it has there."""
_TRIES_PER_TWINS = 2000
_WORD = re.compile(r"[a-z]+")
_TABLE = """
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -32768;
CREATE TABLE sentences (digest INTEGER PRIMARY KEY);
"""


@dataclass(frozen=True)
class Frame:
    """
    A sentence but for the values of its cue and of its target.

    Args:
        say (`Callable[[bool, bool], str]`): The words, for a value of each.
        cues (`tuple[str, str]`): The cue by its value.
        targets (`tuple[str, str]`): The target by its value.
    """

    say: Say
    cues: tuple[str, str]
    targets: tuple[str, str]

    @property
    def distance(self) -> int:
        """How many words stand between cue and target."""
        words = _WORD.findall(self.say(False, False))
        cue = words.index(self.cues[False])
        return words.index(self.targets[False], cue + 1) - cue - 1


class Material:
    """
    What the training split has: how often each word, in lower case, which words beside which, and which sentences.

    Words and their neighbours are in memory, as many as there are different ones; of sentences, whose number grows
    with the corpus, digests of 8 bytes lie on the disk.

    Args:
        sentences (`Iterable[str]`): Its sentences, read once.
    """

    def __init__(self, sentences: Iterable[str]):
        self.counts: Counter[str] = Counter()
        self._neighbors: set[tuple[str, str]] = set()
        self._sentences = sqlite3.connect("")  # SQLite makes a file for it, and removes it
        self._sentences.executescript(_TABLE)
        self._sentences.executemany("INSERT OR IGNORE INTO sentences VALUES (?)", self._read(sentences))

    def _read(self, sentences: Iterable[str]) -> Iterator[tuple[int]]:
        for sentence in sentences:
            words = _WORD.findall(sentence.lower())
            self.counts.update(words)
            self._neighbors.update(zip(words, words[1:]))
            yield (_digest(sentence),)

    def has(self, frame: Frame) -> bool:
        """Whether training could have shown how the frame goes on: its sentence, or a cue beside a target."""
        if any((cue, target) in self._neighbors for cue in frame.cues for target in frame.targets):
            return True
        good = [(_digest(good),) for good, _ in mirrored_pairs(frame.say)]
        return any(self._sentences.execute("SELECT 1 FROM sentences WHERE digest = ?", one).fetchone() for one in good)


def _digest(sentence: str) -> int:
    return int.from_bytes(hashlib.blake2b(sentence.encode(), digest_size=8).digest(), "big", signed=True)


class Words:
    """
    Draws words that are frequent in training in every form that a frame needs; each comes once in a frame.

    Args:
        language ([`Language`]): Classes and forms.
        counts (`Counter`): Of the training split.
        rng (`random.Random`): Makes every choice.
    """

    def __init__(self, language: Language, counts: Counter, rng: Random):
        self.language, self.counts, self.rng = language, counts, rng
        self.had: set[str] = set()

    def draw(self, name: str, forms: Callable[[str], Sequence[str]] = lambda word: (word,)) -> str:
        """
        A word of a class.

        Raises:
            `LookupError`: If none is left that is frequent in all forms.
        """
        words = [
            word
            for word in self.language.every(name)
            if word not in self.had and min(self.counts[form] for form in forms(word)) >= MIN_COUNT
        ]
        if not words:
            raise LookupError(name)
        word = self.rng.choice(words)
        self.had.add(word)
        return word

    def noun(self, name: str) -> tuple[str, str]:
        """A noun that is frequent in both numbers: singular and plural."""
        inflections = self.language.inflections
        noun = self.draw(name, lambda word: (word, inflections.plural(word)))
        return noun, inflections.plural(noun)

    def the(self, name: str) -> tuple[str, bool]:
        """A noun in one number after `the`, and whether it is the plural."""
        plural = self.rng.random() < 0.5
        return f"the {self.noun(name)[plural]}", plural

    def verb(self, name: str) -> tuple[str, str]:
        """A verb that is frequent in both numbers of the present tense."""
        inflections = self.language.inflections
        lemma = self.draw(name, lambda word: (word, inflections.verb(word, "present", False)))
        return inflections.verb(lemma, "present", False), lemma

    def past(self, name: str) -> str:
        """A verb in the past tense."""
        return self.language.inflections.past(self.draw(name, lambda word: (self.language.inflections.past(word),)))

    def place(self) -> str:
        """Near or behind something, in either number."""
        return f"{self.draw('near')} {self.the('places')[0]}"

    def predicate(self) -> str:
        """What something is, after the verb."""
        return f"{self.draw('degree')} {self.draw('adjectives')}"


def subject_verb(words: Words, between: str = "", frequency: bool = False) -> Frame:
    """The baker washes / *wash the bowl."""
    subject, verb = words.noun("people"), words.verb(words.rng.choice(("handling", "meeting")))
    thing = words.the("things")[0]
    if frequency:
        between = words.draw("frequency")
    return Frame(lambda cue, target: f"the {subject[cue]} {between} {verb[target]} {thing}", subject, verb)


def copula(words: Words, between: str = "") -> Frame:
    """The bowl is / *are very old."""
    subject, predicate, be = words.noun("things"), words.predicate(), ("is", "are")
    return Frame(lambda cue, target: f"the {subject[cue]} {between} {be[target]} {predicate}", subject, be)


def determiner_noun(words: Words, adjective: str = "") -> Frame:
    """The bakers wash this bowl / *bowls."""
    subject, plural = words.the("people")
    verb = words.verb("handling")[plural]
    determiners = words.rng.choice((("this", "these"), ("this", "these"), ("that", "those")))
    noun = words.noun("things")
    return Frame(
        lambda cue, target: f"{subject} {verb} {determiners[cue]} {adjective} {noun[target]}", determiners, noun
    )


def determiner_adjective_noun(words: Words) -> Frame:
    """The bakers wash this old bowl / *bowls."""
    return determiner_noun(words, words.draw("adjectives"))


def subject_adverb_verb(words: Words) -> Frame:
    """The baker often washes / *wash the bowl."""
    return subject_verb(words, frequency=True)


def place_attractor(words: Words) -> Frame:
    """The baker near the stoves washes / *wash the bowl."""
    return subject_verb(words, words.place())


def thing_attractor(words: Words) -> Frame:
    """The bowl with the spoons is / *are very old."""
    return copula(words, f"with {words.the('things')[0]}")


def relative_clause_verb(words: Words) -> Frame:
    """The baker that the cooks help washes / *wash the bowl."""
    other, plural = words.the("people")
    return subject_verb(words, f"that {other} {words.verb('meeting')[plural]}")


def relative_clause_copula(words: Words) -> Frame:
    """The bowl that the bakers wash is / *are very old."""
    other, plural = words.the("people")
    return copula(words, f"that {other} {words.verb('handling')[plural]}")


def anaphor_gender(words: Words, between: str) -> Frame:
    """The girl near the stoves admires herself / *himself."""
    female, male = words.noun("women")[False], words.noun("men")[False]
    verb = words.verb("reflexive")[False]
    selves = ("herself", "himself")
    return Frame(
        lambda cue, target: f"the {(female, male)[cue]} {between} {verb} {selves[target]}", (female, male), selves
    )


def anaphor_gender_across_adverb(words: Words) -> Frame:
    """The girl often admires herself / *himself."""
    return anaphor_gender(words, words.draw("frequency"))


def anaphor_gender_across_place(words: Words) -> Frame:
    """The girl near the stoves admires herself / *himself."""
    return anaphor_gender(words, words.place())


def anaphor_gender_across_clause(words: Words) -> Frame:
    """The girl that the cooks help admires herself / *himself."""
    other, plural = words.the("people")
    return anaphor_gender(words, f"that {other} {words.verb('meeting')[plural]}")


RUNGS: dict[str, tuple[Callable[[Words], Frame], ...]] = {
    "adjacent": (subject_verb, copula, determiner_noun),
    "one word between": (subject_adverb_verb, determiner_adjective_noun),
    "attractor": (place_attractor, thing_attractor),
    "relative clause": (relative_clause_verb, relative_clause_copula),
    "anaphora": (anaphor_gender_across_adverb, anaphor_gender_across_place, anaphor_gender_across_clause),
}
"""What stands between cue and target, from easy to hard."""


def make_ladder_pairs(
    num_pairs: int, seed: int, sentences: Iterable[str], language: Language
) -> tuple[list[PairText], dict]:
    """
    Make mirrored minimal pairs, equally many a rung.

    No sentence of a pair occurs in training, nor does a pair's cue stand beside its target there, in any of their
    values.

    Args:
        num_pairs (`int`): Rounded up to a multiple of twice the number of rungs.
        seed (`int`): Another seed gives other pairs.
        sentences (`Iterable[str]`): Sentences of the training split.
        language ([`Language`]): The language that they are in.

    Returns:
        `tuple[list[PairText], dict]`: Pairs, twins side by side (they share their cluster), with the rung as group and
        the number of words between cue and target as band; and a report: how many frames were `drawn`, and how many of
        them `occur` in training.

    Raises:
        `ValueError`: If the frequent words do not suffice for so many different pairs.
    """
    material = Material(sentences)
    per_rung = -(-num_pairs // (2 * len(RUNGS)))
    pairs, had, drawn, occur = [], set(), 0, 0
    for rung, frames in RUNGS.items():
        words = Words(language, material.counts, Random(f"sblimp-ladder-{rung}-{seed}"))
        made = tries = 0
        while made < per_rung:
            tries += 1
            if tries > _TRIES_PER_TWINS * per_rung:
                raise ValueError(
                    f"Only {2 * made} of {2 * per_rung} sBLIMP pairs of the rung '{rung}' can be made of words that "
                    f"occur at least {MIN_COUNT} times in training; ask for fewer pairs or give more text."
                )
            words.had = set()
            try:
                frame = frames[made % len(frames)](words)
            except LookupError:
                continue
            drawn += 1
            if material.has(frame):
                occur += 1
                continue
            twins = mirrored_pairs(frame.say)
            if not had.isdisjoint(good for good, _ in twins):
                continue
            had.update(good for good, _ in twins)
            stem = f"sblimp-{len(pairs) // 2:06d}"
            for letter, (positive, negative) in zip("ab", twins):
                band = str(frame.distance)
                pairs.append(PairText(f"{stem}{letter}", "sblimp", rung, band, "", positive, negative, stem))
            made += 1
    return pairs, {"drawn": drawn, "occur": occur}
