"""The part of layers: what the output layer would say of each layer's states (2412.17048, Section 5.3).

models of a run + its minimal pairs -> the scores of every layer, a stage a model, in as many forward passes as plain
scores take -> accuracies by layer (`accuracies.py`) -> a section of the page (`text.py`).
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from ....models.files import write_json, written_whole
from ....models.modalities import get_modality
from ...run.execution import Execution
from ...run.folder import ITEMS_FILE, SUMMARY_FILE
from ...run.stage import Stage
from ...run.workers import Job, run_jobs
from ...score.pair_files import CHUNKS_FOLDER, load_for_scoring
from ...stages.contents import KEYS, read_contents
from ..arguments import AnalyzeArguments
from ..made_of import say_left_out
from ..parts import AnalyzedRun, Section, with_left_out
from .accuracies import LENSES, read_layers
from .text import TITLE, write_layers

PART = "layers"
LENS_FILE = "lens.safetensors"
_FITTED_POSITIONS, _MEASURED_POSITIONS = 20_000, 5_000
"""Positions of training and of validation utterances that a tuned lens is fitted and measured on, about."""


def find_lack(run: AnalyzedRun, arguments: AnalyzeArguments) -> str | None:
    """What the run lacks: models, and the pairs that they were asked."""
    if not run.models:
        return f"{run.paths.folder} has no language models; run the study again to have them trained."
    for name, _ in run.models:
        inputs = [run.paths.pairs(run.paths.voices_of(name))]
        inputs += [run.paths.pair_units(name)] if get_modality(name).is_speech else []
        inputs += [run.paths.tokenizer(name)] if arguments.lens == "tuned" else []
        for folder in inputs:
            if not folder.is_dir():
                return f"{run.paths.folder} has no {folder.relative_to(run.paths.folder)}; run the study again."
    return None


def build(run: AnalyzedRun, arguments: AnalyzeArguments, execution: Execution) -> None:
    """Score the pairs by every layer of each model."""
    jobs = []
    for name, seed in run.models:
        of_model = _inputs(run, name, seed) | {
            "folder": run.folder(PART) / arguments.lens / name / f"seed-{seed}",
            "tokenizer": run.paths.tokenizer(name),
            "modality": name,
            "lens": arguments.lens,
            "execution": execution,
        }
        cost = run.finished.modalities[name].tokenizer.get("train_tokens", 1)
        jobs.append(Job(build_layer_scores, of_model, cost=cost))
    run_jobs(jobs, execution.device_workers, "layers")


def write_section(run: AnalyzedRun) -> Section | None:
    """Accuracies by layer, through each lens that was used, of the models that the run has now."""
    found, left_out = {}, []
    for lens in LENSES:
        folder = run.folder(PART) / lens
        seeds, earlier = run.find_current(folder, lambda name, seed: _inputs(run, name, seed))
        if layers := read_layers(folder, run.labels, seeds):
            found[lens] = layers
        if earlier:
            flags = f"{'' if lens == 'logit' else f'--lens {lens} '}--overwrite"
            left_out.append(say_left_out(PART, earlier, flags))
    return with_left_out(write_layers(found, run.labels) if found else None, TITLE, left_out)


def _inputs(run: AnalyzedRun, name: str, seed: int) -> dict[str, Path | None]:
    return {
        "model": run.paths.model(name, seed),
        "pairs": run.paths.pairs(run.paths.voices_of(name)),
        "units": run.paths.pair_units(name) if get_modality(name).is_speech else None,
    }


def layer_stage(
    folder: Path, model: Path, pairs: Path, units: Path | None, tokenizer: Path, modality: str, lens: str
) -> Stage:
    """What makes the scores of one model's layers; the arguments are those of [`build_layer_scores`]."""
    inputs = {"model": model, "pairs": pairs} | ({"units": units} if units else {})
    configuration = {"modality": modality, "lens": lens}
    if lens == "tuned":
        inputs["tokenizer"] = tokenizer
        configuration |= {"fitted_positions": _FITTED_POSITIONS}
    return Stage(folder, 1, configuration, inputs, packages=("torch", "transformers"))


def build_layer_scores(
    folder: Path,
    model: Path,
    pairs: Path,
    units: Path | None,
    tokenizer: Path,
    modality: str,
    lens: str,
    execution: Execution,
    report_progress: Callable[[float], None] | None = None,
) -> None:
    """
    Score the pairs by every layer of one model: `items.parquet`, as that of the scores, but with a list a
    log-likelihood: of the embeddings, of each layer, and at the end that of the scores.

    Args:
        folder (`Path`): Where to.
        model (`Path`): The stage of the model, with its tokenizer.
        pairs (`Path`): The spoken pairs.
        units (`Path`, *optional*): Their units, for a modality of speech.
        tokenizer (`Path`): The stage of the tokenizer, with the ids of the utterances that a tuned lens is fitted on.
        modality (`str`): The modality's name.
        lens (`str`): `"logit"` or `"tuned"`.
        execution ([`Execution`]): How it is done.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of the pairs that are done.
    """
    from ....models.scoring import LayerLens, score_pairs

    def build(partial: Path) -> None:
        contents = read_contents(pairs, get_modality(modality), units)
        loaded, own = load_for_scoring(model, model, execution.device)
        reading = LayerLens() if lens == "logit" else _fit(partial, loaded, own, tokenizer)
        rows = contents.rename(columns={"pair_id": "id"}).to_dict("records")
        chunks = partial / CHUNKS_FOLDER
        scores = score_pairs(loaded, own, rows, lens=reading, save_dir=chunks, report_progress=report_progress)
        with written_whole(partial / ITEMS_FILE) as unfinished:
            pd.concat([contents[KEYS], pd.DataFrame(scores)], axis=1).to_parquet(unfinished)
        shutil.rmtree(chunks)

    layer_stage(folder, model, pairs, units, tokenizer, modality, lens).run(build, execution.overwrite)


def _fit(partial: Path, model, tokenizer, ids: Path):
    """The tuned lens of a model, or the one that an interrupted build left."""
    from safetensors.torch import load_file, save_file

    from ....models.scoring import LayerLens, fit_tuned_lens

    if not (partial / LENS_FILE).exists():
        fitted = _rows(ids, "train", tokenizer, _FITTED_POSITIONS)
        measured = _rows(ids, "validation", tokenizer, _MEASURED_POSITIONS)
        lens, divergences = fit_tuned_lens(model, fitted, measured)
        write_json(partial / SUMMARY_FILE, {"divergence": divergences})
        with written_whole(partial / LENS_FILE) as unfinished:
            save_file({"weights": lens.weights.cpu(), "biases": lens.biases.cpu()}, unfinished)
    # Read back in either case, so that it is the same one.
    return LayerLens(**load_file(partial / LENS_FILE, device=str(model.device)))


def _rows(folder: Path, split: str, tokenizer, positions: int) -> list[np.ndarray]:
    """Utterances of a split in an order of their own, until there are so many tokens."""
    from ...pretrain.data import TokenizedUtterances

    utterances = TokenizedUtterances(folder, split, tokenizer.bos_token_id, tokenizer.eos_token_id)
    order = np.random.default_rng(0).permutation(len(utterances))
    enough = int(np.searchsorted(np.cumsum(utterances.lengths[order]), positions)) + 1
    return [utterances[number] for number in order[:enough]]
