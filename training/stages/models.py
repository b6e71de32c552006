"""The stage of one language model: ids of utterances -> pre-training -> a folder for `from_pretrained`.

A launcher's processes train a model together: the main one builds the stage, the others follow it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..arguments.study import HardwareArguments, PretrainArguments
from ..run.execution import Execution
from ..run.stage import Stage


@dataclass(frozen=True)
class ModelSettings:
    """
    What makes a language model beside its ids.

    Args:
        modality (`str`): The modality's name.
        training_seed (`int`): Seed of the weights and of the order of utterances.
        shape (`dict`): `LlamaConfig`'s arguments.
        protocol ([`PretrainArguments`]): The training protocol.
        precision (`str`): Of the computation, `"bf16"` or `"fp32"`.
        unit_encoder (`str`, *optional*): The encoder that its units are of, noted in its configuration.
        frame_rate (`float`, *optional*): Ids a second, noted there, too, where a modality has one a frame.
    """

    modality: str
    training_seed: int
    shape: dict[str, Any]
    protocol: PretrainArguments
    precision: str = "fp32"
    unit_encoder: str | None = None
    frame_rate: float | None = None


def model_stage(folder: Path, tokenizer: Path, settings: ModelSettings) -> Stage:
    """What makes one language model; the arguments are those of [`train_model`]."""
    packages = ("torch", "transformers", "accelerate")
    return Stage(folder, 4, asdict(settings), {"tokenizer": tokenizer}, packages)


def train_model(
    folder: Path,
    tokenizer: Path,
    settings: ModelSettings,
    hardware: HardwareArguments,
    execution: Execution,
    report_progress: Callable[[float], None] | None = None,
) -> None:
    """
    Train one language model.

    Args:
        folder (`Path`): Where to.
        tokenizer (`Path`): The stage of its tokenizer, with the ids of its utterances.
        settings ([`ModelSettings`]): What makes it.
        hardware ([`HardwareArguments`]): How the device is used, but for the precision.
        execution ([`Execution`]): How it is done.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of updates that are done.
    """
    from ..pretrain.pretraining import pretrain

    noted = {"unit_encoder": settings.unit_encoder, "frame_rate": settings.frame_rate}
    extra = {name: value for name, value in noted.items() if value is not None}

    def build(partial: Path) -> None:
        pretrain(
            settings.modality,
            tokenizer,
            partial,
            settings.shape,
            settings.protocol,
            settings.training_seed,
            execution.device,
            report_progress,
            replace(hardware, precision=settings.precision),
            **extra,
        )

    stage = model_stage(folder, tokenizer, settings)
    stage.run(build, execution.overwrite, together=True)
