"""Short stories in a simple language: the default corpus, small enough to be learned almost whole.

seed and number of the story -> topic, tense, an opening and two or three further sentences -> `Passage`.
"""

import re
from collections.abc import Iterator
from random import Random

from ...text.passages import Passage
from ..corpus import story_split, tell_stories
from .language import Language, load_language
from .telling import Telling

MIN_WORDS, MAX_WORDS = 20, 34
"""Words of a story: 8 to 12 s of speech at 175 words a minute, with its pauses."""

# How often: the past tense; four sentences and not three; a pronoun where it is clear whom it stands for; a headword.
_TRIES = 1000
PAST, FOUR_SENTENCES, PRONOUN, HEADWORD = 0.12, 0.5, 0.8, 0.5


def generate_stories(max_words: int, seed: int, lexicon: str | None = None) -> Iterator[Passage]:
    """
    Generate stories of three or four sentences, each of them one document of one passage.

    One story in two begins with a headword: a word of its topic, alone, as pairs of words ask for one ("kettles: The
    baker ..."). Else no word would ever stand at the beginning of an utterance, nor a pause on both of its sides.

    No noun, verb or adjective comes twice in a story, so that an ending has no content word of its context: which of
    two endings belongs to it shows in what occurs together elsewhere, and in nothing else.

    Story number i depends on the seed and i alone: a longer corpus begins with the shorter one, and a story stays in
    its split.

    Args:
        max_words (`int`): The corpus ends before the story that would exceed it.
        seed (`int`): Another seed gives other stories.
        lexicon (`str`, *optional*): A file of words and sentences of one's own; see [`load_language`].

    Yields:
        `Passage`: `story-000000`, `story-000001`, ...

    Raises:
        `ValueError`: If `max_words` is too small for one story.
    """
    language = load_language(lexicon)
    return tell_stories(lambda number: generate_story(seed, number, language), max_words, MAX_WORDS)


def generate_story(seed: int, number: int, language: Language) -> Passage:
    """Generate story `number` of the corpus that belongs to a seed."""
    rng = Random(f"simple-story-{seed}-{number}")
    topic = rng.choice(tuple(language.topics))
    for _ in range(_TRIES):
        try:
            sentences = _tell(Telling(language, topic, "past" if rng.random() < PAST else "present", rng))
        except LookupError:  # a class has no further word
            continue
        if MIN_WORDS <= sum(len(sentence.split()) for sentence in sentences) <= MAX_WORDS:
            break
    else:
        raise ValueError(
            f"In {_TRIES} tries no story of {MIN_WORDS} to {MAX_WORDS} words could be told with the lexicon's "
            f"sentences and its words for the topic {topic}; give it more words a class, or other sentences."
        )
    name = f"story-{number:06d}"
    return Passage(name, name, topic, story_split(seed, number), tuple(sentences))


def without_headword(sentence: str) -> str:
    """A sentence as it is without the headword that a story may begin with."""
    return re.sub(r"^[a-z]+: ", "", sentence)


def _tell(telling: Telling) -> list[str]:
    """One try at a story: the caller minds its length."""
    rng, templates = telling.rng, telling.language.sentences
    headword = f"{telling.headword()}: " if rng.random() < HEADWORD else ""
    opening = telling.sentence(rng.choice(templates["opening"]))
    if telling.tense == "past":
        opening = f"Yesterday {opening[0].lower()}{opening[1:]}"
    following = rng.sample(templates["middle"], 3 if rng.random() < FOUR_SENTENCES else 2)
    # The last sentence has a subject of its own: a pronoun would give its context away.
    if telling.roles["hero"].pronoun and rng.random() < PRONOUN:
        following[0] = rng.choice(templates["pronoun"])
    return [headword + opening, *(telling.sentence(template) for template in following)]
