"""The package itself as a repository: a wheel, for the snippets and the page that need code of ours.

the package that is running -> [`prepare_package`] -> a prepared folder that all releases of a namespace share.
"""

from pathlib import Path

from ... import __version__
from .card import MODALITY_EVOLVING, PACKAGE_REPOSITORY, TAGS, cite, code, license_text, paper_link, write_card
from .names import ReleaseNames
from .repository import ReleaseRepository
from .wheel import wheel_name, write_wheel

_LICENSE = "apache-2.0"


def prepare_package(names: ReleaseNames, folder: Path) -> ReleaseRepository:
    """
    Prepare the repository of the package.

    Args:
        names ([`ReleaseNames`]): How repositories are called.
        folder (`Path`): Where to, a folder a repository.

    Returns:
        [`ReleaseRepository`]: The same for every run of one version.
    """
    repository, wheel = names.shared(PACKAGE_REPOSITORY), wheel_name()
    main = folder / PACKAGE_REPOSITORY / "main"
    write_wheel(main)
    install = code(f"hf download {repository} {wheel} --local-dir .\npip install ./{wheel}", "bash")
    use = code(f"""
import evoslm

print(evoslm.__version__, sorted(evoslm.MODALITIES))  # {__version__} ['phone_bpe', 'phone_raw', ...]
""")
    write_card(
        main,
        {"license": _LICENSE, "tags": list(TAGS), "language": "en"},
        f"EvoSLM {__version__}",
        "The Python package that this namespace's speech language models, datasets and metrics were made with. It "
        f"measures what each step from text to speech costs a language model ({paper_link(MODALITY_EVOLVING)}).",
        [
            ("Intended use", "Models and datasets load without it; the pipeline, and studies of one's own, need it."),
            ("How to install", f"Python 3.11 or later:\n\n{install}"),
            ("How to use", use),
            cite(),
            ("License", license_text(_LICENSE)),
        ],
    )
    return ReleaseRepository(repository, "model", main, title="The Python package", note="What the pipeline needs.")
