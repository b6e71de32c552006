"""All dataset builders by name, and the calls that read a dataset.

name and folder of shards -> [`prepare`] -> a `DatasetDict`: `id` and `content` of a modality, or the rows of
utterances or minimal pairs as they are. [`stream_contents`] gives a modality's contents a few rows at a time, with
nothing prepared on the disk. A new modality's builder is named here.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import datasets
import pyarrow as pa

from ..mixing.joint_ast import JointAst
from ..mixing.joint_cst import JointCst
from .base import ModalityBuilder, ShardBuilder
from .minimal_pairs import MinimalPairs
from .phone_bpe import PhoneBpe
from .phone_raw import PhoneRaw
from .phone_repeat import PhoneRepeat
from .phone_stretch import PhoneStretch
from .speech_bpe import SpeechBpe
from .speech_dedup import SpeechDedup
from .speech_duration_penalized import SpeechDurationPenalized
from .speech_syllable import SpeechSyllable
from .speech_syllable_unsupervised import SpeechSyllableUnsupervised
from .speech_units import SpeechUnits
from .text_bpe import TextBpe
from .text_raw import TextRaw
from .text_raw_no_space import TextRawNoSpace
from .utterances import Utterances

_BUILDERS = (
    *(TextBpe, TextRaw, TextRawNoSpace, PhoneBpe, PhoneRaw, PhoneStretch, PhoneRepeat),
    *(SpeechUnits, SpeechDedup, SpeechBpe, SpeechSyllable, SpeechSyllableUnsupervised, SpeechDurationPenalized),
    *(JointCst, JointAst),
    MinimalPairs,
)
BUILDERS: dict[str, type[ShardBuilder]] = {
    config.name: builder for builder in _BUILDERS for config in builder.BUILDER_CONFIGS
} | {"utterances": Utterances}


def get_builder(name: str) -> type[ShardBuilder]:
    """
    Look up the builder of a modality, of utterances or minimal pairs, or of one of their configurations.

    Raises:
        `ValueError`: If there is none of that name.
    """
    if name not in BUILDERS:
        raise ValueError(f"There is no dataset of {name!r}; choose from {', '.join(BUILDERS)}.")
    return BUILDERS[name]


def prepare(
    name: str, data_dir: str | Path, cache_dir: str | Path, num_proc: int | None = None, **config
) -> datasets.DatasetDict:
    """
    Make a dataset, or take the one in the cache if the shards have not changed since.

    Args:
        name (`str`): A modality or one of its configurations, e.g. `"phone_repeat_random_rate"`; `"utterances"`; or
            `"minimal_pairs"`, or a task for its pairs alone (`"swuggy"`) or for the contents of their units
            (`"swuggy_units"`).
        data_dir (`str` or `Path`): The folder of utterance shards, of unit shards for modalities of speech, or of a
            folder of shards a task for minimal pairs. In a run these are `corpus/utterances`,
            `units/<modality>/utterances`, `pairs/rendered` and, of units, `unit_pairs/<modality>`. `joint_cst` and
            `joint_ast` read utterances, and their units from `units_dir`.
        cache_dir (`str` or `Path`): Where prepared rows are kept.
        num_proc (`int`, *optional*): Number of processes, at most one a shard. The rows do not depend on it.
        config (additional keyword arguments, *optional*): Arguments of the configuration, e.g. `stretch_factor=4`,
            of utterances `voices="one"` and `rate="random"`, of joint sequences `units_dir=...` and `epoch=1`.

    Returns:
        `datasets.DatasetDict`: The splits that the folder has: `id` and `content` of a modality, or all columns of
        [`Utterances`] or [`MinimalPairs`].

    Raises:
        `FileNotFoundError`: If the folder or a shard is missing.
        `ValueError`: If there is no such dataset, or a shard cannot be read.
    """
    make = get_builder(name)
    if make is Utterances:
        name = Utterances.DEFAULT_CONFIG_NAME
    builder = make(str(cache_dir), data_dir=str(data_dir), config_name=name, **config)
    builder.download_and_prepare(num_proc=num_proc)
    return builder.as_dataset()


class ContentStream:
    """
    The contents of a modality's split, written anew from its shards each time that they are gone through.

    Args:
        builder ([`ModalityBuilder`]): Writes them.
        files (`Sequence[str]`): The shards.
    """

    def __init__(self, builder: ModalityBuilder, files: Sequence[str]):
        self._builder, self._files = builder, files

    def __iter__(self) -> Iterator[str]:
        for _, rows in self._builder._generate_tables(self._files):
            yield from rows["content"].to_pylist()


def stream_contents(name: str, data_dir: str | Path, cache_dir: str | Path, **config) -> dict[str, ContentStream]:
    """
    Read a modality's contents a few rows at a time: neither memory nor the disk holds them.

    Args:
        name (`str`): A modality or one of its configurations.
        data_dir (`str` or `Path`): As in [`prepare`].
        cache_dir (`str` or `Path`): A folder that a builder may ask for; no rows are kept there.
        config (additional keyword arguments, *optional*): As in [`prepare`].

    Returns:
        `dict[str, ContentStream]`: The contents of each split, in the order of [`prepare`]'s rows.

    Raises:
        `FileNotFoundError`: If the folder or a shard is missing.
        `ValueError`: If there is no such modality, or a shard cannot be read.
    """
    make = get_builder(name)
    if not issubclass(make, ModalityBuilder):
        raise ValueError(f"{name} is no modality, so that its rows are no contents; call prepare.")
    builder = make(str(cache_dir), data_dir=str(data_dir), config_name=name, **config)
    return {split: ContentStream(builder, files) for split, files in builder._find_shards().items()}


def unit_contents(name: str, units: Sequence[Sequence[int]]) -> list[str]:
    """
    Write units as the contents of a modality of speech: those of minimal pairs, or of a prompt.

    Args:
        name (`str`): A modality of speech, e.g. `"speech_dedup"`.
        units (`Sequence[Sequence[int]]`): Units of each row.

    Returns:
        `list[str]`: One content a row.

    Raises:
        `ValueError`: If the modality is not made of units.
    """
    builder = get_builder(name)
    if not issubclass(builder, SpeechUnits):
        raise ValueError(f"{name} is not made of units; choose a modality of speech.")
    return builder.unit_contents(pa.array([list(row) for row in units], pa.list_(pa.uint16()))).to_pylist()
