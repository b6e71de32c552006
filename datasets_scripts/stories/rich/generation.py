"""Short English stories, generated: the corpus that needs no data.

seed and number of the story -> cast, tense and plot -> one template a sentence -> `Story.sentence` -> `Passage`.
"""

import re
from collections.abc import Iterator
from functools import cache
from random import Random

from ...text.passages import Passage
from ..corpus import story_split, tell_stories
from ..templates import Agree, Declare, parse_template, walk
from .grammar import PEOPLE_LISTS, Referent, Story
from .lexicon import Lexicon, load_lexicon

MIN_SENTENCES, MAX_SENTENCES = 4, 6
MIN_WORDS, MAX_WORDS = 36, 65
"""Words of a story: at 175 words a minute, with its pauses, 65 words take less than 30 s."""

# How often: present tense; a scene after the first sentence; a second one in a plot of few beats; a beat that may be
# left out.
PRESENT, SCENE, SECOND_SCENE, OPTIONAL_BEAT = 0.9, 0.95, 0.7, 0.45
SHORT_PLOT = 3
# Of the main character: a girl, a man, ... not of the topic's professions; two or three of them; named.
FOLK, SEVERAL, NAMED, THREE = 0.5, 0.42, 0.4, 0.3
# Of the second character: a relative or neighbor; the other gender (for clear pronouns); several; named.
RELATIVE, OTHER_GENDER, SEVERAL_FRIENDS, NAMED_FRIEND, RELATIVE_ADJECTIVE = 0.55, 0.85, 0.12, 0.22, 0.5

_OTHER = {"she": "he", "he": "she"}
_NAMES = {"she": "female_names", "he": "male_names"}
_WORD = re.compile(r"[a-z]+")


def generate_stories(max_words: int, seed: int) -> Iterator[Passage]:
    """
    Generate stories of four to six sentences, each of them one document of one passage.

    Story number i depends on the seed and i alone: a longer corpus begins with the shorter one, and a story stays in
    its split. About 90 % of the stories are for training, 5 % for validation and 5 % for testing.

    Args:
        max_words (`int`): The corpus ends before the story that would exceed it.
        seed (`int`): Another seed gives other stories.

    Yields:
        `Passage`: `story-000000`, `story-000001`, ...

    Raises:
        `ValueError`: If `max_words` is too small for one story.
    """
    return tell_stories(lambda number: generate_story(seed, number), max_words, MAX_WORDS)


def generate_story(seed: int, number: int) -> Passage:
    """Generate story `number` of the corpus that belongs to a seed."""
    lexicon = load_lexicon()
    rng = Random(f"story-{seed}-{number}")
    topic = rng.choice(tuple(lexicon.topics))
    while True:
        sentences = _tell(lexicon, topic, rng)
        if not MIN_SENTENCES <= len(sentences) <= MAX_SENTENCES:
            continue
        if MIN_WORDS <= sum(len(sentence.split()) for sentence in sentences) <= MAX_WORDS:
            break
    name = f"story-{number:06d}"
    return Passage(name, name, topic, story_split(seed, number), tuple(sentences))


@cache
def vocabulary() -> frozenset[str]:
    """Every word, in lower case, that a story may contain."""
    lexicon = load_lexicon()
    lists = [
        item for owner in (lexicon.shared, *lexicon.topics.values()) for item in owner.items() if item[0] != "plots"
    ]
    nodes = [node for _, items in lists for item in items for node in walk(parse_template(item.lstrip("~")))]
    verb_lists = {node.list for node in nodes if isinstance(node, Agree) and node.list}
    noun_lists = {node.list for node in nodes if isinstance(node, Declare)} | PEOPLE_LISTS
    phrases = [node for node in nodes if isinstance(node, str)]
    verbs = {node.verb for node in nodes if isinstance(node, Agree) and node.verb}
    for name, items in lists:
        if name in noun_lists:
            phrases += [lexicon.plural(noun) for noun in items]
        elif name in verb_lists:
            verbs.update(item.split()[0] for item in items)
    for verb in verbs:
        phrases += [verb, lexicon.past(verb), lexicon.participle(verb)]
        phrases += [lexicon.verb(verb, tense, plural) for tense in ("present", "past") for plural in (False, True)]
    function_words = "a an the this that these those he him his himself she her herself it its itself they them their"
    phrases += [function_words, "themselves and called named two some three several four many a few five six"]
    return frozenset(word for phrase in phrases for word in _WORD.findall(phrase.lower()))


def _tell(lexicon: Lexicon, topic: str, rng: Random) -> list[str]:
    """One try at a story: the caller minds its length."""
    story = Story(lexicon, topic, "present" if rng.random() < PRESENT else "past", rng)
    story.roles["hero"] = _cast_hero(story)
    story.roles["friend"] = _cast_friend(story)
    beats = [
        beat.rstrip("?")
        for beat in rng.choice(lexicon.shared["plots"]).split()
        if not beat.endswith("?") or rng.random() < OPTIONAL_BEAT
    ]
    scenes = (rng.random() < SCENE) + (len(beats) <= SHORT_PLOT and rng.random() < SECOND_SCENE)
    sentences = [story.sentence(story.draw_rule(pattern)) for pattern in ["intro", *["scene"] * scenes]]
    for beat in beats:
        first, *rest = story.draw_rule(beat).split(" / ")
        sentences.append(story.sentence(f"<when> {first}" if beat == "episodes" else first))
        sentences.extend(story.sentence(template) for template in rest)
    return sentences


def _cast_hero(story: Story) -> Referent:
    rng = story.rng
    several = rng.random() < SEVERAL
    noun = story.draw("folk" if rng.random() < FOLK else "people")
    gender = story.lexicon.gender(noun) or rng.choice(("she", "he"))
    hero = Referent(noun, several, gender, _describe(story, noun), quantity="two")
    if several and rng.random() < THREE:
        hero.quantity = "three"
    elif rng.random() < NAMED:
        hero.names = _names(story, hero)
    return hero


def _cast_friend(story: Story) -> Referent:
    rng, hero = story.rng, story.roles["hero"]
    gender = _OTHER[hero.gender] if rng.random() < OTHER_GENDER else hero.gender
    if not hero.plural and rng.random() < RELATIVE:
        noun = _draw_of_gender(story, f"relations_of_{_age(story.lexicon, hero)}", gender)
        kind = "sibling" if noun in story.lexicon.shared["siblings"] else "relation"
        adjective = story.draw(f"{kind}_adjectives") if rng.random() < RELATIVE_ADJECTIVE else ""
        friend = Referent(noun, False, gender, adjective, owner="hero")
    else:
        noun = _draw_of_gender(story, "people", gender)
        friend = Referent(noun, rng.random() < SEVERAL_FRIENDS, gender, _describe(story, noun), quantity="two")
    if not friend.plural and rng.random() < NAMED_FRIEND:
        friend.names = _names(story, friend)
    return friend


def _age(lexicon: Lexicon, person: Referent) -> str:
    """`"young"`, `"old"` or `"adult"`: whose daughter, mother or neighbor may come."""
    shared = lexicon.shared
    if person.noun in shared["young"] or person.adjective in shared["age_adjectives_young"]:
        return "young"
    if person.noun in shared["old"] or person.adjective in shared["age_adjectives_old"]:
        return "old"
    return "adult"


def _draw_of_gender(story: Story, list_name: str, gender: str) -> str:
    while True:
        noun = story.draw(list_name)
        if story.lexicon.gender(noun) in ("", gender):
            return noun


def _describe(story: Story, noun: str) -> str:
    """An adjective for a person: no old boys, no young grandmothers."""
    shared = story.lexicon.shared
    if noun in shared["young"]:
        return shared["person_adjectives"].draw(story.rng, story.used | set(shared["adult_adjectives"]))
    return story.draw("person_adjectives_for_old" if noun in shared["old"] else "person_adjectives")


def _names(story: Story, person: Referent) -> tuple[str, ...]:
    """A name, or two for two; of both genders unless the noun says otherwise."""
    first = story.draw(_NAMES[person.gender])
    if not person.plural:
        return (first,)
    same = story.lexicon.gender(person.noun) == person.gender
    return first, story.draw(_NAMES[person.gender if same else _OTHER[person.gender]])
