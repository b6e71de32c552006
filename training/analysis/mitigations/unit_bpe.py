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
from ...run.study_file import read_study
from ...run.workers import Job, run_jobs
from ...study import Study

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


def finished_sizes(folder: Path) -> list[tuple[int, Path]]:
    """The sizes whose models were scored, ascending, and where they lie."""
    sizes = [path.parent for path in folder.glob("*/scores") if path.parent.name.isdigit()]
    return sorted((int(path.name), path) for path in sizes)


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
