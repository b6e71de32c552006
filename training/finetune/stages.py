"""The stages of a fine-tuning, a training seed at a time: the model, and what it says of the test split.

contents of train and validation -> [`build_model`] -> a fine-tuned folder; contents of the test split by condition ->
[`build_predictions`] -> `predictions.jsonl` and `summary.json`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...models.files import write_json, write_json_lines
from ...models.slu.configuration_slu import CLASSIFICATION, SluConfig
from ..pretrain.deepspeed_config import load_whole
from ..run.execution import Execution
from ..run.folder import SUMMARY_FILE
from ..run.stage import Stage, fingerprint
from .speech import BABBLE, WHITE
from .training import FinetuneSettings, Rows, finetune_model

PREDICTIONS_FILE = "predictions.jsonl"
PACKAGES = ("torch", "transformers", "peft", "tokenizers")

_NOISES = {WHITE: "white noise", BABBLE: "babble"}


@dataclass(frozen=True)
class Condition:
    """
    How the test split is given to a model.

    Args:
        input (`str`): `"text"` or `"speech"`.
        ids (`list[str]`): Of the examples that are given.
        contents (`list[str]`): Each of them as the model reads it.
        noise (`str`, *optional*): `"white"` or `"babble"`, of speech.
        snr (`float`, *optional*): Energy of the speech over that of the noise, in dB.
        heard (`str`, *optional*): What else than the task's own speech it is, as a report calls it.
    """

    input: str
    ids: list[str]
    contents: list[str]
    noise: str | None = None
    snr: float | None = None
    heard: str | None = None

    @property
    def name(self) -> str:
        """In reports and files: `"speech"`, `"speech, white noise at 10 dB"`, `"speech, en_US-joe-medium"`."""
        if self.noise is not None:
            return f"{self.input}, {_NOISES[self.noise]} at {self.snr:g} dB"
        return self.input if self.heard is None else f"{self.input}, {self.heard}"


def model_stage(
    folder: Path,
    config: SluConfig,
    train: Rows,
    validation: Rows,
    settings: FinetuneSettings,
    from_scratch: bool = False,
) -> Stage:
    """What makes a fine-tuned model: never where base and quantizer lie, nor how other recordings are read."""
    made_of = asdict(config)
    for name in ("quantizer", "unit_quantizer_hash", "cut_edges"):  # the units of the training are in its rows
        del made_of[name]
    if not config.reads_end:  # what was made before there was a choice is not made anew
        del made_of["reads_end"]
    del made_of["base"]["model"]
    configuration = {
        "settings": asdict(settings),
        "slu": made_of,
        "train": fingerprint(asdict(train)),
        "validation": fingerprint(asdict(validation)),
    }
    if from_scratch:
        configuration["from_scratch"] = True
    return Stage(folder, 1, configuration, packages=PACKAGES)


def build_model(
    folder: Path,
    base: Path,
    config: SluConfig,
    train: Rows,
    validation: Rows,
    settings: FinetuneSettings,
    execution: Execution,
    deepspeed: str | None = None,
    from_scratch: bool = False,
    report_progress: Callable[[float], None] | None = None,
) -> None:
    """
    Fine-tune with one training seed.

    Args:
        folder (`Path`): Where to.
        base (`Path`): The folder of the base.
        config ([`SluConfig`]): The task.
        train ([`Rows`]): What is learned.
        validation ([`Rows`]): What chooses the epoch.
        settings ([`FinetuneSettings`]): How.
        execution ([`Execution`]): How it is done.
        deepspeed (`str`, *optional*): How processes share it, as for
            [`~evoslm.training.pretrain.deepspeed_config.read_deepspeed`].
        from_scratch (`bool`, *optional*, defaults to `False`): Whether all weights are drawn anew before.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of updates that are done.
    """

    def build(partial: Path) -> None:
        rows, device = (train, validation), execution.device
        finetune_model(partial, base, config, *rows, settings, device, deepspeed, from_scratch, report_progress)

    stage = model_stage(folder, config, train, validation, settings, from_scratch)
    stage.run(build, execution.overwrite, together=True)


def build_predictions(
    folder: Path, model: Path, base: Path, conditions: list[Condition], execution: Execution
) -> None:
    """
    Ask a fine-tuned model about the test split.

    Args:
        folder (`Path`): Gets `predictions.jsonl` (`condition`, `id`, `predicted` and, of classes, `scores`), and
            `summary.json`, what was counted of each condition: `cut`, inputs that were too long, and of entities
            `unfinished`, answers that did not end.
        model (`Path`): The stage of the model.
        base (`Path`): The folder of the base.
        conditions (`list[Condition]`): How the examples are given.
        execution ([`Execution`]): How it is done.
    """

    def build(partial: Path) -> None:
        rows, summary = [], {}
        for condition in conditions:
            predicted, summary[condition.name] = predict(model, base, condition, execution.device)
            rows += [{"condition": condition.name, "id": name} | row for name, row in zip(condition.ids, predicted)]
        write_json_lines(partial / PREDICTIONS_FILE, rows)
        write_json(partial / SUMMARY_FILE, summary)

    read = {condition.name: fingerprint([condition.ids, condition.contents]) for condition in conditions}
    Stage(folder, 1, {"conditions": read}, {"model": model}, PACKAGES).run(build, execution.overwrite)


def predict(model: Path, base: Path, condition: Condition, device: str) -> tuple[list[dict], dict[str, int]]:
    """
    What a fine-tuned model says under one condition.

    Args:
        model (`Path`): Its folder.
        base (`Path`): The folder of its base.
        condition ([`Condition`]): How the examples are given.
        device (`str`): Where it runs.

    Returns:
        `tuple`: `predicted`, a class or entities as text, and `scores` of each example; and what was counted.
    """
    from ...models.slu.adapters import load_finetuned
    from ...models.slu.inference import classify, encode_prompts, find_entities

    load_whole()
    loaded, tokenizer, config = load_finetuned(model, base)
    loaded.to(device)
    window = getattr(loaded.config, "max_position_embeddings", None)
    prompts = encode_prompts(tokenizer, config, condition.contents, condition.input, window)
    if config.kind == CLASSIFICATION:
        scores = classify(loaded, prompts.ids)
        rows = [{"predicted": config.labels[row.argmax()], "scores": row.tolist()} for row in scores]
        return rows, {"cut": prompts.num_cut}
    answers = find_entities(loaded, tokenizer, config, prompts.ids)
    unfinished = sum(answer.is_cut for answer in answers)
    return [{"predicted": answer.text} for answer in answers], {"cut": prompts.num_cut, "unfinished": unfinished}


def finetune_and_test(
    training: dict[str, Any], testing: dict[str, Any], report_progress: Callable[[float], None]
) -> None:
    """
    One training seed, in the process that has just trained it.

    Args:
        training (`dict[str, Any]`): Arguments of [`build_model`].
        testing (`dict[str, Any]`): Arguments of [`build_predictions`].
        report_progress (`Callable[[float], None]`): Called with the share of the work that is done.
    """
    from transformers.utils import logging

    # One bar for all seeds; and that the head of a classifier is new is what fine-tuning is about.
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    build_model(**training, report_progress=lambda share: report_progress(0.9 * share))
    build_predictions(**testing)
    report_progress(1.0)
