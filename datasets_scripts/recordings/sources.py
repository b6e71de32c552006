"""Where recordings come from: a folder with transcripts, or LibriHeavy's manifests (`hub.py` has the Hub).

a folder (LJSpeech, audiofolder, LibriSpeech) or manifests of LibriHeavy -> `Recording` -> an aligner -> an utterance.
A recording that cannot be used is among them with its reason, so that it is counted where the others are.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".au", ".caf", ".w64", ".rf64")

_SPLITS = {"train": "train", "training": "train"}
_SPLITS |= dict.fromkeys(("validation", "valid", "val", "dev", "development", "eval"), "validation")
_SPLITS |= dict.fromkeys(("test", "testing"), "test")


@dataclass(frozen=True)
class Recording:
    """
    Recorded speech with its transcript.

    Args:
        id (`str`): Unique within a corpus.
        document (`str`): The book, chapter or talk that it is of. All of a document lies in one split.
        speaker (`str`): Who reads, `""` where nobody says.
        text (`str`): What is said.
        path (`str`): The audio file. No part of what a recording is taken for: files may be moved.
        topic (`str`, *optional*): What documents are grouped by, for instance the book of a chapter.
        start (`float`, *optional*): Where in the file it begins, in seconds.
        end (`float`, *optional*): Where it ends.
        split (`str`, *optional*): `"train"`, `"validation"` or `"test"`, where the source says.
        size (`int`, *optional*): Bytes of the file, by which a replaced one is noticed.
        problem (`str`, *optional*): Why it cannot be used.
    """

    id: str
    document: str
    speaker: str
    text: str
    path: str = field(repr=False)
    topic: str | None = None
    start: float | None = None
    end: float | None = None
    split: str | None = None
    size: int | None = None
    problem: str | None = None


class RecordingStream:
    """
    Recordings that are read anew whenever one goes through them, and never held all at once.

    Args:
        read (`Callable`): Makes an iterator over them.
    """

    def __init__(self, read: Callable[[], Iterator[Recording]]):
        self._read = read

    def __iter__(self) -> Iterator[Recording]:
        return self._read()


def read_audio_folder(audio_dir: str | Path) -> list[Recording]:
    """
    Find the recordings of a folder with their transcripts, by what lies in it.

    - LibriSpeech: `SPEAKER/CHAPTER/*.trans.txt` at any depth. A document is a chapter; what lies below a folder such
      as `dev-clean` has that split. The transcripts' capitals become small letters.
    - LJSpeech: `metadata.csv` with lines `id|text|normalised text`, of which the last is taken, and audio files `id.*`
      anywhere below. A document is what stands before the id's last hyphen.
    - audiofolder: `metadata.csv` or `metadata.jsonl` in the folder or folders below it, with `file_name`, `text` (or
      `transcription`) and, where there are such columns, `id`, `speaker` (or `speaker_id`), `document`, `topic` and
      `split`. Below a folder named like a split (`train`, `dev`, ...) that is the split. A document is the folder that
      `file_name` names, else the recording itself.

    Returns:
        `list[Recording]`: In the order of the transcripts. Transcripts without audio and audio files without a
        transcript are among them, with a `problem`.

    Raises:
        `FileNotFoundError`: If there is no such folder, or neither transcripts nor audio files are in it.
        `ValueError`: If a file of transcripts cannot be read, or two recordings have the same id.
    """
    folder = Path(audio_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; give the one that holds the recordings.")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    audio = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    recordings: list[Recording] = []
    for path in files:
        if path.name.endswith(".trans.txt"):
            recordings += _read_trans(path, folder)
        elif path.name == "metadata.csv" and _is_ljspeech(path):
            recordings += _read_ljspeech(path, [file for file in audio if path.parent in file.parents])
        elif path.name in ("metadata.csv", "metadata.jsonl"):
            recordings += _read_metadata(path, folder)
    if not recordings:
        raise FileNotFoundError(
            f"No transcripts are in {folder}: it needs a metadata.csv or metadata.jsonl, or LibriSpeech's *.trans.txt."
        )
    seen: set[str] = set()
    for recording in recordings:
        if recording.id in seen:
            raise ValueError(f"Two recordings in {folder} have the id {recording.id!r}; every one needs its own.")
        seen.add(recording.id)
    transcribed = {recording.path for recording in recordings}
    for path in audio:
        if str(path) not in transcribed:
            name = path.relative_to(folder).as_posix()
            recordings.append(Recording(name, name, "", "", str(path), problem="It has no transcript."))
    return recordings


def read_libriheavy(manifest: str | Path, audio_dir: str | Path) -> RecordingStream:
    """
    Read LibriHeavy's manifests (Kang et al. 2024), one Lhotse MonoCut a line, as a stream.

    A document is a recording (a chapter), its topic the folder (the book) that it lies in. Cuts of a manifest with
    `dev` or `test` in its name have that split. The text is the first of `custom.texts`, with punctuation and case.

    Args:
        manifest (`str` or `Path`): A `*.jsonl.gz` (or `*.jsonl`), or a folder of `*_cuts_*.jsonl.gz`.
        audio_dir (`str` or `Path`): Where the long recordings lie. A manifest's paths are looked up below it, whole or
            less their first folders (`download/librilight/small/...`).

    Returns:
        `RecordingStream`: The cuts in the order of the manifests. Lines that are no cuts, and cuts whose recording is
        missing, are among them, with a `problem`.

    Raises:
        `FileNotFoundError`: If there is no such manifest or folder.
        `ValueError`: While reading, if a manifest is damaged.
    """
    manifest, folder = Path(manifest), Path(audio_dir)
    paths = sorted(manifest.glob("*_cuts_*.jsonl*")) if manifest.is_dir() else [manifest]
    if not paths or not paths[0].is_file():
        raise FileNotFoundError(f"There is no manifest {manifest}; give a *_cuts_*.jsonl.gz or a folder of them.")
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; give the one that holds the long recordings.")
    return RecordingStream(lambda: _read_cuts(paths, folder))


def make_recording(path: Path | None, transcript: str | None, **columns) -> Recording:
    """A recording with its size, or with what is missing in it."""
    text = (transcript or "").strip()
    problem = None if text else "Its transcript is empty."
    size = None
    if path is None or not path.is_file():
        problem = "Its audio file is missing." if path is None else f"Its audio file {path.name} is missing."
    else:
        size = path.stat().st_size
    return Recording(text=text, path=str(path or ""), size=size, problem=problem, **columns)


def split_named(name: str) -> str | None:
    """The split that a file or folder is named after: `"validation"` for `dev-clean`; `None` for other names."""
    return next((_SPLITS[part] for part in re.split(r"[^a-z]+", name.lower()) if part in _SPLITS), None)


def small_letters(text: str) -> str:
    """A transcript in capitals, in small letters but for its first and "I"; any other text as it is."""
    if not text.isupper():
        return text
    text = re.sub(r"\bi\b", "I", text.strip().lower())
    return text[0].upper() + text[1:]


def _split_of_folders(folders: Iterable[str]) -> str | None:
    return next((split for split in map(split_named, folders) if split), None)


def _read_trans(path: Path, folder: Path) -> Iterator[Recording]:
    split = _split_of_folders(path.relative_to(folder).parts[:-1])
    files = {file.stem: file for file in sorted(path.parent.iterdir()) if file.suffix.lower() in AUDIO_SUFFIXES}
    for line in _lines(path):
        name, _, text = line.partition(" ")
        speaker, chapter = (name.split("-") + ["", ""])[:2]
        yield make_recording(
            files.get(name),
            small_letters(text),
            id=name,
            document=f"{speaker}-{chapter}",
            speaker=speaker,
            split=split,
        )


def _is_ljspeech(path: Path) -> bool:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = file.readline()
    return first.count("|") in (1, 2) and "file_name" not in first


def _read_ljspeech(path: Path, audio: list[Path]) -> Iterator[Recording]:
    files = {file.stem: file for file in audio}
    for number, line in enumerate(_lines(path), 1):
        name, *texts = line.split("|")
        yield make_recording(
            files.get(name),
            texts[-1] if texts else "",
            id=name or f"{path.name}:{number}",
            document=name.rpartition("-")[0] or name,
            speaker="LJSpeech" if re.fullmatch(r"LJ\d{3}-\d{4}", name) else "",
        )


def _read_metadata(path: Path, folder: Path) -> Iterator[Recording]:
    place = path.parent.relative_to(folder)
    for number, row in enumerate(_rows(path), 1):
        name = _text(row, "file_name")
        if not name:
            raise ValueError(f"Row {number} of {path} has no file_name; every recording needs one.")
        file = path.parent / name
        inside = place / name
        whole = inside.with_suffix("").as_posix()
        parent = Path(name).parent.as_posix()
        parts = inside.parts[:-1]
        yield make_recording(
            file,
            _text(row, "text", "transcription"),
            id=_text(row, "id") or whole,
            document=_text(row, "document") or (whole if parent == "." else (place / parent).as_posix()),
            speaker=_text(row, "speaker", "speaker_id"),
            topic=_text(row, "topic") or None,
            split=split_named(_text(row, "split")) or _split_of_folders(parts),
        )


def _rows(path: Path) -> Iterator[dict]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if "file_name" not in columns or not {"text", "transcription"} & set(columns):
                raise ValueError(
                    f"{path} has the columns {', '.join(columns) or 'none'}; it needs file_name and text (or "
                    "transcription)."
                )
            yield from reader
        return
    for number, line in enumerate(_lines(path), 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"Line {number} of {path} is not JSON: {error}.") from error
        if not isinstance(row, dict):
            raise ValueError(f"Line {number} of {path} is not a JSON object.")
        yield row


def _text(row: dict, *columns: str) -> str:
    value = next((row[column] for column in columns if row.get(column) not in (None, "")), "")
    return str(value).strip()


def _lines(path: Path) -> list[str]:
    """Lines that are not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    # Not `splitlines`: a transcript may hold other characters that count as line ends there.
    return [line.rstrip("\r") for line in text.split("\n") if line.strip()]


def _read_cuts(paths: list[Path], folder: Path) -> Iterator[Recording]:
    import gzip

    for path in paths:
        split = split_named(path.name)
        found: dict[str, Path | None] = {}
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            try:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        yield _cut(line, f"{path.name}:{number}", folder, split, found)
            except (EOFError, OSError, UnicodeDecodeError) as error:
                raise ValueError(f"The manifest {path} is damaged ({error}); fetch it again.") from error


def _cut(line: str, name: str, folder: Path, split: str | None, found: dict[str, Path | None]) -> Recording:
    try:
        cut = json.loads(line)
        supervision = cut["supervisions"][0]
        source = cut["recording"]["sources"][0]["source"]
        start, duration = float(cut["start"]), float(cut["duration"])
        columns = {
            "id": str(cut["id"]),
            "document": str(cut["recording"]["id"]),
            "speaker": str(supervision.get("speaker") or ""),
            "topic": Path(source).parent.name or None,
        }
        text = supervision["custom"]["texts"][0]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        return Recording(name, name, "", "", "", split=split, problem=f"It is no Lhotse cut with a text ({reason}).")
    if source not in found:
        found.clear()  # cuts of a recording stand together
        parts = Path(source).parts
        candidates = (folder.joinpath(*parts[i:]) for i in range(1 if Path(source).is_absolute() else 0, len(parts)))
        found[source] = next((path for path in candidates if path.is_file()), folder / parts[-1])
    return make_recording(found[source], text, start=start, end=start + duration, split=split, **columns)
