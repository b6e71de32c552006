"""The dataset repositories of a release: utterances, the contents of every modality, and the minimal pairs.

In: a run. Out: a prepared folder each, of parquet files with what the Hub's clients read of them, and a card.
"""

from collections.abc import Sequence
from pathlib import Path

from ....models.files import read_json
from ....models.modalities import get_modality
from ...run.folder import Run
from ...run.study_file import open_run, read_study
from ..models import default_license
from ..names import ReleaseNames
from ..repository import ReleaseRepository
from .contents import prepare_contents
from .dataset_card import DatasetSource
from .pairs import prepare_pairs
from .utterances import prepare_utterances

__all__ = ["prepare_dataset_repositories"]


def prepare_dataset_repositories(
    run_dir: str | Path,
    names: ReleaseNames,
    folder: Path,
    modalities: Sequence[str] | None = None,
    license_id: str | None = None,
) -> list[ReleaseRepository]:
    """
    Prepare the datasets of a run: those that its models learned from, and those that they were asked about.

    Args:
        run_dir (`str` or `Path`): The run's folder.
        names ([`ReleaseNames`]): How repositories are called.
        folder (`Path`): Where to, a folder a repository.
        modalities (`Sequence[str]`, *optional*): Whose contents; those of the run that have been made when not given.
        license_id (`str`, *optional*): On all cards; see [`default_license`] when not given.

    Returns:
        `list[ReleaseRepository]`: Utterances, contents and pairs.

    Raises:
        `FileNotFoundError`: If the run has no utterances or pairs, or lacks the units of a modality.
        `ValueError`: If a shard cannot be read.
    """
    run, study = open_run(run_dir), read_study(run_dir)
    if modalities is None:
        modalities = [name for name in study["modalities"] if _has_contents(run, name)]
    for path in (run.corpus_summary, run.pairs_summary):
        if not path.is_file():
            raise FileNotFoundError(f"{run.folder} is not finished: it has no {path.name} of its {path.parent.name}.")
    source = DatasetSource(
        run=run,
        study=study,
        corpus=read_json(run.corpus_summary),
        pairs=read_json(run.pairs_summary),
        names=names,
        modalities=tuple(modalities),
        license_id=license_id or default_license(study),
    )
    return [prepare(source, folder) for prepare in (prepare_utterances, prepare_contents, prepare_pairs)]


def _has_contents(run: Run, modality: str) -> bool:
    return not get_modality(modality).is_speech or run.utterance_units(modality).is_dir()
