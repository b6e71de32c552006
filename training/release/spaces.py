"""The Spaces of a release: one a metric, which `evaluate.load` takes, and the page on which the models are heard.

folders of metrics and of the page -> whole, with this release's ids in them -> prepared repositories.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import yaml

from ...models.files import read_json, write_json
from ...models.modalities import JOINT, get_modality
from ..run.folder import Run
from ..run.places import without_places
from ..run.study_file import open_run, read_study
from .files import copy_file
from .metric_cards import NAMESPACE, CardExamples
from .names import SPACE, ReleaseNames
from .repository import ReleaseRepository
from .wheel import PACKAGE, write_wheel

SPACE_FILE = "space.json"
"""Names the models of the page, and the dataset of its examples."""
_METRIC_SUFFIXES = (".py", ".md", ".txt")
_FIGURES = (".png", ".svg")
_CHECK_OF_PARTS = """

# Added by the release: `evaluate` takes half a file for a whole one. Take it out if you change a part.
from pathlib import Path

_SIZES = {sizes}
for _part, _size in _SIZES.items():
    _path = Path(__file__).with_name(_part)
    if _path.is_file() and _path.stat().st_size != _size:
        raise ImportError(
            f"{{_part}} of this metric has {{_path.stat().st_size}} bytes, not the {{_size}} that were released; load "
            "the metric with download_config=datasets.DownloadConfig(force_download=True)."
        )
"""


def prepare_space_repositories(
    run_dir: str | Path, names: ReleaseNames, folder: Path, repositories: Sequence[ReleaseRepository]
) -> list[ReleaseRepository]:
    """
    Prepare a Space for each metric, and the page.

    Args:
        run_dir (`str` or `Path`): The run's folder.
        names ([`ReleaseNames`]): How repositories are called.
        folder (`Path`): Where to, a folder a repository.
        repositories (`Sequence[ReleaseRepository]`): The rest of the release, among which the page and the cards of
            metrics find their models.

    Returns:
        `list[ReleaseRepository]`: The page first, unless no model of the release can be heard.

    Raises:
        `FileNotFoundError`: If the folder is no run.
        `ValueError`: If a metric's folder is not whole.
    """
    examples = CardExamples.of(names, repositories)
    models = [each.name for each in repositories if each.name in examples.modalities and _is_heard(each.folder)]
    page = [_prepare_page(open_run(run_dir), names, folder, models)] if models else []
    return [*page, *(_prepare_metric(path, examples, folder) for path in metric_folders())]


def name_page(names: ReleaseNames) -> str:
    """
    The repository of the page, which all releases of a namespace share.

    Args:
        names ([`ReleaseNames`]): How repositories are called.
    """
    return names.shared(f"evoslm-{SPACE}")


def metric_folders() -> list[Path]:
    """The folders of all metrics of the package."""
    (root,) = find_spec(f"{PACKAGE}.metrics").submodule_search_locations
    return sorted(path.parent for path in Path(root).glob("*/*.py") if path.stem == path.parent.name)


def _is_heard(folder: Path) -> bool:
    """Whether the page can make sound of a model: of text and phones always, of units where their quantizer is."""
    config = read_json(folder / "config.json")
    name = config["modality"]
    reads_units = name == JOINT.name or get_modality(name).is_speech
    return not reads_units or bool(config.get("unit_quantizer"))


def _prepare_metric(source: Path, examples: CardExamples, folder: Path) -> ReleaseRepository:
    """A metric's folder with files where it has links, and a card that names this release's models."""
    name = examples.names.shared(source.name)
    target = folder / source.name / "main"
    for path in sorted(source.iterdir()):
        if path.suffix not in _METRIC_SUFFIXES:
            continue
        if not path.is_file():
            raise ValueError(
                f"{path} is a link to nothing: clone the repository again with its links, and release again."
            )
        copy_file(path, target / path.name)
    _check_parts(target / f"{source.name}.py")
    head, text = _read_card(target)
    _write_card(target, (head, examples.fill(text, source.name)), {})
    title = head["title"]
    return ReleaseRepository(name, "space", target, title=title, note=f'evaluate.load("{name}")')


def _check_parts(script: Path) -> None:
    """Let a metric's script refuse halves of its parts: `evaluate` takes half a file for a whole one, and keeps it."""
    parts = (path for path in sorted(script.parent.glob("*.py")) if path.name not in (script.name, "__init__.py"))
    sizes = {path.name: path.stat().st_size for path in parts}  # `evaluate` writes an `__init__.py` of its own
    with script.open("a", encoding="utf-8", newline="\n") as file:
        file.write(_CHECK_OF_PARTS.format(sizes=json.dumps(sizes, indent=4)))


def _prepare_page(run: Run, names: ReleaseNames, folder: Path, models: list[str]) -> ReleaseRepository:
    """The page with its models, the report that it shows, and the package, so that it needs nothing from elsewhere."""
    name = name_page(names)
    target = folder / name.split("/")[1] / "main"
    (source,) = find_spec(f"{PACKAGE}.spaces.{SPACE.replace('-', '_')}").submodule_search_locations
    utterances = names.repository("utterances")
    for file in ("README.md", "app.py"):
        copy_file(Path(source) / file, target / file)
    write_json(target / SPACE_FILE, {"models": models, "utterances": utterances})
    _write_requirements(Path(source) / "requirements.txt", target)
    _unpack_package(target)
    _copy_report(run, target / "report")
    head, text = _read_card(target)
    text = text.replace(NAMESPACE, names.namespace)
    _write_card(target, (head, text), {"models": models, "datasets": [utterances]})
    return ReleaseRepository(
        name, "space", target, title="Speech continuation", note="Hear what each of them makes of it."
    )


def _write_requirements(source: Path, target: Path) -> None:
    """Those of the page, and of the package."""
    lines = [line for line in source.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    lines += [line for line in requires(PACKAGE) or [] if ";" not in line]
    by_name = {_distribution_name(line): line for line in lines}
    (target / "requirements.txt").write_text(
        "".join(f"{by_name[name]}\n" for name in sorted(by_name)), encoding="utf-8"
    )


def _distribution_name(requirement: str) -> str:
    end = next((place for place, sign in enumerate(requirement) if not (sign.isalnum() or sign in "-_.")), None)
    return requirement[:end].lower().replace("_", "-")


def _unpack_package(target: Path) -> None:
    """
    The package as a folder beside `app.py`: a Hub installs requirements before the other files are there, and a
    private repository has no address that could be among them.
    """
    with tempfile.TemporaryDirectory() as folder, ZipFile(write_wheel(Path(folder))) as wheel:
        wheel.extractall(target, [name for name in wheel.namelist() if name.startswith(f"{PACKAGE}/")])


def _copy_report(run: Run, target: Path) -> None:
    """The report's text and figures, without places of this machine."""
    source = next((path for path in (run.report, run.folder / JOINT.name) if (path / "report.md").is_file()), None)
    if source is None:
        return
    target.mkdir()
    text = (source / "report.md").read_text(encoding="utf-8")
    for place, name in _places(read_study(run.folder)["configuration"]):
        text = text.replace(place, name)
    (target / "report.md").write_text(text, encoding="utf-8")
    for path in sorted(source.iterdir()):
        if path.suffix in _FIGURES:
            copy_file(path, target / path.name)


def _places(value: Any) -> Iterator[tuple[str, str]]:
    """The places in a configuration, with what they are called without them."""
    cleaned = without_places(value)
    if isinstance(value, dict):
        for name, part in value.items():
            if isinstance(part, str) and cleaned[name] != part:
                yield part, cleaned[name]
            else:
                yield from _places(part)
    elif isinstance(value, list):
        for part in value:
            yield from _places(part)
    elif value != cleaned:
        yield value, cleaned


def _read_card(folder: Path) -> tuple[dict[str, Any], str]:
    """Head and text of a card."""
    _, head, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), text


def _write_card(folder: Path, card: tuple[dict[str, Any], str], more: dict[str, Any]) -> None:
    head, text = card
    dumped = yaml.safe_dump(head | more, sort_keys=False, allow_unicode=True, width=1000)
    (folder / "README.md").write_text(f"---\n{dumped}---\n{text}", encoding="utf-8")
