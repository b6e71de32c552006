"""The study: every stage of the modality-evolving experiment in order, from text to the report.

Each function below is one command and does what it needs of those above it; what is finished is not redone.
"""

from ..models.files import read_json, write_json
from ..models.modalities import RECORDINGS_MODALITY, SYNTHETIC_MODALITY, get_modality
from .arguments.study import RECORDED, Arguments
from .run import distributed
from .run.environment import describe_device
from .run.folder import SUMMARY_FILE, Run
from .run.study_file import write_study_file
from .run.workers import Job, count_cores, prepare_workers, resolve_device, run_jobs
from .stages.models import model_stage, train_and_score, train_model
from .stages.recordings import build_recordings
from .stages.speech import build_utterances, summarize_corpus
from .stages.text import build_passages

_SPOKEN = {"one": "one voice", "many": "many voices", RECORDED: "recordings"}


def build_dataset(arguments: Arguments) -> Run:
    """`evoslm build-dataset`: text, utterances and minimal pairs."""
    from .stages.pairs import build_pairs, build_pairs_text, summarize_pairs

    run = open_run(arguments)
    if arguments.corpus.is_recorded:
        _say("recordings")
        build_recordings(arguments, run)
    _say("text")
    build_passages(arguments, run)
    for voices in renderings(arguments):
        if voices == RECORDED:
            continue
        _say(f"speech, {_SPOKEN[voices]}")
        build_utterances(arguments, run, voices)
    write_json(run.corpus_summary, summarize_corpus(run, arguments))
    _say("minimal pairs")
    build_pairs_text(arguments, run)
    for voices in [RECORDED] if arguments.corpus.is_recorded else renderings(arguments):
        build_pairs(arguments, run, voices)
    write_json(run.pairs_summary, summarize_pairs(run))
    return run


def fit_units(arguments: Arguments) -> Run:
    """`evoslm fit-units`: the quantizer, and the units of utterances and pairs."""
    from .stages.unit_seeds import compare_seeds
    from .stages.units import build_units

    run = build_dataset(arguments)
    for voices, unit_of in unit_stages(arguments):
        what = "speech units" if unit_of == "frame" else f"units of {unit_of}s"
        _say(f"{what}, {_SPOKEN[voices]}")
        build_units(arguments, run, voices, unit_of)
    if arguments.units.compare_seeds:
        _say("k-means seeds")
        compare_seeds(arguments, run)
    return run


def train_tokenizers(arguments: Arguments) -> Run:
    """`evoslm train-tokenizer`: a tokenizer for each modality, and the ids of its utterances."""
    from .stages.tokenizers import build_tokenizer

    run = fit_units(arguments)
    _say("tokenizers")
    jobs = [
        Job(build_tokenizer, {"arguments": arguments, "run": run, "modality": name}) for name in arguments.modalities
    ]
    run_jobs(jobs, arguments.run.num_proc or count_cores(), "tokenizers")
    return run


def pretrain_models(arguments: Arguments) -> Run:
    """
    `evoslm pretrain`: a language model for each modality and seed.

    Started by `torchrun`, `accelerate launch` or `deepspeed`, the processes train each model together; the main one
    does what comes before, and the others wait for it.
    """
    device = resolve_device(arguments.run.device)
    if arguments.hardware.dry_run:
        from .pretrain.dry_run import describe_needs

        print(describe_needs(arguments, device))
        return Run(arguments.output_dir, arguments.corpus.own_voices)
    run = train_tokenizers(arguments) if distributed.is_main() else _wait_for_tokenizers(arguments)
    _say(f"language models on {describe_device(device)}")
    stages = {(name, seed): model_stage(arguments, run, name, seed) for name, seed in _models(arguments)}
    jobs = [
        Job(train_model, {"arguments": arguments, "run": run, "modality": name, "seed": seed, "device": device}, cost)
        for (name, seed), stage in stages.items()
        if not stage.is_finished()
        for cost in [read_json(run.tokenizer(name) / SUMMARY_FILE)["train_tokens"]]
    ]
    run_jobs(jobs, num_workers(arguments, device), "training")
    return run


def evaluate_models(arguments: Arguments) -> Run:
    """
    `evoslm evaluate`: log-likelihoods of the minimal pairs, by the models (trained first) and by n-grams.

    Processes that a launcher started train each model together and share out its pairs.
    """
    from .stages.baselines import build_baselines
    from .stages.voice_transfer import build_voice_transfer

    run = train_tokenizers(arguments) if distributed.is_main() else _wait_for_tokenizers(arguments)
    device = resolve_device(arguments.run.device)
    _say(f"language models and their scores on {describe_device(device)}")
    jobs = []
    for name in arguments.modalities:
        tokens = read_json(run.tokenizer(name) / SUMMARY_FILE)["train_tokens"]
        common = {"arguments": arguments, "run": run, "modality": name}
        if distributed.is_main():
            jobs.append(Job(build_baselines, common, 0.05 * tokens))
        jobs += [
            Job(train_and_score, common | {"seed": seed, "device": device}, tokens)
            for seed in arguments.run.training_seeds
        ]
    run_jobs(jobs, num_workers(arguments, device), "training and scoring")
    if {RECORDINGS_MODALITY, SYNTHETIC_MODALITY} <= set(arguments.modalities) and distributed.is_main():
        _say("recordings and synthetic voices, each tested on both")
        build_voice_transfer(arguments, run, device)
    return run


def run_study(arguments: Arguments) -> Run:
    """`evoslm study`: all of it, and the report."""
    run = evaluate_models(arguments)
    if not distributed.is_main():
        return run
    write_study_file(arguments, run)
    from .report import write_report

    _say("report")
    report = write_report(run.folder)
    print(f"The report is {report} (and report.html beside it).")
    return run


def open_run(arguments: Arguments) -> Run:
    """
    Make the run's folder and note in it what the run is made with.

    Raises:
        `PermissionError`: If the folder cannot be written to.
        `NotADirectoryError`: If it is a file.
    """
    import datasets

    datasets.disable_progress_bars()
    if arguments.run.num_proc != 1:
        prepare_workers()
    run = Run(arguments.output_dir, arguments.corpus.own_voices)
    if run.folder.exists() and not run.folder.is_dir():
        raise NotADirectoryError(f"{run.folder} is a file; choose another --output_dir.")
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_study_file(arguments, run)
    except (PermissionError, NotADirectoryError) as error:
        raise PermissionError(f"{run.folder} cannot be written to; choose another --output_dir.") from error
    print(f"The run is {run.folder}.", flush=True)
    return run


def renderings(arguments: Arguments) -> list[str]:
    """The sets of voices that the run's modalities are read from, the run's own first."""
    needed = {get_modality(name).voices or arguments.corpus.own_voices for name in arguments.modalities}
    return [arguments.corpus.own_voices, *sorted(needed - {arguments.corpus.own_voices})]


def unit_stages(arguments: Arguments) -> list[tuple[str, str]]:
    """The sets of voices that some modality reads units of, and what the units describe."""
    speech = [get_modality(name) for name in arguments.modalities if get_modality(name).is_speech]
    needed = {(modality.voices or arguments.corpus.own_voices, modality.unit_of) for modality in speech}
    return [
        (voices, unit_of)
        for unit_of in ("frame", "syllable")
        for voices in renderings(arguments)
        if (voices, unit_of) in needed
    ]


def num_workers(arguments: Arguments, device: str = "cpu") -> int:
    """Processes for trainings and scorings: one where they share a GPU, or where several train each model together."""
    alone = device == "cuda" or distributed.world_size() > 1
    return 1 if alone else arguments.run.num_proc or count_cores()


def _wait_for_tokenizers(arguments: Arguments) -> Run:
    from .stages.tokenizers import tokenizer_stage

    run = Run(arguments.output_dir, arguments.corpus.own_voices)

    def are_finished() -> bool:
        try:
            return all(tokenizer_stage(arguments, run, name).is_finished() for name in arguments.modalities)
        except FileNotFoundError:  # a stage before is not finished
            return False

    distributed.wait_until(are_finished)
    return run


def _models(arguments: Arguments) -> list[tuple[str, int]]:
    return [(name, seed) for name in arguments.modalities for seed in arguments.run.training_seeds]


def _say(text: str) -> None:
    if distributed.is_main():
        print("evoslm:", text, flush=True)
