"""`evoslm score`: log-likelihoods of minimal pairs by a run's model or any other, and what they say.

run, or model + pairs -> chunks, shared out among processes and kept as they are made -> `scores.parquet`,
`summary.json`. A command that was stopped goes on with the chunks that are missing.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from ...metrics.judging import pair_accuracies
from ...metrics.pair_accuracy import check_pairs, judge_arguments, read_pairs
from ...metrics.tasks import TASKS
from ...models.files import read_json, write_json
from ...models.modalities import MODALITIES, get_modality
from ...models.released_files import check_released_files
from ...models.scoring.kept_scores import KeptScores
from ...models.scoring.sides import PARTS
from ..run import distributed
from ..run.environment import describe_commit, describe_device, describe_versions
from ..run.stage import Stage, fingerprint_files
from ..run.study_file import open_run
from ..run.workers import Job, count_cores, resolve_device, run_jobs
from .unit_pairs import build_unit_pairs

SCORES_FILE = "scores.parquet"
SUMMARY_FILE = "summary.json"
SCORES_FOLDER = "pair_scores"
CHUNKS_FOLDER = "chunks"
KEYS = ("task", "id", "pair_id", "cluster", "group", "band", "voice", "rate")
CONTENTS = {part: f"{part}_content" for part in PARTS}
SCORES = tuple(f"{side}{part}" for part in ("", "_tokens", "_unconditional") for side in ("positive", "negative"))

_MODEL_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")


@dataclass
class ScoreArguments:
    """
    What `evoslm score` scores, and how. Processes and devices change no result.

    Args:
        run_dir (`str`, *optional*): A finished run, whose model is asked.
        modality (`str`, *optional*): Of a run, the modality's name; without one, the form of the pairs. Columns are
            called `positive_{form}` and so on, or just `positive`, `negative` and `context` when not given.
        training_seed (`int`, *optional*, defaults to 0): Of a run, the training seed of the model.
        model_id (`str`, *optional*): Instead of a run, a causal language model: a folder or an id on the Hub.
        pairs (`str`, *optional*): Minimal pairs, the run's own when not given: a .parquet, .jsonl or .csv file, a
            folder of .parquet files, or a dataset's id.
        output_dir (`str`, *optional*): Where the scores go; a folder in `pair_scores` of the run when not given.
        revision (`str`, *optional*): The model's commit, branch or tag on the Hub.
        long_sequences (`str`, *optional*, defaults to `"error"`): What to do with pairs longer than the model's
            window: `error`, or `slide`, which scores them in overlapping pieces.
        bos_token_id (`int`, *optional*): Id of the token that every sequence starts with; when not given the
            tokenizer's beginning-of-sequence token, else its end-of-sequence token.
        batch_tokens (`int`, *optional*): Most positions in one forward pass.
        num_proc (`int`, *optional*): Worker processes on a CPU; the number of cores when not given.
        device (`str`, *optional*, defaults to `"auto"`): Where models run; `auto` takes a GPU where there is one.
        overwrite (`bool`, *optional*, defaults to `False`): Replace scores that were made otherwise.
    """

    run_dir: str | None = None
    modality: str | None = None
    training_seed: int = 0
    model_id: str | None = None
    pairs: str | None = None
    output_dir: str | None = None
    revision: str | None = None
    long_sequences: Literal["error", "slide"] = "error"
    bos_token_id: int | None = field(default=None, metadata={"least": 0})
    batch_tokens: int | None = field(default=None, metadata={"least": 1})
    num_proc: int | None = field(default=None, metadata={"least": 1})
    device: Literal["auto", "cpu", "cuda"] = "auto"
    overwrite: bool = False


def score_file(arguments: ScoreArguments) -> Path:
    """
    Score the pairs and write `scores.parquet` (a row a pair, in order) and `summary.json` (accuracies by task).

    A row has what there is of `task, id, pair_id, cluster, group, band, voice, rate`; what was scored,
    `context_content` (where pairs have contexts), `positive_content` and `negative_content`; and the scores, as
    [`score_pairs`] gives them: `positive`, `negative` (nats), `..._tokens` and `..._unconditional`.

    Args:
        arguments ([`ScoreArguments`]): Of the command.

    Returns:
        `Path`: The output folder.

    Raises:
        `ValueError`: If there is neither a run nor model and pairs, the model cannot be loaded, a pair cannot be
            scored, or the folder holds other scores.
        `FileNotFoundError`: If there is no such run, model of it, or file of pairs.
    """
    arguments = find_inputs(arguments)
    device = resolve_device(arguments.device)
    rows = read_pairs(arguments.pairs, arguments.modality)
    check_pairs(rows, arguments.modality)
    folder = find_model(arguments.model_id, arguments.revision)
    configuration = {
        "model": fingerprint_files(folder, _MODEL_FILES),
        "pairs": hashlib.sha256(repr(rows).encode()).hexdigest()[:16],
        "modality": arguments.modality,
        "long_sequences": arguments.long_sequences,
        "bos_token_id": arguments.bos_token_id,
    }
    beginning = _describe_beginning(folder, arguments.bos_token_id)
    stage = Stage(Path(arguments.output_dir), 3, configuration)

    def build(target: Path) -> None:
        workers = 1 if device == "cuda" or distributed.world_size() > 1 else arguments.num_proc or count_cores()
        kept = target / CHUNKS_FOLDER
        common = {"model": folder, "arguments": arguments, "device": device, "save_dir": kept}
        workers = max(1, min(workers, len(KeptScores(kept, len(rows)))))
        share = (distributed.rank(), distributed.world_size())
        parts = [share] if workers == 1 else [(index, workers) for index in range(workers)]
        run_jobs([Job(_score_part, common | {"part": part}) for part in parts], workers, "scoring")
        if distributed.is_main():
            scores = wait_for_scores(kept, len(rows))
            contents = [_contents(row, arguments.modality) for row in rows]
            scored = [row | content | score for row, content, score in zip(rows, contents, scores)]
            _write(target, arguments, device, scored, beginning)

    stage.run(build, arguments.overwrite, together=True)
    if not distributed.is_main():
        return stage.folder
    shutil.rmtree(stage.folder / CHUNKS_FOLDER, ignore_errors=True)
    print(describe_scores(stage.folder), flush=True)
    return stage.folder


def find_inputs(arguments: ScoreArguments) -> ScoreArguments:
    """
    What is scored, where a run says so.

    Args:
        arguments ([`ScoreArguments`]): Of the command.

    Returns:
        [`ScoreArguments`]: With a model, pairs, the form of their columns as `modality`, and an output folder.

    Raises:
        `ValueError`: If there is neither a run nor model, pairs and output folder, or the modality cannot be asked.
        `FileNotFoundError`: If the folder is no run, or has no such model.
    """
    if arguments.run_dir is None:
        absent = [f"--{name}" for name in ("model_id", "pairs", "output_dir") if getattr(arguments, name) is None]
        if absent:
            raise ValueError(f"Give a finished run (`evoslm score RUN --modality phone_raw`), or {', '.join(absent)}.")
        return arguments
    if arguments.model_id is not None:
        raise ValueError(f"Give either a run or --model_id, not both: {arguments.run_dir}, {arguments.model_id}.")
    run, seed = open_run(arguments.run_dir), arguments.training_seed
    trained = [name for name in MODALITIES if (run.model(name, seed) / "config.json").is_file()]
    if not trained:
        raise FileNotFoundError(f"{run.folder} has no model of seed {seed}; `evoslm pretrain` trains them.")
    if arguments.modality is None:
        raise ValueError(f"Give --modality: {run.folder} has models of {', '.join(trained)}.")
    modality = get_modality(arguments.modality)
    if modality.name not in trained:
        raise FileNotFoundError(
            f"{run.folder} has no {modality.name} model of seed {seed}, only of {', '.join(trained)}."
        )
    name, own_pairs = f"{modality.name}-seed-{seed}", run.pairs(run.voices_of(modality.name))
    if arguments.pairs is not None:
        name += f"-{Path(arguments.pairs).stem}"
    elif not own_pairs.is_dir():
        raise FileNotFoundError(
            f"There are no pairs in {own_pairs}; `evoslm build-dataset` makes them, or give --pairs."
        )
    elif modality.is_speech:
        own_pairs = build_unit_pairs(run, modality.name, arguments.overwrite)
    return replace(
        arguments,
        modality=modality.column,
        model_id=str(run.model(modality.name, seed)),
        pairs=arguments.pairs or str(own_pairs),
        output_dir=arguments.output_dir or str(run.folder / SCORES_FOLDER / name),
    )


def find_model(model_id: str, revision: str | None = None) -> Path:
    """
    The folder of a model, downloaded from the Hub unless it is one.

    Args:
        model_id (`str`): A folder or an id on the Hub.
        revision (`str`, *optional*): A commit, branch or tag.

    Returns:
        `Path`: A folder with its configuration, weights (safetensors) and tokenizer.

    Raises:
        `ValueError`: If there is no such model, none with weights in safetensors, a revision of a folder is asked for,
            or a file is not the one that was released.
    """
    folder = Path(model_id)
    if folder.is_dir() and revision is not None:
        raise ValueError(f"{model_id} is a folder, which has no revision {revision!r}; give an id on the Hub.")
    if not folder.is_dir():
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        try:
            folder = Path(snapshot_download(model_id, revision=revision, allow_patterns=list(_MODEL_FILES)))
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
            raise ValueError(f"There is no model {model_id!r}, neither as a folder nor on the Hub.") from error
    if not (folder / "config.json").is_file():
        raise ValueError(f"{model_id} has no config.json: it is not the folder of a model.")
    if not any(folder.glob("*.safetensors")):
        raise ValueError(f"{model_id} has no weights in safetensors; other formats are not read.")
    check_released_files(folder)
    return folder


def load_for_scoring(weights: str | Path, tokenizer: str | Path, device: str) -> tuple:
    """
    A model on this process's own device, and its tokenizer.

    Args:
        weights (`str` or `Path`): A folder for `AutoModelForCausalLM`.
        tokenizer (`str` or `Path`): A folder for `AutoTokenizer`.
        device (`str`): `"cpu"` or `"cuda"`.

    Returns:
        `tuple`: The model and the tokenizer.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(weights, use_safetensors=True)
    return model.to(distributed.own_device(device)), AutoTokenizer.from_pretrained(tokenizer)


def wait_for_scores(save_dir: Path, pairs: int) -> list[dict]:
    """The scores of all pairs, once the processes that share the work have made theirs."""
    kept = KeptScores(save_dir, pairs)
    distributed.wait_until(kept.is_complete)
    return kept.read_all()


def describe_scores(folder: Path) -> str:
    """The accuracies of a finished scoring as a table in plain text."""
    summary = read_json(folder / SUMMARY_FILE)
    start = summary["beginning"]
    lines = [
        f"The scores are {folder / SCORES_FILE}.",
        f"Every sequence starts with {start['token']!r} (id {start['token_id']}: {start['source']}).",
    ]
    for task, accuracies in summary["accuracies"].items():
        interval = f"{accuracies['ci_low']:.1%} to {accuracies['ci_high']:.1%}"
        lines.append(
            f"{task}: {accuracies['accuracy']:.1%} by {accuracies['headline']} (95 % interval {interval}) of "
            f"{accuracies['n_pairs']:,} pairs"
            + (f" in the bands {', '.join(accuracies['bands'])}" if _counts_bands(task, accuracies) else "")
        )
    return "\n".join(lines)


def _counts_bands(task: str, accuracies: Mapping) -> bool:
    """Whether a headline is over bands: those of other tasks only describe their pairs."""
    return task in TASKS and bool(TASKS[task].headline_bands) and any(accuracies.get("bands", ()))


def _score_part(
    model: Path,
    arguments: ScoreArguments,
    device: str,
    save_dir: Path,
    part: tuple[int, int],
    report_progress: Callable[[float], None],
) -> None:
    """One process's share of the chunks."""
    from ...models.scoring.pairs import score_pairs

    rows = read_pairs(arguments.pairs, arguments.modality)
    loaded, tokenizer = load_for_scoring(model, model, device)
    score_pairs(
        loaded,
        tokenizer,
        rows,
        arguments.modality,
        batch_tokens=arguments.batch_tokens,
        long_sequences=arguments.long_sequences,
        bos_token_id=arguments.bos_token_id,
        save_dir=save_dir,
        part=part,
        report_progress=report_progress,
    )


def _contents(row: Mapping, modality: str | None) -> dict[str, str | None]:
    """What is scored of a pair, under names that no form of the pairs has and no score."""
    return {name: row.get(part if modality is None else f"{part}_{modality}") for part, name in CONTENTS.items()}


def _describe_beginning(folder: Path, bos_token_id: int | None) -> dict:
    """What every sequence starts with, as the summary says it."""
    from transformers import AutoConfig, AutoTokenizer

    from ...models.scoring.beginning import find_beginning

    tokenizer = AutoTokenizer.from_pretrained(folder)
    beginning = find_beginning(AutoConfig.from_pretrained(folder), tokenizer, bos_token_id)
    token = tokenizer.convert_ids_to_tokens(beginning.token_id)
    return {"token": token, "token_id": beginning.token_id, "source": beginning.source}


def _write(folder: Path, arguments: ScoreArguments, device: str, rows: list[dict], beginning: dict) -> None:
    columns = [key for key in (*KEYS, *CONTENTS.values(), *SCORES) if key in rows[0]]
    if not any(row[CONTENTS["context"]] for row in rows):
        columns.remove(CONTENTS["context"])
    table = pa.Table.from_pylist([{key: row.get(key) for key in columns} for row in rows])
    pq.write_table(table, folder / SCORES_FILE)
    write_json(
        folder / SUMMARY_FILE,
        {
            "accuracies": accuracies_by_task(rows),
            "model_id": arguments.model_id,
            "revision": arguments.revision,
            "pairs": arguments.pairs,
            "modality": arguments.modality,
            "long_sequences": arguments.long_sequences,
            "beginning": beginning,
            "tokens": sum(row["positive_tokens"] + row["negative_tokens"] for row in rows),
            "rule": "sum of log p(side | beginning, context) in nats; only the side is scored, no end of sequence",
            "versions": describe_versions(),
            "commit": describe_commit(),
            "device": describe_device(device),
        },
    )


def accuracies_by_task(rows: Iterable[Mapping]) -> dict[str, dict]:
    """
    Accuracies of scored rows, as the metrics give them.

    Args:
        rows (`Iterable[Mapping]`): Rows with scores, as [`judge_arguments`] takes them.

    Returns:
        `dict`: By task (`"pairs"` for rows that name none), what the task's metric returns.
    """
    by_task: dict[str, list] = {}
    for row in rows:
        by_task.setdefault(row.get("task") or "pairs", []).append(row)
    return {
        task: pair_accuracies(
            **judge_arguments(of_task),
            headline=TASKS[task].rule if task in TASKS else "sum",
            task=TASKS.get(task),
        )
        for task, of_task in by_task.items()
    }
