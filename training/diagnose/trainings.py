"""The language models of tokenizers and anchors: each in its stages, all of them in one queue.

[`Measured`] + seeds -> tokenizer stage, then [`training_jobs`] -> `run_jobs`, the longest first -> models and scores;
[`layer_jobs`] -> the scores of every layer. What is finished is not done again; what was killed goes on.
"""

from collections.abc import Sequence
from typing import Any

from ...models.files import read_json
from ..analysis.layers.part import build_layer_scores, layer_stage
from ..run.execution import Execution
from ..run.folder import SUMMARY_FILE
from ..run.stage import Stage
from ..run.workers import Job
from ..stages.baselines import baseline_stage, build_baselines
from ..stages.models import model_stage
from ..stages.scores import ScoreSettings, score_stage
from ..stages.tokenizers import build_tokenizer
from ..study import train_and_score
from .canonical_units import build_canonical_units, count_canonical_units
from .corpus import LENS, DiagnosisCorpus, Measured
from .phone_units import build_phone_units


def prepare_anchor(anchor: Measured, corpus: DiagnosisCorpus, execution: Execution) -> None:
    """Everything of an anchor but its models."""
    if anchor.is_of_units:
        corpus.build_anchor_pairs(anchor, execution)
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
        `list[Job]`: One a seed that was not trained and scored in just this way yet, and one of n-grams.

    Raises:
        `ValueError`: If it was in another way, and is not to be overwritten.
    """
    run, modality = measured.run, measured.modality
    tokens = read_json(run.tokenizer(modality) / SUMMARY_FILE)["train_tokens"]
    read, how, jobs = _read(measured, corpus), {"execution": execution}, []
    for seed in seeds:
        model = {
            "folder": run.model(modality, seed),
            "tokenizer": run.tokenizer(modality),
            "settings": corpus.model_settings(measured, seed),
        }
        scores = {
            "folder": run.scores(modality, seed),
            "model": run.model(modality, seed),
            "settings": ScoreSettings(
                modality, corpus.arguments.pairs.point_pairs, corpus.arguments.corpus.corpus_seed
            ),
        } | read
        if not _are_finished([model_stage(**model), score_stage(**scores)], execution):
            training = model | {"hardware": corpus.arguments.hardware} | how
            job = {"training": training, "scores": scores | how}
            jobs.append(Job(train_and_score, job, cost=_cost(measured, tokens)))
    baselines = {
        "folder": run.baselines(modality),
        "tokenizer": run.tokenizer(modality),
        "texts": corpus.run.pairs_text,
        "modality": modality,
    } | read
    if not _are_finished([baseline_stage(**baselines)], execution):
        jobs.append(Job(build_baselines, baselines | how, cost=0.05 * tokens))
    return jobs


def layer_jobs(measured: Measured, seeds: Sequence[int], corpus: DiagnosisCorpus, execution: Execution) -> list[Job]:
    """What scores the pairs by every layer of the models of a tokenizer or an anchor."""
    run, modality, jobs = measured.run, measured.modality, []
    for seed in seeds:
        layers = {
            "folder": measured.layers / modality / f"seed-{seed}",
            "model": run.model(modality, seed),
            "tokenizer": run.tokenizer(modality),
            "modality": modality,
            "lens": LENS,
        } | _read(measured, corpus)
        if not _are_finished([layer_stage(**layers)], execution):
            job = layers | {"execution": execution}
            jobs.append(Job(build_layer_scores, job, cost=measured.frame_rate or 10))
    return jobs


def _read(measured: Measured, corpus: DiagnosisCorpus) -> dict[str, Any]:
    """The pairs, and their units where these are read."""
    return {"pairs": corpus.run.pairs(), "units": measured.canonical.pairs if measured.is_of_units else None}


def _are_finished(stages: Sequence[Stage], execution: Execution) -> bool:
    """
    Whether stages are whole, and made by exactly what makes them now.

    Raises:
        `ValueError`: If one was made by something else and is not to be overwritten: now, and not hours later in a
            queue.
    """
    try:
        for stage in stages:
            stage.check(execution.overwrite)
        return all(stage.is_finished() for stage in stages)
    except FileNotFoundError:  # a stage that one of them was made of is gone
        return False


def _cost(measured: Measured, tokens: int) -> float:
    """Attention makes a token of a long sequence dearer."""
    return tokens * (1 + (measured.frame_rate or 10) / 200)
