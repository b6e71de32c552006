"""`evoslm zerospeech`: a finished run on the official items of ZeroSpeech 2021, every modality on the same pairs.

the challenge's folder -> pairs in text, phones and audio -> units of the run's quantizer -> log-likelihoods by the
run's models -> `zerospeech.json`, a table, and the challenge's submission files, a folder a modality.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ...metrics.pair_accuracy import read_pairs
from ...models.audio import FRAME_RATE, frame_samples_at
from ...models.files import read_json, write_json
from ...models.modalities import MODALITIES, Modality, get_modality
from ..external_units.quantizers import read_quantizer_config
from ..run.environment import describe_commit, describe_device, describe_versions
from ..run.folder import MODEL_FOLDER, Run
from ..run.stage import fingerprint_files
from ..run.study_file import open_run, read_study
from ..run.workers import Job, count_cores, resolve_device, run_jobs
from ..stages.speech import read_stretch_factor
from .pair_files import load_for_scoring, wait_for_scores

RESULTS_FILE = "zerospeech.json"
_TASKS = ("lexical", "syntactic")  # by the challenge's own names


@dataclass
class ZeroSpeechArguments:
    """
    A finished run and the challenge's items.

    Args:
        run_dir (`str`): The folder of a finished run.
        zerospeech_dir (`str`): The challenge's folder, with `lexical` and `syntactic`.
        split (`str`, *optional*, defaults to `"dev"`): Which of its items.
        output_dir (`str`, *optional*): Where the results go; `<run_dir>/zerospeech2021-<split>` when not given.
        modalities (`list[str]`, *optional*): Names of modalities; all that the run has a model of when not given.
        training_seed (`int`, *optional*, defaults to 0): The training seed of the models.
        phone_table (`str`, *optional*): JSON file with the phones of symbols that are neither ARPAbet nor IPA.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05): Share of bad pairs above which it stops.
        num_proc (`int`, *optional*): Worker processes; the number of cores when not given.
        device (`str`, *optional*, defaults to `"auto"`): Where models run; `auto` takes a GPU where there is one.
    """

    run_dir: str
    zerospeech_dir: str
    split: Literal["dev", "test"] = "dev"
    output_dir: str | None = None
    modalities: list[str] | None = None
    training_seed: int = field(default=0, metadata={"aliases": ["--seed"]})
    phone_table: str | None = None
    max_skipped_fraction: float = field(default=0.05, metadata={"least": 0, "most": 1})
    num_proc: int | None = field(default=None, metadata={"least": 1})
    device: Literal["auto", "cpu", "cuda"] = "auto"


def score_zerospeech(arguments: ZeroSpeechArguments) -> Path:
    """
    Score the official items by a run's models; finished pairs, units and scores are found again.

    A modality that needs times is left out, because the recordings are not aligned, and so is one for which no pair
    has its form (text where gold.csv does not spell pseudo-words).

    Args:
        arguments ([`ZeroSpeechArguments`]): Of the command.

    Returns:
        `Path`: The output folder, with `zerospeech.json` and `submission/<modality>/{lexical,syntactic}/<split>.txt`.

    Raises:
        `FileNotFoundError`: If the folder is no run, the run has no models, or the challenge's folder no gold.csv.
        `ValueError`: If too many pairs cannot be read, or the folder holds pairs of something else.
    """
    from ...datasets_scripts.pairs.published.zerospeech_2021 import build_zerospeech2021
    from .zerospeech_2021_results import write_submission, write_unit_pairs, zerospeech_results

    run, device = open_run(arguments.run_dir), resolve_device(arguments.device)
    chosen = _modalities(run, arguments)
    folder = Path(arguments.output_dir or run.folder / f"zerospeech2021-{arguments.split}")
    rate = read_study(run.folder).get("frame_rate", FRAME_RATE)
    workers = 1 if device == "cuda" else arguments.num_proc or count_cores()
    build_zerospeech2021(
        arguments.zerospeech_dir,
        folder / "pairs",
        split=arguments.split,
        phone_table=arguments.phone_table,
        stretch_factor=read_stretch_factor(run.utterances(), frame_samples_at(rate)),
        num_proc=arguments.num_proc or count_cores(),
        max_skipped_fraction=arguments.max_skipped_fraction,
    )
    results, left_out, jobs, rows_of = {}, {}, [], {}
    for modality in chosen:
        pairs = folder / "pairs"
        if modality.unit_of == "syllable":  # those that are found in the sound need nobody to align them
            left_out[modality.name] = "its units are of aligned syllables, and nothing is aligned here"
            continue
        if modality.is_speech:
            quantizer = run.units_of(modality.name) / MODEL_FOLDER
            if getattr(read_quantizer_config(quantizer), "kind", None) == "table":
                left_out[modality.name] = "its units are a table of the run's own audio"
                continue
            units = folder / f"units-{modality.name}-{fingerprint_files(quantizer)}"
            pairs = write_unit_pairs(pairs, quantizer, units, modality.name, workers, device)
        rows = [row for row in read_pairs(str(pairs), modality.column) if _is_written(row, modality)]
        if not rows:
            left_out[modality.name] = "no pair has this form: it is not spelled, or would need times"
            continue
        rows_of[modality.name] = rows
        model = run.model(modality.name, arguments.training_seed)
        save_dir = folder / f"scores-{modality.name}-seed-{arguments.training_seed}"
        job = {"model": model, "rows": rows, "column": modality.column, "device": device, "save_dir": save_dir}
        jobs.append(Job(_score_rows, job, len(rows)))
    run_jobs(jobs, workers, "scoring")
    for job in jobs:
        name = job.arguments["model"].parent.name
        scores = wait_for_scores(job.arguments["save_dir"], len(rows_of[name]))
        scored = [row | score for row, score in zip(rows_of[name], scores)]
        results[name] = {rule: zerospeech_results(scored, rule) for rule in ("sum", "mean")}
        write_submission(scored, arguments.zerospeech_dir, folder / "submission" / name, arguments.split)
    write_json(
        folder / RESULTS_FILE,
        {
            "results": results,
            "left_out": left_out,
            "split": arguments.split,
            "seed": arguments.training_seed,
            "rules": "sum: of log-likelihoods, the challenge's own; mean: per token. Ties half, voices averaged first",
            "versions": describe_versions(),
            "commit": describe_commit(),
            "device": describe_device(device),
        },
    )
    print(describe_results(folder), flush=True)
    return folder


def describe_results(folder: Path) -> str:
    """The accuracies by the challenge's rule as a table in plain text."""
    record = read_json(folder / RESULTS_FILE)
    lines = [f"The results are {folder / RESULTS_FILE}.", f"{'modality':24} {'lexical':>16} {'syntactic':>16}"]
    for name, by_rule in record["results"].items():
        cells = [_cell(by_rule["sum"].get(task)) for task in _TASKS]
        lines.append(f"{name:24} {cells[0]:>16} {cells[1]:>16}")
    lines += [f"{name:24} {why}" for name, why in record["left_out"].items()]
    return "\n".join(lines)


def _cell(accuracy: dict | None) -> str:
    return f"{accuracy['score']:.1%} ({accuracy['n']:,})" if accuracy else "-"


def _modalities(run: Run, arguments: ZeroSpeechArguments) -> list[Modality]:
    names = arguments.modalities or list(MODALITIES)
    found = [name for name in names if (run.model(name, arguments.training_seed) / "config.json").is_file()]
    absent = [name for name in arguments.modalities or [] if name not in found]
    if absent or not found:
        what = f"{absent[0]} " if absent else ""
        raise FileNotFoundError(f"{run.folder} has no {what}model of seed {arguments.training_seed}; train one first.")
    return [get_modality(name) for name in found]


def _is_written(row: dict, modality: Modality) -> bool:
    return all(row.get(f"{side}_{modality.column}") for side in ("positive", "negative"))


def _score_rows(model: Path, rows: list[dict], column: str, device: str, save_dir: Path, report_progress) -> None:
    from ...models.scoring.pairs import score_pairs

    loaded, tokenizer = load_for_scoring(model, model, device)
    score_pairs(loaded, tokenizer, rows, column, save_dir=save_dir, report_progress=report_progress)
