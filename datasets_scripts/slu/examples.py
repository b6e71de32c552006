"""Examples of a task, whatever they come from: texts as they are spoken, in splits that share no text.

[`SourceExample`]s of a reader -> [`make_task`] -> texts in the form of the corpus, long ones left out, splits drawn
where there are none -> [`SluTask`].
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ...metrics.entity_f1.entity_text import canonical_label, canonical_phrase
from ..text.normalization import normalize_text
from ..text.passages import SPLITS
from ..text.sentences import split_paragraph
from ..text.splits import draw_splits, seeded_rank

CLASSIFICATION, ENTITIES = "classification", "entities"
KINDS = (CLASSIFICATION, ENTITIES)
MAX_WORDS = 80
"""Words of the longest text: those of SLUE are then spoken in 30 s at the fixed rate."""

_SENTENCE_START = re.compile(r"(?:^|[.!?]\s+)[^\w.!?]*\w")
_FEWEST_TO_STRATIFY = 3


class Entity(NamedTuple):
    """A named entity: its label, its phrase, and where that begins in the text if somebody says so."""

    label: str
    phrase: str
    start: int | None = None


class SourceExample(NamedTuple):
    """An example as its source has it; `split` is `None` where the source has no splits."""

    id: str
    text: str
    label: str | None = None
    entities: Sequence[Entity] | None = None
    split: str | None = None


@dataclass(frozen=True)
class SluExample:
    """
    An example of a task.

    Args:
        id (`str`): Unique within its task.
        text (`str`): What is said, in the form of the corpus's utterances.
        label (`str`, *optional*): Its class, in a task of classification.
        entities (`tuple[tuple[str, str], ...]`, *optional*): Label and phrase of each entity in the order of the text,
            in a task of entities. A phrase is in small letters, without punctuation around it.
    """

    id: str
    text: str
    label: str | None = None
    entities: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True)
class SluTask:
    """
    A task of spoken language understanding.

    Args:
        name (`str`): Its name.
        kind (`str`): `"classification"` or `"entities"`.
        labels (`tuple[str, ...]`): The labels of its training split, sorted.
        splits (`dict[str, list[SluExample]]`): Examples of `"train"`, `"validation"` and `"test"`. No text is in two.
        dropped (`dict[str, int]`): How many examples of the source were left out, by reason.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    splits: dict[str, list[SluExample]]
    dropped: dict[str, int] = field(default_factory=dict)


def make_task(
    name: str,
    kind: str,
    examples: Iterable[SourceExample],
    seed: int = 0,
    limit: int | None = None,
    max_words: int = MAX_WORDS,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    dropped: Counter | None = None,
) -> SluTask:
    """
    Make a task of the examples of a source.

    Splits that the source lacks are drawn by the seed: test is half of validation where only that is given, else both
    are shares of train, of every class alike. Where splits are drawn a text comes once; where they are given a text of
    test is taken out of the others, and one of validation out of train.

    Args:
        name (`str`): Name of the task, for its messages too.
        kind (`str`): `"classification"` or `"entities"`.
        examples (`Iterable[SourceExample]`): The examples.
        seed (`int`, *optional*, defaults to 0): Of the splits and of what `limit` leaves.
        limit (`int`, *optional*): Examples that are kept, of each split in proportion.
        max_words (`int`, *optional*, defaults to 80): Longer texts are left out, and counted.
        validation_fraction (`float`, *optional*, defaults to 0.1): Share of validation, where it is drawn.
        test_fraction (`float`, *optional*, defaults to 0.1): Share of test, where it is drawn.
        dropped (`Counter`, *optional*): What the reader has left out already, by reason.

    Raises:
        `ValueError`: If a text is empty, an entity is not in its text or its label has no letter or digit, there are
            fewer examples than `limit` or than splits, or the training split has one class only, or no entity.
    """
    dropped = Counter(dropped or ())
    splits: dict[str | None, list[SluExample]] = defaultdict(list)
    for split, example in _spoken(name, kind, examples, max_words, dropped):
        splits[split].append(example)
    drawn = _complete_splits(name, splits, seed, validation_fraction, test_fraction, dropped)
    drawn = _limited(name, drawn, seed, limit)
    labels = _labels(name, kind, drawn["train"])
    return SluTask(name, kind, labels, drawn, dict(sorted(dropped.items())))


def spoken_text(text: str) -> str:
    """
    A text as the corpus writes its utterances: numbers and abbreviations in words, sentences that begin with a capital
    and end in `.`, `!` or `?`. A text without capitals is taken to have lost them, at the beginning of sentences too.

    Returns:
        `str`: Sentences with single spaces between them; empty if there is nothing to speak.
    """
    if text == text.lower():
        text = _SENTENCE_START.sub(lambda match: match[0][:-1] + match[0][-1].upper(), text)
        text = re.sub(r"\bi\b", "I", text)
    sentences, rest = split_paragraph(normalize_text(text))
    if rest:
        sentences.append(f"{rest[0].upper()}{rest[1:]}.")
    return " ".join(sentences)


def _spoken(
    name: str, kind: str, examples: Iterable[SourceExample], max_words: int, dropped: Counter
) -> Iterator[tuple[str | None, SluExample]]:
    seen: Counter = Counter()
    for source in examples:
        if not source.text.strip():
            raise ValueError(f"{name}: the example {source.id} has an empty text; fill it in or leave the row out.")
        text = spoken_text(source.text)
        if not any(character.isalpha() for character in text):
            dropped["nothing to speak"] += 1
            continue
        if len(text.split()) > max_words:
            dropped[f"more than {max_words} words"] += 1
            continue
        entities = None
        if kind == ENTITIES:
            entities = _spoken_entities(name, source, text)
            if entities is None:
                dropped["an entity is not spoken as it stands by itself"] += 1
                continue
        seen[source.id] += 1
        unique = source.id if seen[source.id] == 1 else f"{source.id}-{seen[source.id]}"
        label = None if source.label is None or kind == ENTITIES else str(source.label)
        yield source.split, SluExample(unique, text, label, entities)


def _spoken_entities(name: str, source: SourceExample, text: str) -> tuple[tuple[str, str], ...] | None:
    """The entities in the order of the text; `None` if the spoken form of a phrase is not in that of the text."""
    written, spoken = source.text.casefold(), _words(text)
    placed = []
    for entity in source.entities or ():
        phrase = entity.phrase.casefold().strip()
        start = written.find(phrase) if entity.start is None else entity.start
        if not phrase or start < 0:
            raise ValueError(f"{name}: the entity {entity.label} {entity.phrase!r} of {source.id} is not in its text.")
        label = canonical_label(entity.label)
        if not label:
            raise ValueError(f"{name}: the label {entity.label!r} of {source.id} has no letter or digit; give it one.")
        said = _words(spoken_text(entity.phrase))
        if not said or not re.search(rf"(?<!\w){re.escape(said)}(?!\w)", spoken):
            return None
        placed.append((start, label, said))
    return tuple((label, phrase) for _, label, phrase in sorted(placed, key=lambda entity: entity[0]))


def _words(text: str) -> str:
    """The words of a text as phrases are compared: in small letters, without punctuation around each."""
    return " ".join(filter(None, map(canonical_phrase, text.split())))


def _complete_splits(
    name: str,
    splits: dict[str | None, list[SluExample]],
    seed: int,
    validation_fraction: float,
    test_fraction: float,
    dropped: Counter,
) -> dict[str, list[SluExample]]:
    train = splits.get("train", []) + splits.get(None, [])
    given = {"train": train} | {split: splits[split] for split in SPLITS[1:] if splits.get(split)}
    total = sum(map(len, given.values()))
    if total < len(SPLITS) or not train:
        raise ValueError(
            f"{name} has {total} examples that can be spoken, {len(train)} of them for training; train, validation "
            "and test need one each."
        )
    if "test" not in given and "validation" in given:
        held = _once(given["validation"], dropped)
        halves = _draw(held, seed, 0.0, 0.5, ("test",))
        # `draw_splits` calls what is not held out `train`.
        given |= {"validation": halves["train"], "test": halves["test"]}
    elif len(given) < len(SPLITS):
        missing = tuple(split for split in SPLITS[1:] if split not in given)
        given |= _draw(_once(train, dropped), seed, validation_fraction, test_fraction, missing)
    seen: set[str] = set()
    for split in reversed(SPLITS):
        others = [example for example in given[split] if example.text.casefold() not in seen]
        dropped["in another split, too"] += len(given[split]) - len(others)
        given[split] = others
        seen.update(example.text.casefold() for example in others)
        if not others:
            raise ValueError(f"{name} has no example of its own for {split}; give more, or another share.")
    if not dropped["in another split, too"]:
        del dropped["in another split, too"]
    return {split: given[split] for split in SPLITS}


def _once(examples: list[SluExample], dropped: Counter) -> list[SluExample]:
    """The first example of each text."""
    first: dict[str, SluExample] = {}
    for example in examples:
        first.setdefault(example.text.casefold(), example)
    if len(first) < len(examples):
        dropped["a text that was there before"] += len(examples) - len(first)
    return list(first.values())


def _draw(
    examples: list[SluExample], seed: int, validation_fraction: float, test_fraction: float, held_out: Sequence[str]
) -> dict[str, list[SluExample]]:
    """Splits of all examples, of each class by itself where it has enough of them."""
    classes: dict[str | None, list[str]] = defaultdict(list)
    for example in examples:
        classes[example.label].append(example.id)
    if min(map(len, classes.values())) < _FEWEST_TO_STRATIFY:
        classes = {None: [example.id for example in examples]}
    split_of: dict[str, str] = {}
    for ids in classes.values():
        split_of |= draw_splits(ids, seed, validation_fraction, test_fraction, held_out)
    drawn: dict[str, list[SluExample]] = {split: [] for split in ("train", *held_out)}
    # In an order of the seed: a source may have one class after the other.
    for example in sorted(examples, key=lambda example: seeded_rank(seed, "order", example.id)):
        drawn[split_of[example.id]].append(example)
    return drawn


def _limited(
    name: str, splits: dict[str, list[SluExample]], seed: int, limit: int | None
) -> dict[str, list[SluExample]]:
    """`limit` examples, drawn from every split in proportion to its size, at least one."""
    total = sum(map(len, splits.values()))
    if limit is None or limit == total:
        return splits
    if limit < len(splits):
        raise ValueError(f"limit is {limit}; train, validation and test need one example each.")
    if limit > total:
        raise ValueError(f"{name} has {total} examples, fewer than the {limit} that limit asks for; ask for fewer.")
    kept = {split: max(1, limit * len(examples) // total) for split, examples in splits.items()}
    kept["train"] += limit - sum(kept.values())
    limited = {}
    for split, examples in splits.items():
        ranked = sorted(examples, key=lambda example: seeded_rank(seed, "limit", example.id))
        chosen = {example.id for example in ranked[: kept[split]]}
        limited[split] = [example for example in examples if example.id in chosen]
    return limited


def _labels(name: str, kind: str, train: list[SluExample]) -> tuple[str, ...]:
    if kind == ENTITIES:
        found = {label for example in train for label, _ in example.entities or ()}
        if not found:
            raise ValueError(f"{name} has no entity in its {len(train)} training examples; there is nothing to learn.")
    else:
        found = {example.label for example in train}
        if len(found) < 2:
            raise ValueError(
                f"{name} has one class only in its training examples ({found.pop()!r}); a classification needs two."
            )
    return tuple(sorted(found))
