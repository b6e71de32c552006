"""The lexical and syntactic test sets of the ZeroSpeech challenge 2021 (2011.11588), for those who have them.

`{lexical,syntactic}/{dev,test}/gold.csv` with audio beside it -> [`read_gold`] -> pairs of the same id and voice ->
[`build_zerospeech2021`] -> the rows that the project's own items have: text, phones, audio. What scores of them are
worth by the challenge's rule is for `training/score/zerospeech_2021_results.py` to say.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from ...phones.alphabets import find_alphabet, read_phone_table, to_arpabet
from ...recordings.reading import find_audio
from .rows import RecordedPair, RecordedSide, build_recorded_pairs

SETS = ("dev", "test")
TASKS = {"lexical": "swuggy", "syntactic": "sblimp"}
"""What the challenge's tasks are called here."""
BANDS = {"oov": 0, "1-5": 1, "6-20": 5, "21-100": 20, ">100": 100}
"""Names of the challenge's frequency bands, and the frequency at which its scorer lets each begin: a word that occurs
5, 20 or 100 times is in the band above the one that its name promises."""

_MISSING = ("", "NaN")
_KEYS = {"lexical": ("id", "voice"), "syntactic": ("type", "subtype", "id", "voice")}
_COLUMNS = {"lexical": ("filename", "correct", "frequency"), "syntactic": ("filename", "correct", "transcription")}


def build_zerospeech2021(
    folder: str | Path,
    output_dir: str | Path,
    split: str = "dev",
    tasks: tuple[str, ...] = tuple(TASKS),
    phone_table: Mapping[str, str] | str | Path | None = None,
    stretch_factor: int | None = None,
    num_proc: int = 1,
    max_skipped_fraction: float = 0.05,
    progress: bool = True,
) -> dict[str, dict[str, int]]:
    """
    Make minimal pairs of the challenge's items, a folder a task: `swuggy/test-*.parquet`, `sblimp/test-*.parquet`.

    Ids are `lexical-dev-17` and `syntactic-dev-agreement-anaphor_gender-17`, the same for all voices of a pair; the
    group of a lexical pair is its frequency band, that of a syntactic one `type/subtype`. A row that has no partner, a
    file that cannot be read and the like are named in `skipped.jsonl`.

    Phones are those of gold.csv where it has them (ARPAbet or IPA, with a SIL at both edges as in every utterance),
    and espeak's of the text elsewhere. `phones_repeat` and `rate` are null: the recordings are not aligned. A lexical
    pair has no text where gold.csv does not spell its pseudo-word. Both sides of a pair are always written by the
    same rule.

    Args:
        folder (`str` or `Path`): The challenge's folder, with `lexical` and `syntactic`.
        output_dir (`str` or `Path`): Where the shards go.
        split (`str`, *optional*, defaults to `"dev"`): `"dev"` or `"test"`.
        tasks (`tuple[str, ...]`, *optional*): `"lexical"`, `"syntactic"` or both.
        phone_table (`Mapping[str, str]`, `str` or `Path`, *optional*): Phones of symbols that are neither ARPAbet nor
            IPA, or a JSON file of them, see [`read_phone_table`].
        stretch_factor (`int`, *optional*): That of the training corpus; without it `phones_stretch` is null.
        num_proc (`int`, *optional*, defaults to 1): Number of processes. The rows do not depend on it.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05): The largest share of a task's pairs that may be
            skipped.
        progress (`bool`, *optional*, defaults to `True`): Whether to show a progress bar.

    Returns:
        `dict[str, dict[str, int]]`: By task (`"swuggy"`, `"sblimp"`), what [`build_recorded_pairs`] returns.

    Raises:
        `FileNotFoundError`: If a gold.csv is missing.
        `ValueError`: If a gold.csv lacks a column, a pronunciation has a symbol that no table has, or too many pairs
            were skipped.
    """
    own_phones = read_phone_table(phone_table)
    # All of them first: a mistake in the second task should not wait for the audio of the first.
    pairs = {task: list(_pairs(Path(folder), task, split, own_phones)) for task in tasks}
    return {
        TASKS[task]: build_recorded_pairs(
            pairs[task],
            Path(output_dir) / TASKS[task],
            stretch_factor=stretch_factor,
            num_proc=num_proc,
            max_skipped_fraction=max_skipped_fraction,
            progress=progress,
        )
        for task in tasks
    }


def read_gold(folder: str | Path, task: str, split: str) -> pd.DataFrame:
    """
    Read a gold.csv.

    Args:
        folder (`str` or `Path`): The challenge's folder.
        task (`str`): `"lexical"` or `"syntactic"`.
        split (`str`): `"dev"` or `"test"`.

    Returns:
        `pd.DataFrame`: Its columns, strings but for `correct` (0 or 1) and `frequency` (NaN where there is none), with
        `pair` (the id of the pair, the same for all its voices) added.

    Raises:
        `FileNotFoundError`: If there is none.
        `ValueError`: If the task or the split is unknown, a column is missing or a value is of the wrong kind.
    """
    for name, value, known in (("task", task, TASKS), ("split", split, SETS)):
        if value not in known:
            raise ValueError(f"There is no {name} {value!r}; choose from {', '.join(known)}.")
    path = Path(folder) / task / split / "gold.csv"
    if not path.is_file():
        raise FileNotFoundError(f"There is no {path}; give the folder that holds lexical/ and syntactic/.")
    try:
        gold = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as CSV: {error}") from None
    for column in (*_KEYS[task], *_COLUMNS[task]):
        if column not in gold:
            raise ValueError(f"{path} has no column {column!r}, only {', '.join(gold.columns)}.")
    if unknown := sorted(set(gold["correct"]) - {"0", "1"}):
        raise ValueError(f"{path} says {unknown[0]!r} in the column 'correct'; it has to be 0 or 1.")
    gold["correct"] = gold["correct"].astype(int)
    if task == "lexical":
        frequency = pd.to_numeric(gold["frequency"], errors="coerce")
        if (wrong := frequency.isna() & ~gold["frequency"].isin(_MISSING)).any():
            raise ValueError(
                f"{path} says {gold['frequency'][wrong].iloc[0]!r} in the column 'frequency'; give numbers."
            )
        gold["frequency"] = frequency
    keys = [gold[key] for key in _KEYS[task] if key != "voice"]
    gold["pair"] = [f"{task}-{split}-{'-'.join(values)}" for values in zip(*keys)]
    return gold


def read_words(folder: str | Path, split: str) -> dict[str, str]:
    """
    The word of each lexical pair, by the pair's id: as it is spelled, or its phones where no pseudo-word is spelled,
    by which BabySLM's scorer tells words apart.

    Args:
        folder (`str` or `Path`): The challenge's folder.
        split (`str`): `"dev"` or `"test"`.

    Raises:
        `FileNotFoundError`, `ValueError`: As [`read_gold`].
    """
    gold = read_gold(folder, "lexical", split)
    words, pseudo_words = (gold[gold["correct"] == correct] for correct in (1, 0))
    spelled = "word" in gold and not pseudo_words["word"].isin(_MISSING).all()
    column = "word" if spelled else "phones" if "phones" in gold else "filename"
    return dict(zip(words["pair"], words[column]))


def frequency_band(frequency: float) -> str:
    """The challenge's band of a word's frequency; the empty string for NaN."""
    return next((band for band, start in reversed(BANDS.items()) if frequency >= start), "")


def _pairs(folder: Path, task: str, split: str, own_phones: dict[str, str]) -> Iterator[RecordedPair]:
    gold = read_gold(folder, task, split)
    files = folder / task / split
    if task == "lexical":
        _add_lexical_forms(gold, own_phones)
    else:
        gold["text"], gold["arpabet"] = gold["transcription"], None
    # Voices of a pair one behind the other: what is said is then pronounced once.
    groups: dict[str, dict[str, list[dict]]] = {}
    for row in gold.to_dict("records"):
        groups.setdefault(row["pair"], {}).setdefault(row["voice"], []).append(row)
    for pair_id, voices in groups.items():
        for voice, rows in voices.items():
            yield _pair(pair_id, task, voice, rows, files)


def _pair(pair_id: str, task: str, voice: str, rows: list[dict], files: Path) -> RecordedPair:
    rows = sorted(rows, key=lambda row: -row["correct"])
    # The scorer asks the word how frequent it is, not the pseudo-word.
    band = frequency_band(rows[0]["frequency"]) if task == "lexical" else ""
    group = band if task == "lexical" else f"{rows[0]['type']}/{rows[0]['subtype']}"
    common = {"id": pair_id, "task": TASKS[task], "group": group, "band": band, "voice": voice, "source": files}
    if [row["correct"] for row in rows] != [1, 0]:
        right = sum(row["correct"] for row in rows)
        names = ", ".join(row["filename"] for row in rows)
        problem = f"{right} correct and {len(rows) - right} incorrect rows in the voice {voice!r}: {names}."
        return RecordedPair(**common, problem=problem)
    sides = [RecordedSide(find_audio(files, row["filename"]), row["text"], row["arpabet"]) for row in rows]
    return RecordedPair(**common, positive=sides[0], negative=sides[1])


def _add_lexical_forms(gold: pd.DataFrame, own_phones: dict[str, str]) -> None:
    """Add `text` and `arpabet`, each `None` where gold.csv does not say it."""
    for column in ("word", "phones"):
        if column not in gold:
            gold[column] = ""
    # Of objects: a column of strings would turn None into NaN.
    gold["text"] = pd.Series([None if word in _MISSING else word for word in gold["word"]], dtype=object)
    pronunciations = [None if phones in _MISSING else phones for phones in gold["phones"]]
    alphabet = find_alphabet(filter(None, pronunciations), own_phones)
    gold["arpabet"] = pd.Series([phones and to_arpabet(phones, alphabet) for phones in pronunciations], dtype=object)
