"""Minimal pairs with a recording of both sides, from the Hub or from a folder that `load_dataset` reads.

a dataset with the audio columns `positive` and `negative` (`speed/sWUGGY`, `speed/sBLIMP`, `speed/sStoryCloze`, ...)
-> [`build_hub_pairs`] -> the rows that the project's own items have. Bytes all the way: nothing is decoded by
`datasets`, which would need FFmpeg.
"""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import datasets

from ....models.hub_commit import find_commit
from ....models.scoring.sides import PARTS
from ...phones.alphabets import find_alphabet, read_phone_table, to_arpabet
from ...recordings.reading import read_as_flac
from ...text.hub_rows import hub_errors
from .rows import RecordedPair, RecordedSide, build_recorded_pairs, recorded_row
from .zerospeech_2021 import frequency_band

_FORMS = {"text": ("text", "transcription", "transcript", "sentence", "word"), "phones": ("phones", "phonemes")}


def build_hub_pairs(
    dataset: str | Path,
    output_dir: str | Path,
    task: str | None = None,
    split: str | None = None,
    config: str | None = None,
    revision: str | None = None,
    columns: Mapping[str, str] | None = None,
    phone_table: Mapping[str, str] | str | Path | None = None,
    stretch_factor: int | None = None,
    num_proc: int = 1,
    max_skipped_fraction: float = 0.05,
    progress: bool = True,
) -> dict[str, int]:
    """
    Make minimal pairs of a dataset: `<task>/test-*.parquet`.

    The columns `id`, `voice`, `type` and `subtype` (the group, `type/subtype`) or `frequency` (the group and band of
    ZeroSpeech) are used where there are any; so are the sides' texts and phones in columns such as
    `positive_transcription`, `positive_text`, `positive_word`, `positive_phones`. Texts, phones and what is null are
    as in [`build_recorded_pairs`].

    Args:
        dataset (`str` or `Path`): Id on the Hub, or a local folder that `load_dataset` reads.
        output_dir (`str` or `Path`): Where the folder of shards goes.
        task (`str`, *optional*): What the task is called. Defaults to the dataset's name in lower case: `"swuggy"`.
        split (`str`, *optional*): Split of the dataset; needed where it has several and none is called `test`.
        config (`str`, *optional*): Configuration of the dataset.
        revision (`str`, *optional*): A commit, branch or tag.
        columns (`Mapping[str, str]`, *optional*): What the dataset calls `positive`, `negative`, `context`, `id`,
            `voice`, `group`, `frequency`, `positive_text`, ..., where that is not as above.
        phone_table (`Mapping[str, str]`, `str` or `Path`, *optional*): As in [`build_zerospeech2021`].
        stretch_factor (`int`, *optional*): That of the training corpus; without it `phones_stretch` is null.
        num_proc (`int`, *optional*, defaults to 1): Number of processes. The rows do not depend on it.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05): The largest share of pairs that may be skipped.
        progress (`bool`, *optional*, defaults to `True`): Whether to show a progress bar.

    Returns:
        `dict[str, int]`: What [`build_recorded_pairs`] returns.

    Raises:
        `FileNotFoundError`: If there is no such dataset.
        `ValueError`: If it has no such split or column, a side's column holds no audio, an id stands twice in a
            voice, or too many pairs were skipped.
    """
    source = (str(dataset), config, split, find_commit(str(dataset), revision))
    named = _find_columns(_open(*source), columns or {}, str(dataset))
    task = task or Path(dataset).name.lower()
    return build_recorded_pairs(
        _hub_pairs(source, named, task, read_phone_table(phone_table)),
        Path(output_dir) / task,
        make_rows_of_dataset,
        stretch_factor,
        num_proc,
        max_skipped_fraction,
        progress,
    )


def make_rows_of_dataset(pair: RecordedPair, settings: dict) -> list[dict]:
    """
    The row of a pair whose recordings are cells of a dataset.

    Raises:
        `ValueError`: If a cell is empty or holds no recording.
    """
    loaded = _open(*pair.source)

    def read(side: RecordedSide) -> bytes:
        index, column = side.audio.split("-", 1)
        cell = loaded[int(index)][column]
        if cell is None or not (cell["bytes"] or cell["path"]):
            raise ValueError(f"Row {index} has no recording in the column {column!r}.")
        return read_as_flac(cell["bytes"] or Path(cell["path"]), f"in the column {column!r} of row {index}")

    return recorded_row(pair, read, settings)


@lru_cache(1)
def _open(dataset: str, config: str | None, split: str | None, revision: str | None) -> datasets.Dataset:
    """The dataset as files on the disk, each process its own view of them; its audio as bytes."""
    with hub_errors(dataset, config, split):
        loaded = datasets.load_dataset(dataset, config, split=split, revision=revision)
    if isinstance(loaded, datasets.DatasetDict):
        if "test" not in loaded and len(loaded) > 1:
            raise ValueError(f"The dataset {dataset!r} has the splits {', '.join(loaded)}; name one as split.")
        loaded = loaded["test"] if "test" in loaded else next(iter(loaded.values()))
    for name, feature in loaded.features.items():
        if isinstance(feature, datasets.Audio):
            loaded = loaded.cast_column(name, datasets.Audio(decode=False))
    return loaded


def _find_columns(loaded: datasets.Dataset, given: Mapping[str, str], dataset: str) -> dict[str, str]:
    """What the dataset calls the columns that it has."""
    wanted = {name: (name,) for name in (*PARTS, "id", "voice", "group", "type", "subtype", "frequency")}
    for side in PARTS:
        wanted |= {f"{side}_{form}": tuple(f"{side}_{name}" for name in names) for form, names in _FORMS.items()}
    present = loaded.column_names
    if unknown := sorted(set(given) - set(wanted)):
        raise ValueError(f"There is no column {unknown[0]!r} to be named; choose from {', '.join(wanted)}.")
    if missing := sorted(set(given.values()) - set(present)):
        raise ValueError(f"The dataset {dataset!r} has no column {missing[0]!r}, only {', '.join(present)}.")
    found = {name: next((column for column in names if column in present), None) for name, names in wanted.items()}
    found = {name: column for name, column in found.items() if column} | dict(given)
    for side in PARTS:
        if side not in found and side != "context":
            raise ValueError(
                f"The dataset {dataset!r} has no column {side!r}, only {', '.join(present)}; say in `columns` what "
                "it is called."
            )
        if side in found and not isinstance(loaded.features[found[side]], datasets.Audio):
            raise ValueError(f"The column {found[side]!r} of the dataset {dataset!r} holds no audio.")
    return found


def _hub_pairs(source: tuple, named: Mapping[str, str], task: str, own_phones: dict[str, str]) -> list[RecordedPair]:
    loaded = _open(*source)
    sides = [side for side in PARTS if side in named]
    kept = {name: list(loaded[column]) for name, column in named.items() if name not in PARTS}
    phones = [kept[f"{side}_phones"] for side in sides if f"{side}_phones" in kept]
    alphabet = find_alphabet((cell for column in phones for cell in column if cell), own_phones)
    pairs, times_seen = [], Counter()
    for index in range(len(loaded)):
        row = {name: column[index] for name, column in kept.items()}
        band = "" if row.get("frequency") is None else frequency_band(float(row["frequency"]))
        kinds = [str(row[name]) for name in ("type", "subtype") if row.get(name)]
        number = "-".join([task, *kinds, str(index if row.get("id") is None else row["id"])])
        times_seen[number] += 1
        # Voices without a name are told apart by their number.
        voice = row.get("voice") or ("" if times_seen[number] == 1 else times_seen[number])
        recorded = {
            side: RecordedSide(
                f"{index}-{named[side]}",
                row.get(f"{side}_text"),
                to_arpabet(row[f"{side}_phones"], alphabet) if row.get(f"{side}_phones") else None,
            )
            for side in sides
        }
        group = str(row.get("group") or band or "/".join(kinds))
        pairs.append(RecordedPair(number, task, group, band, str(voice), **recorded, source=source))
    return pairs
