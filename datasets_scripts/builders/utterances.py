"""The utterances themselves: text, audio, and the times of words and phones, from which every modality is made.

utterance shards -> rows as they are, with audio as FLAC bytes.
"""

import datasets
import pyarrow as pa
from datasets.table import table_cast

from ...models.audio import SAMPLE_RATE
from .base import CITATION, RATES, VOICES, ModalityConfig, ShardBuilder, ShardError

_VERSION = "1.1.0"
_SECONDS = datasets.Value("float64")
FEATURES = datasets.Features(
    {
        "id": datasets.Value("string"),
        "document": datasets.Value("string"),
        "topic": datasets.Value("string"),
        "text": datasets.Value("string"),
        "speaker": datasets.Value("string"),
        "rate": datasets.Value("int32"),
        # Bytes, not samples: decoding would need FFmpeg's libraries, and soundfile reads FLAC without.
        "audio": datasets.Audio(sampling_rate=SAMPLE_RATE, decode=False),
        "duration": _SECONDS,
        "words": datasets.List({"word": datasets.Value("string"), "start": _SECONDS, "end": _SECONDS}),
        "phones": datasets.List({"phone": datasets.Value("string"), "start": _SECONDS, "end": _SECONDS}),
    }
)


class Utterances(ShardBuilder):
    """The dataset of aligned utterances, at most 30 s each."""

    BUILDER_CONFIGS = [
        ModalityConfig(name=f"{voices}_{rate}", version=_VERSION, voices=voices, rate=rate)
        for voices in ("many", "one")
        for rate in ("fixed", "random")
    ]
    DEFAULT_CONFIG_NAME = "many_fixed"
    DEFAULT_WRITER_BATCH_SIZE = 100
    columns = tuple(FEATURES)
    rows_at_a_time = 100

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description="Utterances with text, 16 kHz audio and the times of words and phones in seconds. "
            f"{VOICES[self.config.voices]} {RATES[self.config.rate]}",
            features=FEATURES,
            citation=CITATION,
        )

    def _rows(self, batch: pa.RecordBatch, file: str) -> pa.Table:
        for condition, value, column in (("voices", "one", "speaker"), ("rate", "fixed", "rate")):
            if getattr(self.config, condition) == value and len(found := batch[column].unique()) > 1:
                raise ShardError(
                    f"{file} has more than one {column} ({found[0]}, {found[1]}, ...), so it is not of the "
                    f"configuration {self.config.name}; choose another."
                )
        return table_cast(pa.Table.from_batches([batch]), FEATURES.arrow_schema)
