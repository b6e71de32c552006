"""The quantizer of a run: audio of the training split -> frames or syllables -> k-means -> a `SpeechUnitModel`.

utterance shards -> [`read_audio_batches`] -> [`fit_quantizers`], one a seed -> the stage is the model's folder.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from ....datasets_scripts.phones.frames import phones_to_frames
from ....datasets_scripts.phones.syllables import syllable_frames
from ....models.audio import decode_flac
from ...run.execution import Execution
from ...run.stage import Stage
from ...run.workers import Job, run_jobs
from .encoders import EncoderSettings

if TYPE_CHECKING:
    from ....models.speech_units import SpeechUnitModel

PACKAGES = ("torch", "torchaudio", "transformers", "scikit-learn")
"""What shapes units."""
ROWS_AT_A_TIME = 32
"""Utterances that are decoded and encoded together."""


@dataclass(frozen=True)
class QuantizerSettings:
    """
    How a quantizer is fitted.

    Args:
        encoder ([`EncoderSettings`]): What makes the frames.
        num_units (`int`): Clusters (K).
        segment_parts (`int`): Parts of a syllable whose mean frames are clustered; 0 where a unit is of a frame.
        normalization (`str`): `"none"`, `"utterance"` or `"speaker"`.
        fit_frames (`int`): Frames, or syllables, that k-means sees.
        algorithm (`str`): `"minibatch"`, `"torch"` or `"faiss"`.
        corpus_seed (`int`): Seed of the sample and of k-means.
        segmentation (`dict`, *optional*): How syllables are found in the sound; they are aligned when not given.
        duration_penalty (`float`, *optional*, defaults to 0.0): What a run of equal units of frames costs; 0 where
            units are the nearest.
    """

    encoder: EncoderSettings
    num_units: int
    segment_parts: int
    normalization: str
    fit_frames: int
    algorithm: str
    corpus_seed: int
    segmentation: dict[str, float] | None = None
    duration_penalty: float = 0.0

    def describe(self) -> dict[str, Any]:
        """All of it, wherever the encoder lies: part of the stage's fingerprint."""
        described = asdict(self) | {"encoder": self.encoder.describe()}
        for name in ("segmentation", "duration_penalty"):  # part of what makes the quantizers that have them
            if not described[name]:
                del described[name]
        return described


def build_quantizer(folder: Path, utterances: Path, settings: QuantizerSettings, execution: Execution) -> None:
    """
    Fit a quantizer on the training utterances.

    Args:
        folder (`Path`): Where to: a folder for `SpeechUnitModel.from_pretrained` and `SpeechUnitProcessor`.
        utterances (`Path`): The speech stage.
        settings ([`QuantizerSettings`]): How it is fitted.
        execution ([`Execution`]): How it is done.
    """

    def build(partial: Path) -> None:
        job = {"folder": partial, "utterances": utterances, "settings": settings, "device": execution.device}
        run_jobs([Job(_fit_and_save, job)], execution.device_workers, "k-means")

    stage = Stage(folder, 1, settings.describe(), {"utterances": utterances}, PACKAGES)
    stage.run(build, execution.overwrite)


def fit_quantizers(
    utterances: Path, settings: QuantizerSettings, seeds: Sequence[int], device: str = "cpu"
) -> "list[SpeechUnitModel]":
    """
    Fit quantizers that differ in their seed alone, with one pass of the encoder over the training utterances.

    Args:
        utterances (`Path`): The speech stage.
        settings ([`QuantizerSettings`]): How they are fitted, but for the seed.
        seeds (`Sequence[int]`): A seed for each.
        device (`str`, *optional*, defaults to `"cpu"`): Where the encoder runs.

    Returns:
        `list[SpeechUnitModel]`: One a seed.
    """
    from ....models.speech_units import fit_unit_seeds

    is_aligned = settings.segment_parts and settings.segmentation is None
    return fit_unit_seeds(
        read_audio_batches(
            sorted(utterances.glob("train-*.parquet")),
            syllables_of=settings.encoder.frame_samples if is_aligned else None,
        ),
        list(seeds),
        num_units=settings.num_units,
        max_frames=settings.fit_frames,
        normalization=settings.normalization,
        device=device,
        algorithm=settings.algorithm,
        segment_parts=settings.segment_parts,
        segmentation=settings.segmentation,
        duration_penalty=settings.duration_penalty,
        **settings.encoder.fit_arguments,
    )


def read_audio_batches(shards: list[Path], syllables_of: int | None = None) -> Iterator[tuple]:
    """
    Read utterances, a few at a time: memory does not grow.

    Args:
        shards (`list[Path]`): Shards of utterances.
        syllables_of (`int`, *optional*): Find their syllables as well, in frames of so many samples.

    Yields:
        `tuple`: Waveforms (int16, 16 kHz), their speakers and, where asked for, the frames of each of their syllables.
    """
    columns = ["audio", "speaker"] + ["phones"] * (syllables_of is not None)
    for shard in shards:
        for batch in pq.ParquetFile(shard).iter_batches(ROWS_AT_A_TIME, columns=columns):
            audio = [decode_flac(row["bytes"]) for row in batch["audio"].to_pylist()]
            speakers = batch["speaker"].to_pylist()
            if syllables_of is None:
                yield audio, speakers
                continue
            syllables = [
                syllable_frames(phones_to_frames(phones, len(samples) // syllables_of, syllables_of))
                for phones, samples in zip(batch["phones"].to_pylist(), audio)
            ]
            yield audio, speakers, syllables


def _fit_and_save(
    folder: Path, utterances: Path, settings: QuantizerSettings, device: str, report_progress=None
) -> None:
    """The job of a worker. How far it is cannot be told: frames are known only once they are read."""
    from ....models.speech_units import SpeechUnitProcessor

    (model,) = fit_quantizers(utterances, settings, [settings.corpus_seed], device)
    SpeechUnitProcessor.from_config(model.config).save_pretrained(folder)
    model.save_pretrained(folder)
