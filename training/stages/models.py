"""The stage of one language model."""

from pathlib import Path

from ...models.modalities import get_modality
from ..arguments.study import Arguments
from ..run import distributed
from ..run.folder import Run
from ..run.stage import Stage


def model_stage(arguments: Arguments, run: Run, modality: str, seed: int) -> Stage:
    """What makes one language model."""
    configuration = {
        "modality": modality,
        "seed": seed,
        "model": arguments.shape,
        "pretrain": {name: value for name, value in arguments.to_dict()["pretrain"].items() if name != "point_pairs"},
    }
    return Stage(run.model(modality, seed), 1, configuration, {"tokenizer": run.tokenizer(modality)})


def train_model(arguments: Arguments, run: Run, modality: str, seed: int, device: str, report_progress) -> None:
    """Train one language model as a stage; the job that `evoslm pretrain` gives to a worker."""
    from ..pretrain.pretraining import pretrain

    extra = {"unit_encoder": arguments.units.encoder} if get_modality(modality).is_speech else {}

    def build(folder: Path) -> None:
        pretrain(
            modality,
            run.tokenizer(modality),
            folder,
            arguments.shape,
            arguments.pretrain,
            seed,
            device,
            report_progress,
            arguments.hardware,
            **extra,
        )

    stage = model_stage(arguments, run, modality, seed)
    if distributed.is_main():
        stage.run(build, arguments.run.overwrite)
    else:
        stage.follow(build)


def train_and_score(arguments: Arguments, run: Run, modality: str, seed: int, device: str, report_progress) -> None:
    """One language model and its scores, in the process that has just trained it."""
    from .scores import build_scores

    model = {"arguments": arguments, "run": run, "modality": modality, "seed": seed, "device": device}
    train_model(**model, report_progress=lambda share: report_progress(0.95 * share))
    build_scores(**model, report_progress=lambda share: report_progress(0.95 + 0.05 * share))
