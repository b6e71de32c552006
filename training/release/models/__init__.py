"""The model repositories of a release: language models, joint models, what reads and writes units, and adapters.

In: a finished run. Out: a prepared folder a branch, and a card on each that is written from the run's own results.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ....models.files import read_json
from ....models.modalities import get_modality
from ...run.folder import BEST, ITEMS_FILE, TRAINING_FILE, Run
from ...run.stage import check_inputs, read_stage
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
    joint = choice.joint_folder(run.folder)
    wanted = choose_modalities(run, study, choice)
    check_finished(run, study, wanted)
    if not wanted and joint is None:
        raise FileNotFoundError(f"{run.folder} has no models; let `evoslm study` finish.")
    if joint is not None:
        for name, source in (("utterances", run.utterances()), ("units", run.units() / "utterances")):
            check_inputs(joint / "tokenizer", name, source)
    corpus, license_id = read_json(run.corpus_summary), choice.license_id or default_license(study)
    foreign_license = choice.license_id or UNKNOWN_LICENSE
    speech = [name for name in wanted if get_modality(name).is_speech]
    ties, units = prepare_units(
        run,
        names,
        folder,
        list(dict.fromkeys([*speech, *(["speech_units"] if joint else [])])),
        license_id,
        Path(choice.vocoder) if choice.vocoder else None,
        foreign_license,
    )
    models = []
    if wanted:
        results = read_json(run.report / RESULTS_FILE)
        models += prepare_language_models(run, names, folder, wanted, ties, results, license_id)
    of_units = ties.get(run.units(), UnitTies())
    if joint is not None:
        models += prepare_joint_models(
            joint, names, folder, of_units, study, corpus, license_id, models, foreign_license
        )
    adapters = choose_adapters(choice, joint)
    repositories = [*models, *units]
    if adapters:
        from .adapters import prepare_adapters  # what fine-tunes takes seconds to import

        of_release = adapters, names, folder, ties.values(), models
        repositories += prepare_adapters(*of_release, license_id, foreign_license)
    return repositories


def check_finished(run: Run, study: dict[str, Any], modalities: Sequence[str]) -> None:
    """
    Check that a run has all that it was to have: models, their own scores and a report.

    Args:
        run ([`Run`]): The run.
        study (`dict[str, Any]`): Its `study.json`.
        modalities (`Sequence[str]`): Of which.

    Raises:
        `FileNotFoundError`: If it is not finished.
        `ValueError`: If a model was trained anew since it was scored, or scored anew since the report.
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
            check_inputs(run.scores(name, seed), "model", run.model(name, seed))
    if modalities and not (run.report / RESULTS_FILE).is_file():
        raise FileNotFoundError(
            f"{run.folder} is not finished: it has no report; let `evoslm study` finish, or run `evoslm report "
            f"{run.folder}`."
        )
    _check_report(run, study, modalities)


def _check_report(run: Run, study: dict[str, Any], modalities: Sequence[str]) -> None:
    """Refuse a report of earlier scores; one that does not say of which it is was written before reports did."""
    reported = read_json(run.report / RESULTS_FILE)["modalities"] if modalities else {}
    for name in modalities:
        made_of = reported.get(name, {}).get("scores", {})
        for seed in study["seeds"]:
            scores = read_stage(run.scores(name, seed))
            if made_of and scores is not None and made_of.get(str(seed)) != scores["fingerprint"]:
                raise ValueError(
                    f"The report of {run.folder} is not of the present scores of {name} with training seed {seed}; "
                    f"run `evoslm report {run.folder}` first."
                )


def default_license(study: dict[str, Any]) -> str:
    """
    The licence of what a run made of its corpus alone, as far as that can be known: of stories that the project's own
    grammar generated its own, of anybody else's corpus none. What has weights from elsewhere has none, either.

    Args:
        study (`dict[str, Any]`): The run's `study.json`.
    """
    return STORIES_LICENSE if study["configuration"]["corpus"]["corpus"] == "stories" else UNKNOWN_LICENSE


def choose_modalities(run: Run, study: dict[str, Any], choice: ReleaseChoice) -> list[str]:
    """
    The modalities whose models are released: those asked for, else all; none of a run that made joint models alone.

    Args:
        run ([`Run`]): The run.
        study (`dict[str, Any]`): Its `study.json`.
        choice ([`ReleaseChoice`]): What is asked for.

    Raises:
        `ValueError`: If the run has no such modality.
    """
    modalities = choice.modalities
    if modalities is None:
        alone = choice.joint_folder(run.folder) is not None and not (run.folder / "models").is_dir()
        return [] if alone else study["modalities"]
    if unknown := [name for name in modalities if name not in study["modalities"]]:
        raise ValueError(
            f"{run.folder} has no modality {unknown[0]!r}; choose --modalities from {', '.join(study['modalities'])}."
        )
    return list(modalities)


def choose_adapters(choice: ReleaseChoice, joint: Path | None) -> list[Path]:
    """
    The fine-tunings that are released: those asked for, else those of the joint models.

    Args:
        choice ([`ReleaseChoice`]): What is asked for.
        joint (`Path`, *optional*): The folder of the joint models.
    """
    if choice.adapters is not None:
        return [*map(Path, choice.adapters)]
    return sorted(path.parent for path in joint.glob(f"slu/*/*/{RESULTS_FILE}")) if joint else []
