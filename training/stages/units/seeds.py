"""How far quantizers of other seeds agree with each other: how much of the units is chance.

utterances -> a quantizer a seed, with one pass of the encoder -> units of held-out audio -> `seeds.json`.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev

from ....models.files import write_json
from ...run.execution import Execution
from ...run.folder import SEEDS_FILE
from ...run.stage import Stage
from .quality import held_out_units
from .quantizer import PACKAGES, QuantizerSettings, fit_quantizers

_FIT_MEASURES = ("inertia", "num_dead_units", "num_reseeded_units")


def compare_seeds(
    folder: Path, utterances: Path, settings: QuantizerSettings, seeds: Sequence[int], execution: Execution
) -> None:
    """
    Compare quantizers of frames that differ in nothing but the seed of their sample and of k-means.

    They are fitted with one pass of the encoder over the training audio, and asked for the units of the same held-out
    audio. `seeds.json` has for each seed inertia, dead clusters, PNMI and phone purity, and how far each two of them
    agree ([`compare_units`]), with means and standard deviations.

    Args:
        folder (`Path`): Where to.
        utterances (`Path`): The speech stage.
        settings ([`QuantizerSettings`]): How they are fitted, but for the seed.
        seeds (`Sequence[int]`): The seeds.
        execution ([`Execution`]): How it is done.
    """
    from ....models.unit_quality import compare_units, unit_quality

    seeds = list(seeds)
    configuration = settings.describe() | {"seeds": seeds}
    del configuration["corpus_seed"]

    def build(partial: Path) -> None:
        models = fit_quantizers(utterances, settings, seeds, execution.device)
        models[0].to(execution.device)
        found, phones = held_out_units(models, utterances)
        by_seed = []
        for seed, model, sequences in zip(seeds, models, found):
            quality = unit_quality(sequences, phones, num_units=settings.num_units)
            kept = {name: quality[name] for name in ("pnmi", "phone_purity", "cluster_purity", "units_used")}
            by_seed.append({"seed": seed, **{name: model.config.fit[name] for name in _FIT_MEASURES}, **kept})
        pairs = [
            {"seeds": [seeds[i], seeds[j]], **compare_units(found[i], found[j])}
            for i, j in combinations(range(len(seeds)), 2)
        ]
        columns = {name: [row[name] for row in by_seed] for name in ("inertia", "pnmi", "phone_purity")}
        columns |= {name: [row[name] for row in pairs] for name in ("nmi", "matched")}
        summary = {
            name: {"mean": fmean(values), "sd": stdev(values) if len(values) > 1 else None}
            for name, values in columns.items()
        }
        write_json(partial / SEEDS_FILE, {"summary": summary, "seeds": by_seed, "agreement": pairs})

    Stage(folder, 2, configuration, {"utterances": utterances}, PACKAGES).run(build, execution.overwrite)
