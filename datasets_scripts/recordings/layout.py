"""What the names of folders, files and documents say of a recording: its split and its topic.

`train-clean-100`, `Dev`, `test_clean_large` -> [`split_named`]; the folders of a path -> [`split_of_folders`];
`100/emma/01` -> [`topic_of`]. Only whole names are splits: "Val-de-Loire" and "a-test-of-courage" are books.
"""

import re
from collections.abc import Iterable

_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    # What `load_dataset` takes for a test split, too.
    "test": ("test", "testing", "eval", "evaluation"),
}
_SPLIT_OF = {name: split for split, names in _NAMES.items() for name in names}
# LibriSpeech, LibriTTS and LibriHeavy: train-clean-100, dev-other, dev-clean-2, test_clean_large.
_SPLIT = re.compile(rf"({'|'.join(_SPLIT_OF)})([-_. ](clean|other|large|\d+h?))*")
_AUDIO_FOLDERS = ("audio", "audios", "clips", "data", "flac", "mp3", "recordings", "wav", "wavs")


def split_named(name: str) -> str | None:
    """The split that a file or folder is named after: `"validation"` for `dev-clean`; `None` for other names."""
    found = _SPLIT.fullmatch(name.strip().lower())
    return _SPLIT_OF[found[1]] if found else None


def split_of_folders(folders: Iterable[str]) -> str | None:
    """The split of what lies in folders, by the first of them that is named after one."""
    return next((split for split in map(split_named, folders) if split), None)


def split_of_manifest(name: str) -> str | None:
    """The split of the cuts in a manifest: that of what stands behind `cuts_` in its name, if anything does."""
    stem = name.lower().removesuffix(".gz").removesuffix(".jsonl")
    return split_named(re.split(r"(?:^|[-_.])cuts[-_.]", stem)[-1])


def says_nothing(folder: str) -> bool:
    """Whether the name of a folder is that of a split or of a kind of file, and not of a book, a reader or a talk."""
    return folder.lower() in _AUDIO_FOLDERS or split_named(folder) is not None


def topic_of(document: str) -> str:
    """
    What a document is about, for want of a topic of its own: the folder that it lies in, or the document itself.

    Args:
        document (`str`): Its name or path: `"emma/12"` is of `"emma"`, `"train/wavs/12"` of nothing but `"12"`.
    """
    *folders, name = document.split("/")
    return "/".join(folder for folder in folders if not says_nothing(folder)) or name
