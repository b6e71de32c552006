"""What the repositories of a release will be called, known before any of them is prepared, which takes long.

a finished run + what of it is released -> [`plan_repositories`] -> kind and id of each, for the Hub to be asked about.
"""

from collections.abc import Iterator
from pathlib import Path

from ...models.files import read_json
from ...models.modalities import get_modality
from ...models.speech_units import SpeechUnitConfig
from ..external_units.quantizers import is_external
from ..run.folder import POINTS_FOLDER, Run
from ..run.study_file import open_run, read_study
from .card import PACKAGE_REPOSITORY
from .choice import EVERYTHING, ReleaseChoice
from .datasets import DATASETS
from .models import check_finished, choose_adapters, choose_modalities
from .models.joint_models import RESULTS_FILE
from .models.units import find_transcribers, name_quantizer
from .names import ReleaseNames
from .spaces import metric_folders, name_page


def plan_repositories(
    run_dir: str | Path, names: ReleaseNames, choice: ReleaseChoice = EVERYTHING
) -> list[tuple[str, str]]:
    """
    List what a release will consist of.

    Args:
        run_dir (`str` or `Path`): The run's folder.
        names ([`ReleaseNames`]): How repositories are called.
        choice ([`ReleaseChoice`], *optional*, defaults to `EVERYTHING`): What of the run is released.

    Returns:
        `list[tuple[str, str]]`: Kind and id of each repository. What is missing for one of them is refused when it is
        prepared.

    Raises:
        `FileNotFoundError`: If the folder is no run, or the run is not finished.
        `ValueError`: If there is no such modality.
    """
    run, study = open_run(run_dir), read_study(run_dir)
    joint = choice.joint_folder(run.folder)
    wanted = choose_modalities(run, study, choice)
    check_finished(run, study, wanted)
    of_mixture: dict[str, str] = {}
    if joint is not None and (joint / RESULTS_FILE).is_file():
        mixtures = read_json(joint / RESULTS_FILE)["configuration"]["models"]
        of_mixture = {name: names.repository(f"joint-{name}") for name in mixtures}
    models = [*map(names.repository, wanted), *of_mixture.values()]
    speech = [*(name for name in wanted if get_modality(name).is_speech), *(["speech_units"] if joint else [])]
    models += _units(run, names, speech)
    if adapters := choose_adapters(choice, joint):
        from .models.adapters import name_adapter  # what fine-tunes takes seconds to import

        sources = {names.repository(name): run.folder / "models" / name for name in wanted}
        sources |= {repository: joint / "models" / name for name, repository in of_mixture.items()}
        models += _adapters(adapters, names, sources, name_adapter)
    spaces = [name_page(names)] if _are_heard(run, wanted, bool(of_mixture)) else []
    spaces += [names.shared(path.name) for path in metric_folders()]
    planned = [("model", name) for name in (*models, names.shared(PACKAGE_REPOSITORY))]
    planned += [("dataset", names.repository(part)) for part in DATASETS]
    return list(dict.fromkeys([*planned, *(("space", name) for name in spaces)]))


def _units(run: Run, names: ReleaseNames, speech: list[str]) -> Iterator[str]:
    """Quantizers, the vocoder and transcribers."""
    for units in dict.fromkeys(map(run.units_of, speech)):
        source = units / "model"
        if not (source / "config.json").is_file() or is_external(source):
            continue
        yield name_quantizer(names, SpeechUnitConfig.from_pretrained(source), units)
        if units == run.units():
            yield names.repository("vocoder")
        yield from (name for _, name in find_transcribers(run, names, units))


def _are_heard(run: Run, wanted: list[str], has_joint: bool) -> bool:
    """Whether the page has a model: one of text or phones, or one of units that the run itself made."""
    speech = [name for name in wanted if get_modality(name).is_speech]
    of_units = [*speech, *(["speech_units"] if has_joint else [])]
    return len(speech) < len(wanted) or any(not is_external(run.quantizer(name)) for name in of_units)


def _adapters(adapters: list[Path], names: ReleaseNames, sources: dict[str, Path], name_adapter) -> Iterator[str]:
    """Fine-tunings, whose bases are known by their weights."""
    from ...models.slu.adapters import fingerprint_weights
    from ...models.slu.configuration_slu import SLU_CONFIG_FILE, SluConfig

    bases = {
        fingerprint_weights(path): repository
        for repository, source in sources.items()
        for path in (*source.glob("seed-*"), *source.glob(f"seed-*/{POINTS_FOLDER}/*"))
    }
    for adapter in adapters:
        for path in sorted(adapter.glob(f"models/*/{SLU_CONFIG_FILE}"))[:1]:
            config = SluConfig.from_pretrained(path.parent)
            base = bases.get(config.base.weights, config.base.model)
            if base.count("/") == 1:
                yield name_adapter(names, base, config)
