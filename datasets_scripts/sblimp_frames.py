"""sBLIMP for the generated stories: sentences that agree against sentences that do not, made from the stories' words.

phenomenon -> a frame with its words drawn -> `say(cue, target)` four times -> two mirrored pairs -> `PairText`.

A frame has a cue (a subject that is singular or plural, ...) and a target that must go with it (a verb, ...), each of
which can take two values. Pair `a` sets `say(False, False)` against `say(False, True)`, and its twin, pair `b`, sets
`say(True, True)` against `say(True, False)`. Over the twins both sides hold the same words equally often, so that a
unigram model is right in exactly one of them, and so is every n-gram model whose window does not reach from cue to
target (see [`balanced_order`]).
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from random import Random

from .pairs_text import PairText
from .stories import generate_stories
from .stories_lexicon import load_lexicon

REFERENCE_WORDS, REFERENCE_SEED, MIN_COUNT = 60_000, 0, 10
"""Pairs use words that occur at least `MIN_COUNT` times in the stories of that many words and that seed."""

_WANTING = ("want", "need", "like")

Say = Callable[[bool, bool], str]


def generate_sblimp_pairs(
    num_pairs: int, seed: int, word_counts: Mapping[str, int] | None = None, min_count: int = MIN_COUNT
) -> list[PairText]:
    """
    Generate mirrored minimal pairs, equally many for each of [`PHENOMENA`].

    Phenomena bear BLiMP's names (Warstadt et al. 2020) where they test what BLiMP's paradigms of that name test. All
    their constructions occur in the stories; a sentence as a whole hardly ever does.

    Args:
        num_pairs (`int`): Rounded up to a multiple of twice the number of phenomena.
        seed (`int`): Another seed gives other pairs. The first pairs of a phenomenon do not depend on `num_pairs`.
        word_counts (`Mapping[str, int]`, *optional*): How often each word, in lower case, occurs in the training text.
            Defaults to the counts of a corpus of 60,000 words.
        min_count (`int`, *optional*, defaults to 10): How often each word of a pair must occur there.

    Returns:
        `list[PairText]`: Pairs in the order of the phenomena, twins side by side, with ids `sblimp-000012a` and
        `sblimp-000012b`. The two are one cluster for a bootstrap ([`twin_cluster`]).

    Raises:
        `ValueError`: If the words that are frequent enough do not suffice for so many different pairs.
    """
    per_phenomenon = -(-num_pairs // (2 * len(PHENOMENA)))
    counts = word_counts if word_counts is not None else reference_counts()
    pairs = []
    for row, (phenomenon, frame) in enumerate(PHENOMENA.items()):
        twins = _distinct_twins(frame, Random(f"sblimp-{phenomenon}-{seed}"), counts, min_count, per_phenomenon)
        if len(twins) < per_phenomenon:
            raise ValueError(
                f"only {2 * len(twins)} of {2 * per_phenomenon} pairs for {phenomenon} can be made of words that occur "
                f"{min_count} times or more: ask for fewer pairs, a lower min_count or more stories."
            )
        for column, twin in enumerate(twins):
            stem = f"sblimp-{row * per_phenomenon + column:06d}"
            for letter, (positive, negative) in zip("ab", twin):
                pairs.append(PairText(f"{stem}{letter}", "sblimp", phenomenon, "", "", positive, negative))
    return pairs


def twin_cluster(pair_id: str) -> str:
    """The stem that a pair shares with its twin: what a bootstrap resamples."""
    return pair_id[:-1]


def balanced_order(twins: Sequence[PairText], highest: int = 12) -> int:
    """The highest order of word n-grams that both sides of the twins hold equally often: up to it, 50 % is certain."""
    for order in range(1, highest + 1):
        sides = [Counter(), Counter()]
        for pair in twins:
            for side, text in zip(sides, (pair.positive, pair.negative)):
                words = ["<s>"] * (order - 1) + re.findall(r"\w+|[.,]", text) + ["</s>"]
                side.update(zip(*(words[start:] for start in range(order))))
        if sides[0] != sides[1]:
            return order - 1
    return highest


@cache
def reference_counts() -> Counter:
    """How often each word occurs in the stories that the lists are cut by."""
    return Counter(
        word for story in generate_stories(REFERENCE_WORDS, REFERENCE_SEED) for word in _words_of(story.text)
    )


def _words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def _distinct_twins(frame: Callable, rng: Random, counts: Mapping[str, int], min_count: int, number: int) -> list:
    """Twins of which no two are the same and all words are frequent; fewer than `number` if luck runs out."""
    choice = FrequentWords(rng, counts, min_count)
    twins = {}
    for _ in range(200 * number):
        if len(twins) == number:
            break
        say = frame(choice)
        sentences = [_capital(say(cue, target)) for cue, target in ((0, 0), (0, 1), (1, 1), (1, 0))]
        if all(counts[word] >= min_count for sentence in sentences for word in _words_of(sentence)):
            twins[sentences[0]] = (tuple(sentences[:2]), tuple(sentences[2:]))
    return list(twins.values())


def _capital(text: str) -> str:
    text = re.sub(r"\s+", " ", text)
    return text[0].upper() + text[1:]


class FrequentWords:
    """
    Draws words of the stories' lexicon, for one topic a frame, that are frequent in all forms that a frame needs.

    Args:
        rng (`random.Random`): Makes every choice.
        counts (`Mapping[str, int]`): How often each word occurs.
        min_count (`int`): How often it must occur.
    """

    def __init__(self, rng: Random, counts: Mapping[str, int], min_count: int):
        self.rng, self.counts, self.min_count = rng, counts, min_count
        self.lexicon = load_lexicon()
        self.lists = {}
        self.had = set()

    def new_frame(self) -> None:
        """Forget which words the last frame had: within a frame none comes twice."""
        self.had = set()

    def one_of(self, words: Sequence) -> str:
        """One of the words or phrases that this frame has not had."""
        word = self.rng.choice([word for word in words if word not in self.had])
        self.had.add(word)
        return word

    def frequent(self, text: str) -> bool:
        """Whether every word of a text is frequent."""
        return all(self.counts[word] >= self.min_count for word in _words_of(text))

    def nouns(self, *names: str, both: bool = True) -> list[str]:
        """The nouns of some lists, of all topics, that are frequent in both numbers (or, if not `both`, in either)."""
        key = (*names, both)
        if key not in self.lists:
            lists = [lists[name] for name in names for lists in self.lexicon.topics.values() if name in lists]
            lists += [self.lexicon.shared[name] for name in names if name in self.lexicon.shared]
            every = sorted({noun for words in lists for noun in words})
            forms = {noun: (noun, self.lexicon.plural(noun)) for noun in every if self.lexicon.plural(noun) != noun}
            keep = all if both else any
            self.lists[key] = [noun for noun in forms if keep(self.frequent(form) for form in forms[noun])]
        return self.lists[key]

    def words(self, name: str) -> list[str]:
        """The frequent items of a shared list."""
        return [word for word in self.lexicon.shared[name] if self.frequent(word)]

    def noun(self, noun: str, plural: bool) -> str:
        """The singular or the plural."""
        return self.lexicon.plural(noun) if plural else noun

    def either(self, *names: str) -> tuple[str, bool]:
        """A noun in a number that is frequent, and whether that is the plural."""
        noun = self.one_of(self.nouns(*names, both=False))
        plural = self.rng.choice([plural for plural in (False, True) if self.frequent(self.noun(noun, plural))])
        return self.noun(noun, plural), plural

    def somebody(self) -> tuple[str, bool]:
        """A noun phrase for one or more people, and whether they are more."""
        noun, plural = self.either("folk", "people")
        return f"the {noun}", plural

    def something(self) -> str:
        """A noun phrase for one or more things."""
        return f"the {self.either('tools')[0]}"

    def place(self) -> str:
        """Near, beside or behind something."""
        return f"{self.rng.choice(('near', 'beside', 'behind'))} the {self.either('fixtures')[0]}"

    def attention(self) -> tuple[str, str]:
        """A verb and the rest of its phrase: somebody looks at or helps somebody."""
        if "attention" not in self.lists:
            phrases = dict.fromkeys((*self.lexicon.shared["attention"], *self.lexicon.shared["gestures"]))
            split = [phrase.replace("{hero.obj}", "").split(" ", 1) for phrase in phrases]
            forms = {verb: f"{verb} {self.lexicon.verb(verb, 'present', False)}" for verb, _ in split}
            self.lists["attention"] = [phrase for phrase in split if self.frequent(forms[phrase[0]] + " " + phrase[1])]
        verb, rest = self.rng.choice(self.lists["attention"])
        return verb, rest + self.somebody()[0]


def _subject_verb(choice: FrequentWords, subject: str, modifier: str) -> Say:
    """A subject, what stands after its noun, an adverb and a verb; the cue is the subject's number."""
    adverb = choice.one_of(choice.words("frequency"))
    verb, rest = choice.attention()

    def say(cue: bool, target: bool) -> str:
        verb_form = choice.lexicon.verb(verb, "present", target)
        return f"the {choice.noun(subject, cue)} {modifier} {adverb} {verb_form} {rest}."

    return say


def _modifier(choice: FrequentWords) -> str:
    """Nothing, or a phrase with one noun in either number."""
    return choice.rng.choice(("", "", choice.place(), choice.one_of(("from the village", "from the town"))))


def regular_plural(choice: FrequentWords) -> Say:
    """The sailor (near the boats) often helps / *help the king."""
    choice.new_frame()
    regular = [noun for noun in choice.nouns("folk", "people", "animals") if choice.noun(noun, True).endswith("s")]
    return _subject_verb(choice, choice.one_of(regular), _modifier(choice))


def irregular_plural(choice: FrequentWords) -> Say:
    """The child (from the village) always smiles / *smile at the sailors."""
    choice.new_frame()
    nouns = choice.nouns("folk", "people", "animals")
    irregular = [noun for noun in nouns if not choice.noun(noun, True).endswith("s")]
    return _subject_verb(choice, choice.one_of(irregular), _modifier(choice))


def relational_noun(choice: FrequentWords) -> Say:
    """The friend of the sailors never waits / *wait for the girl."""
    choice.new_frame()
    relation = choice.one_of(choice.nouns("relations"))
    return _subject_verb(choice, relation, f"of {choice.somebody()[0]}")


def relative_clause(choice: FrequentWords) -> Say:
    """The sailor who works near the boats sometimes looks / *look; the sailor that the girls love sometimes looks."""
    choice.new_frame()
    subject = choice.one_of(choice.nouns("folk", "people"))
    adverb = choice.one_of(choice.words("frequency"))
    verb, rest = choice.attention()
    inside = choice.rng.random() < 0.5
    place = choice.place()
    plural = choice.rng.random() < 0.5
    other = choice.noun(choice.one_of(choice.nouns("folk", "people")), plural)
    bonds = [bond for bond in choice.words("bonds") if choice.frequent(choice.lexicon.verb(bond, "present", plural))]
    bond = choice.lexicon.verb(choice.rng.choice(bonds), "present", plural)

    def say(cue: bool, target: bool) -> str:
        clause = f"that the {other} {bond}"
        if inside:
            clause = f"who {choice.lexicon.verb('work', 'present', cue)} {place}"
        head = choice.noun(subject, cue)
        return f"the {head} {clause} {adverb} {choice.lexicon.verb(verb, 'present', target)} {rest}."

    return say


def _determiner(choice: FrequentWords, with_adjective: bool) -> Say:
    choice.new_frame()
    subject, plural = choice.somebody()
    verb = choice.lexicon.verb(choice.rng.choice(_WANTING), "present", plural)
    adverb = choice.rng.choice(("", choice.one_of(choice.words("frequency"))))
    adjective = choice.one_of(choice.words("object_adjectives")) if with_adjective else ""
    noun = choice.one_of(choice.nouns("tools", "goods"))
    near = choice.rng.random() < 0.75

    def say(cue: bool, target: bool) -> str:
        determiner = ("these" if near else "those") if cue else ("this" if near else "that")
        return f"{subject} {adverb} {verb} {determiner} {adjective} {choice.noun(noun, target)}."

    return say


def determiner_noun(choice: FrequentWords) -> Say:
    """The girls need this rope / *ropes."""
    return _determiner(choice, with_adjective=False)


def determiner_adjective_noun(choice: FrequentWords) -> Say:
    """The girls need these new ropes / *rope."""
    return _determiner(choice, with_adjective=True)


_REFLEXIVE_PHRASES = (
    ("tell", "{} to be brave"),
    ("tell", "{} to stay calm"),
    ("look", "at {} in the window"),
    ("hide", "{} near the {fixture}"),
    ("hide", "{} behind the {fixture}"),
    ("ask", "{} what the {person} want"),
    ("blame", "{}"),
    ("warm", "{} near the {fixture}"),
)


def _reflexive(choice: FrequentWords) -> tuple[str, str]:
    """A verb and the rest of its phrase, with `{}` for the reflexive."""
    verb, rest = choice.rng.choice(_REFLEXIVE_PHRASES)
    plural = choice.lexicon.plural(choice.one_of(choice.nouns("folk", "people")))
    return verb, rest.format("{}", fixture=choice.either("fixtures")[0], person=plural)


def anaphor_gender(choice: FrequentWords) -> Say:
    """The girl (near the boats) often tells herself / *himself to be brave."""
    choice.new_frame()
    nouns = choice.nouns("folk", "people")
    female = choice.one_of([noun for noun in nouns if noun in choice.lexicon.shared["female"]])
    male = choice.one_of([noun for noun in nouns if noun in choice.lexicon.shared["male"]])
    modifier = _modifier(choice)
    adverb = choice.one_of(choice.words("frequency"))
    verb, rest = _reflexive(choice)
    verb = choice.lexicon.verb(verb, "present", False)

    def say(cue: bool, target: bool) -> str:
        head, anaphor = (male if cue else female), ("himself" if target else "herself")
        return f"the {head} {modifier} {adverb} {verb} {rest.format(anaphor)}."

    return say


def anaphor_number(choice: FrequentWords) -> Say:
    """Yesterday the girl (near the boats) told herself / *themselves to be brave."""
    choice.new_frame()
    genders = {"female": "herself", "male": "himself"}
    gender = choice.rng.choice(sorted(genders))
    noun = choice.one_of([noun for noun in choice.nouns("folk", "people") if noun in choice.lexicon.shared[gender]])
    modifier = _modifier(choice)
    verb, rest = _reflexive(choice)
    verb = choice.lexicon.past(verb)

    def say(cue: bool, target: bool) -> str:
        anaphor = "themselves" if target else genders[gender]
        return f"yesterday the {choice.noun(noun, cue)} {modifier} {verb} {rest.format(anaphor)}."

    return say


def past_participle(choice: FrequentWords) -> Say:
    """Yesterday the girls quickly took / *taken the rope; the girls have quickly taken / *took the rope."""
    choice.new_frame()
    plural = choice.rng.random() < 0.5
    subject = choice.noun(choice.one_of(choice.nouns("folk", "people")), plural)
    adverb = choice.rng.choice(("gladly", "quietly", "quickly", "happily", "slowly", "carefully"))
    verb = choice.rng.choice(
        [verb for verb in ("take", "hide", "give", "choose", "forget") if _has_both(choice, verb)]
    )
    rest = choice.something()
    if verb == "give":
        rest += f" to {choice.somebody()[0]}"
    have = choice.lexicon.verb("have", "present", plural)

    def say(cue: bool, target: bool) -> str:
        form = choice.lexicon.participle(verb) if target else choice.lexicon.past(verb)
        return f"{f'the {subject} {have}' if cue else f'yesterday the {subject}'} {adverb} {form} {rest}."

    return say


def _has_both(choice: FrequentWords, verb: str) -> bool:
    return choice.frequent(f"{choice.lexicon.past(verb)} {choice.lexicon.participle(verb)}")


def wh_or_that(choice: FrequentWords) -> Say:
    """The girl knows what / *that the boys need; the girl knows that / *what the boys need the rope."""
    choice.new_frame()
    subject = choice.noun(choice.one_of(choice.nouns("folk", "people")), False)
    knows = choice.lexicon.verb(choice.rng.choice(("know", "see", "remember")), "present", False)
    plural = choice.rng.random() < 0.5
    other = choice.noun(choice.one_of(choice.nouns("folk", "people")), plural)
    modifier = _modifier(choice)
    verb = choice.lexicon.verb(choice.rng.choice(_WANTING), "present", plural)
    missing = choice.something()

    def say(cue: bool, target: bool) -> str:
        word = "that" if target else "what"
        return f"the {subject} {knows} {word} the {other} {modifier} {verb}{f' {missing}' if cue else ''}."

    return say


PHENOMENA: dict[str, Callable[[FrequentWords], Say]] = {
    "regular_plural_subject_verb_agreement": regular_plural,
    "irregular_plural_subject_verb_agreement": irregular_plural,
    "distractor_agreement_relational_noun": relational_noun,
    "distractor_agreement_relative_clause": relative_clause,
    "determiner_noun_agreement": determiner_noun,
    "determiner_noun_agreement_with_adjective": determiner_adjective_noun,
    "anaphor_gender_agreement": anaphor_gender,
    "anaphor_number_agreement": anaphor_number,
    "irregular_past_participle_verbs": past_participle,
    "wh_vs_that": wh_or_that,
}
