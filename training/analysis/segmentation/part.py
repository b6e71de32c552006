"""The part of word segmentation: stages, and the section of the page.

models + ids of validation and test utterances -> surprisals -> a threshold from the one, boundaries in the other ->
`boundaries.parquet` (hits an utterance and rule) and `summary.json`, a stage a model; the n-grams of a modality and
every n-th candidate are one stage more -> `results.py` -> a section of the page.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ....models.audio import FRAME_RATE, SAMPLE_RATE
from ....models.files import write_json, written_whole
from ....models.modalities import MODALITIES, Modality, get_modality
from ....models.ngram import NGramModel, cut_blocks
from ...external_units.quantizers import read_quantizer_config
from ...run.execution import Execution
from ...run.folder import SUMMARY_FILE
from ...run.stage import Stage
from ...run.workers import Job, run_jobs
from ...score.pair_files import load_for_scoring
from ...stages.baselines import NGRAM_ORDER, collapse_runs
from ..arguments import AnalyzeArguments
from ..made_of import is_made_of, say_left_out
from ..parts import AnalyzedRun, Section, with_left_out
from .boundary_rules import above, at_random, choose_step, choose_threshold, count, every_nth
from .results import BOUNDARIES_FILE, read_segmentation
from .text import TITLE, write_segmentation
from .timed_tokens import MOST_UTTERANCES, TimedUtterance, read_timed_utterances

PART = "segmentation"
TOLERANCE = 0.02
"""Seconds by which a boundary may be early or late; among letters it has to stand between the right two."""
_VERSION = 1


@dataclass(frozen=True)
class SegmentationSettings:
    """
    What makes the boundaries of a model beside its surprisals.

    Args:
        modality (`str`): The modality's name.
        frame_samples (`float`): Samples from one unit, or one symbol of Phone-Repeat, to the next.
        tolerance (`float`): By how much a boundary may be early or late, in seconds; of letters 0.
        most_utterances (`int`): Utterances of a split, at most.
    """

    modality: str
    frame_samples: float
    tolerance: float
    most_utterances: int = MOST_UTTERANCES


def is_segmented(modality: Modality) -> bool:
    """Whether a modality writes no spaces, so that where words begin is not to be read off it."""
    return modality.column != "text" or modality.tokenizer == "text_raw_no_space"


def find_lack(run: AnalyzedRun, arguments: AnalyzeArguments) -> str | None:
    """What the run lacks: models that read no spaces, and utterances whose words have times."""
    if not (models := _models(run)):
        names = ", ".join(name for name, entry in MODALITIES.items() if is_segmented(entry))
        return f"{run.paths.folder} has no model that reads words without spaces; train one of {names}."
    for name, _ in models:
        for folder in filter(None, _inputs(run, name).values()):
            if not folder.is_dir():
                return f"{run.paths.folder} has no {folder.relative_to(run.paths.folder)}; run the study again."
    return None


def build(run: AnalyzedRun, arguments: AnalyzeArguments, execution: Execution) -> None:
    """Find the boundaries of each model, and of n-grams over the same ids."""
    jobs = []
    for name in dict(_models(run)):
        common = _inputs(run, name) | {"settings": _settings(run, name), "execution": execution}
        cost = run.finished.modalities[name].tokenizer.get("train_tokens", 1)
        jobs.append(Job(build_rule_boundaries, common | {"folder": run.folder(PART) / name / "rules"}, cost=cost))
        for seed in run.seeds(name):
            of_model = {"folder": run.folder(PART) / name / f"seed-{seed}", "model": run.paths.model(name, seed)}
            jobs.append(Job(build_model_boundaries, common | of_model, cost=cost))
    run_jobs(jobs, execution.device_workers, "word boundaries")


def write_section(run: AnalyzedRun) -> Section | None:
    """Word boundaries by model, of the models that the run has now."""
    folder = run.folder(PART)
    seeds, earlier = run.find_current(
        folder, lambda name, seed: _inputs(run, name) | {"model": run.paths.model(name, seed)}
    )
    for name, own in seeds.items():
        if own and not is_made_of(folder / name / "rules", _inputs(run, name)):
            seeds[name], earlier = [], list(dict.fromkeys([*earlier, run.labels[name]]))
    found = read_segmentation(folder, run.labels, seeds)
    left_out = [say_left_out(PART, earlier, "--overwrite")] if earlier else []
    return with_left_out(write_segmentation(found, run.labels, TOLERANCE) if found else None, TITLE, left_out)


def build_model_boundaries(
    folder: Path,
    model: Path,
    tokenizer: Path,
    utterances: Path,
    units: Path | None,
    settings: SegmentationSettings,
    execution: Execution,
    report_progress: Callable[[float], None] | None = None,
) -> None:
    """
    Word boundaries by a model's surprisal, and as many at random.

    Args:
        folder (`Path`): Where to.
        model (`Path`): The stage of the model.
        tokenizer (`Path`): The stage of its tokenizer, with the ids of the utterances.
        utterances (`Path`): The speech that the modality is read from.
        units (`Path`, *optional*): Its units, for a modality of speech.
        settings ([`SegmentationSettings`]): How boundaries are judged.
        execution ([`Execution`]): How it is done.
        report_progress (`Callable[[float], None]`, *optional*): Not used: the stage takes seconds.
    """
    from ....models.scoring import token_log_probabilities

    def build(partial: Path) -> None:
        loaded, own = load_for_scoring(model, model, execution.device)
        splits, left_out = _read(tokenizer, utterances, units, settings)
        surprisals = {}
        for split, found in splits.items():
            rows = [np.concatenate([[own.bos_token_id], utterance.ids]) for utterance in found]
            values = token_log_probabilities(loaded, rows)
            surprisals[split] = [-row[utterance.places] for row, utterance in zip(values, found)]
        counts, summary = _by_surprisal(splits, surprisals, settings.tolerance)
        drawn = at_random(splits["test"], counts, settings.tolerance, seed=0)
        _write(partial, {"model": counts, "random": drawn}, {"model": summary}, left_out)

    inputs = {"model": model, "tokenizer": tokenizer, "utterances": utterances} | ({"units": units} if units else {})
    stage = Stage(folder, _VERSION, asdict(settings), inputs, packages=("torch", "transformers"))
    stage.run(build, execution.overwrite)


def build_rule_boundaries(
    folder: Path,
    tokenizer: Path,
    utterances: Path,
    units: Path | None,
    settings: SegmentationSettings,
    execution: Execution,
    report_progress: Callable[[float], None] | None = None,
) -> None:
    """
    Word boundaries by the surprisal of 1- to 5-grams over the same ids, trained on the same utterances, and every n-th
    candidate; n, as thresholds, is chosen on validation utterances. Where a sound is several tokens the n-grams are
    over runs, each one token. The arguments are those of [`build_model_boundaries`].
    """

    def build(partial: Path) -> None:
        splits, left_out = _read(tokenizer, utterances, units, settings)
        tables, summaries = {}, {}
        surprisals = _ngram_surprisals(tokenizer, splits, get_modality(settings.modality))
        for order, own in enumerate(surprisals, start=1):
            tables[f"ngram{order}"], summaries[f"ngram{order}"] = _by_surprisal(splits, own, settings.tolerance)
        step, best = choose_step(splits["validation"], settings.tolerance)
        chosen = every_nth(splits["test"], step, settings.tolerance)
        tables["every"] = count(splits["test"], chosen, settings.tolerance)
        summaries["every"] = {"step": step, "validation_f1": best}
        _write(partial, tables, summaries, left_out)

    inputs = {"tokenizer": tokenizer, "utterances": utterances} | ({"units": units} if units else {})
    stage = Stage(folder, _VERSION, asdict(settings) | {"max_order": NGRAM_ORDER}, inputs)
    stage.run(build, execution.overwrite)


def _models(run: AnalyzedRun) -> list[tuple[str, int]]:
    return [(name, seed) for name, seed in run.models if is_segmented(get_modality(name))]


def _inputs(run: AnalyzedRun, name: str) -> dict[str, Path | None]:
    return {
        "tokenizer": run.paths.tokenizer(name),
        "utterances": run.paths.utterances(run.paths.voices_of(name)),
        "units": run.paths.utterance_units(name) if get_modality(name).is_speech else None,
    }


def _settings(run: AnalyzedRun, name: str) -> SegmentationSettings:
    modality, frame_rate = get_modality(name), run.finished.study.get("frame_rate", FRAME_RATE)
    if modality.is_speech:
        frame_rate = read_quantizer_config(run.paths.quantizer(name)).frame_rate
    return SegmentationSettings(name, SAMPLE_RATE / frame_rate, 0.0 if modality.column == "text" else TOLERANCE)


def _read(
    tokenizer: Path, utterances: Path, units: Path | None, settings: SegmentationSettings
) -> tuple[dict[str, list[TimedUtterance]], dict[str, int]]:
    """The utterances to choose by and to measure, and how many of them were left out."""
    modality, splits, left_out = get_modality(settings.modality), {}, {}
    for split in ("validation", "test"):
        splits[split], left_out[split] = read_timed_utterances(
            tokenizer, utterances, units, modality, settings.frame_samples, split
        )
        if not splits[split]:
            raise ValueError(f"{utterances} has no utterance of the {split} split that {settings.modality} can read.")
    return splits, left_out


def _by_surprisal(
    splits: dict[str, list[TimedUtterance]], surprisals: dict[str, list[np.ndarray]], tolerance: float
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Hits an utterance of the test split, and the threshold that the validation split chose."""
    threshold, best = choose_threshold(splits["validation"], surprisals["validation"], tolerance)
    counts = count(splits["test"], above(splits["test"], surprisals["test"], threshold, tolerance), tolerance)
    return counts, {"threshold": threshold, "validation_f1": best}


def _ngram_surprisals(
    tokenizer: Path, splits: dict[str, list[TimedUtterance]], modality: Modality
) -> list[dict[str, list[np.ndarray]]]:
    """By order and split, the surprisals of every candidate."""
    from transformers import AutoTokenizer

    from ...pretrain.data import TokenizedUtterances

    loaded = AutoTokenizer.from_pretrained(tokenizer)
    train = TokenizedUtterances(tokenizer, "train", loaded.bos_token_id, loaded.eos_token_id)
    blocks = cut_blocks(train.ids, train.offsets)
    if modality.repeats_tokens:
        blocks = (collapse_runs(*block) for block in blocks)
    else:
        blocks = ((ids.astype(np.int64), offsets) for ids, offsets in blocks)
    asked = {split: [utterance.ids[utterance.places] for utterance in found] for split, found in splits.items()}
    everything = [row for rows in asked.values() for row in rows]
    ngrams = NGramModel.fit(blocks, vocab_size=len(loaded), max_order=NGRAM_ORDER, asked=everything)
    values = {split: ngrams.token_log_probabilities(rows) for split, rows in asked.items()}
    return [{split: [-row[order] for row in rows] for split, rows in values.items()} for order in range(NGRAM_ORDER)]


def _write(
    partial: Path, tables: dict[str, pd.DataFrame], summaries: dict[str, Any], left_out: dict[str, int]
) -> None:
    with written_whole(partial / BOUNDARIES_FILE) as unfinished:
        pd.concat([table.assign(rule=rule) for rule, table in tables.items()]).to_parquet(unfinished, index=False)
    write_json(partial / SUMMARY_FILE, {"rules": summaries, "left_out": left_out})
