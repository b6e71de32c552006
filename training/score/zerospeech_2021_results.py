"""Scores of the ZeroSpeech 2021 items as the challenge gives them, and the files that it takes.

shards of `build_zerospeech2021` (-> [`write_unit_pairs`] for a modality of speech) -> `evoslm score` or `score_pairs`
-> rows with log-likelihoods -> [`zerospeech_results`], a dict of accuracies, and [`write_submission`], a score a file.
"""

import logging
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from ...datasets_scripts.pairs.published.zerospeech_2021 import BANDS, TASKS, read_gold
from ...models.files import written_whole
from ...models.scoring.sides import SIDES
from ..external_units.quantizers import has_quantizer
from ..run.workers import Job, run_jobs

logger = logging.getLogger(__name__)

RULES = ("sum", "mean")
_NEEDED = ("task", "voice", "group", *SIDES)


def zerospeech_results(
    rows: Iterable[Mapping], rule: str = "sum", words: Mapping[str, str] | None = None
) -> dict[str, dict]:
    """
    Judge scored pairs by the challenge's rule: a tie is half right, accuracies are averaged over the voices of a pair,
    then over pairs.

    Args:
        rows (`Iterable[Mapping]`):
            Rows with `task`, `id` (or `pair_id`), `voice`, `group`, and `positive`, `negative` (nats),
            `positive_tokens` and `negative_tokens` as [`score_pairs`] gives them: those of `scores.parquet`, for
            instance.
        rule (`str`, *optional*, defaults to `"sum"`):
            What is compared: `"sum"` of log-likelihoods, the challenge's pseudo-log-probability, or `"mean"` per
            token.
        words (`Mapping[str, str]`, *optional*):
            The word of each lexical pair, where a word has several pseudo-words and is one item, as in BabySLM: they
            are averaged in each voice, then the voices.

    Returns:
        `dict[str, dict]`: By task (`"lexical"`, `"syntactic"`, or the task's own name): `score`, the accuracy over all
        pairs, with the number `n` of pairs and the standard deviation `std` over them; and the same three of every
        voice (`by_voice`), of every frequency band that has pairs (lexical, `by_frequency`), and of every `by_type`
        and `by_subtype` (syntactic; of other tasks, `by_group`). `std` is `None` for a single pair.

    Raises:
        `ValueError`: If there are no rows, a column is missing, a score is no number, or a pair stands twice in a
            voice.
    """
    if rule not in RULES:
        raise ValueError(f"There is no rule {rule!r}; choose from {', '.join(RULES)}.")
    table = _scored(rows, rule)
    names = {task: name for name, task in TASKS.items()}
    if words is not None:
        lexical = table["task"] == TASKS["lexical"]
        table["pair"] = table["pair"].where(~lexical, table["pair"].map(words))
        keys = ["task", "pair", "voice"]
        table = (
            table.groupby(keys, sort=False).agg(group=("group", "first"), correct=("correct", "mean")).reset_index()
        )
    return {names.get(task, task): _results(names.get(task, task), part) for task, part in table.groupby("task")}


def write_submission(
    rows: Iterable[Mapping],
    folder: str | Path,
    output_dir: str | Path,
    split: str = "dev",
    one_voice: bool = False,
) -> dict[str, dict]:
    """
    Write the challenge's files: `lexical/{split}.txt` and `syntactic/{split}.txt`, a line `filename score` for each
    recording. The score is the sum of log-likelihoods; it is written so that equal scores stay equal.

    Args:
        rows (`Iterable[Mapping]`): Scored rows, as for [`zerospeech_results`].
        folder (`str` or `Path`): The challenge's folder, whose gold.csv says which file each side is.
        output_dir (`str` or `Path`): Where the files go; the challenge's validator wants both splits of both tasks.
        split (`str`, *optional*, defaults to `"dev"`): `"dev"` or `"test"`.
        one_voice (`bool`, *optional*, defaults to `False`): Write the rows of the first voice alone, one line a row of
            gold.csv and in its order, as BabySLM's scorer wants it of models of text (`--is_text`).

    Returns:
        `dict[str, dict]`: For each task that has rows, the `file`, its number of `lines`, and the recordings in
        `missing`, which have no score: the challenge takes no file that lacks one.

    Raises:
        `FileNotFoundError`: If a gold.csv is missing.
        `ValueError`: As [`zerospeech_results`], or if no row is of these tasks or a row is not in gold.csv.
    """
    table = _scored(rows, "sum")
    written = {}
    for task, name in TASKS.items():
        part = table[table["task"] == name]
        if not len(part):
            continue
        gold = read_gold(folder, task, split)
        scores = {
            (pair, voice, correct): float(score)
            for side, correct in (("positive", 1), ("negative", 0))
            for pair, voice, score in zip(part["pair"], part["voice"], part[side])
        }
        files = dict(zip(zip(gold["pair"], gold["voice"], gold["correct"]), gold["filename"]))
        if strangers := [key for key in scores if key not in files]:
            raise ValueError(
                f"The pair {strangers[0][0]!r} in the voice {strangers[0][1]!r} is not in {task}/{split}/gold.csv; "
                "give the folder and the split that the pairs were made of."
            )
        of_file = {files[key]: score for key, score in scores.items()}
        target = Path(output_dir) / task / f"{split}.txt"
        # A word with several pseudo-words has as many rows in gold.csv, and one recording.
        wanted = gold["filename"][gold["voice"] == gold["voice"].iloc[0]] if one_voice else gold["filename"].unique()
        _write_lines(target, [f"{file} {of_file[file]!r}\n" for file in wanted if file in of_file])
        missing = [file for file in wanted if file not in of_file]
        if missing:
            logger.warning("%s lacks %d recordings, %s, for instance.", target, len(missing), missing[0])
        written[task] = {"file": target, "lines": len(wanted) - len(missing), "missing": missing}
    if not written:
        raise ValueError(f"No row is of the task {' or '.join(TASKS.values())}; score the pairs of ZeroSpeech first.")
    return written


def write_unit_pairs(
    pairs: str | Path,
    quantizer: str | Path,
    output_dir: str | Path,
    modality: str = "speech_units",
    num_proc: int = 1,
    device: str = "cpu",
    precision: str = "fp32",
) -> Path:
    """
    Write recorded pairs as a modality of speech: shards with `positive_units`, `negative_units` and `context_units`,
    contents that `evoslm score --modality units` reads. Shards that are there are not made again.

    Args:
        pairs (`str` or `Path`): Shards of pairs, in the folder or below it.
        quantizer (`str` or `Path`): The folder of a speech-unit model, `units/speech_units/model` of a run.
        output_dir (`str` or `Path`): Where the shards go, in the same folders and by the same names.
        modality (`str`, *optional*, defaults to `"speech_units"`): A modality that is made of units.
        num_proc (`int`, *optional*, defaults to 1): How many processes encode.
        device (`str`, *optional*, defaults to `"cpu"`): Where the encoder runs.
        precision (`str`, *optional*, defaults to `"fp32"`): Of an encoder with weights, `"fp32"` or `"bf16"`.

    Returns:
        `Path`: The output folder.

    Raises:
        `FileNotFoundError`: If there are no shards or there is no quantizer.
        `ValueError`: If the modality is not made of units, or the quantizer does not know a voice.
    """
    from ...datasets_scripts.builders.by_name import unit_contents

    pairs, quantizer, output_dir = Path(pairs), Path(quantizer), Path(output_dir)
    shards = sorted(pairs.rglob("test-*.parquet"))
    if not shards:
        raise FileNotFoundError(f"There are no shards of pairs (test-*.parquet) in {pairs}.")
    if not has_quantizer(quantizer):
        raise FileNotFoundError(f"There is no speech-unit model in {quantizer}; give the folder of one.")
    unit_contents(modality, [])
    targets = {shard: output_dir / shard.relative_to(pairs) for shard in shards}
    common = {"quantizer": quantizer, "modality": modality, "device": device, "precision": precision}
    jobs = [
        Job(_write_unit_shard, common | {"shard": shard, "target": target}, shard.stat().st_size)
        for shard, target in targets.items()
        if not target.exists()
    ]
    run_jobs(jobs, num_proc, "units")
    return output_dir


def _write_unit_shard(
    shard: Path, target: Path, quantizer: Path, modality: str, device: str, precision: str, report_progress=None
) -> None:
    from ...datasets_scripts.pairs.unit_contents import unit_pairs
    from ..stages.units.encoding import encode_shard

    target.parent.mkdir(parents=True, exist_ok=True)
    sides = [name for name in ("context", *SIDES) if pq.read_schema(shard).get_field_index(f"{name}_audio") >= 0]
    with tempfile.TemporaryDirectory() as folder:
        columns = tuple(f"{name}_audio" for name in sides)
        encode_shard(quantizer, shard, Path(folder), columns, device, precision, report_progress)
        rows = unit_pairs(shard, pq.read_table(Path(folder) / shard.name), modality)
    with written_whole(target) as partial:
        pq.write_table(rows, partial)


def _scored(rows: Iterable[Mapping], rule: str) -> pd.DataFrame:
    """Scores in columns, with what is compared in `positive` and `negative`, and `correct`: 1, 0.5 or 0."""
    table = pd.DataFrame(list(rows))
    if not len(table):
        raise ValueError("There are no scored pairs.")
    pair = next((key for key in ("pair_id", "id") if key in table), None)
    needed = (*_NEEDED, *(f"{side}_tokens" for side in SIDES if rule == "mean"))
    missing = [key for key in needed if key not in table] + ([] if pair else ["id"])
    if missing:
        raise ValueError(f"The scored pairs have no column {missing[0]!r}, only {', '.join(map(str, table.columns))}.")
    table = table.rename(columns={pair: "pair"})
    for side in SIDES:
        bad = table[side].isna()
        if bad.any():
            raise ValueError(f"The pair {table['pair'][bad].iloc[0]!r} has no score on its {side} side.")
        if rule == "mean":
            table[side] = table[side] / table[f"{side}_tokens"]
    twice = table.duplicated(["task", "pair", "voice"])
    if twice.any():
        row = table[twice].iloc[0]
        raise ValueError(f"The pair {row['pair']!r} stands twice in the voice {row['voice']!r}.")
    table["correct"] = (table["positive"] > table["negative"]) + 0.5 * (table["positive"] == table["negative"])
    return table


def _results(task: str, table: pd.DataFrame) -> dict:
    """The accuracy of one task and of its parts."""
    by_pair = table.groupby("pair", sort=False).agg(group=("group", "first"), correct=("correct", "mean"))
    groups = by_pair["group"]
    results = _accuracy(by_pair["correct"])
    results["by_voice"] = {str(voice): _accuracy(part["correct"]) for voice, part in table.groupby("voice")}
    if task == "lexical":
        bands = [band for band in BANDS if (groups == band).any()]
        results["by_frequency"] = {band: _accuracy(by_pair["correct"][groups == band]) for band in bands}
    elif task == "syntactic":
        for name, labels in (("by_type", groups.str.split("/").str[0]), ("by_subtype", groups)):
            results[name] = {label: _accuracy(part) for label, part in by_pair["correct"].groupby(labels)}
    else:
        results["by_group"] = {label: _accuracy(part) for label, part in by_pair["correct"].groupby(groups)}
    return results


def _accuracy(correct: pd.Series) -> dict:
    return {
        "n": len(correct),
        "score": float(correct.mean()),
        "std": float(correct.std()) if len(correct) > 1 else None,
    }


def _write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as partial:
        partial.write_text("".join(lines), encoding="utf-8")
