"""What a model of a task must beat: answers from words, or units of speech, alone, without their order.

[`SluTask`] -> [`bag_of_words`], [`bag_of_units`], [`gazetteer`], [`majority`], [`commonest_entities`] -> an answer for
each example.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from ...metrics.entity_f1.entity_text import canonical_phrase
from .examples import CLASSIFICATION, ENTITIES, SluExample, SluTask

Words = tuple[str, ...]


def majority(task: SluTask, split: str = "test") -> list[str]:
    """
    The most frequent class of training, for every example.

    Args:
        task ([`SluTask`]): A task of classification.
        split (`str`, *optional*, defaults to `"test"`): Which examples.

    Raises:
        `ValueError`: If the task is of another kind.
    """
    _check_kind(task, CLASSIFICATION)
    counts = Counter(example.label for example in task.splits["train"])
    label = max(sorted(counts), key=counts.__getitem__)
    return [label] * len(task.splits[split])


def bag_of_words(task: SluTask, split: str = "test", ngrams: int = 1) -> list[str]:
    """
    Classes by a logistic regression over the words that an example has.

    Args:
        task ([`SluTask`]): A task of classification.
        split (`str`, *optional*, defaults to `"test"`): Which examples.
        ngrams (`int`, *optional*, defaults to 1): Up to how many words together count as one.

    Returns:
        `list[str]`: A class an example.

    Raises:
        `ValueError`: If the task is of another kind.
    """
    return _classify_bags(task, split, ngrams, r"[\w']+", lambda example: example.text)


def bag_of_units(task: SluTask, units: Mapping[str, Sequence[int]], split: str = "test", ngrams: int = 1) -> list[str]:
    """
    Classes by a logistic regression over the units of speech that an example has, each run of equal ones once.

    Args:
        task ([`SluTask`]): A task of classification.
        units (`Mapping[str, Sequence[int]]`): Units of every example of the training split and of `split`, by id.
        split (`str`, *optional*, defaults to `"test"`): Which examples.
        ngrams (`int`, *optional*, defaults to 1): Up to how many units in a row count as one.

    Returns:
        `list[str]`: A class an example.

    Raises:
        `ValueError`: If the task is of another kind.
    """

    def write(example: SluExample) -> str:
        return " ".join(str(unit) for unit, _ in groupby(units[example.id]))

    return _classify_bags(task, split, ngrams, r"\S+", write)


def _classify_bags(
    task: SluTask, split: str, ngrams: int, token_pattern: str, write: Callable[[SluExample], str]
) -> list[str]:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    _check_kind(task, CLASSIFICATION)
    tokens = CountVectorizer(binary=True, ngram_range=(1, ngrams), token_pattern=token_pattern)
    model = make_pipeline(tokens, LogisticRegression(max_iter=1_000))
    train = task.splits["train"]
    model.fit(list(map(write, train)), [example.label for example in train])
    return model.predict(list(map(write, task.splits[split]))).tolist()


def commonest_entities(task: SluTask, split: str = "test") -> list[list[tuple[str, str]]]:
    """
    The same entities for every example, whatever it says: as many of the commonest as have the highest F1 in training.

    Args:
        task ([`SluTask`]): A task of entities.
        split (`str`, *optional*, defaults to `"test"`): Which examples.

    Returns:
        `list[list[tuple[str, str]]]`: (label, phrase) of each example.

    Raises:
        `ValueError`: If the task is of another kind.
    """
    _check_kind(task, ENTITIES)
    train = task.splits["train"]
    counts = Counter(entity for example in train for entity in set(example.entities))
    ranked = sorted(counts, key=lambda entity: (-counts[entity], entity))
    there = sum(len(example.entities) for example in train)
    best, right, chosen = 0.0, 0, 0
    for number, entity in enumerate(ranked, start=1):
        right += counts[entity]
        f1 = 2 * right / (there + number * len(train))
        if f1 > best:
            best, chosen = f1, number
    return [ranked[:chosen]] * len(task.splits[split])


def gazetteer(task: SluTask, split: str = "test") -> list[list[tuple[str, str]]]:
    """
    Entities by a list of the phrases of training: a phrase that is an entity in more than half of the training texts'
    mentions of it gets its most frequent label wherever it stands, the longest phrase first.

    Args:
        task ([`SluTask`]): A task of entities.
        split (`str`, *optional*, defaults to `"test"`): Which examples.

    Returns:
        `list[list[tuple[str, str]]]`: (label, phrase) of each example, in the order of its text.

    Raises:
        `ValueError`: If the task is of another kind.
    """
    _check_kind(task, ENTITIES)
    entities: dict[Words, Counter] = defaultdict(Counter)
    for example in task.splits["train"]:
        for label, phrase in example.entities:
            entities[_words(phrase)][label, phrase] += 1
    longest = max(map(len, entities), default=0)
    mentions: Counter = Counter()
    for example in task.splits["train"]:
        words = _words(example.text)
        for length in range(1, longest + 1):
            for start in range(len(words) - length + 1):
                if words[start : start + length] in entities:
                    mentions[words[start : start + length]] += 1
    known = {
        words: max(sorted(counts), key=counts.__getitem__)
        for words, counts in entities.items()
        if 2 * counts.total() > mentions[words]
    }
    return [_look_up(_words(example.text), known, longest) for example in task.splits[split]]


def _look_up(words: Words, known: dict[Words, tuple[str, str]], longest: int) -> list[tuple[str, str]]:
    found, start = [], 0
    while start < len(words):
        for length in range(min(longest, len(words) - start), 0, -1):
            if (entity := known.get(words[start : start + length])) is not None:
                found.append(entity)
                start += length
                break
        else:
            start += 1
    return found


def _words(text: str) -> Words:
    """Words without punctuation around them; a possessive's `'s` is a word by itself, as entities end before it."""
    words = (re.sub(r"'s$", " 's", canonical_phrase(word)) for word in text.split())
    return tuple(part for word in words for part in word.split())


def _check_kind(task: SluTask, kind: str) -> None:
    if task.kind != kind:
        raise ValueError(f"The task {task.name} is one of {task.kind}; this baseline is for {kind}.")
