"""What the dataset builders of all modalities share: shards in, rows of `id` and `content` out.

shards of utterances or units -> only the columns that the modality reads -> [`ModalityBuilder.contents`] -> a dataset
that can be prepared in several processes, streamed and pushed to the Hub. One builder file a modality stands beside
this one; `by_name.py` names them.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets.builder import Key
from datasets.exceptions import DatasetGenerationError

from ..shards.reading import find_shards, fingerprint_shards

CITATION = """\
@inproceedings{wang2026speech,
  title     = {Why Do Speech Language Models Fail to Generate Semantically Coherent Outputs?
               A Modality Evolving Perspective},
  author    = {Wang, Hankun and Wang, Haoran and Guo, Yiwei and Li, Zhihan and Du, Chenpeng and Yu, Kai},
  booktitle = {IEEE International Conference on Acoustics, Speech and Signal Processing (ICASSP)},
  year      = {2026},
  note      = {arXiv:2412.17048}
}"""
UNITS_CITATION = """\
@article{chou2023toward,
  title   = {Toward Joint Language Modeling for Speech Units and Text},
  author  = {Chou, Ju-Chieh and Chien, Chung-Ming and Hsu, Wei-Ning and Livescu, Karen and Babu, Arun
             and Conneau, Alexis and Baevski, Alexei and Auli, Michael},
  journal = {arXiv preprint arXiv:2310.08715},
  year    = {2023}
}"""

VERSION = "1.0.0"
VOICES = {"one": "All utterances are spoken by one voice.", "many": "The utterances are spoken by many voices."}
RATES = {"fixed": "The speaking rate is fixed.", "random": "Each utterance has a speaking rate of its own."}


class ShardError(DatasetGenerationError, ValueError):
    """A shard whose rows cannot be read. `datasets` lets it through as it is, out of worker processes too."""


@dataclass
class ModalityConfig(datasets.BuilderConfig):
    """
    One condition of a modality.

    Args:
        name (`str`): Name of the configuration, on the Hub too.
        version (`str`, *optional*): Version of the form of the rows.
        voices (`str`, *optional*): `"one"` or `"many"`, where the content depends on it.
        rate (`str`, *optional*): `"fixed"` or `"random"`, where the content depends on it.
        kwargs (additional keyword arguments, *optional*): `data_dir` (the folder of shards) and the other arguments of
            `datasets.BuilderConfig`.
    """

    version: str = VERSION
    voices: str | None = None
    rate: str | None = None


def conditions(
    modality: str, voices: bool = False, rates: bool = True, config: type[ModalityConfig] = ModalityConfig
) -> list[ModalityConfig]:
    """
    List the configurations of a modality, the default first: `speech_units` (many voices at a fixed rate),
    `speech_units_one_voice`, `speech_units_random_rate`, `speech_units_one_voice_random_rate`.

    Args:
        modality (`str`): Name of the default configuration.
        voices (`bool`, *optional*, defaults to `False`): Whether the content depends on the voices.
        rates (`bool`, *optional*, defaults to `True`): Whether it depends on the speaking rate.
        config (`type`, *optional*, defaults to `ModalityConfig`): The class of the configurations.
    """
    return [
        config(
            name=modality + ("_one_voice" if voice == "one" else "") + ("_random_rate" if rate == "random" else ""),
            version=VERSION,
            voices=voice,
            rate=rate,
        )
        for rate in (("fixed", "random") if rates else (None,))
        for voice in (("many", "one") if voices else (None,))
    ]


class ShardBuilder(datasets.ArrowBasedBuilder, ABC):
    """
    A builder that reads parquet shards from `data_dir` and keeps what it prepared until they change.

    Args:
        cache_dir (`str`, *optional*): Where the prepared rows are kept.
        data_dir (`str`, *optional*): The folder of the shards. Without it the builder only describes its dataset.
        hash (`str`, *optional*): State of the data, by default that of the shards' files. Rows that were prepared in
            another state are not used again.
        kwargs (additional keyword arguments, *optional*): `config_name`, arguments of the configuration and the others
            of `datasets.DatasetBuilder`.
    """

    BUILDER_CONFIG_CLASS = ModalityConfig
    columns: ClassVar[tuple[str, ...]]
    rows_at_a_time: ClassVar[int] = 1000

    def __init__(
        self, cache_dir: str | None = None, *, data_dir: str | None = None, hash: str | None = None, **kwargs
    ):
        if data_dir is not None and hash is None:
            hash = fingerprint_shards(data_dir)
        super().__init__(
            cache_dir=None if cache_dir is None else str(cache_dir),
            data_dir=None if data_dir is None else str(data_dir),
            hash=hash,
            **kwargs,
        )

    def _split_generators(self, dl_manager) -> list[datasets.SplitGenerator]:
        if self.config.data_dir is None:
            raise ValueError(f"{self.config.name} needs data_dir, the folder that holds its shards (train-*.parquet).")
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"files": files})
            for split, files in self._find_shards().items()
        ]

    def _find_shards(self) -> dict[str, list[str]]:
        """The files of each split."""
        return find_shards(self.config.data_dir, self.columns)

    def _generate_tables(self, files: list[str]) -> Iterator[tuple[Key, pa.Table]]:
        for file_index, file in enumerate(files):
            with pq.ParquetFile(file) as shard:
                batches = shard.iter_batches(batch_size=self.rows_at_a_time, columns=list(self.columns))
                for batch_index, batch in enumerate(batches):
                    yield Key(file_index, batch_index), self._rows(batch, file)

    @abstractmethod
    def _rows(self, batch: pa.RecordBatch, file: str) -> pa.Table:
        """The prepared rows of a batch of a shard."""


class ModalityBuilder(ShardBuilder):
    """
    A builder of one modality's dataset: `id` and `content`.

    A subclass sets the class attributes and writes [`~ModalityBuilder.contents`].

    Attributes:
        columns (`tuple[str, ...]`): The columns that it reads, `"id"` among them. The audio is never read.
        summary (`str`): What the content is, in a sentence or two.
        citation (`str`): Where the modality comes from.
    """

    summary: ClassVar[str]
    citation: ClassVar[str] = CITATION

    @abstractmethod
    def contents(self, batch: pa.RecordBatch) -> pa.Array:
        """
        Write the contents of a batch of rows.

        Args:
            batch (`pa.RecordBatch`): The columns in `columns`, without nulls.

        Returns:
            `pa.Array`: One string a row.

        Raises:
            `ValueError`: If a row cannot be written; the message need not name the shard.
        """

    def _info(self) -> datasets.DatasetInfo:
        condition = [VOICES[self.config.voices]] if self.config.voices else []
        condition += [RATES[self.config.rate]] if self.config.rate else []
        return datasets.DatasetInfo(
            description=" ".join([self.summary, *condition]),
            features=datasets.Features({"id": datasets.Value("string"), "content": datasets.Value("string")}),
            citation=self.citation,
        )

    def _rows(self, batch: pa.RecordBatch, file: str) -> pa.Table:
        for column in self.columns:
            if batch[column].null_count:
                row = batch["id"][batch[column].is_null().index(True).as_py()]
                raise ShardError(f"{file}: row {row} has nothing in column {column!r}; make the shard again.")
        try:
            contents = self.contents(batch)
        except ValueError as error:
            raise ShardError(f"{file}: {error}") from error
        return pa.table({"id": batch["id"].cast(pa.string()), "content": contents.cast(pa.string())})


def join_symbols(symbols: pa.Array, lengths: np.ndarray) -> pa.Array:
    """
    Write symbols as contents, with single spaces between them.

    Args:
        symbols (`pa.Array`): The symbols of all rows behind one another; numbers are written in decimals.
        lengths (`np.ndarray`): How many of them each row has.

    Returns:
        `pa.Array`: One string a row.
    """
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(offsets, symbols.cast(pa.string())), " ")


def list_lengths(lists: pa.Array) -> np.ndarray:
    """Count the entries of each list of a column."""
    return pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
