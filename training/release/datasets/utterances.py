"""The utterances of a run as a dataset of the Hub: text, audio, and the times of words and phones.

`corpus/utterances`, and those in other voices -> a configuration a rendering -> a prepared repository.
"""

from pathlib import Path

from ....datasets_scripts.builders.base import RATES, VOICES
from ....datasets_scripts.builders.utterances import FEATURES
from ....datasets_scripts.shards.reading import find_shards
from ..repository import ReleaseRepository
from .dataset_card import DatasetSource, write_dataset_card
from .parquet import Configuration, read_shards, write_split

_COLUMNS = {
    "id": "name of the utterance, the same in every dataset of this release",
    "document": "what it is a part of; no document is in two splits",
    "topic": "what it is about, where that is known",
    "text": "what is said, with case and punctuation",
    "speaker": "who speaks",
    "rate": "words a minute that the synthesizer was asked for; empty of recordings",
    "audio": "FLAC, 16 kHz, one channel",
    "duration": "seconds",
    "words": "each word with its start and end in seconds",
    "phones": "each ARPAbet phone with its start and end in seconds; `SIL` is silence, `SPN` a noise",
}
_SNIPPET = """
import io

import soundfile
from datasets import load_dataset

utterances = load_dataset("{name}", split="test")
utterance = utterances[0]
waveform, sampling_rate = soundfile.read(io.BytesIO(utterance["audio"]["bytes"]))
print(utterance["text"], len(waveform) / sampling_rate, utterance["words"][:3])
"""
_DECODING = (
    "Audio comes as bytes, so that nothing but `soundfile` is needed to read it; `datasets` decodes it by itself "
    'after `utterances.cast_column("audio", datasets.Audio(sampling_rate=16_000))`, for which it needs `torchcodec` '
    "and FFmpeg. With `streaming=True` the first utterance is there before the rest is loaded."
)


def prepare_utterances(source: DatasetSource, folder: Path) -> ReleaseRepository:
    """
    Prepare the dataset of utterances.

    Args:
        source ([`DatasetSource`]): The run, and what its cards say.
        folder (`Path`): Where to, a folder a repository.

    Raises:
        `FileNotFoundError`: If the run has none.
        `ValueError`: If a shard cannot be read.
    """
    name = source.names.repository("utterances")
    target = folder / name.split("/")[1] / "main"
    configurations = [_write(source, voices, target) for voices in source.renderings()]
    first = configurations[0]
    hours = sum(source.corpus["seconds"].values()) / 3600
    write_dataset_card(
        target,
        source,
        title="utterances",
        lead=(
            f"{first.rows:,} aligned utterances, {hours:.1f} hours: what all models of this release were trained on, "
            "each in its own alphabet. Words and phones have their times, so that any alphabet between text and "
            "speech can be written from them."
        ),
        configurations=configurations,
        default=True,
        metadata={
            "task_categories": ["automatic-speech-recognition", "text-to-speech", "text-generation"],
            "tags": ["audio", "speech", "forced-alignment", "phones"],
        },
        columns=_COLUMNS,
        use=(_SNIPPET.format(name=name), _DECODING),
        made=source.describe_corpus(),
        limits=source.corpus_limits(),
    )
    return ReleaseRepository(
        name, "dataset", target, title="Utterances", note=f"{first.rows:,} utterances with text, audio and times."
    )


def _write(source: DatasetSource, voices: str, target: Path) -> Configuration:
    rate = source.study["configuration"]["corpus"]["rate"]
    recorded = voices == "recorded"
    configuration = Configuration(
        "recorded" if recorded else f"{voices}_{rate}",
        "Recordings." if recorded else f"{VOICES[voices]} {RATES[rate]}",
        FEATURES,
    )
    for split, files in find_shards(source.run.utterances(voices), tuple(FEATURES)).items():
        write_split(target, configuration, split, read_shards(files))
    return configuration
