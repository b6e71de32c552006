"""The dataset repositories of a release: utterances, the contents of every modality, and the minimal pairs.

In: a run. Out: a prepared folder each, of parquet files with what the Hub's clients read of them, and a card.
"""

from collections.abc import Sequence
from pathlib import Path

from ....models.files import read_json
from ....models.modalities import get_modality
from ...run.folder import Run
from ...run.study_file import open_run, read_study
from ..choice import EVERYTHING, ReleaseChoice
from ..models import default_license
from ..names import ReleaseNames
from ..repository import ReleaseRepository
from .contents import prepare_contents
from .dataset_card import DatasetSource
from .joint_contents import JointDraw
from .pairs import prepare_pairs
from .utterances import prepare_utterances

__all__ = ["DATASETS", "prepare_dataset_repositories"]

DATASETS = ("utterances", "contents", "pairs")
"""What they are called."""


def prepare_dataset_repositories(
    run_dir: str | Path,
    names: ReleaseNames,
    folder: Path,
    choice: ReleaseChoice = EVERYTHING,
    models: Sequence[str] | None = None,
) -> list[ReleaseRepository]:
    """
    Prepare the datasets of a run: those that its models learned from, and those that they were asked about.

    Args:
        run_dir (`str` or `Path`): The run's folder.
        names ([`ReleaseNames`]): How repositories are called.
        folder (`Path`): Where to, a folder a repository.
        choice ([`ReleaseChoice`], *optional*, defaults to `EVERYTHING`): Whose contents: without modalities, those of
            the run that have been made.
        models (`Sequence[str]`, *optional*): Repositories of the models that are released with them, which snippets
            may name; those of all modalities when not given.

    Returns:
        `list[ReleaseRepository]`: Utterances, contents and pairs.

    Raises:
        `FileNotFoundError`: If the run has no utterances or pairs, or lacks the units of a modality.
        `ValueError`: If a shard cannot be read.
    """
    run, study = open_run(run_dir), read_study(run_dir)
    modalities = choice.modalities
    if not modalities:
        modalities = [name for name in study["modalities"] if _has_contents(run, name)]
    for path in (run.corpus_summary, run.pairs_summary):
        if not path.is_file():
            raise FileNotFoundError(f"{run.folder} is not finished: it has no {path.name} of its {path.parent.name}.")
    joint = choice.joint_folder(run.folder)
    source = DatasetSource(
        run=run,
        study=study,
        corpus=read_json(run.corpus_summary),
        pairs=read_json(run.pairs_summary),
        names=names,
        modalities=tuple(modalities),
        license_id=choice.license_id or default_license(study),
        joint=JointDraw.of(run, study, joint) if joint else None,
        models=None if models is None else tuple(models),
        evaluation_framework=choice.evaluation_framework,
    )
    return [prepare(source, folder) for prepare in (prepare_utterances, prepare_contents, prepare_pairs)]


def _has_contents(run: Run, modality: str) -> bool:
    return not get_modality(modality).is_speech or run.utterance_units(modality).is_dir()
