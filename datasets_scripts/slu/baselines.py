"""What a model of a task must beat: answers from words alone, without their order.

[`SluTask`] -> [`bag_of_words`], [`gazetteer`], [`majority`] -> an answer for each example of the test.
"""

import re
from collections import Counter, defaultdict

from ...metrics.entity_f1.entity_text import canonical_phrase
from .examples import CLASSIFICATION, ENTITIES, SluTask

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
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    _check_kind(task, CLASSIFICATION)
    words = CountVectorizer(binary=True, ngram_range=(1, ngrams), token_pattern=r"[\w']+")
    model = make_pipeline(words, LogisticRegression(max_iter=1_000))
    train = task.splits["train"]
    model.fit([example.text for example in train], [example.label for example in train])
    return model.predict([example.text for example in task.splits[split]]).tolist()


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
    longest = max(map(len, entities))
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
