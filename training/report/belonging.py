"""Whether what lies in a run's folder belongs together: trainings to each other, and scores to their model.

`stage.json` of each -> [`check_alike`], [`are_of`]. What has no such record, or an older one with fewer keys, is asked
for no more than it says.
"""

from collections.abc import Mapping
from pathlib import Path

from ..run.stage import read_stage

_SEED = "configuration.training_seed"


def check_alike(models: Mapping[int, Path]) -> None:
    """
    Refuse trainings that differ in more than their seed: their mean would be of no model.

    Args:
        models (`Mapping[int, Path]`): The folder of each training seed's model.

    Raises:
        `ValueError`: If two of them were made in different ways; the message names what differs.
    """
    keys = {seed: record["keys"] for seed, folder in models.items() if (record := read_stage(folder))}
    first = min(keys, default=None)
    for seed in sorted(keys):
        shared = sorted(keys[seed].keys() & keys[first].keys() - {_SEED})
        different = [name for name in shared if keys[seed][name] != keys[first][name]]
        if different:
            values = "; ".join(
                f"{name.removeprefix('configuration.')} ({keys[first][name]} and {keys[seed][name]})"
                for name in different
            )
            raise ValueError(
                f"{models[first]} and {models[seed].name} beside it are not trainings of the same model, but of "
                f"different settings: {values}. Train them alike with --overwrite, or move one of them away."
            )


def are_of(scores: Path, model: Path) -> bool:
    """
    Whether scores are of the model that is there now, and not of one that it replaced.

    Args:
        scores (`Path`): The folder of the scores of one training seed.
        model (`Path`): The folder of its model; scores of one that was removed are taken as they are.
    """
    made, trained = read_stage(scores), read_stage(model)
    if made is None or trained is None:
        return True
    return made["keys"].get("inputs.model", trained["fingerprint"]) == trained["fingerprint"]
