"""Sentence polarity (Pang and Lee 2005): sentences of film reviews, positive and negative, one a line.

`pos.txt` and `neg.txt`, or `rt-polarity.pos` and `.neg` as they were published -> [`read_polarity`] -> examples.
"""

from collections.abc import Iterator
from pathlib import Path

from ..text.wrong_encodings import repair_encoding
from .examples import SourceExample

_FILES = {"positive": ("pos.txt", "rt-polarity.pos"), "negative": ("neg.txt", "rt-polarity.neg")}


def read_polarity(source: str | Path) -> Iterator[SourceExample]:
    """
    Read the sentences of a folder.

    Files may be in UTF-8 or, as published, in Windows-1252; what was once read in a wrong encoding is put right, and
    brackets around what a critic put in are taken off.

    Args:
        source (`str` or `Path`): The folder.

    Raises:
        `FileNotFoundError`: If it lacks a file.
    """
    folder = Path(source)
    for label, names in _FILES.items():
        path = next((folder / name for name in names if (folder / name).is_file()), None)
        if path is None:
            raise FileNotFoundError(f"There is no {names[0]} in {folder}; sentences are in pos.txt and neg.txt.")
        data = path.read_bytes()
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")  # its controls are Windows-1252's marks, which are put right below
        # Not `splitlines`: U+0085, which stands for dots here, would end a line.
        for number, line in enumerate(text.split("\n")):
            if line.strip():
                sentence = repair_encoding(line).replace("[", "").replace("]", "")
                yield SourceExample(f"{label}-{number:05d}", sentence.strip(), label=label)
