"""What the repositories of a release are called.

namespace + run -> [`ReleaseNames`] -> `"namespace/evoslm-laptop-phone-raw"`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from ..run.study_file import read_study

_NAMESPACE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?")
_LONGEST = 96  # characters of a namespace, and of a name, on the Hub
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._]+")
SPACE = "speech-continuation"


def check_namespace(namespace: str) -> None:
    """
    Check that a namespace can be one of the Hub's; whether it is there, and may be written to, only the Hub can say.

    Args:
        namespace (`str`): A user or an organisation.

    Raises:
        `ValueError`: If it cannot be.
    """
    if not _NAMESPACE.fullmatch(namespace) or ".." in namespace or "--" in namespace:
        raise ValueError(
            f"{namespace!r} cannot be a namespace: give your user name on the Hub, or an organisation, in letters, "
            "digits, `-`, `_` and `.`, with no `/` (--namespace)."
        )


@dataclass(frozen=True)
class ReleaseNames:
    """
    Names of the repositories of one release.

    Args:
        namespace (`str`): A user or an organisation on the Hub.
        study (`str`): What tells releases of a namespace apart: the preset's name, unless another is given.

    Raises:
        `ValueError`: If either cannot stand in a name.
    """

    namespace: str
    study: str

    def __post_init__(self):
        check_namespace(self.namespace)
        if not self.study or _NOT_IN_NAMES.sub("-", self.study) != self.study:
            raise ValueError(
                f"{self.study!r} cannot stand in the name of a repository; give letters, digits, `-`, `_` and `.`."
            )

    @classmethod
    def of(cls, run: str | Path, namespace: str, study: str | None = None) -> "ReleaseNames":
        """
        Names for a run.

        Args:
            run (`str` or `Path`): The run's folder.
            namespace (`str`): A user or an organisation on the Hub.
            study (`str`, *optional*): What stands for the run in all names; its preset when not given.

        Raises:
            `FileNotFoundError`: If the folder is no run.
            `ValueError`: If the namespace or the name cannot be.
        """
        if study is None:
            preset = Path(read_study(run)["configuration"]["run"]["preset"] or "study").stem
            study = _NOT_IN_NAMES.sub("-", preset).strip("-.") or "study"
        return cls(namespace, study)

    def repository(self, part: str) -> str:
        """
        The id of a repository of this run: `repository("phone_raw")` is `"namespace/evoslm-laptop-phone-raw"`.

        Args:
            part (`str`): What it holds.

        Raises:
            `ValueError`: If the name is too long for the Hub.
        """
        name = f"evoslm-{self.study}-" + _NOT_IN_NAMES.sub("-", part.replace("_", "-")).strip("-.").lower()
        if len(name) > _LONGEST:
            raise ValueError(f"The name {name!r} has more than {_LONGEST} characters; give a shorter --name.")
        return f"{self.namespace}/{name}"

    def shared(self, name: str) -> str:
        """The id of a repository that all releases of the namespace share, such as a metric's."""
        return f"{self.namespace}/{name}"
