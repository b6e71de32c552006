"""`evoslm answer MODEL clip.wav`: what a fine-tuned model says of recordings or texts.

fine-tuned folder or id + files or texts -> one line of JSON each.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...datasets_scripts.recordings.reading import read_waveform
from ...datasets_scripts.slu import spoken_text
from ...models.slu.configuration_slu import SluConfig
from ...models.slu.pipeline import SluPipeline
from ..external_units.quantizers import is_external, load_quantizer
from ..run.workers import resolve_device
from .speech import check_quantizer


@dataclass
class AnswerArguments:
    """
    A fine-tuned model, and what it is asked about.

    Args:
        model (`str`): An adapter or a whole model that `evoslm finetune` made: a folder, or an id on the Hub.
        audio (`list[str]`, *optional*): Recordings, in any format that libsndfile reads.
        text (`list[str]`, *optional*): Texts, which are written as those of the training were.
        base_model (`str`, *optional*): Of an adapter, where its base lies, if it is not where it was.
        quantizer (`str`, *optional*): The folder of the quantizer, if it is not where it was.
        revision (`str`, *optional*): The model's commit, branch or tag on the Hub.
        device (`str`, *optional*, defaults to `"auto"`): Where models run; `auto` takes a GPU where there is one.
    """

    model: str
    audio: list[str] | None = None
    text: list[str] | None = None
    base_model: str | None = None
    quantizer: str | None = None
    revision: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"


def answer(arguments: AnswerArguments) -> list[dict]:
    """
    Print an answer for each recording and text.

    Args:
        arguments ([`AnswerArguments`]): Of the command.

    Returns:
        `list[dict]`: As [`SluPipeline`] gives them, with `input`.

    Raises:
        `FileNotFoundError`: If the model, its base or the quantizer is not there.
        `ValueError`: If nothing is asked, a file is no recording, or the model does not read it.
    """
    if not arguments.audio and not arguments.text:
        raise ValueError("Give recordings (`evoslm answer MODEL clip.wav`) or --text.")
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # that the head of a classifier is new before its adapter is read
    device = resolve_device(arguments.device)
    pipeline = SluPipeline.from_pretrained(
        arguments.model, arguments.base_model, _open_quantizer(arguments), device, spoken_text, arguments.revision
    )
    answers = [{"input": name} | pipeline(audio=read_waveform(Path(name), name)) for name in arguments.audio or []] + [
        {"input": text} | pipeline(text=text) for text in arguments.text or []
    ]
    for one in answers:
        print(json.dumps(one, ensure_ascii=False), flush=True)
    return answers


def _open_quantizer(arguments: AnswerArguments) -> Any:
    """The quantizer that was given; a function that makes units, of the training too, is loaded for recordings."""
    given = arguments.quantizer
    if arguments.audio:
        # What is released says an id on the Hub, where no function lies.
        folder = given or (
            SluConfig.from_pretrained(arguments.model).quantizer if Path(arguments.model).is_dir() else None
        )
        if folder is not None and is_external(folder):
            check_quantizer(Path(folder))
            return load_quantizer(Path(folder))
    return given
