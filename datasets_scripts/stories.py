"""Short English stories, generated: the corpus that needs no data.

(seed, number of the story) -> cast and plot -> `Story` renders one template a sentence -> `Passage`.
"""

import hashlib
from collections.abc import Iterator
from itertools import count
from random import Random

from .passages import Passage
from .stories_grammar import Referent, Story
from .stories_lexicon import Lexicon, load_lexicon

MIN_WORDS, MAX_WORDS = 36, 65
"""Words of a story: at most 30 s of speech, pauses included."""

PRESENT, SCENE, OPTIONAL_BEAT = 0.9, 0.95, 0.45
FOLK, SEVERAL, NAMED = 0.5, 0.42, 0.4
RELATIVE, OTHER_GENDER, SEVERAL_FRIENDS, NAMED_FRIEND = 0.55, 0.85, 0.12, 0.22
_OTHER = {"she": "he", "he": "she"}


def generate_stories(max_words: int, seed: int) -> Iterator[Passage]:
    """
    Generate stories of four to six sentences, each one passage.

    Story number i depends on the seed and i alone: a longer corpus begins with the shorter one, and a story stays in
    its split. About 90 % of the stories are for training, 5 % for validation and 5 % for testing.

    Args:
        max_words (`int`): The corpus ends before the story that would exceed it.
        seed (`int`): Another seed gives other stories.

    Returns:
        `Iterator[Passage]`: Passages `story-000000`, `story-000001`, ...
    """
    if max_words < MAX_WORDS:
        raise ValueError(f"max_words={max_words} is less than one story; ask for at least {MAX_WORDS}")
    total = 0
    for number in count():
        passage = generate_story(seed, number)
        total += len(passage.text.split())
        if total > max_words:
            return
        yield passage


def generate_story(seed: int, number: int) -> Passage:
    """Generate story `number` of the corpus of a seed."""
    lexicon = load_lexicon()
    rng = Random(f"story-{seed}-{number}")
    topic = rng.choice(tuple(lexicon.topics))
    while True:
        sentences = _tell(lexicon, topic, rng)
        if MIN_WORDS <= sum(len(sentence.split()) for sentence in sentences) <= MAX_WORDS:
            break
    name = f"story-{number:06d}"
    return Passage(name, name, topic, story_split(seed, number), tuple(sentences))


def story_split(seed: int, number: int) -> str:
    """The split of a story, by a hash of the seed and its number."""
    share = int.from_bytes(hashlib.sha256(f"split-{seed}-{number}".encode()).digest()[:4], "big") % 100
    return "train" if share < 90 else "validation" if share < 95 else "test"


def _tell(lexicon: Lexicon, topic: str, rng: Random) -> list[str]:
    story = Story(lexicon, topic, "present" if rng.random() < PRESENT else "past", rng)
    story.roles["hero"] = _cast_hero(story)
    story.roles["friend"] = _cast_friend(story)
    sentences = [story.sentence(story.rule("intro"))]
    if rng.random() < SCENE:
        sentences.append(story.sentence(story.rule("scene")))
    for beat in rng.choice(lexicon.shared["plots"]).split():
        if beat.endswith("?") and rng.random() > OPTIONAL_BEAT:
            continue
        first, *rest = story.rule(beat.rstrip("?")).split(" / ")
        sentences.append(story.sentence(f"<when> {first}" if beat == "episodes" else first))
        sentences.extend(story.sentence(template) for template in rest)
    return sentences


def _cast_hero(story: Story) -> Referent:
    several = story.rng.random() < SEVERAL
    noun = story.draw("folk" if story.rng.random() < FOLK else "people")
    gender = _gender(story, noun) or story.rng.choice(("she", "he"))
    hero = Referent(noun, several, gender, _describe(story, noun), quantity="two")
    if several and story.rng.random() < 0.3:
        hero.quantity = "three"
    elif story.rng.random() < NAMED:
        hero.names = _names(story, noun, gender, several)
    return hero


def _cast_friend(story: Story) -> Referent:
    rng, hero = story.rng, story.roles["hero"]
    gender = _OTHER[hero.gender] if rng.random() < OTHER_GENDER else hero.gender
    if not hero.plural and rng.random() < RELATIVE:
        age = "young" if hero.noun in story.lexicon.shared["young"] or hero.adjective in ("young", "little") else "adult"
        if hero.noun in story.lexicon.shared["old"] or hero.adjective in story.lexicon.shared["age_adjectives_old"]:
            age = "old"
        noun = _draw_of_gender(story, f"relations_of_{age}", gender)
        kind = "sibling" if noun in story.lexicon.shared["siblings"] else "relation"
        adjective = story.draw(f"{kind}_adjectives") if rng.random() < 0.5 else ""
        friend = Referent(noun, False, gender, adjective, owner="hero")
    else:
        noun = _draw_of_gender(story, "people", gender)
        friend = Referent(noun, rng.random() < SEVERAL_FRIENDS, gender, _describe(story, noun), quantity="two")
    if not friend.plural and rng.random() < NAMED_FRIEND:
        friend.names = _names(story, noun, gender, False)
    return friend


def _gender(story: Story, noun: str) -> str:
    shared = story.lexicon.shared
    return "she" if noun in shared["female"] else "he" if noun in shared["male"] else ""


def _draw_of_gender(story: Story, list_name: str, gender: str) -> str:
    while True:
        noun = story.draw(list_name)
        if _gender(story, noun) in ("", gender):
            return noun


def _describe(story: Story, noun: str) -> str:
    shared = story.lexicon.shared
    if noun in shared["young"]:
        avoid = {*story.used, *shared["age_adjectives_old"], "bearded", "retired"}
        return shared["person_adjectives"].draw(story.rng, avoid)
    if noun in shared["old"]:
        return shared["person_adjectives_for_old"].draw(story.rng, story.used)
    return story.draw("person_adjectives")


def _names(story: Story, noun: str, gender: str, two: bool) -> tuple[str, ...]:
    lists = {"she": "female_names", "he": "male_names"}
    first = story.draw(lists[gender])
    if not two:
        return (first,)
    return first, story.draw(lists[gender if _gender(story, noun) else _OTHER[gender]])
