"""What the cards of a release have in common: how they are written, and what each says of papers, licence and package.

metadata + title + sections -> [`write_card`] -> `README.md`.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from ... import __version__
from .names import ReleaseNames
from .wheel import wheel_name

HUB = "https://huggingface.co"
"""Where the links of cards go, whatever Hub a release is pushed to."""
MODALITY_EVOLVING = "2412.17048"
JOINT_UNITS_AND_TEXT = "2310.08715"
TAGS = ("evoslm", "speech-language-model", "spoken-language-modeling")
PACKAGE_REPOSITORY = "evoslm-package"
STORIES_LICENSE = "apache-2.0"
UNKNOWN_LICENSE = "unknown"

_BIBTEX = {
    MODALITY_EVOLVING: """@article{wang2024speech,
  title = {Why Do Speech Language Models Fail to Generate Semantically Coherent Outputs? A Modality Evolving
    Perspective},
  author = {Wang, Hankun and Wang, Haoran and Guo, Yiwei and Li, Zhihan and Du, Chenpeng and Yu, Kai},
  journal = {arXiv preprint arXiv:2412.17048},
  year = {2024}
}""",
    JOINT_UNITS_AND_TEXT: """@article{chou2023toward,
  title = {Toward Joint Language Modeling for Speech Units and Text},
  author = {Chou, Ju-Chieh and Chien, Chung-Ming and Hsu, Wei-Ning and Livescu, Karen and Babu, Arun
    and Conneau, Alexis and Baevski, Alexei and Auli, Michael},
  journal = {arXiv preprint arXiv:2310.08715},
  year = {2023}
}""",
}

Section = tuple[str, str]  # a heading and what stands below it


def write_card(folder: Path, metadata: dict[str, Any], title: str, lead: str, sections: Sequence[Section]) -> None:
    """
    Write `README.md`.

    Args:
        folder (`Path`): The prepared folder.
        metadata (`dict[str, Any]`): Of [`~huggingface_hub.ModelCardData`].
        title (`str`): The first heading.
        lead (`str`): What it is, in a few sentences.
        sections (`Sequence[tuple[str, str]]`): Headings with their texts; one without text is left out.
    """
    parts = ["---", ModelCardData(**metadata).to_yaml().strip(), "---", "", f"# {title}", "", lead.strip(), ""]
    for heading, text in sections:
        if text:
            parts += [f"## {heading}", "", text.strip(), ""]
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")


def read_license(folder: Path) -> str | None:
    """The licence that a prepared folder's card names; `None` where there is no card."""
    path = folder / "README.md"
    return ModelCard.load(path).data.license if path.is_file() else None


def link(repository: str, kind: str = "model", text: str | None = None) -> str:
    """A link to a repository of the Hub, in Markdown."""
    return f"[{text or repository}]({repository_url(repository, kind)})"


def repository_url(repository: str, kind: str = "model") -> str:
    """The page of a repository on the Hub."""
    return f"{HUB}/{'' if kind == 'model' else f'{kind}s/'}{repository}"


def paper_link(number: str) -> str:
    """A link to a paper, in Markdown."""
    return f"[{number}](https://arxiv.org/abs/{number})"


def code(text: str, language: str = "python") -> str:
    """A block of code, in Markdown."""
    return f"```{language}\n{text.strip()}\n```"


def cite() -> Section:
    """How to cite the papers, and this software."""
    software = f"@software{{evoslm,\n  title = {{EvoSLM}},\n  version = {{{__version__}}}\n}}"
    text = "The questions, the chain of alphabets and the joint models are those of two papers:\n\n"
    text += code("\n".join(_BIBTEX.values()), "bibtex")
    return "Citation", f"{text}\n\nThis implementation of them, from scratch:\n\n{code(software, 'bibtex')}"


def install(names: ReleaseNames) -> str:
    """How to install the package of this release."""
    repository, wheel = names.shared(PACKAGE_REPOSITORY), wheel_name()
    text = f"Code with `evoslm` in it needs the package, a wheel in {link(repository)} (Python 3.11 or later):"
    return f"{text}\n\n" + code(f"hf download {repository} {wheel} --local-dir .\npip install ./{wheel}", "bash")


def check_license(license_id: str | None) -> None:
    """
    Check that a licence can be one of the Hub's ids, without which it takes no card.

    Args:
        license_id (`str`, *optional*): Of the cards.

    Raises:
        `ValueError`: If it cannot be.
    """
    if license_id is not None and not re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", license_id):
        raise ValueError(f"{license_id!r} is no id of a licence on the Hub; give one such as cc-by-4.0 (--license).")


def license_text(license_id: str) -> str:
    """What the card says of its licence."""
    if license_id == UNKNOWN_LICENSE:
        return (
            "Who released this has stated no licence (`evoslm release --license`). The code is under Apache-2.0; what "
            "was made of a corpus may be bound to the corpus's own terms."
        )
    return f"`{license_id}`; the code of EvoSLM is under Apache-2.0."
