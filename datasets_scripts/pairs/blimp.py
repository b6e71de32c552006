"""sBLIMP on real text: BLiMP's minimal pairs of sentences whose words the training text has.

BLiMP as jsonl, from a folder or the Hub -> pairs in the corpus' vocabulary, normalised as the corpus is -> as many of
each phenomenon, drawn evenly from its paradigms -> `PairText`.
Source: Warstadt et al. 2020, "BLiMP: The Benchmark of Linguistic Minimal Pairs for English".
"""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ..text.normalization import normalize_text
from ..text.words import words_of
from .texts import PairText

HUB_ID = "nyu-mll/blimp"
MIN_PAIRS_PER_PHENOMENON = 20
# The data file of two paradigms of argument structure says "s-selection"; the paper has twelve phenomena.
_PHENOMENA = {"s-selection": "argument_structure"}
_COLUMNS = ("linguistics_term", "UID", "sentence_good", "sentence_bad")


class BlimpPair(NamedTuple):
    """A pair of BLiMP: its phenomenon (`linguistics_term`), paradigm (`UID`), number there, and the two sentences."""

    phenomenon: str
    paradigm: str
    number: int
    good: str
    bad: str


def make_blimp_pairs(
    source: str | Path,
    vocabulary: Mapping[str, int],
    num_pairs: int,
    seed: int,
    min_count: int = 1,
    min_pairs_per_phenomenon: int = MIN_PAIRS_PER_PHENOMENON,
    revision: str | None = None,
) -> tuple[list[PairText], dict]:
    """
    Choose the pairs of BLiMP that a corpus can be asked.

    A pair is kept if every word of both sentences, names among them, occurs at least `min_count` times in the train
    split, whatever its case; "Derek's" counts as "Derek" where it does not occur itself. Phenomena with fewer than
    `min_pairs_per_phenomenon` such pairs are left out. The others share `num_pairs` evenly, and within a phenomenon
    its paradigms do; what one has not, the others give.

    Args:
        source (`str` or `Path`): Folder of BLiMP's .jsonl files, or the id of a dataset on the Hub.
        vocabulary (`Mapping[str, int]`): How often each word occurs in the train split.
        num_pairs (`int`): How many pairs to choose.
        seed (`int`): Which pairs are chosen among those kept.
        min_count (`int`, *optional*, defaults to 1): How often each word has to occur.
        min_pairs_per_phenomenon (`int`, *optional*, defaults to 20): The fewest pairs worth an accuracy.
        revision (`str`, *optional*): Commit, branch or tag of the dataset on the Hub.

    Returns:
        `tuple[list[PairText], dict]`: The pairs, by phenomenon and paradigm, and a report: for each of the `phenomena`
        (and in `total`) how many `pairs` BLiMP has, how many are `in_vocabulary`, the `share_kept` and how many were
        `chosen`.

    Raises:
        `FileNotFoundError`: If the folder is missing or holds no .jsonl file.
        `ValueError`: If a file is no BLiMP, or fewer than `num_pairs` can be had.
    """
    counts = Counter()
    for word, count in vocabulary.items():
        counts[word.lower()] += count
    known = frozenset(word for word, count in counts.items() if count >= min_count)

    num_read, kept = Counter(), defaultdict(lambda: defaultdict(list))
    for pair in read_blimp(source, revision):
        num_read[pair.phenomenon] += 1
        if is_in_vocabulary(f"{pair.good} {pair.bad}", known):
            pair = pair._replace(good=normalize_text(pair.good), bad=normalize_text(pair.bad))
            if pair.good != pair.bad and is_in_vocabulary(f"{pair.good} {pair.bad}", known):
                kept[pair.phenomenon][pair.paradigm].append(pair)
    available = {phenomenon: sum(map(len, kept[phenomenon].values())) for phenomenon in sorted(num_read)}
    asked = {phenomenon: n for phenomenon, n in available.items() if n >= max(min_pairs_per_phenomenon, 1)}
    if sum(asked.values()) < num_pairs:
        raise ValueError(
            f"Only {sum(asked.values())} of {num_pairs} sBLIMP pairs can be had from {source} in the vocabulary of "
            f"this corpus (every word at least {min_count} times, at least {min_pairs_per_phenomenon} pairs a "
            "phenomenon); ask for fewer pairs or give more text."
        )

    pairs = []
    for phenomenon, count in share_out(num_pairs, asked).items():
        paradigms = kept[phenomenon]
        for paradigm, share in share_out(count, {name: len(paradigms[name]) for name in sorted(paradigms)}).items():
            chosen = random.Random(f"blimp-{seed}-{paradigm}").sample(paradigms[paradigm], share)
            pairs += [_as_pair_text(pair) for pair in sorted(chosen, key=lambda pair: pair.number)]
    num_chosen = Counter(pair.group for pair in pairs)
    report = {
        "phenomena": {
            phenomenon: _kept_of(num_read[phenomenon], available[phenomenon], num_chosen[phenomenon])
            for phenomenon in available
        },
        "total": _kept_of(num_read.total(), sum(available.values()), len(pairs)),
        "min_count": min_count,
        "min_pairs_per_phenomenon": min_pairs_per_phenomenon,
    }
    return pairs, report


def read_blimp(source: str | Path, revision: str | None = None) -> Iterator[BlimpPair]:
    """
    Read all pairs of BLiMP, paradigms in the order of their names.

    Args:
        source (`str` or `Path`): Folder of .jsonl files with `sentence_good`, `sentence_bad`, `linguistics_term` and
            `UID`, or the id of a dataset on the Hub with one configuration a paradigm and these columns.
        revision (`str`, *optional*): Commit, branch or tag of that dataset.

    Raises:
        `FileNotFoundError`: If the folder is missing or holds no .jsonl file, or the Hub has no such dataset.
        `ValueError`: If a row is not of this form.
    """
    folder = Path(source)
    if folder.is_dir():
        files = sorted(folder.glob("*.jsonl"))
        if not files:
            raise FileNotFoundError(f"There is no .jsonl file in {folder}; give the folder with BLiMP's 67 files.")
        for file in files:
            yield from _as_blimp_pairs(_read_jsonl(file), file)
    elif len(folder.parts) != 2 or folder.parts[0] in (".", "..", "/", "~"):
        raise FileNotFoundError(
            f"There is no folder {folder}; give the folder of BLiMP's .jsonl files, or {HUB_ID!r}."
        )
    else:
        for paradigm, rows in _read_hub(str(source), revision):
            yield from _as_blimp_pairs(rows, f"{source}, {paradigm}")


def is_in_vocabulary(text: str, known: frozenset[str]) -> bool:
    """Whether all words of a text are known; a possessive is where its owner is."""
    return all(word in known or word.removesuffix("'s") in known for word in words_of(text.lower()))


def share_out(total: int, available: Mapping[str, int]) -> dict[str, int]:
    """Share a number out as evenly as what is available allows; of equals, earlier ones get more by at most one."""
    shares = dict.fromkeys(available, 0)
    total = min(total, sum(available.values()))
    while total:
        open_names = [name for name in shares if shares[name] < available[name]]
        each = max(1, total // len(open_names))
        for name in open_names[:total]:
            given = min(each, available[name] - shares[name])
            shares[name] += given
            total -= given
    return shares


def _read_jsonl(file: Path) -> Iterator[dict]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except ValueError:
                raise ValueError(
                    f"Line {number} of {file} is not JSON; give BLiMP's .jsonl files as published."
                ) from None


def _read_hub(dataset_id: str, revision: str | None) -> Iterator[tuple[str, Iterable[dict]]]:
    from datasets import get_dataset_config_names, load_dataset

    try:
        for paradigm in sorted(get_dataset_config_names(dataset_id, revision=revision)):
            yield paradigm, load_dataset(dataset_id, paradigm, split="train", revision=revision)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise FileNotFoundError(
            f"BLiMP cannot be loaded from the Hub as {dataset_id!r} ({reason}); give the folder of its .jsonl files."
        ) from error


def _as_blimp_pairs(rows: Iterable[Mapping], where: str | Path) -> Iterator[BlimpPair]:
    for number, row in enumerate(rows):
        try:
            term, paradigm, good, bad = (row[column] for column in _COLUMNS)
        except (KeyError, TypeError):
            raise ValueError(f"Row {number} of {where} is no pair of BLiMP: it needs {', '.join(_COLUMNS)}.") from None
        yield BlimpPair(_PHENOMENA.get(term, term), paradigm, number, good, bad)


def _as_pair_text(pair: BlimpPair) -> PairText:
    return PairText(
        f"sblimp-{pair.paradigm}-{pair.number:03d}", "sblimp", pair.phenomenon, "", "", pair.good, pair.bad
    )


def _kept_of(num_read: int, num_kept: int, num_chosen: int) -> dict:
    share = round(num_kept / num_read, 4) if num_read else 0.0
    return {"pairs": num_read, "in_vocabulary": num_kept, "share_kept": share, "chosen": num_chosen}
