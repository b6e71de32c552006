"""`evoslm train-transcriber`: units or phones to text, from a run's own aligned utterances.

utterance shards and unit shards -> [`TranscriberBatches`] -> [`UnitTranscriber`] -> CTC loss -> the weights with the
fewest character errors on the validation split -> `model`, with `training.json` -> errors on the test split
(`evaluation.py`). A step depends on the seed and its number alone, so a killed training ends as if nothing happened.
"""

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ...models.files import write_json
from ...models.phones import ARPABET
from ...models.transcriber import UnitTranscriber, UnitTranscriberConfig, recognition_errors
from ...models.transcriber.configuration_unit_transcriber import CHARACTERS
from ...models.transcriber.ctc_search import write_as_spoken
from ..arguments.fields import check_values
from ..external_units.quantizers import read_quantizer_config
from ..pretrain.plain_training import learning_rate_share, resume_training, save_training, update_weights
from ..run.folder import MODEL_FOLDER, TRAINING_FILE, Run
from ..run.stage import Stage
from ..run.study_file import open_run, read_study
from ..run.workers import resolve_device
from .batches import TranscriberBatches, choose_upsampling
from .evaluation import evaluate_transcriber, find_heard, hear_units
from .symbols import UNIT_MODALITIES, SpokenUtterance, read_utterances

VERSION = 2
_BEAM_WIDTH = 16
_BEST_FILE = "best.safetensors"
# None of these changes the model.
_NOT_RESULT = ("run_dir", "output_dir", "transcriber", "max_heard", "device", "overwrite", "progress")


@dataclass
class TranscriberArguments:
    """
    A transcriber of units or phones, and its training.

    Args:
        run_dir (`str`): A run's folder, with utterances and, for speech, their units.
        output_dir (`str`, *optional*): Where the transcriber goes; `<run_dir>/transcribers/<modality>` when not given.
        modality (`str`, *optional*, defaults to `"speech_dedup"`): What it reads. `speech_dedup` reads units at the
            frame rate as well, and collapses their runs; `speech_units` hears durations, and reads nothing else.
        upsampling (`int`, *optional*): Labels of each symbol; when not given, the fewest with which 99 % of the
            training utterances have 1.5 times the steps that CTC needs.
        hidden_size (`int`, *optional*, defaults to 128): Width of the layers.
        num_hidden_layers (`int`, *optional*, defaults to 4): Layers.
        dropout (`float`, *optional*, defaults to 0.1): Dropout of the layers.
        unit_dropout (`float`, *optional*, defaults to 0.1): Share of symbols that are hidden in training.
        cut_share (`float`, *optional*, defaults to 0.6): Share of training utterances that are cut from a random word
            to another, since continuations begin in the middle.
        batch_size (`int`, *optional*, defaults to 8): Utterances a step.
        max_steps (`int`, *optional*, defaults to 1600): Training steps at most.
        learning_rate (`float`, *optional*, defaults to 2e-3): Highest learning rate.
        warmup_steps (`int`, *optional*, defaults to 100): Steps in which it rises; it then falls linearly to 0.
        eval_steps (`int`, *optional*, defaults to 200): Steps between transcripts of the validation split, and
            between checkpoints.
        patience (`int`, *optional*, defaults to 5): The training ends after so many of them without fewer errors.
        transcriber (`str`, *optional*): A model for speech recognition, by folder or Hub id, that transcribes the test
            split beside it: as it was spoken, and as vocoders say its units. What it heard stays in the table when
            the command is given again without it.
        max_heard (`int`, *optional*): The first so many utterances are transcribed by it; all when not given.
        seed (`int`, *optional*, defaults to 0): Seed of weights, order, cuts and dropout.
        device (`str`, *optional*, defaults to `"auto"`): Where it is trained; `auto` takes a GPU where there is one.
        overwrite (`bool`, *optional*, defaults to `False`): Redo a finished training whose configuration differs.
        progress (`bool`, *optional*, defaults to `True`): Whether to show a progress bar.
    """

    run_dir: str
    output_dir: str | None = None
    modality: Literal["speech_dedup", "speech_units", "phone_raw", "phone_repeat"] = "speech_dedup"
    upsampling: int | None = field(default=None, metadata={"least": 1})
    hidden_size: int = field(default=128, metadata={"least": 1})
    num_hidden_layers: int = field(default=4, metadata={"least": 1})
    dropout: float = field(default=0.1, metadata={"least": 0, "most": 0.9})
    unit_dropout: float = field(default=0.1, metadata={"least": 0, "most": 0.9})
    cut_share: float = field(default=0.6, metadata={"least": 0, "most": 1})
    batch_size: int = field(default=8, metadata={"least": 1})
    max_steps: int = field(default=1600, metadata={"least": 1})
    learning_rate: float = field(default=2e-3, metadata={"above": 0})
    warmup_steps: int = 100
    eval_steps: int = field(default=200, metadata={"least": 1})
    patience: int = field(default=5, metadata={"least": 1})
    transcriber: str | None = None
    max_heard: int | None = field(default=None, metadata={"least": 1})
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    overwrite: bool = False
    progress: bool = True


def train_transcriber(arguments: TranscriberArguments) -> Path:
    """
    Train a [`UnitTranscriber`], or go on with a training that was interrupted, and count its errors on the test split.

    Args:
        arguments ([`TranscriberArguments`]): What to train on what.

    Returns:
        `Path`: The output folder: `model`, for [`~UnitTranscriber.from_pretrained`], with `training.json`;
        `transcripts.jsonl`, `results.json` and `report.md`; and `heard`, what another transcriber heard.

    Raises:
        `FileNotFoundError`: If the folder is no run, or the run has no utterances, no units or no vocoder.
        `ValueError`: If an argument is out of range, no utterance can be aligned, or the folder holds a training of
            another configuration and `overwrite` is not set.
    """
    check_values(arguments)
    run = open_run(arguments.run_dir)
    is_of_units = arguments.modality in UNIT_MODALITIES
    if arguments.transcriber is not None and not is_of_units:
        raise ValueError(f"--transcriber hears units by a vocoder, and {arguments.modality} has none; leave it out.")
    inputs = {"utterances": run.utterances()}
    if is_of_units:
        inputs |= {"quantizer": run.units() / MODEL_FOLDER, "units": run.units() / "utterances"}
    configuration = {name: value for name, value in asdict(arguments).items() if name not in _NOT_RESULT}
    output_dir = Path(arguments.output_dir or run.folder / "transcribers" / arguments.modality)
    stage = Stage(output_dir / MODEL_FOLDER, VERSION, configuration, inputs, packages=("torch",))
    stage.keys()  # what is not there is named before another transcriber begins to hear
    heard = find_heard(run, output_dir) if is_of_units else None
    if arguments.transcriber is not None:
        heard = hear_units(run, output_dir, arguments.transcriber, arguments.max_heard, arguments.overwrite)
    stage.run(lambda folder: _train(arguments, run, folder), arguments.overwrite)
    evaluate_transcriber(run, output_dir, read_split(run, "test", arguments.modality), heard)
    return output_dir


def read_split(run: Run, split: str, modality: str) -> list[SpokenUtterance]:
    """A split of a run as a transcriber reads it."""
    is_of_units = modality in UNIT_MODALITIES
    rate = read_quantizer_config(run.units() / MODEL_FOLDER).frame_rate if is_of_units else None
    rate = rate or read_study(run.folder)["frame_rate"]
    return read_utterances(
        run.utterances(), split, modality, rate, run.units() / "utterances" if is_of_units else None
    )


def _make_config(
    arguments: TranscriberArguments, run: Run, utterances: list[SpokenUtterance]
) -> UnitTranscriberConfig:
    collapse = arguments.modality == "speech_dedup"
    if arguments.modality in UNIT_MODALITIES:
        symbols = {"num_units": read_quantizer_config(run.units() / MODEL_FOLDER).num_units}
    else:
        symbols = {"num_units": len(ARPABET), "symbols": ARPABET}
    return UnitTranscriberConfig(
        **symbols,
        collapse=collapse,
        words=sorted(
            {word for utterance in utterances for word in write_as_spoken(utterance.text, CHARACTERS).split()}
        ),
        beam_width=_BEAM_WIDTH,
        upsampling=arguments.upsampling or choose_upsampling(utterances, collapse),
        hidden_size=arguments.hidden_size,
        num_hidden_layers=arguments.num_hidden_layers,
        intermediate_size=2 * arguments.hidden_size,
        dropout=arguments.dropout,
        unit_dropout=arguments.unit_dropout,
        modality=arguments.modality,
    )


def _train(arguments: TranscriberArguments, run: Run, output_dir: Path) -> None:
    from tqdm import tqdm

    device = resolve_device(arguments.device)
    utterances, validation = (read_split(run, split, arguments.modality) for split in ("train", "validation"))
    torch.manual_seed(arguments.seed)
    model = UnitTranscriber(_make_config(arguments, run, utterances)).to(device)
    data = TranscriberBatches(utterances, model, arguments.batch_size, arguments.cut_share, arguments.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.learning_rate, betas=(0.9, 0.98))
    checkpoints, best_file = output_dir / "checkpoints", output_dir / _BEST_FILE
    checkpoints.mkdir(exist_ok=True)
    beginning = {"steps": 0, "unaligned": 0, "train": [], "validation": []}
    history = resume_training(checkpoints, model, optimizer, beginning)
    first = history["steps"]
    with tqdm(
        total=arguments.max_steps, initial=first, unit="step", desc="transcriber", disable=not arguments.progress
    ) as bar:
        for step in range(first, arguments.max_steps):
            if _has_stopped_improving(history["validation"], arguments.patience):
                break
            model.train()
            torch.manual_seed(int(np.random.SeedSequence([arguments.seed, step]).generate_state(1)[0]))
            units, labels, unaligned = data.batch(step)
            loss = model(units.to(device), labels.to(device)).loss
            share = learning_rate_share(step, arguments.warmup_steps, arguments.max_steps)
            update_weights(model, optimizer, loss, step, arguments.learning_rate * share)
            history["train"].append(round(loss.item(), 4))
            history["unaligned"] += unaligned
            history["steps"] = step + 1
            bar.update()
            bar.set_postfix(loss=f"{np.mean(history['train'][-50:]):.3f}")
            if step + 1 == arguments.max_steps or (step + 1) % arguments.eval_steps == 0:
                history["validation"].append({"step": step + 1, **_validate(model, validation)})
                if _best(history["validation"])["step"] == step + 1:
                    save_file({name: value.cpu() for name, value in model.state_dict().items()}, best_file)
                save_training(checkpoints, model, optimizer, history)

    best = _best(history["validation"])
    model.load_state_dict(load_file(best_file))
    model.config.fit = {"seed": arguments.seed, "utterances": len(data.utterances), **best}
    model.save_pretrained(output_dir)
    facts = {"parameters": sum(weight.numel() for weight in model.parameters()), "best": best}
    facts["epochs"] = round(history["steps"] / data.steps_per_epoch, 2)
    write_json(output_dir / TRAINING_FILE, {**facts, **history, "skipped": data.skipped})
    shutil.rmtree(checkpoints)
    best_file.unlink()


def _validate(model: UnitTranscriber, utterances: list[SpokenUtterance]) -> dict[str, float]:
    """Character and word error rates on whole utterances, of the likeliest labels."""
    transcripts = model.transcribe([utterance.symbols for utterance in utterances], num_beams=1)
    errors = recognition_errors([utterance.text for utterance in utterances], transcripts)
    return {name: round(errors[name], 5) for name in ("cer", "wer")}


def _best(validation: list[dict[str, float]]) -> dict[str, float]:
    """The first of the evaluations with the fewest character errors."""
    return min(validation, key=lambda found: found["cer"])


def _has_stopped_improving(validation: list[dict[str, float]], patience: int) -> bool:
    return bool(validation) and len(validation) - 1 - validation.index(_best(validation)) >= patience
