"""A run's own minimal pairs as one of its modalities of speech reads them, for the metrics and `evoslm score`.

spoken pairs + their units -> [`build_unit_pairs`] -> `<task>/test-*.parquet`, contents that models are asked about.
"""

from pathlib import Path

import pyarrow.parquet as pq

from ...datasets_scripts.pairs.unit_contents import unit_pairs
from ..run.folder import Run
from ..run.stage import Stage


def build_unit_pairs(run: Run, modality: str, overwrite: bool = False) -> Path:
    """
    Write the units of a run's pairs as contents, unless they are there.

    Args:
        run ([`Run`]): A finished run, as `open_run` gives it.
        modality (`str`): A modality of speech, e.g. `"speech_units"`.
        overwrite (`bool`, *optional*, defaults to `False`): Replace those of other pairs or units.

    Returns:
        `Path`: Their folder, which the metrics and `evoslm score` take as pairs of the form `"units"`.

    Raises:
        `FileNotFoundError`: If the run has no units of pairs.
        `ValueError`: If the modality is not made of units, or the folder holds contents of other pairs or units.
    """
    pairs, units = run.pairs(run.voices_of(modality)), run.pair_units(modality)
    if not units.is_dir():
        raise FileNotFoundError(f"There are no units of pairs in {units}; `evoslm evaluate` makes them.")

    def build(partial: Path) -> None:
        for shard in sorted(pairs.glob("*/test-*.parquet")):
            place = shard.relative_to(pairs)
            (partial / place).parent.mkdir(exist_ok=True)
            pq.write_table(unit_pairs(shard, pq.read_table(units / place), modality), partial / place)

    stage = Stage(run.unit_pairs(modality), 1, {"modality": modality}, {"pairs": pairs, "units": units})
    stage.run(build, overwrite)
    return stage.folder
