"""Speech-BPE in further sizes: a tokenizer and language models of each, as the study makes its own.

a run and what it was told -> for each size a tokenizer, models and scores by training seed, in a folder of their own.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ....models.files import read_json
from ...arguments.study import GROUPS, Arguments
from ...external_units.quantizers import read_quantizer_config
from ...run.execution import Execution
from ...run.folder import MODEL_FOLDER, SUMMARY_FILE, Run
from ...run.stage import Stage, read_stage
from ...run.study_file import read_study
from ...run.workers import Job, run_jobs
from ...study import Study
from ..made_of import is_made_of

MODALITY = "speech_bpe"


def check_sizes(run: Run, sizes: Sequence[int]) -> None:
    """
    Refuse sizes of which there can be no pieces, before anything is trained.

    Args:
        run ([`Run`]): The run.
        sizes (`Sequence[int]`): Pieces.

    Raises:
        `ValueError`: If one is not above the number of units, stands twice, or is what the run has already.
    """
    num_units = read_quantizer_config(run.units() / MODEL_FOLDER).num_units
    own = read_study(run.folder)["configuration"]["model"]["unit_bpe_vocab_size"]
    for size in sizes:
        if size <= num_units:
            raise ValueError(
                f"{size} pieces are no more than the {num_units} units of {run.folder}, which each need one; give a "
                "larger number to --unit_bpe_sizes."
            )
        if sizes.count(size) > 1:
            raise ValueError(f"--unit_bpe_sizes has {size} twice; give each size once.")
        if size == own and run.tokenizer(MODALITY).is_dir():
            raise ValueError(f"{run.folder} has Speech-BPE of {size} pieces already; leave it out.")


def build_sizes(run: Run, folder: Path, sizes: Sequence[int], seeds: Sequence[int], execution: Execution) -> None:
    """
    Train Speech-BPE of further sizes, with the run's units, protocol and seeds; what is finished is not done again.

    Args:
        run ([`Run`]): A run with units of frames.
        folder (`Path`): A folder for each size is made here.
        sizes (`Sequence[int]`): Pieces.
        seeds (`Sequence[int]`): Training seeds.
        execution ([`Execution`]): How it is done.
    """
    studies = {size: _study(run, size, execution) for size in sizes}
    tokenizers = []
    for size, study in studies.items():
        function, told = study.tokenizer_job(MODALITY)
        tokenizers.append(Job(function, told | {"folder": folder / str(size) / "tokenizer"}))
    run_jobs(tokenizers, execution.num_proc, "tokenizers")
    jobs = []
    for size, study in studies.items():
        own = folder / str(size)
        tokens = read_json(own / "tokenizer" / SUMMARY_FILE)["train_tokens"]
        for seed in seeds:
            function, told = study.scoring_job(MODALITY, seed)
            jobs.append(Job(function, _in_folder(told, own, seed), cost=tokens))
    run_jobs(jobs, execution.device_workers, "language models")


def finished_sizes(run: Run, folder: Path, seeds: Sequence[int], execution: Execution) -> list[tuple[int, Path]]:
    """
    The sizes that may stand in the table, ascending, and where they lie. Of another one a line says what it lacks.

    Args:
        run ([`Run`]): A run with units of frames.
        folder (`Path`): Where [`build_sizes`] put them.
        seeds (`Sequence[int]`): The training seeds of the run, each of which a size needs a scored model of, made as
            the run now would.
        execution ([`Execution`]): How it is done.
    """
    found = []
    for size, own in sorted((int(path.name), path) for path in folder.glob("*") if path.name.isdigit()):
        if lack := _find_lack(_study(run, size, execution), own, seeds):
            print(
                f"evoslm: without Speech-BPE of {size} pieces, {lack}; --unit_bpe_sizes {size} --overwrite makes it.",
                flush=True,
            )
        else:
            found.append((size, own))
    return found


def _find_lack(study: Study, folder: Path, seeds: Sequence[int]) -> str | None:
    """What of a size is not finished, or was made of other units or otherwise than the study makes its own models."""
    if not _is_made(replace(study.tokenizer_stage(MODALITY), folder=folder / "tokenizer")):
        return "whose tokenizer is not finished or of other units or settings"
    for seed in seeds:
        model, scores = (folder / kind / f"seed-{seed}" for kind in ("models", "scores"))
        stage = study.model_stage(MODALITY, seed)
        if not _is_made(replace(stage, folder=model, inputs=stage.inputs | {"tokenizer": folder / "tokenizer"})):
            return f"whose model of training seed {seed} is not finished or of other settings"
        pairs, units = study.run.pairs(study.run.voices_of(MODALITY)), study.run.pair_units(MODALITY)
        if not is_made_of(scores, {"model": model, "pairs": pairs, "units": units}):
            return f"whose scores of training seed {seed} are not finished or of other pairs"
    return None


def _is_made(stage: Stage) -> bool:
    """Whether a stage is finished as it would be now. In which precision is a matter of the device that trained it."""
    record = read_stage(stage.folder)
    if record is None:
        return False
    made, now = (
        {name: value for name, value in keys.items() if name != "configuration.precision"}
        for keys in (record["keys"], stage.keys())
    )
    return made == now


def _study(run: Run, size: int, execution: Execution) -> Study:
    """The study that made the run, told another size."""
    told = read_study(run.folder)["configuration"]
    arguments = Arguments(**{name: group(**told[name]) for name, group in GROUPS.items()})
    here = replace(
        arguments.run, output_dir=str(run.folder), num_proc=execution.num_proc, overwrite=execution.overwrite
    )
    here = replace(here, device=execution.device)
    return Study(replace(arguments, run=here, model=replace(arguments.model, unit_bpe_vocab_size=size)))


def _in_folder(told: dict[str, Any], folder: Path, seed: int) -> dict[str, Any]:
    """The arguments of a training and its scores, in folders of their own."""
    model = folder / "models" / f"seed-{seed}"
    training = told["training"] | {"folder": model, "tokenizer": folder / "tokenizer"}
    scores = told["scores"] | {"folder": folder / "scores" / f"seed-{seed}", "model": model}
    return told | {"training": training, "scores": scores}
