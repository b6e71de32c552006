"""sBLIMP for the rich stories: sentences that agree against sentences that do not, made of the stories' words.

phenomenon -> a frame with its words drawn -> mirrored pairs (`mirrored.py`) -> `PairText`.
"""

from collections.abc import Callable, Mapping
from random import Random

from .mirrored import Say, mirrored_pairs
from .sblimp_words import MIN_COUNT, PEOPLE, FrequentWords, reference_counts
from .texts import PairText

_TRIES_PER_TWINS = 200
_WANTING = ("want", "need", "like")
_WITHOUT_MODIFIER, _COPULA, _PERFECT = 0.5, 0.45, 0.2
_REFLEXIVE_PHRASES = (
    "tell {} to be brave",
    "tell {} to stay calm",
    "look at {} in the window",
    "look at {} in the mirror",
    "hide {} PLACE",
    "warm {} PLACE",
    "ask {} what PEOPLE want",
    "blame {}",
    "hurt {} PLACE",
)


def generate_sblimp_pairs(
    num_pairs: int, seed: int, word_counts: Mapping[str, int] | None = None, min_count: int = MIN_COUNT
) -> list[PairText]:
    """
    Generate mirrored minimal pairs, equally many for each of [`PHENOMENA`].

    Phenomena bear the names of BLiMP's paradigms (Warstadt et al. 2020) that test the same. Every construction occurs
    in the stories; a whole sentence hardly ever does.

    Args:
        num_pairs (`int`): Rounded up to a multiple of twice the number of phenomena.
        seed (`int`): Another seed gives other pairs. A phenomenon's first pairs do not depend on `num_pairs`.
        word_counts (`Mapping[str, int]`, *optional*): How often each word, in lower case, occurs in the training text.
            Defaults to the counts of 60,000 words of stories.
        min_count (`int`, *optional*, defaults to 10): How often each word of a pair must occur there.

    Returns:
        `list[PairText]`: Phenomenon after phenomenon, twins side by side as `sblimp-000012a` and `sblimp-000012b`.
        Twins share their cluster, which a bootstrap resamples.

    Raises:
        `ValueError`: If the frequent words do not suffice for so many different pairs.
    """
    counts = reference_counts() if word_counts is None else word_counts
    per_phenomenon = -(-num_pairs // (2 * len(PHENOMENA)))
    pairs = []
    for row, (phenomenon, frame) in enumerate(PHENOMENA.items()):
        choice = FrequentWords(Random(f"sblimp-{phenomenon}-{seed}"), counts, min_count)
        for column, twins in enumerate(_distinct_twins(phenomenon, frame, choice, per_phenomenon)):
            stem = f"sblimp-{row * per_phenomenon + column:06d}"
            for letter, (positive, negative) in zip("ab", twins):
                pairs.append(PairText(f"{stem}{letter}", "sblimp", phenomenon, "", "", positive, negative, stem))
    return pairs


def regular_plural(choice: FrequentWords) -> Say:
    """The sailor helps / *help the king. The sailor near the boats is / *are very kind."""
    return _plural_subject(choice, regular=True)


def irregular_plural(choice: FrequentWords) -> Say:
    """The child smiles / *smile at the king. The child from the village is / *are very kind."""
    return _plural_subject(choice, regular=False)


def relational_noun(choice: FrequentWords) -> Say:
    """The friend of the sailors never waits / *wait for the girl."""
    return _subject_verb(choice, choice.draw(choice.nouns("relations")), f"of {choice.the(*PEOPLE)[0]}")


def relative_clause(choice: FrequentWords) -> Say:
    """The sailor who works near the boats is / *are very kind. The sailor that the girls love is / *are very kind."""
    subject = choice.draw(choice.nouns(*PEOPLE))
    predicate = _predicate(choice)
    if choice.rng.random() < 0.5:
        place = choice.place()
        return lambda cue, target: (
            f"the {choice.noun(subject, cue)} who {choice.verb('work', cue)} {place} {predicate(target)}"
        )
    other, plural = choice.the(*PEOPLE)
    bond = choice.draw(choice.pool(choice.lexicon.shared["bonds"], lambda lemma: choice.verb(lemma, plural)))
    clause = f"that {other} {choice.verb(bond, plural)}"
    return lambda cue, target: f"the {choice.noun(subject, cue)} {clause} {predicate(target)}"


def determiner_noun(choice: FrequentWords) -> Say:
    """The girls need this rope / *ropes. The king likes these boys / *boy."""
    return _determiner(choice, "", choice.rng.choice((PEOPLE, ("tools", "goods"))))


def determiner_adjective_noun(choice: FrequentWords) -> Say:
    """The girls need this new rope / *ropes."""
    names = choice.rng.choice((PEOPLE, ("tools", "goods")))
    adjectives = choice.words("person_adjectives" if names == PEOPLE else "object_adjectives")
    return _determiner(choice, choice.draw(adjectives), names)


def anaphor_gender(choice: FrequentWords) -> Say:
    """The girl near the boats often tells herself / *himself to be brave."""
    female, male = _of_gender(choice, "she"), _of_gender(choice, "he")
    modifier = "" if choice.rng.random() < _WITHOUT_MODIFIER else choice.modifier()
    adverb = choice.draw(choice.words("frequency")) if choice.rng.random() < 0.5 else ""
    phrase = _reflexive_phrase(choice, lambda lemma: choice.verb(lemma, False))
    return lambda cue, target: (
        f"the {male if cue else female} {modifier} {adverb} {phrase.format('himself' if target else 'herself')}"
    )


def anaphor_number(choice: FrequentWords) -> Say:
    """Yesterday the girl near the boats told herself / *themselves to be brave."""
    pronoun, singular = choice.rng.choice((("she", "herself"), ("he", "himself")))
    noun = _of_gender(choice, pronoun)
    modifier = "" if choice.rng.random() < _WITHOUT_MODIFIER else choice.modifier()
    phrase = _reflexive_phrase(choice, choice.lexicon.past)
    return lambda cue, target: (
        f"yesterday the {choice.noun(noun, cue)} {modifier} {phrase.format('themselves' if target else singular)}"
    )


def past_participle(choice: FrequentWords) -> Say:
    """Yesterday the girls quickly took / *taken the rope. The girls have quickly taken / *took the rope."""
    subject, plural = choice.the(*PEOPLE)
    adverb = choice.draw(choice.pool(("gladly", "quietly", "quickly", "happily", "slowly", "carefully")))
    forms, rest = choice.deed(("past", "participle"))
    perfect, past = f"{subject} {choice.verb('have', plural)}", f"yesterday {subject}"
    return lambda cue, target: (
        f"{perfect if cue else past} {adverb} {forms['participle' if target else 'past']} {rest}"
    )


def wh_or_that(choice: FrequentWords) -> Say:
    """The girl knows what / *that the boys need. The girl knows that / *what the boys need the rope."""
    subject, plural = choice.the(*PEOPLE)
    knows = choice.verb(choice.draw(choice.pool(("know", "see", "remember"))), plural)
    other, several = choice.the(*PEOPLE)
    modifier = "" if choice.rng.random() < _WITHOUT_MODIFIER else choice.modifier()
    wants = choice.verb(choice.draw(choice.verbs(_WANTING)), several)
    thing = choice.the("tools")[0]
    return lambda cue, target: (
        f"{subject} {knows} {'that' if target else 'what'} {other} {modifier} {wants} {thing if cue else ''}"
    )


def _distinct_twins(
    phenomenon: str, frame: Callable[[FrequentWords], Say], choice: FrequentWords, number: int
) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    twins, had = [], set()
    for _ in range(_TRIES_PER_TWINS * number):
        if len(twins) == number:
            return twins
        choice.new_frame()
        try:
            say = frame(choice)
        except IndexError:  # a pool is empty, or the frame has had all of it
            continue
        pair_a, pair_b = mirrored_pairs(say)
        new = pair_a[0] not in had and pair_b[0] not in had
        if new and choice.count(" ".join(pair_a + pair_b)) >= choice.min_count:
            twins.append((pair_a, pair_b))
            had.update((pair_a[0], pair_b[0]))
    raise ValueError(
        f"Only {2 * len(twins)} of {2 * number} pairs for {phenomenon} can be made of words that occur at least "
        f"{choice.min_count} times; ask for fewer pairs, a lower min_count or more text."
    )


def _predicate(choice: FrequentWords, adjacent: bool = False) -> Callable[[bool], str]:
    """What a subject does, has done or is, by number; if `adjacent`, no adverb comes first."""
    kind = choice.rng.random()
    if kind < _COPULA:
        degree = choice.draw(choice.pool(("very", "really")))
        adjective = choice.draw(choice.words("person_adjectives"))
        return lambda plural: f"{choice.verb('be', plural)} {degree} {adjective}"
    if kind < _COPULA + _PERFECT:
        adverb = choice.draw(choice.pool(("already", "just")))
        forms, rest = choice.deed(("participle",))
        return lambda plural: f"{choice.verb('have', plural)} {adverb} {forms['participle']} {rest}"
    adverb = "" if adjacent else choice.draw(choice.words("frequency"))
    verb, rest = choice.attention()
    return lambda plural: f"{adverb} {choice.verb(verb, plural)} {rest}"


def _subject_verb(choice: FrequentWords, subject: str, modifier: str) -> Say:
    predicate = _predicate(choice, adjacent=not modifier)
    return lambda cue, target: f"the {choice.noun(subject, cue)} {modifier} {predicate(target)}"


def _plural_subject(choice: FrequentWords, regular: bool) -> Say:
    nouns = choice.nouns(*PEOPLE, "animals")
    fitting = {noun: weight for noun, weight in nouns.items() if choice.noun(noun, True).endswith("s") == regular}
    modifier = "" if choice.rng.random() < _WITHOUT_MODIFIER else choice.modifier()
    return _subject_verb(choice, choice.draw(fitting), modifier)


def _determiner(choice: FrequentWords, adjective: str, names: tuple[str, ...]) -> Say:
    subject, plural = choice.the(*PEOPLE)
    verb = choice.verb(choice.draw(choice.verbs(("like", "know") if names == PEOPLE else _WANTING)), plural)
    noun = choice.draw(choice.nouns(*names))
    singular, plural_form = choice.rng.choice((("this", "these"), ("this", "these"), ("that", "those")))
    return lambda cue, target: (
        f"{subject} {verb} {plural_form if cue else singular} {adjective} {choice.noun(noun, target)}"
    )


def _reflexive_phrase(choice: FrequentWords, inflect: Callable[[str], str]) -> str:
    """A verb with the rest of its phrase, `{}` for the reflexive."""
    phrase = choice.draw({phrase: 1 for phrase in _REFLEXIVE_PHRASES if choice.count(inflect(phrase.split()[0]))})
    verb, _, rest = phrase.partition(" ")
    if "PLACE" in rest:
        rest = rest.replace("PLACE", choice.place())
    if "PEOPLE" in rest:
        rest = rest.replace("PEOPLE", f"the {choice.noun(choice.draw(choice.nouns(*PEOPLE)), True)}")
    return f"{inflect(verb)} {rest}"


def _of_gender(choice: FrequentWords, pronoun: str) -> str:
    nouns = choice.nouns(*PEOPLE)
    return choice.draw({noun: count for noun, count in nouns.items() if choice.lexicon.gender(noun) == pronoun})


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
