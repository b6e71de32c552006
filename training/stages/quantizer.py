"""The quantizer of a run: audio of the training split -> k-means."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from ...datasets_scripts.phones.frames import phones_to_frames
from ...datasets_scripts.phones.syllables import syllable_frames
from ...models.audio import FRAME_SAMPLES, decode_flac
from ..arguments.study import Arguments, UnitArguments
from ..run.stage import fingerprint_files

ROWS_AT_A_TIME = 32
ENCODER_FILES = ("config.json", "preprocessor_config.json", "*.safetensors")
"""What makes the frames of a self-supervised encoder in a folder."""


def describe_encoder(units: UnitArguments) -> str | dict:
    """
    What makes the frames, wherever it lies: part of a stage's configuration.

    Args:
        units ([`UnitArguments`]): Of the command.

    Returns:
        `str` or `dict`: The name of frame features; of a self-supervised encoder its layer, source, revision,
        precision and, if it is a folder, what its files hold.

    Raises:
        `ValueError`: If there is no such encoder, or no such layer in it.
    """
    if not units.is_ssl:
        return units.encoder
    from ...models.speech_units.ssl_encoder import describe_ssl_encoder

    ssl = describe_ssl_encoder(units.encoder, units.encoder_layer, units.encoder_revision)
    described = {name: ssl[name] for name in ("source", "layer", "revision")} | {"precision": units.encoder_precision}
    if Path(units.encoder).is_dir():
        # Not its other files: the record of a training says how long it took.
        described["files"] = fingerprint_files(Path(units.encoder), ENCODER_FILES)
    return described


def encoder_label(units: UnitArguments) -> str:
    """The encoder's name in tables and figures: that of its kind."""
    from ...models.speech_units import SpeechUnitConfig

    if not units.is_ssl:
        return SpeechUnitConfig(encoder=units.encoder).encoder_label
    from ...models.speech_units.ssl_encoder import describe_ssl_encoder

    ssl = describe_ssl_encoder(units.encoder, units.encoder_layer, units.encoder_revision)
    return SpeechUnitConfig(encoder="ssl", ssl=ssl).encoder_label


def fit_quantizer(
    arguments: Arguments,
    utterances: Path,
    model_dir: Path,
    device: str = "cpu",
    unit_of: str = "frame",
    report_progress=None,
) -> None:
    """
    Fit the quantizer on the training utterances and save it.

    Args:
        arguments ([`Arguments`]): Of the command.
        utterances (`Path`): The shards of utterances.
        model_dir (`Path`): Where to; the weights are written last.
        device (`str`, *optional*, defaults to `"cpu"`): Where the encoder runs.
        unit_of (`str`, *optional*, defaults to `"frame"`): What a unit describes, `"frame"` or `"syllable"`.
        report_progress (`Callable[[float], None]`, *optional*): Not used: the frames are known only once read.
    """
    from ...models.speech_units import SpeechUnitProcessor

    (model,) = fit_quantizers(arguments, utterances, unit_of, [arguments.corpus.corpus_seed], device)
    SpeechUnitProcessor.from_config(model.config).save_pretrained(model_dir)
    model.save_pretrained(model_dir)


def fit_quantizers(arguments: Arguments, utterances: Path, unit_of: str, seeds: list[int], device: str) -> list:
    """A quantizer a seed of the training utterances."""
    from ...models.speech_units import fit_unit_seeds

    units, parts = arguments.units, arguments.units.segment_parts(unit_of)
    if units.is_ssl:
        encoder = {
            "ssl_model_id": units.encoder,
            "ssl_layer": units.encoder_layer,
            "ssl_revision": units.encoder_revision,
        }
    else:
        encoder = {"encoder": units.encoder}
    return fit_unit_seeds(
        read_audio_batches(sorted(utterances.glob("train-*.parquet")), with_syllables=parts > 0),
        seeds,
        num_units=units.codebook_size(unit_of),
        max_frames=units.fit_frames,
        normalization=units.unit_normalization,
        device=device,
        algorithm=units.kmeans,
        segment_parts=parts,
        **encoder,
    )


def read_audio_batches(shards: list[Path], with_syllables: bool = False) -> Iterator[tuple]:
    """
    Read utterances, a few at a time: memory does not grow.

    Args:
        shards (`list[Path]`): Shards of utterances.
        with_syllables (`bool`, *optional*, defaults to `False`): Whether to find their syllables as well.

    Yields:
        `tuple`: Waveforms (int16, 16 kHz), their speakers and, where asked for, the frames of each of their syllables.
    """
    columns = ["audio", "speaker"] + ["phones"] * with_syllables
    for shard in shards:
        for batch in pq.ParquetFile(shard).iter_batches(ROWS_AT_A_TIME, columns=columns):
            audio = [decode_flac(row["bytes"]) for row in batch["audio"].to_pylist()]
            syllables = (
                [
                    syllable_frames(phones_to_frames(phones, len(samples) // FRAME_SAMPLES))
                    for phones, samples in zip(batch["phones"].to_pylist(), audio)
                ]
                if with_syllables
                else None
            )
            speakers = batch["speaker"].to_pylist()
            yield (audio, speakers, syllables) if with_syllables else (audio, speakers)
