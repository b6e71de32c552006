"""The language models of tokenizers and anchors: each in its stages, all of them in one queue.

[`Measured`] + seeds -> tokenizer stage, then [`training_jobs`] -> `run_jobs`, the longest first -> models and scores;
[`layer_jobs`] -> the scores of every layer. What is finished is not done again; what was killed goes on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...models.files import read_json
from ..analysis.layers.part import build_layer_scores
from ..run.execution import Execution
from ..run.folder import SUMMARY_FILE
from ..run.stage import read_stage
from ..run.workers import Job
from ..stages.baselines import build_baselines
from ..stages.scores import ScoreSettings
from ..stages.tokenizers import build_tokenizer
from ..study import train_and_score
from .canonical_units import build_canonical_units, count_canonical_units
from .corpus import LENS, DiagnosisCorpus, Measured
from .phone_units import build_phone_units


def prepare_anchor(anchor: Measured, corpus: DiagnosisCorpus, execution: Execution) -> None:
    """Everything of an anchor but its models."""
    if anchor.is_of_units:
        corpus.build_anchor_pairs(anchor)
        pairs, utterances = corpus.anchor_pairs(anchor), corpus.run.utterances()
        build_phone_units(anchor.raw, utterances, pairs, anchor.frame_rate, execution)
        build_canonical_units(anchor.raw, anchor.canonical, execution)
    prepare_tokenizer(anchor, corpus, execution)


def prepare_tokenizer(measured: Measured, corpus: DiagnosisCorpus, execution: Execution) -> None:
    """The ids of utterances."""
    units, count = None, None
    if measured.is_of_units:
        units, count = measured.canonical.utterances, count_canonical_units(measured.canonical)
    settings = corpus.tokenizer_settings(measured, count)
    folder = measured.run.tokenizer(measured.modality)
    build_tokenizer(folder, corpus.run.utterances(), units, settings, execution)


def training_jobs(
    measured: Measured, seeds: Sequence[int], corpus: DiagnosisCorpus, execution: Execution
) -> list[Job]:
    """
    What trains and scores the models of a tokenizer or an anchor.

    Args:
        measured ([`Measured`]): With its ids.
        seeds (`Sequence[int]`): Training seeds.
        corpus ([`DiagnosisCorpus`]): Model, schedule and pairs.
        execution ([`Execution`]): How it is done.

    Returns:
        `list[Job]`: One a seed that was not scored yet, and one of n-grams.
    """
    run, modality = measured.run, measured.modality
    tokens = read_json(run.tokenizer(modality) / SUMMARY_FILE)["train_tokens"]
    read, jobs = _read(measured, corpus), []
    for seed in seeds:
        training = {
            "folder": run.model(modality, seed),
            "tokenizer": run.tokenizer(modality),
            "settings": corpus.model_settings(measured, seed),
            "hardware": corpus.arguments.hardware,
            "execution": execution,
        }
        scores = {
            "folder": run.scores(modality, seed),
            "model": run.model(modality, seed),
            "settings": ScoreSettings(
                modality, corpus.arguments.pairs.point_pairs, corpus.arguments.corpus.corpus_seed
            ),
            "execution": execution,
        } | read
        if not _is_up_to_date(run.scores(modality, seed), read | {"model": run.model(modality, seed)}):
            jobs.append(Job(train_and_score, {"training": training, "scores": scores}, cost=_cost(measured, tokens)))
    baselines = {
        "folder": run.baselines(modality),
        "tokenizer": run.tokenizer(modality),
        "texts": corpus.run.pairs_text,
        "modality": modality,
        "execution": execution,
    }
    if not _is_up_to_date(run.baselines(modality), read | {"tokenizer": run.tokenizer(modality)}):
        jobs.append(Job(build_baselines, baselines | read, cost=0.05 * tokens))
    return jobs


def layer_jobs(measured: Measured, seeds: Sequence[int], corpus: DiagnosisCorpus, execution: Execution) -> list[Job]:
    """What scores the pairs by every layer of the models of a tokenizer or an anchor."""
    run, modality, read = measured.run, measured.modality, _read(measured, corpus)
    jobs = []
    for seed in seeds:
        folder = measured.layers / modality / f"seed-{seed}"
        if not _is_up_to_date(folder, read | {"model": run.model(modality, seed)}):
            job = {"folder": folder, "model": run.model(modality, seed), "tokenizer": run.tokenizer(modality)}
            job |= {"modality": modality, "lens": LENS, "execution": execution} | read
            jobs.append(Job(build_layer_scores, job, cost=measured.frame_rate or 10))
    return jobs


def _read(measured: Measured, corpus: DiagnosisCorpus) -> dict[str, Any]:
    """The pairs, and their units where these are read."""
    return {"pairs": corpus.run.pairs(), "units": measured.canonical.pairs if measured.is_of_units else None}


def _is_up_to_date(folder: Path, inputs: dict[str, Path | None]) -> bool:
    """Whether a stage is finished, and was made of what now lies in the folders that it read."""
    record = read_stage(folder)
    if record is None:
        return False
    now = {name: read_stage(path) for name, path in inputs.items() if path is not None}
    return all(
        stage is not None and record["keys"].get(f"inputs.{name}") == stage["fingerprint"]
        for name, stage in now.items()
    )


def _cost(measured: Measured, tokens: int) -> float:
    """Attention makes a token of a long sequence dearer."""
    return tokens * (1 + (measured.frame_rate or 10) / 200)
