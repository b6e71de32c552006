"""The model repositories of a release: language models, joint models, what reads and writes units, and adapters.

In: a finished run. Out: a prepared folder a branch, and a card on each that is written from the run's own results.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ....models.files import read_json
from ....models.modalities import get_modality
from ...run.folder import BEST, ITEMS_FILE, TRAINING_FILE, Run
from ...run.study_file import open_run, read_study
from ..card import STORIES_LICENSE, UNKNOWN_LICENSE
from ..choice import EVERYTHING, ReleaseChoice
from ..names import ReleaseNames
from ..repository import ReleaseRepository
from .joint_models import RESULTS_FILE, prepare_joint_models
from .language_models import prepare_language_models
from .ties import UnitTies
from .units import prepare_units


def prepare_model_repositories(
    run_dir: str | Path,
    names: ReleaseNames,
    folder: Path,
    choice: ReleaseChoice = EVERYTHING,
) -> list[ReleaseRepository]:
    """
    Prepare all models of a run.

    Args:
        run_dir (`str` or `Path`): The run's folder.
        names ([`ReleaseNames`]): How repositories are called.
        folder (`Path`): Where to, a folder a repository.
        choice ([`ReleaseChoice`], *optional*, defaults to `EVERYTHING`): What of the run is released.

    Returns:
        `list[ReleaseRepository]`: In the order of a collection.

    Raises:
        `FileNotFoundError`: If the run is not finished, or something of it is missing.
        `ValueError`: If there are no results for a card, or parts that do not belong together.
    """
    run, study = open_run(run_dir), read_study(run_dir)
    joint = Path(choice.joint_dir or run.folder / "joint")
    has_joint = choice.joint_dir is not None or (joint / RESULTS_FILE).is_file()
    wanted = _choose(run, study, choice.modalities, has_joint)
    check_finished(run, study, wanted)
    if not wanted and not has_joint:
        raise FileNotFoundError(f"{run.folder} has no models; let `evoslm study` finish.")
    corpus, license_id = read_json(run.corpus_summary), choice.license_id or default_license(study)
    speech = [name for name in wanted if get_modality(name).is_speech]
    ties, units = prepare_units(
        run,
        names,
        folder,
        list(dict.fromkeys([*speech, *(["speech_units"] if has_joint else [])])),
        license_id,
        Path(choice.vocoder) if choice.vocoder else None,
    )
    models = []
    if wanted:
        results = read_json(run.report / RESULTS_FILE)
        models += prepare_language_models(run, names, folder, wanted, ties, results, license_id)
    of_units = ties.get(run.units(), UnitTies())
    if has_joint:
        models += prepare_joint_models(joint, names, folder, of_units, study, corpus, license_id)
    adapters = choice.adapters
    if adapters is None:
        adapters = sorted(path.parent for path in joint.glob(f"slu/*/*/{RESULTS_FILE}"))
    repositories = [*models, *units]
    if adapters:
        from .adapters import prepare_adapters  # what fine-tunes takes seconds to import

        repositories += prepare_adapters([*map(Path, adapters)], names, folder, of_units, models, license_id)
    return repositories


def check_finished(run: Run, study: dict[str, Any], modalities: Sequence[str]) -> None:
    """
    Check that a run has all that it was to have: models, scores and a report.

    Args:
        run ([`Run`]): The run.
        study (`dict[str, Any]`): Its `study.json`.
        modalities (`Sequence[str]`): Of which.

    Raises:
        `FileNotFoundError`: If it is not finished.
    """
    for name in modalities:
        for seed in study["seeds"]:
            needed = {"model": run.model(name, seed) / TRAINING_FILE}
            needed["scores"] = run.scores(name, seed) / BEST / ITEMS_FILE
            for what, path in needed.items():
                if not path.is_file():
                    raise FileNotFoundError(
                        f"{run.folder} is not finished: it has no {what} of {name} with training seed {seed}; let "
                        "`evoslm study` finish, or choose what there is (--modalities)."
                    )
    if modalities and not (run.report / RESULTS_FILE).is_file():
        raise FileNotFoundError(
            f"{run.folder} is not finished: it has no report; let `evoslm study` finish, or run `evoslm report "
            f"{run.folder}`."
        )


def default_license(study: dict[str, Any]) -> str:
    """
    The licence of what a run made, as far as that can be known: of stories that the project's own grammar generated
    its own, of anybody else's corpus none.

    Args:
        study (`dict[str, Any]`): The run's `study.json`.
    """
    return STORIES_LICENSE if study["configuration"]["corpus"]["corpus"] == "stories" else UNKNOWN_LICENSE


def _choose(run: Run, study: dict[str, Any], modalities: Sequence[str] | None, has_joint: bool) -> list[str]:
    """The modalities to release: those asked for, else all; none of a run that made joint models alone."""
    if modalities is None:
        return study["modalities"] if (run.folder / "models").is_dir() or not has_joint else []
    if unknown := [name for name in modalities if name not in study["modalities"]]:
        raise ValueError(
            f"{run.folder} has no modality {unknown[0]!r}; choose --modalities from {', '.join(study['modalities'])}."
        )
    return list(modalities)
