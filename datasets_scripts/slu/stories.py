"""Tasks that need no data: sentiments and entities in sentences of the simple stories' language.

number of an example and seed -> a topic, two sentences of `stories.yaml` in the words of the language ->
[`tell_sentiments`], [`tell_entities`] -> examples, none of whose sentences stands twice.
"""

import re
from collections.abc import Callable, Collection, Iterator
from functools import cache
from itertools import count
from pathlib import Path
from random import Random

import yaml

from ..stories.simple.generation import PAST
from ..stories.simple.language import Language, load_language
from ..stories.simple.telling import Telling
from .examples import Entity, SourceExample

NUM_EXAMPLES = 4_000
SENTIMENTS = ("negative", "neutral", "positive")
ENTITY_LABELS = ("OBJECT", "PERSON", "PLACE", "QUANT", "TOOL")
_QUANTITIES = ("two", "some")

# How often the sentence of a sentiment is turned into its opposite, and how often it has another adverb.
_NEGATED, _AFFIRMED = 0.4, 0.3
_WITHOUT_ENTITIES = 1 / 6
_FRAMES = {"verbs": ("meeting", "handling"), "adjectives": ("adjectives", "people_adjectives")}
_MOST_TRIES = 200


def tell_sentiments(
    seed: int, number: int, lexicon: str | None = None, avoid: Collection[str] = ()
) -> Iterator[SourceExample]:
    """
    Tell examples of three sentiments, as many of each.

    One of two sentences says that somebody likes, helps, blames ... another, or what somebody or something is like; in
    four of ten "never" or "rarely" turns it round. The words of the other say nothing of the kind, but it may have the
    same adverbs: which words there are does not decide. In a neutral example no word of either sentence does.

    Args:
        seed (`int`): Another seed gives other examples.
        number (`int`): How many.
        lexicon (`str`, *optional*): A file of words and sentences of one's own for simple stories.
        avoid (`Collection[str]`, *optional*): Sentences that are not told, such as those of a training corpus.

    Raises:
        `FileNotFoundError`: If there is no such file.
        `ValueError`: If its words are too few.
    """
    language = load_language(lexicon)

    def tell(index: int, rng: Random) -> tuple[list[str], dict]:
        label = SENTIMENTS[index % len(SENTIMENTS)]
        telling = _telling(language, rng)
        # The others say nothing: they are used up before the first sentence.
        telling.used.update(_valued("positive") + _valued("negative"))
        sentences = [_sentence_of_sentiment(telling, label), telling.sentence(rng.choice(_templates("filler")))]
        rng.shuffle(sentences)
        return sentences, {"label": label}

    return _tell_all("stories_sa", seed, number, tell, avoid)


def tell_entities(
    seed: int, number: int, lexicon: str | None = None, avoid: Collection[str] = ()
) -> Iterator[SourceExample]:
    """
    Tell examples with entities: who acts or is met (PERSON), where (PLACE), what is handled (OBJECT), what somebody
    has with them (TOOL), and how many (QUANT).

    A phrase is a noun with its adjective. The same nouns are an OBJECT, a TOOL, or what is only spoken of and no
    entity: the sentence decides. One example in six has no entity.

    Args:
        seed (`int`): Another seed gives other examples.
        number (`int`): How many.
        lexicon (`str`, *optional*): A file of words and sentences of one's own for simple stories.
        avoid (`Collection[str]`, *optional*): Sentences that are not told.

    Raises:
        `FileNotFoundError`: If there is no such file.
        `ValueError`: If its words are too few.
    """
    language = load_language(lexicon)

    def tell(index: int, rng: Random) -> tuple[list[str], dict]:
        telling = _telling(language, rng, _EntityTelling)
        sentences, entities, start = [], [], 0
        kind = "no_entities" if rng.random() < _WITHOUT_ENTITIES else "entities"
        for template in rng.sample(_templates(kind), 2):
            sentence = telling.sentence(template)
            place = 0
            for label, phrase in telling.found:
                place = sentence.lower().index(phrase, place)
                if label:
                    entities.append(Entity(label, phrase, start + place))
                place += len(phrase)
            sentences.append(sentence)
            start += len(sentence) + 1
        return sentences, {"entities": entities}

    return _tell_all("stories_ner", seed, number, tell, avoid)


class _EntityTelling(Telling):
    """A telling that keeps the phrases of its last sentence with their labels, in their order."""

    found: list[tuple[str, str]]

    def _render(self, template: str) -> str:
        self.found = []
        return super()._render(template)

    def declare(self, role: str, list_name: str, number: str, determiner: str, adjective: str) -> str:
        """As every telling."""
        spoken = super().declare(role, list_name, number, determiner, adjective)
        first, *rest = spoken.split()
        if first in _QUANTITIES:
            self.found.append(("QUANT", first))
        label = role.rstrip("0123456789").upper()
        self.found.append((label if label in ENTITY_LABELS else "", " ".join(rest)))
        return spoken


def _tell_all(
    task: str,
    seed: int,
    number: int,
    tell: Callable[[int, Random], tuple[list[str], dict]],
    avoid: Collection[str],
) -> Iterator[SourceExample]:
    """Examples without a sentence that another one has, or that is to be avoided."""
    told = {sentence.casefold() for sentence in avoid}
    for index in range(number):
        for attempt in count():
            if attempt == _MOST_TRIES:
                raise ValueError(
                    f"{task} has {index} examples, fewer than the {number} asked for: the language has no further "
                    "sentences; ask for fewer."
                )
            try:
                sentences, answer = tell(index, Random(f"{task}-{seed}-{index}-{attempt}"))
            except LookupError:  # a class has no further word
                continue
            if not told.intersection(sentence.casefold() for sentence in sentences):
                break
        told.update(sentence.casefold() for sentence in sentences)
        yield SourceExample(f"{task}-{index:06d}", " ".join(sentences), **answer)


def _telling(language: Language, rng: Random, kind: type[Telling] = Telling) -> Telling:
    tense = "past" if rng.random() < PAST else "present"
    return kind(language, rng.choice(tuple(language.topics)), tense, rng)


def _sentence_of_sentiment(telling: Telling, label: str) -> str:
    """A sentence of a sentiment: with a word of the same valence, or with one of the other and a negation."""
    rng, language = telling.rng, telling.language
    chance = rng.random()
    is_negated = chance < _NEGATED
    valence = label
    if is_negated and label != "neutral":
        valence = "positive" if label == "negative" else "negative"
    kind = rng.choice(tuple(_FRAMES))
    choices = [
        (frame, word)
        for frame in _FRAMES[kind]
        for word in _words_of_frame(telling, frame)
        if _valence(word) == valence
    ]
    if not choices:
        raise LookupError(f"The topic {telling.topic} has no {valence} word.")
    frame, word = rng.choice(choices)
    adverb = ""
    if chance < _NEGATED + _AFFIRMED:
        negations = _content()["negations"].split()
        adverbs = [word for word in language.common("frequency") if (word in negations) == is_negated]
        if not adverbs:
            raise ValueError("The lexicon's frequency has no 'never' or 'rarely' beside other adverbs, as negations.")
        adverb = rng.choice(adverbs)
    elif kind == "adjectives":
        adverb = rng.choice(language.common("degree"))
    telling.used.update((word, adverb))
    template = rng.choice(_templates("sentiment", frame))
    for name, value in (("{F}", adverb), ("{V}", f"{{x:{word}}}"), ("{A}", word)):
        template = template.replace(name, value)
    return telling.sentence(re.sub(r"\s+", " ", template))


def _words_of_frame(telling: Telling, frame: str) -> tuple[str, ...]:
    """Words that suit a frame and the topic."""
    language = telling.language
    if frame == "meeting":  # those that people do to themselves they do to others, too
        return language.common("meeting") + language.common("reflexive")
    return language.common(frame) + language.own(telling.topic, frame)


def _valence(word: str) -> str:
    return next((valence for valence in ("positive", "negative") if word in _valued(valence)), "neutral")


@cache
def _valued(valence: str) -> tuple[str, ...]:
    return tuple(word for words in _content()["valence"][valence].values() for word in words.split())


@cache
def _content() -> dict:
    return yaml.safe_load(Path(__file__).with_name("stories.yaml").read_text(encoding="utf-8"))


def _templates(name: str, frame: str | None = None) -> list[str]:
    content = _content()[name]
    return [line.strip() for line in (content[frame] if frame else content).strip().splitlines()]
