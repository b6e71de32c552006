"""Training a neural vocoder on a run's own audio and units.

utterance shards and unit shards -> [`VocoderSegments`] -> random segments -> [`UnitHifiGan`] -> [`SpectralLoss`] ->
checkpoints -> a folder with `from_pretrained`, `training.json` and `quality.json`. The batch of a step depends on the
seed and the step alone, so a training that was killed goes on as if nothing had happened.
"""

import io
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import torch

from ...datasets_scripts.shards.reading import find_shards
from ...models.audio import decode_flac
from ...models.files import write_json
from ...models.vocoder import UnitHifiGan, UnitHifiGanConfig, resynthesis_quality
from ..arguments.fields import check_values
from ..external_units.quantizers import read_quantizer_config
from ..pretrain.plain_training import learning_rate_share, resume_training, save_training, update_weights
from ..run.folder import MODEL_FOLDER
from ..run.stage import Stage
from ..run.study_file import open_run
from .loss import SpectralLoss

VERSION = 1
TRAINING_FILE = "training.json"
QUALITY_FILE = "quality.json"
_VALIDATION_BATCHES = 4
# None of these changes the result; which voices were read is in the fingerprints of what was read.
_NOT_RESULT = ("run_dir", "output_dir", "voices", "device", "overwrite", "save_steps", "progress")


@dataclass
class VocoderArguments:
    """
    A neural vocoder and its training.

    Args:
        run_dir (`str`): A run's folder, with utterances and their units.
        output_dir (`str`, *optional*): Where the vocoder goes; `<run_dir>/vocoder` when not given.
        voices (`str`, *optional*): The rendering to read; the run's own when not given.
        channels (`int`, *optional*, defaults to 256): Channels in front of the first upsampling layer.
        unit_embed_size (`int`, *optional*, defaults to 128): Size of a unit's embedding.
        resblock_kernel_sizes (`list[int]`, *optional*, defaults to `[3, 7, 11]`): Kernel sizes of the residual blocks.
        segment_frames (`int`, *optional*, defaults to 32): Units of a training segment; shorter utterances are left
            out.
        batch_size (`int`, *optional*, defaults to 16): Segments a step.
        max_steps (`int`, *optional*, defaults to 20000): Training steps.
        learning_rate (`float`, *optional*, defaults to 5e-4): Highest learning rate.
        warmup_steps (`int`, *optional*, defaults to 200): Steps in which it rises; it then falls linearly to 0.
        mel_weight (`float`, *optional*, defaults to 2.0): Weight of the log-mel distance beside the STFT loss.
        eval_steps (`int`, *optional*, defaults to 500): Steps between validation losses.
        save_steps (`int`, *optional*, defaults to 500): Steps between checkpoints.
        quality_utterances (`int`, *optional*, defaults to 20): Validation utterances that are re-synthesised and
            measured in the end.
        seed (`int`, *optional*, defaults to 0): Seed of weights and segments.
        device (`str`, *optional*, defaults to `"auto"`): Where it is trained; `auto` takes a GPU where there is one.
        overwrite (`bool`, *optional*, defaults to `False`): Redo a finished training whose configuration differs.
        progress (`bool`, *optional*, defaults to `True`): Whether to show a progress bar.
    """

    run_dir: str
    output_dir: str | None = None
    voices: Literal["one", "many"] | None = None
    channels: int = 256
    unit_embed_size: int = 128
    resblock_kernel_sizes: list[int] = field(default_factory=lambda: [3, 7, 11])
    segment_frames: int = field(default=32, metadata={"least": 1})
    batch_size: int = field(default=16, metadata={"least": 1})
    max_steps: int = field(default=20_000, metadata={"least": 1})
    learning_rate: float = 5e-4
    warmup_steps: int = 200
    mel_weight: float = 2.0
    eval_steps: int = field(default=500, metadata={"least": 1})
    save_steps: int = field(default=500, metadata={"least": 1})
    quality_utterances: int = 20
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    overwrite: bool = False
    progress: bool = True


def train_vocoder(arguments: VocoderArguments) -> Path:
    """
    Train a [`UnitHifiGan`], or go on with a training that was interrupted.

    The loss is spectral alone, without discriminators: speech is intelligible and sounds somewhat buzzy.

    Args:
        arguments ([`VocoderArguments`]): What to train on what.

    Returns:
        `Path`: The vocoder's folder. `training.json` holds the losses, `quality.json` [`resynthesis_quality`] on
        validation utterances.

    Raises:
        `FileNotFoundError`: If the folder is no run, or the run has no utterances or no units.
        `ValueError`: If an argument is out of range, units and audio do not belong together, no utterance is as long
            as a segment, or the folder holds a training of another configuration and `overwrite` is not set.
    """
    check_values(arguments)
    run = open_run(arguments.run_dir)
    units = run.units(arguments.voices)
    folders = {"utterances": run.utterances(arguments.voices), "units": units / "utterances"}
    folders["quantizer"] = units / MODEL_FOLDER
    configuration = {name: value for name, value in asdict(arguments).items() if name not in _NOT_RESULT}
    output_dir = Path(arguments.output_dir or run.folder / "vocoder")
    output_dir.parent.mkdir(parents=True, exist_ok=True)
    stage = Stage(output_dir, VERSION, configuration, folders)
    stage.run(lambda folder: _train(arguments, folders, folder), arguments.overwrite)
    return output_dir


class VocoderSegments:
    """
    A split's audio beside its units, from which segments are cut. FLAC stays as it is, and only the samples of a
    segment are decoded.

    Args:
        folders (`dict[str, Path]`): The stages `utterances` and `units`.
        split (`str`): `"train"`, `"validation"` or `"test"`.
        hop_length (`int`): Samples per unit.
        segment_frames (`int`): Units of a segment.

    Raises:
        `FileNotFoundError`: If there are no shards of the split.
        `ValueError`: If units and audio do not belong together, or no utterance is as long as a segment.
    """

    def __init__(self, folders: dict[str, Path], split: str, hop_length: int, segment_frames: int):
        self.hop_length = hop_length
        self.segment_frames = segment_frames
        self.skipped: list[dict[str, str]] = []
        self._rows: list[tuple[bytes, np.ndarray, str]] = []
        for row_id, audio, units, speaker in _read(folders, split):
            if len(units) < segment_frames:
                reason = f"It has {len(units)} units, fewer than the {segment_frames} of a segment."
                self.skipped.append({"id": row_id, "reason": reason})
            else:
                self._rows.append((audio, units, speaker))
        if not self._rows:
            raise ValueError(
                f"No {split} utterance has the {segment_frames} units of a segment; lower --segment_frames."
            )
        starts = [len(units) - segment_frames + 1 for _, units, _ in self._rows]
        self._ends = np.cumsum(starts)

    @property
    def speakers(self) -> list[str]:
        """Names of all speakers."""
        return sorted({speaker for _, _, speaker in self._rows})

    def batch(
        self, key: list[int], batch_size: int, speakers: list[str]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """
        Cut segments, all places being equally likely.

        Args:
            key (`list[int]`): What the draw depends on.
            batch_size (`int`): Number of segments.
            speakers (`list[str]`): Names in the order of the model's rows.

        Returns:
            `tuple[torch.LongTensor, torch.FloatTensor, torch.LongTensor]`: Units of shape
            `(batch_size, segment_frames)`, samples of shape `(batch_size, segment_frames * hop_length)` and rows of
            the speakers.
        """
        import soundfile

        units, samples, voices = [], [], []
        for place in np.random.default_rng(key).integers(self._ends[-1], size=batch_size):
            index = int(np.searchsorted(self._ends, place, side="right"))
            start = int(place - (self._ends[index - 1] if index else 0))
            audio, row, speaker = self._rows[index]
            with soundfile.SoundFile(io.BytesIO(audio)) as file:
                file.seek(start * self.hop_length)
                samples.append(file.read(self.segment_frames * self.hop_length, dtype="float32"))
            units.append(row[start : start + self.segment_frames])
            voices.append(speakers.index(speaker))
        return (
            torch.from_numpy(np.stack(units).astype(np.int64)),
            torch.from_numpy(np.stack(samples)),
            torch.tensor(voices),
        )

    def utterances(self) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
        """Whole waveforms (int16) with units and speaker."""
        for audio, units, speaker in self._rows:
            yield decode_flac(audio), units, speaker


def _train(arguments: VocoderArguments, folders: dict[str, Path], output_dir: Path) -> None:
    from tqdm import tqdm

    device = arguments.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    source = read_quantizer_config(folders["quantizer"])
    if not isinstance(source.hop_length, int):
        raise ValueError(
            f"{source.frame_rate:g} units a second are no whole number of samples at 16 kHz each, which a vocoder "
            "needs; train the tokenizer's own."
        )
    data = {
        split: VocoderSegments(folders, split, source.hop_length, arguments.segment_frames)
        for split in ("train", "validation")
    }
    speakers = data["train"].speakers
    if unknown := sorted(set(data["validation"].speakers) - set(speakers)):
        raise ValueError(f"Speaker {unknown[0]!r} is in the validation split only; a vocoder has to hear them first.")
    torch.manual_seed(arguments.seed)
    model = UnitHifiGan(
        UnitHifiGanConfig(
            num_units=source.num_units,
            sampling_rate=source.sampling_rate,
            hop_length=source.hop_length,
            unit_embed_size=arguments.unit_embed_size,
            speakers=speakers,
            channels=arguments.channels,
            resblock_kernel_sizes=arguments.resblock_kernel_sizes,
            resblock_dilation_sizes=[[1, 3, 5]] * len(arguments.resblock_kernel_sizes),
        )
    ).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.learning_rate, betas=(0.8, 0.99))
    criterion = SpectralLoss(source.sampling_rate, arguments.mel_weight).to(device)
    checkpoints = output_dir / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    beginning = {"steps": 0, "train": [], "validation": []}
    history = resume_training(checkpoints, model, optimizer, beginning)
    first = history["steps"]

    def loss_of(split: str, step: int) -> dict[str, torch.Tensor]:
        key = [arguments.seed, split == "train", step]
        units, target, voices = data[split].batch(key, arguments.batch_size, speakers)
        predicted = model.generate_waveforms(units.to(device), voices.to(device))
        return criterion(predicted, target.to(device))

    with tqdm(
        total=arguments.max_steps, initial=first, unit="step", desc="vocoder", disable=not arguments.progress
    ) as bar:
        running: list[float] = []
        for step in range(first, arguments.max_steps):
            model.train()
            share = learning_rate_share(step, arguments.warmup_steps, arguments.max_steps)
            losses = loss_of("train", step)
            update_weights(model, optimizer, losses["loss"], step, arguments.learning_rate * share)
            history["train"].append(round(losses["loss"].item(), 5))
            history["steps"] = step + 1
            running = [*running[-49:], history["train"][-1]]
            bar.update()
            bar.set_postfix(loss=f"{np.mean(running):.3f}")
            is_last = step + 1 == arguments.max_steps
            if is_last or (step + 1) % arguments.eval_steps == 0:
                model.eval()
                with torch.no_grad():
                    values = [loss_of("validation", i) for i in range(_VALIDATION_BATCHES)]
                means = {
                    name: round(float(np.mean([float(value[name]) for value in values])), 5) for name in values[0]
                }
                history["validation"].append({"step": step + 1, **means})
            if not is_last and (step + 1) % arguments.save_steps == 0:
                save_training(checkpoints, model, optimizer, history)

    model.eval()
    model.config.fit = {"seed": arguments.seed, "steps": arguments.max_steps, **history["validation"][-1]}
    model.save_pretrained(output_dir)
    write_json(output_dir / TRAINING_FILE, {**history, "skipped": data["train"].skipped})
    write_json(output_dir / QUALITY_FILE, _measure(model, data["validation"], arguments.quality_utterances))
    shutil.rmtree(checkpoints)


def _read(folders: dict[str, Path], split: str) -> Iterator[tuple[str, bytes, np.ndarray, str]]:
    shards = find_shards(folders["utterances"], ("id", "audio", "speaker")).get(split)
    if not shards:
        raise FileNotFoundError(f"There are no {split} utterances in {folders['utterances']}; make them first.")
    units_folder = folders["units"]
    for shard in map(Path, shards):
        if not (units_folder / shard.name).is_file():
            raise FileNotFoundError(f"There are no units of {shard.name} in {units_folder}; run fit-units first.")
        rows = pq.read_table(shard, columns=["id", "audio", "speaker"]).to_pylist()
        units = {row["id"]: row["units"] for row in pq.read_table(units_folder / shard.name).to_pylist()}
        for row in rows:
            if row["id"] not in units:
                raise ValueError(
                    f"{shard.name}: there are no units of the utterance {row['id']}; run fit-units again."
                )
            yield row["id"], row["audio"]["bytes"], np.array(units[row["id"]], np.uint16), row["speaker"]


def _measure(model: UnitHifiGan, data: VocoderSegments, limit: int) -> dict[str, Any]:
    rows = [row for row, _ in zip(data.utterances(), range(limit))]
    if not rows:
        return {}
    waveforms, units, speakers = zip(*rows)
    said = model.waveforms(units, speakers)
    config = model.config
    quality = resynthesis_quality(waveforms, said, config.sampling_rate, config.hop_length)
    return {name: None if value != value else value for name, value in quality.items()}
