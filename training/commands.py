"""The commands of a study: every stage of the modality-evolving experiment in order, from text to the report.

Each command does what it needs of those before it; what is finished is not redone.
"""

from collections.abc import Callable

from ..models.files import write_json
from ..models.modalities import RECORDINGS_MODALITY, SYNTHETIC_MODALITY, UNIT_KINDS
from .arguments.study import RECORDED, Arguments
from .capacity import check_capacity
from .replicates import open_replicates, plan_replicates, say_plan
from .run import distributed
from .run.environment import describe_device
from .run.execution import Execution
from .run.folder import Run
from .run.replicates_file import is_of_replicates
from .run.study_file import read_study, write_study
from .run.workers import Job, count_cores, prepare_workers, resolve_device, run_jobs
from .study import Study

_SPOKEN = {"one": "one voice", "many": "many voices", RECORDED: "recordings"}


def build_dataset(arguments: Arguments) -> Run:
    """`evoslm build-dataset`: text, utterances and minimal pairs."""
    return _run(arguments, "build-dataset", _build_dataset)


def fit_units(arguments: Arguments) -> Run:
    """`evoslm fit-units`: the quantizer, and the units of utterances and pairs."""
    return _run(arguments, "fit-units", _fit_units)


def train_tokenizers(arguments: Arguments) -> Run:
    """`evoslm train-tokenizer`: a tokenizer for each modality, and the ids of its utterances."""
    return _run(arguments, "train-tokenizer", _train_tokenizers)


def pretrain_models(arguments: Arguments) -> Run:
    """
    `evoslm pretrain`: a language model for each modality and seed.

    Started by `torchrun`, `accelerate launch` or `deepspeed`, the processes train each model together; the main one
    does what comes before, and the others wait for it.
    """
    return _run(arguments, "pretrain", _pretrain_models)


def evaluate_models(arguments: Arguments) -> Run:
    """
    `evoslm evaluate`: log-likelihoods of the minimal pairs, by the models (trained first) and by n-grams.

    Processes that a launcher started train each model together and share out its pairs.
    """
    return _run(arguments, "evaluate", _evaluate_models)


def run_study(arguments: Arguments) -> None:
    """`evoslm study`: all of it, and the report; with `--replicates` several times, and the report over all."""
    if arguments.run.replicates > 1:
        _run_replicates(arguments)
    else:
        _run_study(arguments)


def _run_replicates(arguments: Arguments) -> None:
    plan = plan_replicates(arguments)
    _say(say_plan(plan))
    if arguments.hardware.dry_run:
        _run_study(plan[0])
        print(f"Each of the {len(plan)} replicates needs that: {len(plan)} times the hours and the disk.")
        return
    if distributed.is_main():
        open_replicates(arguments, plan)
    for number, replicate in enumerate(plan, start=1):
        _say(f"replicate {number} of {len(plan)}")
        _run_study(replicate)
    if distributed.is_main():
        from .report.comparison import write_comparison

        report = write_comparison([each.output_dir for each in plan], arguments.output_dir / "report")
        print(f"The report over all replicates is {report} (and report.html beside it).")


def _run_study(arguments: Arguments) -> None:
    if arguments.joint.study == "joint":
        _run_joint_study(arguments)
        return
    run = evaluate_models(arguments)
    if arguments.hardware.dry_run or not distributed.is_main():
        return
    from .report import write_report

    _say("report")
    report = write_report(run.folder)
    print(f"The report is {report} (and report.html beside it).")
    if arguments.run.analysis:
        _say("analysis")
        _analyze(arguments, run)


def _analyze(arguments: Arguments, run: Run) -> None:
    from .analysis.command import AnalyzeArguments, analyze

    asked, of_run = arguments.run.analysis, arguments.run
    analyze(
        AnalyzeArguments(
            run_dir=str(run.folder),
            parts=None if "all" in asked else asked,
            num_proc=of_run.num_proc,
            device=of_run.device,
            overwrite=of_run.overwrite,
        )
    )


def _run_joint_study(arguments: Arguments) -> None:
    if "speech_units" not in arguments.modalities:
        raise ValueError("--study joint needs units of speech; name speech_units in --modalities, or leave them out.")
    if distributed.world_size() > 1:
        raise ValueError("--study joint runs without a launcher; processes can share its trainings (pretrain-joint).")
    run = fit_units(arguments)
    if arguments.hardware.dry_run:
        return
    from .joint.command import JointArguments
    from .joint.study import study_joint_models

    asked, of_run = arguments.joint, arguments.run
    execution = Execution(of_run.num_proc or count_cores(), resolve_device(of_run.device), of_run.overwrite)
    models = JointArguments(
        run_dir=str(run.folder),
        num_blocks=asked.cra_blocks,
        block_size=asked.cra_block_size,
        precision=arguments.hardware.precision,
        num_proc=of_run.num_proc,
        device=of_run.device,
        overwrite=of_run.overwrite,
    )
    study_joint_models(models, asked, execution, of_run.training_seeds)


def _run(arguments: Arguments, command: str, build: Callable[[Study], None]) -> Run:
    """What every command does around its stages: nothing of a run is changed where one of them refuses."""
    study = Study(arguments)
    if _is_only_described(study, command):
        return study.run
    if distributed.is_main():
        check_capacity(study, command)
        _open(study)
    build(study)
    if distributed.is_main():
        write_study(study.run, study.describe(), study.execution.device)
    return study.run


def _build_dataset(study: Study) -> None:
    from .stages.spoken_pairs import summarize_pairs

    run = study.run
    if study.arguments.corpus.is_recorded:
        _say("recordings")
        study.build_recordings()
    _say("text")
    study.build_text()
    study.check_vocabulary()
    for voices in study.renderings:
        if voices != RECORDED:
            _say(f"speech, {_SPOKEN[voices]}")
            study.build_speech(voices)
    write_json(run.corpus_summary, study.summarize())
    _say("minimal pairs")
    study.build_pair_texts()
    for voices in study.pair_renderings:
        study.build_spoken_pairs(voices)
    write_json(run.pairs_summary, summarize_pairs(run.pairs_text, run.pairs()))


def _fit_units(study: Study) -> None:
    _build_dataset(study)
    for voices, unit_of in study.units:
        what = "speech units" if unit_of == "frame" else f"units of {UNIT_KINDS[unit_of]}"
        _say(f"{what}, {_SPOKEN[voices]}")
        study.build_units(voices, unit_of)
    if study.arguments.units.compare_seeds:
        _say("k-means seeds")
        study.compare_unit_seeds()


def _train_tokenizers(study: Study) -> None:
    _fit_units(study)
    _say("tokenizers")
    jobs = [Job(*study.tokenizer_job(name)) for name in study.arguments.modalities]
    run_jobs(jobs, study.execution.num_proc, "tokenizers")


def _pretrain_models(study: Study) -> None:
    _prepare_tokenizers(study)
    _say(f"language models on {describe_device(study.execution.device)}")
    jobs = [
        Job(*study.training_job(name, seed), cost=study.train_tokens(name))
        for name, seed in study.models
        if not study.model_stage(name, seed).is_finished()
    ]
    run_jobs(jobs, _num_trainings(study), "training")


def _evaluate_models(study: Study) -> None:
    _prepare_tokenizers(study)
    _say(f"language models and their scores on {describe_device(study.execution.device)}")
    jobs = []
    for name in study.arguments.modalities:
        tokens = study.train_tokens(name)
        if distributed.is_main():
            jobs.append(Job(*study.baseline_job(name), cost=0.05 * tokens))
        jobs += [Job(*study.scoring_job(name, seed), cost=tokens) for seed in study.arguments.run.training_seeds]
    run_jobs(jobs, _num_trainings(study), "training and scoring")
    if {RECORDINGS_MODALITY, SYNTHETIC_MODALITY} <= set(study.arguments.modalities) and distributed.is_main():
        _say("recordings and synthetic voices, each tested on both")
        study.build_voice_transfer()


def _is_only_described(study: Study, command: str) -> bool:
    """Whether `--dry_run` asks only what a command would need, which is then printed."""
    hardware = study.arguments.hardware
    if not hardware.dry_run:
        return False
    from .preparation import STAGES_OF, describe_preparation
    from .pretrain.dry_run import describe_needs

    if command in STAGES_OF:
        flops = hardware.device_tflops and hardware.device_tflops * 1e12 * hardware.num_devices
        print(describe_preparation(study, command, flops))
    if command in ("pretrain", "evaluate"):
        print(describe_needs(study.arguments, study.execution.device))
    return True


def _open(study: Study) -> None:
    """
    Make the run's folder and note in it what the run is made with. What a run that is there was made with stays until
    the command has ended: a stage may refuse what is asked for now.

    Raises:
        `PermissionError`: If the folder cannot be written to.
        `NotADirectoryError`: If it is a file.
        `ValueError`: If it holds a run of another version of evoslm.
    """
    import datasets

    datasets.disable_progress_bars()
    if study.arguments.run.num_proc != 1:
        prepare_workers()
    else:  # what workers do
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
    folder = study.run.folder
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; choose another --output_dir.")
    if is_of_replicates(folder):
        raise ValueError(f"{folder} holds replicates of a study; choose another --output_dir, or give --replicates.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if study.run.study_file.exists() and not study.execution.overwrite:
            read_study(folder)
        else:
            write_study(study.run, study.describe(), study.execution.device)
    except (PermissionError, NotADirectoryError) as error:
        raise PermissionError(f"{folder} cannot be written to; choose another --output_dir.") from error
    print(f"The run is {folder}.", flush=True)


def _prepare_tokenizers(study: Study) -> None:
    """Do what comes before the trainings, or wait until the main process has done it."""
    if distributed.is_main():
        _train_tokenizers(study)
        return
    for name in study.arguments.modalities:
        study.tokenizer_stage(name).wait()


def _num_trainings(study: Study) -> int:
    """Trainings and scorings at once: one where they share a GPU, or where several processes share each of them."""
    return 1 if distributed.world_size() > 1 else study.execution.device_workers


def _say(text: str) -> None:
    if distributed.is_main():
        print("evoslm:", text, flush=True)
