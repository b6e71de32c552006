"""Scores of every layer beside plain ones: what it costs to ask all layers in the same forward passes.

The models and pairs of a finished run (`--run`), in turns, so that a machine that slows down slows both.
"""

import os
import statistics
import time
from pathlib import Path

import numpy as np

from evoslm.models.modalities import get_modality
from evoslm.models.scoring import LayerLens, score_pairs
from evoslm.training.run.study_file import open_run, read_study
from evoslm.training.score.pair_files import load_for_scoring
from evoslm.training.stages.contents import read_contents

from .flags import RUN, full_or_quick

TURNS = full_or_quick(5, 1)
_WAYS = {"plain": None, "all layers": LayerLens()}


def run() -> str:
    folder = Path(os.environ[RUN])
    names = [name for name in read_study(folder)["modalities"] if get_modality(name).paper]
    measured = {name: _measure(folder, name) for name in names}
    whole = {way: [sum(turn) for turn in zip(*(times[way] for times, _ in measured.values()))] for way in _WAYS}
    rows = [_row(name, times, size) for name, (times, size) in measured.items()]
    rows.append(_row("all together", whole, ("", "")))
    return "\n".join(
        [
            "## Every layer",
            "",
            "Minimal pairs of a finished run scored by its models of the first training seed, plainly and by every "
            "layer (logit lens), as `score_pairs` does it from contents to scores. Seconds of processor time of one "
            f"process, the median of {TURNS} turns, one after another; the ratio is the median of the turns' ratios, "
            "with the smallest and the largest. The last layer's scores are those without a lens, to the last bit.",
            "",
            "| modality | layers | pieces | plain, s | all layers, s | ratio |",
            "| :--- | ---: | ---: | ---: | ---: | ---: |",
            *rows,
        ]
    )


def _measure(folder: Path, name: str) -> tuple[dict[str, list[float]], tuple[int, int]]:
    """Seconds of each turn, and the model's layers and pieces."""
    run, modality = open_run(folder), get_modality(name)
    units = run.pair_units(name) if modality.is_speech else None
    contents = read_contents(run.pairs(run.voices_of(name)), modality, units)
    rows = contents.rename(columns={"pair_id": "id"}).to_dict("records")
    weights = run.model(name, read_study(folder)["seeds"][0])
    model, tokenizer = load_for_scoring(weights, weights, "cpu")
    times: dict[str, list[float]] = {way: [] for way in _WAYS}
    found = {}
    for turn in range(TURNS + 1):
        for way, lens in _WAYS.items():
            start = time.process_time()
            found[way] = score_pairs(model, tokenizer, rows, lens=lens)
            if turn:  # what is slow the first time is not the engine's
                times[way].append(time.process_time() - start)
    for plain, by_layer in zip(*found.values()):
        for side in ("positive", "negative"):
            if not np.array_equal(plain[side], by_layer[side][-1]):
                raise AssertionError(f"{name}: the last layer's scores are not the plain ones")
    return times, (model.config.num_hidden_layers, model.config.vocab_size)


def _row(name: str, times: dict[str, list[float]], size: tuple) -> str:
    plain, layers = times.values()
    ratios = sorted(b / a for a, b in zip(plain, layers))
    spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    medians = " | ".join(f"{statistics.median(each):.2f}" for each in (plain, layers))
    return f"| {name} | {size[0]} | {size[1]} | {medians} | {spread} |"
