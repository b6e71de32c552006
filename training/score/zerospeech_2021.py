"""`evoslm zerospeech`: a finished run on the official items of ZeroSpeech 2021 or BabySLM, every model on the same
pairs.

the challenge's folder -> pairs in text, phones and audio -> units of the run's quantizer, or of a table ->
log-likelihoods by the run's models, those of joint models included -> `zerospeech.json`, a table, and the challenge's
submission files, a folder a model.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ...metrics.pair_accuracy import read_pairs
from ...models.audio import FRAME_RATE, frame_samples_at
from ...models.files import read_json, read_json_if_whole, write_json
from ...models.modalities import MODALITIES, Modality, get_modality
from ...models.scoring.sides import SIDES
from ..external_units.quantizers import read_quantizer_config
from ..external_units.tables import TableUnits
from ..run.environment import describe_commit, describe_device, describe_versions
from ..run.folder import MODEL_FOLDER, Run
from ..run.stage import fingerprint_files
from ..run.study_file import open_run, read_encoder_precision, read_study
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
        benchmark (`str`, *optional*, defaults to `"zerospeech2021"`): Whose folder, rules and files it is: those of
            `zerospeech2021` or of `babyslm`.
        output_dir (`str`, *optional*): Where the results go; `<run_dir>/<benchmark>-<split>` when not given.
        modalities (`list[str]`, *optional*): Names of modalities; all that the run has a model of when not given.
        joint_models (`list[str]`, *optional*): Names of joint models in `<run_dir>/joint`, asked in speech; all that
            have seen speech when neither they nor modalities are given.
        units (`str`, *optional*): Where the run's units came from elsewhere as a table: those of the challenge's
            recordings from the same tokenizer, a `.jsonl` or `.parquet` file with `file` and `units`.
        training_seed (`int`, *optional*, defaults to 0): The training seed of the models.
        phone_table (`str`, *optional*): JSON file with the phones of symbols that are neither ARPAbet nor IPA.
        max_skipped_fraction (`float`, *optional*, defaults to 0.05): Share of bad pairs above which it stops.
        num_proc (`int`, *optional*): Worker processes; the number of cores when not given.
        device (`str`, *optional*, defaults to `"auto"`): Where models run; `auto` takes a GPU where there is one.
    """

    run_dir: str
    zerospeech_dir: str
    split: Literal["dev", "test"] = "dev"
    benchmark: Literal["zerospeech2021", "babyslm"] = "zerospeech2021"
    output_dir: str | None = None
    modalities: list[str] | None = None
    joint_models: list[str] | None = None
    units: str | None = None
    training_seed: int = field(default=0, metadata={"aliases": ["--seed"]})
    phone_table: str | None = None
    max_skipped_fraction: float = field(default=0.05, metadata={"least": 0, "most": 1})
    num_proc: int | None = field(default=None, metadata={"least": 1})
    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass
class _Question:
    """A model, and what it is asked."""

    name: str
    label: str
    model: Path
    rows: list[dict]
    column: str
    is_text: bool
    save_dir: Path


def score_zerospeech(arguments: ZeroSpeechArguments) -> Path:
    """
    Score the official items by a run's models; finished pairs, units and scores are found again.

    A modality that needs times is left out, because the recordings are not aligned, and so is one for which no pair
    has its form (text where gold.csv does not spell pseudo-words).

    Args:
        arguments ([`ZeroSpeechArguments`]): Of the command.

    Returns:
        `Path`: The output folder, with `zerospeech.json` and `submission/<model>/{lexical,syntactic}/<split>.txt`, of
        ZeroSpeech 2021 with a `meta.yaml` beside them.

    Raises:
        `FileNotFoundError`: If the folder is no run, the run has no models, or the challenge's folder no gold.csv.
        `ValueError`: If too many pairs cannot be read, units do not fit, or the folder holds pairs of something else.
    """
    from transformers.utils.logging import disable_progress_bar

    from ...datasets_scripts.pairs.published.zerospeech_2021 import build_zerospeech2021, read_words
    from .zerospeech_2021_meta import write_meta
    from .zerospeech_2021_results import write_submission, zerospeech_results
    from .zerospeech_2021_tables import open_challenge_units

    disable_progress_bar()  # of weights that are read from this disk, a bar a model
    run, device = open_run(arguments.run_dir), resolve_device(arguments.device)
    joint = _joint_models(run, arguments)
    chosen = _modalities(run, arguments, optional=bool(joint))
    table = None
    if arguments.units is not None:
        quantizer = run.units() / MODEL_FOLDER
        table = open_challenge_units(arguments.units, quantizer, arguments.zerospeech_dir, arguments.split)
    folder = Path(arguments.output_dir or run.folder / f"{arguments.benchmark}-{arguments.split}")
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
    units = _Units(run, arguments, folder, table, workers, device, read_encoder_precision(run.folder))
    asked = {modality.name: _ask_modality(modality, units) for modality in chosen}
    asked |= {f"joint_{name}": _ask_joint(name, units) for name in joint}
    left_out = {name: why for name, why in asked.items() if isinstance(why, str)}
    questions = [question for question in asked.values() if isinstance(question, _Question)]
    jobs = [
        Job(
            _score_rows,
            {"model": q.model, "rows": q.rows, "column": q.column, "device": device, "save_dir": q.save_dir},
            len(q.rows),
        )
        for q in questions
    ]
    run_jobs(jobs, workers, "scoring")
    results, written = {}, {}
    of_babyslm = arguments.benchmark == "babyslm"
    words = read_words(arguments.zerospeech_dir, arguments.split) if of_babyslm else None
    for question in questions:
        scores = wait_for_scores(question.save_dir, len(question.rows))
        scored = [row | score for row, score in zip(question.rows, scores)]
        results[question.name] = {rule: zerospeech_results(scored, rule, words) for rule in ("sum", "mean")}
        target = folder / "submission" / question.name
        one_voice = of_babyslm and question.is_text
        files = write_submission(scored, arguments.zerospeech_dir, target, arguments.split, one_voice)
        written[question.name] = {task: len(found["missing"]) for task, found in files.items()}
        if not of_babyslm:
            write_meta(run, question.model, question.label, target)
    write_json(
        folder / RESULTS_FILE,
        {
            "benchmark": arguments.benchmark,
            "results": results,
            "left_out": left_out,
            "recordings_without_a_score": written,
            "split": arguments.split,
            "seed": arguments.training_seed,
            "units": table.fingerprint() if table else None,
            "rules": "sum: of log-likelihoods, the challenge's own; mean: per token. Ties half, "
            + ("pseudo-words of a word, then voices averaged first" if of_babyslm else "voices averaged first"),
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


@dataclass
class _Units:
    """Where the units of the challenge's recordings come from."""

    run: Run
    arguments: ZeroSpeechArguments
    folder: Path
    table: TableUnits | None
    workers: int
    device: str
    precision: str

    def write(self, modality: Modality) -> Path | str:
        """Pairs in a modality of speech, or why there are none."""
        from .zerospeech_2021_results import write_unit_pairs
        from .zerospeech_2021_tables import write_table_pairs

        pairs, quantizer = self.folder / "pairs", self.run.units_of(modality.name) / MODEL_FOLDER
        if modality.unit_of == "syllable":  # those that are found in the sound need nobody to align them
            return "its units are of aligned syllables, and nothing is aligned here"
        if self.table is not None:
            target = self.folder / f"units-{modality.name}-{self.table.fingerprint()}"
            return write_table_pairs(
                pairs, self.arguments.zerospeech_dir, self.arguments.split, self.table, target, modality.name
            )
        if getattr(read_quantizer_config(quantizer), "kind", None) == "table":
            return "its units are a table of the run's own audio; give one of these recordings by --units"
        units = self.folder / f"units-{modality.name}-{fingerprint_files(quantizer)}{self._of_precision}"
        return write_unit_pairs(pairs, quantizer, units, modality.name, self.workers, self.device, self.precision)

    @property
    def _of_precision(self) -> str:
        return "" if self.precision == "fp32" else f"-{self.precision}"

    def save_dir(self, name: str, is_speech: bool = True) -> Path:
        """Where the scores of a model are kept."""
        of_units = f"-{self.table.fingerprint()}" if self.table else self._of_precision
        return self.folder / f"scores-{name}-seed-{self.arguments.training_seed}{of_units if is_speech else ''}"


def _ask_modality(modality: Modality, units: _Units) -> _Question | str:
    pairs = units.write(modality) if modality.is_speech else units.folder / "pairs"
    if isinstance(pairs, str):
        return pairs
    rows = [row for row in read_pairs(str(pairs), modality.column) if _is_written(row, modality.column)]
    if not rows:
        return "no pair has this form: it is not spelled, or would need times"
    model = units.run.model(modality.name, units.arguments.training_seed)
    save_dir = units.save_dir(modality.name, modality.is_speech)
    label = modality.label.format(encoder=read_study(units.run.folder).get("encoder_label") or "units")
    return _Question(modality.name, label, model, rows, modality.column, not modality.is_speech, save_dir)


def _ask_joint(name: str, units: _Units) -> _Question | str:
    """A joint model in speech: the modality's token, and units as its tokenizer reads them."""
    from ...models.tokenizers.joint import SPEECH_TOKEN
    from ..joint.scores import mark_units

    folder = units.run.folder / "joint"
    written = (read_json_if_whole(folder / "results.json") or {}).get("configuration", {}).get("units", "pieces")
    pairs = units.write(get_modality("speech_units" if written == "frames" else "speech_dedup"))
    if isinstance(pairs, str):
        return pairs
    rows = read_pairs(str(pairs), "units")
    for row in rows:
        row["context_joint"] = row.pop("context_units")  # none of these pairs has one
        for side in SIDES:
            row[f"{side}_joint"] = f"{SPEECH_TOKEN} {mark_units(row.pop(f'{side}_units'))}"
    model = folder / "models" / name / f"seed-{units.arguments.training_seed}"
    label = f"The joint model {name}, in speech"
    return _Question(f"joint_{name}", label, model, rows, "joint", False, units.save_dir(f"joint_{name}"))


def _modalities(run: Run, arguments: ZeroSpeechArguments, optional: bool) -> list[Modality]:
    names = arguments.modalities or ([] if arguments.joint_models else list(MODALITIES))
    found = [name for name in names if (run.model(name, arguments.training_seed) / "config.json").is_file()]
    absent = [name for name in arguments.modalities or [] if name not in found]
    if absent or not (found or optional):
        what = f"{absent[0]} " if absent else ""
        raise FileNotFoundError(f"{run.folder} has no {what}model of seed {arguments.training_seed}; train one first.")
    return [get_modality(name) for name in found]


def _joint_models(run: Run, arguments: ZeroSpeechArguments) -> list[str]:
    """Names of the joint models that are asked: those that have seen speech."""
    from ..joint.report import LABELS, NEVER_SEEN

    if arguments.modalities and not arguments.joint_models:
        return []
    seen_speech = [name for name in LABELS if NEVER_SEEN.get(name) != "speech"]
    for name in arguments.joint_models or []:
        if name not in seen_speech:
            raise ValueError(f"There is no joint model {name!r} of speech; choose from {', '.join(seen_speech)}.")
    folder = run.folder / "joint" / "models"
    seed = f"seed-{arguments.training_seed}"
    found = [name for name in seen_speech if (folder / name / seed / "config.json").is_file()]
    if absent := [name for name in arguments.joint_models or [] if name not in found]:
        raise FileNotFoundError(
            f"{run.folder} has no joint model {absent[0]} of seed {arguments.training_seed}; `evoslm pretrain-joint` "
            "trains it."
        )
    return [name for name in found if name in (arguments.joint_models or found)]


def _is_written(row: dict, column: str) -> bool:
    return all(row.get(f"{side}_{column}") for side in SIDES)


def _score_rows(model: Path, rows: list[dict], column: str, device: str, save_dir: Path, report_progress) -> None:
    from ...models.scoring.pairs import score_pairs

    loaded, tokenizer = load_for_scoring(model, model, device)
    score_pairs(loaded, tokenizer, rows, column, save_dir=save_dir, report_progress=report_progress)
