"""`evoslm pretrain-encoder`: a HuBERT encoder from a run's own speech, by masked prediction of units.

utterance shards -> units of the run, of MFCC or of a layer of an earlier encoder -> [`EncoderCrops`] ->
[`HubertPretraining`] -> checkpoints -> a folder for `--encoder` and `AutoModel`, with `training.json`. The batch,
masks and dropout of a step depend on the seed and the step alone, so a killed training goes on as if nothing happened.
"""

import shutil
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from transformers import HubertConfig

from ...datasets_scripts.shards.reading import find_shards
from ...models.audio import FRAME_RATE, SAMPLE_RATE
from ...models.files import write_json
from ...models.speech_units import SpeechUnitProcessor, fit_units
from ..arguments.fields import check_values
from ..arguments.study import FRAME_FEATURES
from ..external_units.quantizers import read_quantizer_config
from ..pretrain.hardware import resolve_precision
from ..pretrain.plain_training import learning_rate_share, resume_training, save_training, update_weights
from ..run.folder import MODEL_FOLDER
from ..run.stage import Stage
from ..run.study_file import open_run
from ..run.workers import Job, count_cores, resolve_device, run_jobs
from ..stages.units.encoders import EncoderSettings
from ..stages.units.encoding import encode_shard
from ..stages.units.quantizer import read_audio_batches
from .crops import EncoderCrops
from .masked_prediction import HubertPretraining, count_flops, frame_geometry, mask_spans, save_encoder

VERSION = 1
TRAINING_FILE = "training.json"
TARGETS_FOLDER = "targets"
OWN_UNITS = "run"
_VALIDATION_BATCHES = 4
_SHORTEST_SECONDS = 0.5
# As in fairseq's configuration of HuBERT's pre-training (hubert_base_librispeech.yaml).
_BETAS, _EPSILON, _WEIGHT_DECAY = (0.9, 0.98), 1e-6, 0.01
# None of these changes the result; which voices were read is in the fingerprints of what was read.
_NOT_RESULT = ("run_dir", "output_dir", "voices", "targets", "target_layer", "device", "num_proc", "overwrite")
_NOT_RESULT += ("save_steps", "progress")


@dataclass
class EncoderArguments:
    """
    An encoder and its pre-training (HuBERT, 2106.07447).

    The defaults are a small encoder (13 million parameters) for one GPU; they have not been run on one.
    docs/encoders.md reckons what they cost.

    Args:
        run_dir (`str`): A run's folder, with utterances.
        output_dir (`str`, *optional*): Where the encoder goes; `<run_dir>/encoder` when not given.
        voices (`str`, *optional*): The rendering to read; the run's own when not given.
        targets (`str`, *optional*, defaults to `"mfcc"`): Whose units are predicted: `mfcc` or `log_mel` (a quantizer
            is fitted), `run` (the run's own units), or an encoder by folder or Hub id: the first iteration's, for a
            second one.
        target_layer (`int`, *optional*): The layer of such an encoder, from 1; as `--encoder_layer` when not given.
        num_targets (`int`, *optional*, defaults to 100): Clusters of the quantizer that is fitted for `targets`.
        hidden_size (`int`, *optional*, defaults to 384): Width of the layers.
        num_hidden_layers (`int`, *optional*, defaults to 6): Layers.
        num_attention_heads (`int`, *optional*, defaults to 6): Heads of a layer.
        intermediate_size (`int`, *optional*, defaults to 1536): Width of the feed-forward layers.
        conv_size (`int`, *optional*, defaults to 256): Channels of the seven convolutions in front of the layers.
        dropout (`float`, *optional*, defaults to 0.1): Dropout of layers, attention and projected features.
        mask_time_prob (`float`, *optional*, defaults to 0.8): Share of frames that masks would hide if none
            overlapped; with overlaps about 55 % are hidden.
        mask_time_length (`int`, *optional*, defaults to 10): Frames of a masked span.
        unmasked_weight (`float`, *optional*, defaults to 0.0): Weight of the loss on frames that are not hidden.
        max_seconds (`float`, *optional*, defaults to 10.0): Longest crop of an utterance.
        batch_seconds (`float`, *optional*, defaults to 320.0): Audio of a step.
        max_steps (`int`, *optional*, defaults to 10000): Training steps.
        learning_rate (`float`, *optional*, defaults to 5e-4): Highest learning rate.
        warmup_steps (`int`, *optional*, defaults to 800): Steps in which it rises; it then falls linearly to 0.
        eval_steps (`int`, *optional*, defaults to 500): Steps between validation losses.
        save_steps (`int`, *optional*, defaults to 500): Steps between checkpoints.
        precision (`str`, *optional*, defaults to `"auto"`): Of the computation (weights are fp32); `auto` is bf16
            where a GPU computes it, and fp32 on every CPU.
        seed (`int`, *optional*, defaults to 0): Seed of targets, weights, crops and masks.
        device (`str`, *optional*, defaults to `"auto"`): Where it is trained; `auto` takes a GPU where there is one.
        num_proc (`int`, *optional*): Processes that compute targets on a CPU; the number of cores when not given.
        overwrite (`bool`, *optional*, defaults to `False`): Redo a finished training whose configuration differs.
        progress (`bool`, *optional*, defaults to `True`): Whether to show a progress bar.
    """

    run_dir: str
    output_dir: str | None = None
    voices: Literal["one", "many"] | None = None
    targets: str = "mfcc"
    target_layer: int | None = None
    num_targets: int = field(default=100, metadata={"least": 2})
    hidden_size: int = field(default=384, metadata={"least": 1})
    num_hidden_layers: int = field(default=6, metadata={"least": 1})
    num_attention_heads: int = field(default=6, metadata={"least": 1})
    intermediate_size: int = 1536
    conv_size: int = field(default=256, metadata={"least": 1})
    dropout: float = 0.1
    mask_time_prob: float = field(default=0.8, metadata={"above": 0, "most": 1})
    mask_time_length: int = field(default=10, metadata={"least": 1})
    unmasked_weight: float = 0.0
    max_seconds: float = 10.0
    batch_seconds: float = 320.0
    max_steps: int = field(default=10_000, metadata={"least": 1})
    learning_rate: float = 5e-4
    warmup_steps: int = 800
    eval_steps: int = field(default=500, metadata={"least": 1})
    save_steps: int = field(default=500, metadata={"least": 1})
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    num_proc: int | None = field(default=None, metadata={"least": 1})
    overwrite: bool = False
    progress: bool = True


def pretrain_encoder(arguments: EncoderArguments) -> Path:
    """
    Train a HuBERT encoder, or go on with a training that was interrupted.

    Args:
        arguments ([`EncoderArguments`]): What to train on what.

    Returns:
        `Path`: The encoder's folder, for `--encoder`, `fit_units(encoder_id=...)` and `AutoModel`. `training.json`
        holds losses (nats a hidden frame), accuracies on hidden frames, and the entropy of a single unit to compare
        them with; `targets/model` the quantizer that was fitted for the targets.

    Raises:
        `FileNotFoundError`: If the folder is no run, or the run has no utterances, or no units where its own are asked
            for.
        `ValueError`: If an argument is out of range, the targets are no encoder, units and audio do not belong
            together, or the folder holds a training of another configuration and `overwrite` is not set.
    """
    _check(arguments)
    run = open_run(arguments.run_dir)
    inputs = {"utterances": run.utterances(arguments.voices)}
    configuration = {name: value for name, value in asdict(arguments).items() if name not in _NOT_RESULT}
    if arguments.targets == OWN_UNITS:
        units = run.units(arguments.voices)
        inputs |= {"quantizer": units / MODEL_FOLDER, "units": units / "utterances"}
        del configuration["num_targets"]
    else:
        configuration["targets"] = _encoder_of(arguments).describe()
    output_dir = Path(arguments.output_dir or run.folder / "encoder")
    output_dir.parent.mkdir(parents=True, exist_ok=True)
    stage = Stage(output_dir, VERSION, configuration, inputs)

    def build(folder: Path) -> None:
        if arguments.targets == OWN_UNITS:
            targets = run.units(arguments.voices)
        else:
            targets = _make_targets(arguments, inputs["utterances"], folder / TARGETS_FOLDER)
        _train(arguments, inputs["utterances"], targets, folder)

    stage.run(build, arguments.overwrite)
    return output_dir


def _check(arguments: EncoderArguments) -> None:
    check_values(arguments)
    width, heads = arguments.hidden_size, arguments.num_attention_heads
    if width % heads or width % 16:
        raise ValueError(
            f"--hidden_size is {width}; it must be a multiple of 16 and of --num_attention_heads ({heads})."
        )
    shortest = max(_SHORTEST_SECONDS, (arguments.mask_time_length + 1) / FRAME_RATE)
    if arguments.max_seconds < shortest:
        raise ValueError(f"--max_seconds is {arguments.max_seconds}; it must be at least {shortest:g}.")
    if arguments.batch_seconds < arguments.max_seconds:
        raise ValueError(f"--batch_seconds is {arguments.batch_seconds}, less than --max_seconds; raise it.")
    if arguments.target_layer is not None and arguments.targets in (*FRAME_FEATURES, OWN_UNITS):
        raise ValueError(f"--targets {arguments.targets} has no layers to choose from; leave --target_layer out.")
    if arguments.targets == OWN_UNITS and arguments.num_targets != EncoderArguments.num_targets:
        raise ValueError(f"--targets {OWN_UNITS} takes the run's units, however many; leave --num_targets out.")


def _encoder_of(arguments: EncoderArguments) -> EncoderSettings:
    return EncoderSettings(arguments.targets, arguments.target_layer)


def _make_targets(arguments: EncoderArguments, utterances: Path, folder: Path) -> Path:
    """Fit a quantizer on the training split and write the units of training and validation, shard by shard."""
    device = resolve_device(arguments.device)
    model_dir, target = folder / MODEL_FOLDER, folder / "utterances"
    shards = find_shards(utterances, ("id", "audio", "speaker"))
    if not (model_dir / "model.safetensors").exists():
        model = fit_units(
            read_audio_batches([Path(shard) for shard in shards.get("train", [])]),
            num_units=arguments.num_targets,
            seed=arguments.seed,
            device=device,
            **_encoder_of(arguments).fit_arguments,
        )
        SpeechUnitProcessor.from_config(model.config).save_pretrained(model_dir)
        model.save_pretrained(model_dir)
    target.mkdir(parents=True, exist_ok=True)
    wanted = [Path(shard) for split in ("train", "validation") for shard in shards.get(split, [])]
    job = {"model_dir": model_dir, "target": target, "columns": ("audio",), "device": device}
    jobs = [
        Job(encode_shard, job | {"shard": shard}, shard.stat().st_size)
        for shard in wanted
        if not (target / shard.name).exists()
    ]
    workers = 1 if device == "cuda" else arguments.num_proc or count_cores()
    run_jobs(jobs, workers, "targets")
    return folder


def _train(arguments: EncoderArguments, utterances: Path, targets: Path, output_dir: Path) -> None:
    from tqdm import tqdm

    device = resolve_device(arguments.device)
    half = resolve_precision(arguments.precision, device) == "bf16"
    quantizer = read_quantizer_config(targets / MODEL_FOLDER)
    config = _encoder_config(arguments)
    geometry = frame_geometry(config)
    if (quantizer.sampling_rate, quantizer.hop_length) != (SAMPLE_RATE, geometry[0]):
        raise ValueError(
            f"The targets are {quantizer.frame_rate:g} units a second at {quantizer.sampling_rate} Hz; the encoder "
            f"makes {SAMPLE_RATE / geometry[0]:g} frames a second at {SAMPLE_RATE} Hz. Choose other --targets."
        )
    rate = SAMPLE_RATE / geometry[0]
    data = {
        split: EncoderCrops(
            utterances,
            targets / "utterances",
            split,
            geometry,
            max_frames=round(arguments.max_seconds * rate),
            min_frames=max(round(_SHORTEST_SECONDS * rate), arguments.mask_time_length + 1),
            batch_frames=round(arguments.batch_seconds * rate),
            seed=arguments.seed,
        )
        for split in ("train", "validation")
    }
    torch.manual_seed(arguments.seed)
    model = HubertPretraining(config, quantizer.num_units, unmasked_weight=arguments.unmasked_weight).to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=arguments.learning_rate, betas=_BETAS, eps=_EPSILON, weight_decay=_WEIGHT_DECAY
    )
    checkpoints = output_dir / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    beginning = {"steps": 0, "frames": 0, "flops": 0.0, "train": [], "accuracy": [], "validation": []}
    history = resume_training(checkpoints, model, optimizer, beginning)
    validation = [batch for _, batch in zip(range(_VALIDATION_BATCHES), data["validation"].batches())]

    def predict(split: str, step: int, batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        waveforms, units = batch
        rng = np.random.default_rng([arguments.seed, split == "train", step])
        mask = mask_spans(tuple(units.shape), arguments.mask_time_prob, arguments.mask_time_length, rng)
        with torch.autocast(device, torch.bfloat16, enabled=half):
            return model(waveforms.to(device), units.to(device), torch.from_numpy(mask).to(device))

    first = history["steps"]
    with (
        closing(data["train"].batches(first)) as batches,
        tqdm(
            total=arguments.max_steps, initial=first, unit="step", desc="encoder", disable=not arguments.progress
        ) as bar,
    ):
        for step in range(first, arguments.max_steps):
            model.train()
            torch.manual_seed(int(np.random.SeedSequence([arguments.seed, step]).generate_state(1)[0]))
            share = learning_rate_share(step, arguments.warmup_steps, arguments.max_steps)
            batch = next(batches)
            found = predict("train", step, batch)
            update_weights(model, optimizer, found["loss"], step, arguments.learning_rate * share)
            history["train"].append(round(found["masked_loss"].item(), 4))
            history["accuracy"].append(round(found["masked_accuracy"].item(), 4))
            history["steps"] = step + 1
            history["frames"] += batch[1].numel()
            history["flops"] += 3 * len(batch[1]) * count_flops(config, batch[1].shape[1])
            bar.update()
            bar.set_postfix(
                loss=f"{np.mean(history['train'][-50:]):.3f}", accuracy=f"{np.mean(history['accuracy'][-50:]):.3f}"
            )
            is_last = step + 1 == arguments.max_steps
            if is_last or (step + 1) % arguments.eval_steps == 0:
                model.eval()
                with torch.no_grad():
                    values = [predict("validation", index, held_out) for index, held_out in enumerate(validation)]
                means = {
                    name: round(float(np.mean([float(value[name]) for value in values])), 4)
                    for name in ("masked_loss", "masked_accuracy")
                }
                history["validation"].append({"step": step + 1, **means})
            if not is_last and (step + 1) % arguments.save_steps == 0:
                save_training(checkpoints, model, optimizer, history)

    facts = {
        "parameters": sum(weight.numel() for weight in model.encoder.parameters()),
        "num_targets": quantizer.num_units,
        "unit_entropy": {split: round(crops.unit_entropy(), 4) for split, crops in data.items()},
        "seconds": {split: round(crops.seconds, 2) for split, crops in data.items()},
    }
    skipped = [row for crops in data.values() for row in crops.skipped]
    save_encoder(model.encoder, output_dir)
    write_json(output_dir / TRAINING_FILE, {**facts, **history, "skipped": skipped})
    shutil.rmtree(checkpoints)
    shutil.rmtree(output_dir / TARGETS_FOLDER / "utterances", ignore_errors=True)


def _encoder_config(arguments: EncoderArguments) -> HubertConfig:
    """HuBERT-base's form in another size; its own masking, for fine-tuning, stays as `HubertConfig` has it."""
    return HubertConfig(
        hidden_size=arguments.hidden_size,
        num_hidden_layers=arguments.num_hidden_layers,
        num_attention_heads=arguments.num_attention_heads,
        intermediate_size=arguments.intermediate_size,
        conv_dim=(arguments.conv_size,) * 7,
        hidden_dropout=arguments.dropout,
        attention_dropout=arguments.dropout,
        feat_proj_dropout=arguments.dropout,
        activation_dropout=0.0,
        layerdrop=0.0,
    )
