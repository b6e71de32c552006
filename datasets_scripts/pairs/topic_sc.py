"""Topic-SC: the true ending of a passage against the ending of another topic or book.

held-out passages -> context and ending -> endings of two topics and of like form, two by two -> two pairs a couple, in
which each ending is once the true one and once the wrong one -> `PairText`.
"""

import random
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..shards.utterance_rows import MAX_SECONDS
from ..text.cutting import estimate_seconds
from ..text.passages import Passage
from ..text.words import words_of
from .texts import PairText

MIN_CONTEXT, MAX_CONTEXT = 3, 5
MIN_ENDING_WORDS = 4
LENGTH_TOLERANCE = 0.15
HELD_OUT = ("test", "validation")
# Words that tell person, number and tense: what an ending can be told by that has nothing to do with its topic.
_FORM_WORDS = frozenset(
    (
        *("i", "me", "my", "you", "your", "he", "him", "his", "himself"),
        *("she", "her", "herself", "it", "its", "itself", "we"),
        *("us", "our", "they", "them", "their", "themselves"),
        *("is", "are", "was", "were", "am", "has", "have", "had", "do", "does"),
        *("did", "will", "would", "can", "could", "shall", "should", "may", "might", "must"),
    )
)


@dataclass(frozen=True)
class Ending:
    """
    The last sentence of a passage.

    Args:
        passage (`str`): Id of the passage.
        topic (`str`): Its topic or book.
        context (`str`): The sentences before it.
        text (`str`): The sentence.
        num_words (`int`): Its number of words.
        form (`frozenset[str]`): Its pronouns and auxiliaries, and `"-ed"` if a word ends so.
        seconds (`float`): Its estimated duration.
        context_seconds (`float`): That of its context.
    """

    passage: str
    topic: str
    context: str
    text: str
    num_words: int
    form: frozenset[str]
    seconds: float
    context_seconds: float

    def matches(self, other: "Ending") -> bool:
        """
        Whether either can be the other's wrong ending: they are of two topics, alike in the final mark and, to within
        15 %, in words and characters, and neither makes an utterance too long.
        """
        return (
            self.topic != other.topic
            and self.text[-1] == other.text[-1]
            and _close(self.num_words, other.num_words)
            and _close(len(self.text), len(other.text))
            and self.context_seconds + other.seconds <= MAX_SECONDS
            and other.context_seconds + self.seconds <= MAX_SECONDS
        )


def make_topic_sc_pairs(
    passages: Iterable[Passage], num_pairs: int, seed: int, splits: Sequence[str] = HELD_OUT
) -> tuple[list[PairText], dict]:
    """
    Make pairs of a true and a wrong ending after the same context.

    The ending is a passage's last sentence, of at least four words; the context are the three to five sentences before
    it. Two endings of two topics that have the same final mark and differ by at most 15 % in words and in characters
    make a couple, and two pairs: either is the wrong ending of the other's context. A model that does not look at the
    context therefore prefers the true ending in exactly half of the pairs, however it scores. An ending stands in one
    couple only, and no context with either ending takes more than 30 s to speak.

    Args:
        passages (`Iterable[Passage]`): The corpus, or other passages that no model was trained on.
        num_pairs (`int`): How many pairs to make; an odd number gets one couple's second pair less.
        seed (`int`): Which couples are made and chosen.
        splits (`Sequence[str]`, *optional*, defaults to `("test", "validation")`): Where passages may come from. The
            first split alone is used if it makes enough pairs, else the next one joins it, and so on.

    Returns:
        `tuple[list[PairText], dict]`: The pairs, and a report: the `splits` used, the number of `passages` in them, of
        `endings` that qualify and of possible `pairs_available`, how many passages were `dropped` by reason, and the
        number of pairs of each of the `topics`.

    Raises:
        `ValueError`: If fewer than `num_pairs` can be made.
    """
    by_split = defaultdict(list)
    for passage in passages:
        by_split[passage.split].append(passage)
    for used in range(1, len(splits) + 1):
        held_out = [passage for split in splits[:used] for passage in by_split[split]]
        endings, dropped = find_endings(held_out)
        couples = couple_endings(endings, seed)
        if 2 * len(couples) >= num_pairs:
            break
    else:
        topics = len({ending.topic for ending in endings})
        raise ValueError(
            f"Only {2 * len(couples)} of {num_pairs} Topic-SC pairs can be made from the {len(held_out)} passages of "
            f"{topics} topics or books in the splits {', '.join(splits)}; ask for fewer pairs or hold out more text."
        )
    random.Random(f"topic-sc-{seed}").shuffle(couples)
    pairs = [
        PairText(
            f"topic_sc-{first.passage}",
            "topic_sc",
            first.topic,
            "",
            first.context,
            first.text,
            second.text,
            cluster=f"topic_sc-{couple[0].passage}",
        )
        for couple in couples
        for first, second in (couple, couple[::-1])
    ][:num_pairs]
    report = {
        "splits": list(splits[:used]),
        "passages": len(held_out),
        "endings": len(endings),
        "pairs_available": 2 * len(couples),
        "dropped": dict(sorted(dropped.items())),
        "topics": dict(sorted(Counter(pair.group for pair in pairs).items())),
    }
    return pairs, report


def find_endings(passages: Iterable[Passage]) -> tuple[list[Ending], Counter]:
    """
    Cut passages into context and ending.

    Returns:
        `tuple[list[Ending], Counter]`: Endings that no two passages have in common, in the order of the passages, and
        how many passages were dropped for which reason.
    """
    endings, dropped, seen = [], Counter(), set()
    for passage in passages:
        *context, ending = passage.sentences
        words = words_of(ending.lower())
        if len(context) < MIN_CONTEXT:
            dropped[f"fewer than {MIN_CONTEXT + 1} sentences"] += 1
        elif len(words) < MIN_ENDING_WORDS:
            dropped[f"ending of fewer than {MIN_ENDING_WORDS} words"] += 1
        elif ending in seen:
            dropped["ending seen before"] += 1
        else:
            seen.add(ending)
            context = " ".join(context[-MAX_CONTEXT:])
            endings.append(
                Ending(
                    passage=passage.id,
                    topic=passage.topic,
                    context=context,
                    text=ending,
                    num_words=len(words),
                    form=_FORM_WORDS.intersection(words) | {"-ed" for word in words if word.endswith("ed")},
                    seconds=estimate_seconds(ending),
                    context_seconds=estimate_seconds(context),
                )
            )
    return endings, dropped


def couple_endings(endings: Sequence[Ending], seed: int) -> list[tuple[Ending, Ending]]:
    """
    Couple endings that match, each at most once.

    Endings of the most frequent topics choose first, for they have the fewest others to choose from. Each takes the
    free ending that shares most pronouns, auxiliaries and the past tense with it, and of these the nearest in length.

    Args:
        endings (`Sequence[Ending]`): Endings, no two of the same text.
        seed (`int`): Decides who chooses first within a topic, and among equally near endings.

    Returns:
        `list[tuple[Ending, Ending]]`: The couples.
    """
    shuffled = random.Random(f"topic-sc-couples-{seed}").sample(endings, len(endings))
    frequency = Counter(ending.topic for ending in endings)
    by_length = sorted(shuffled, key=lambda ending: len(ending.text))
    lengths = [len(ending.text) for ending in by_length]
    coupled, couples = set(), []
    for ending in sorted(shuffled, key=lambda ending: (-frequency[ending.topic], ending.topic)):
        if ending.passage in coupled:
            continue
        start = bisect_left(lengths, len(ending.text) * (1 - LENGTH_TOLERANCE))
        end = bisect_right(lengths, len(ending.text) / (1 - LENGTH_TOLERANCE))
        near = [other for other in by_length[start:end] if other.passage not in coupled and ending.matches(other)]
        if near:
            partner = min(
                near, key=lambda other: (len(ending.form ^ other.form), abs(len(ending.text) - len(other.text)))
            )
            coupled.update((ending.passage, partner.passage))
            couples.append((ending, partner))
    return couples


def _close(first: int, second: int) -> bool:
    return abs(first - second) <= LENGTH_TOLERANCE * max(first, second)
