"""How far quantizers of other seeds agree with the run's own."""

from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev

from ...models.files import write_json
from ..arguments.study import Arguments
from ..run.folder import SEEDS_FILE, Run
from ..run.stage import Stage
from ..run.workers import resolve_device
from .quantizer import describe_encoder, fit_quantizers
from .unit_quality import held_out_units

_FIT_MEASURES = ("inertia", "num_dead_units", "num_reseeded_units")


def compare_seeds(arguments: Arguments, run: Run) -> Path:
    """
    Compare quantizers of frames that differ in nothing but the seed of their sample and of k-means.

    They are fitted with one pass of the encoder over the training audio of the run's own voices, and asked for the
    units of the same held-out audio.

    Args:
        arguments ([`Arguments`]): Of the command; `compare_seeds` seeds beside the run's own.
        run ([`Run`]): A run with utterances.

    Returns:
        `Path`: The stage's folder, with `seeds.json`: for each seed inertia, dead clusters, PNMI and phone purity, and
        how far each two of them agree ([`compare_units`]), with means and standard deviations.
    """
    from ...models.speech_units import compare_units, unit_quality

    units, first, device = arguments.units, arguments.corpus.corpus_seed, resolve_device(arguments.run.device)
    seeds = list(range(first, first + units.compare_seeds + 1))
    configuration = {
        "encoder": describe_encoder(units),
        "num_units": units.num_units,
        "normalization": units.unit_normalization,
        "fit_frames": units.fit_frames,
        "kmeans": units.kmeans,
        "seeds": seeds,
    }

    def build(folder: Path) -> None:
        models = fit_quantizers(arguments, run.utterances(), "frame", seeds, device)
        models[0].to(device)
        found, phones = held_out_units(models, run.utterances())
        by_seed = []
        for seed, model, sequences in zip(seeds, models, found):
            quality = unit_quality(sequences, phones, num_units=units.num_units)
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
        write_json(folder / SEEDS_FILE, {"summary": summary, "seeds": by_seed, "agreement": pairs})

    Stage(run.unit_seeds, 1, configuration, {"utterances": run.utterances()}).run(build, arguments.run.overwrite)
    return run.unit_seeds
