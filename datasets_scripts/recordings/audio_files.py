"""The audio files of a folder, by the names that tables of transcripts give them.

`wavs/c0.wav`, `c0.wav`, `c0` or a path of another machine -> [`AudioFiles.find`] -> the files that may be meant.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".au", ".caf", ".w64", ".rf64")


def without_suffix(name: str) -> str:
    """A name less the ending of an audio file; the dots of other names stay."""
    path = PurePosixPath(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in AUDIO_SUFFIXES else name


class AudioFiles:
    """
    Finds the audio files that a table names.

    Args:
        base (`Path`): The folder of the table.
        audio (`Iterable[Path]`): The audio files in it and below it.
        names (`Sequence[str]`): All names in the table. Where none of those with folders is found as it stands, the
            table was written elsewhere, and their folders are passed over.
    """

    def __init__(self, base: Path, audio: Iterable[Path], names: Sequence[str]):
        self._base = base
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in audio:
            self._by_stem[path.stem.casefold()].append(path)
        placed = [name for name in map(_slashed, names) if "/" in name]
        self._elsewhere = not any(self._at(name) for name in placed)

    def find(self, name: str) -> list[Path]:
        """
        The files that a name may mean.

        Args:
            name (`str`): A path from the folder of the table, or a name with or without the ending.

        Returns:
            `list[Path]`: None, one, or one of each folder that has a file of this name.
        """
        name = _slashed(name)
        if file := self._at(name):
            return [file]
        if "/" in name and not self._elsewhere:
            return []
        stem = PurePosixPath(without_suffix(name)).name.casefold()
        by_folder: dict[Path, Path] = {}
        # Of the same sound in several formats, the first in the order above.
        for path in sorted(self._by_stem.get(stem, []), key=lambda path: AUDIO_SUFFIXES.index(path.suffix.lower())):
            by_folder.setdefault(path.parent, path)
        return list(by_folder.values())

    def _at(self, name: str) -> Path | None:
        """The file that lies where the name says, in this format or another."""
        path = self._base / name
        if path.is_file():
            return path
        if "/" not in name:
            return None
        stem = PurePosixPath(without_suffix(name)).name.casefold()
        return next((other for other in self._by_stem.get(stem, []) if other.parent == path.parent), None)


def _slashed(name: str) -> str:
    """A path as Windows writes it, too."""
    return name.replace("\\", "/").removeprefix("./")
