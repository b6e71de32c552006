"""Where recordings come from: a folder with transcripts, or LibriHeavy's manifests (`hub.py` has the Hub).

a folder (LJSpeech, audiofolder, LibriSpeech) or manifests of LibriHeavy -> `Recording` -> an aligner -> an utterance.
A recording that cannot be used is among them with its reason, so that it is counted where the others are.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from .audio_files import AUDIO_SUFFIXES, AudioFiles, without_suffix
from .layout import says_nothing, split_named, split_of_folders, split_of_manifest
from .transcript_tables import numbered_lines, read_table

logger = logging.getLogger(__name__)

MANIFEST_FILES = "*_cuts_*.jsonl*"
"""LibriHeavy's manifests in a folder."""


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
        topic (`str`, *optional*): What documents are grouped by, for instance the book of a chapter. Without it the
            document's name says it ([`~layout.topic_of`]).
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

    - LibriSpeech: `SPEAKER/CHAPTER/*.trans.txt` at any depth. A document is a chapter, its topic the book that
      `CHAPTERS.TXT` names, if that is there.
    - LJSpeech: `metadata.csv` with lines `id|text|normalised text`, of which the last is taken, and audio files `id.*`
      anywhere below; also `wavs/id.wav` or `id.wav` for the id, and a speaker beside the text. A document, and its
      topic, is what stands before the id's last hyphen, if there is one.
    - audiofolder: `metadata.csv`, `.tsv` or `.jsonl` in the folder or folders below it, with `file_name`, `text` (or
      `transcription`, `transcript`, `sentence`, `normalized_text`, ...) and, where there are such columns, `id`,
      `speaker` (or `speaker_id`, ...), `document`, `topic` and `split`. A document is the folder that `file_name`
      names, unless it is named like a split or like audio (`train/wavs`), else the recording itself.

    What lies below a folder that is named like a split (`train`, `dev-clean`, ...) is of that split. Transcripts in
    capitals become small letters.

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
    books: dict[str, str] = {}
    for path in files:
        if path.name.lower() == "chapters.txt":
            books |= _read_chapters(path)
    for path in files:
        if path.name.endswith(".trans.txt"):
            recordings += _read_trans(path, folder, books)
        elif path.name.lower() in ("metadata.csv", "metadata.tsv", "metadata.jsonl"):
            recordings += _read_metadata(path, folder, [file for file in audio if path.parent in file.parents])
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
    paths = sorted(manifest.glob(MANIFEST_FILES)) if manifest.is_dir() else [manifest]
    if not paths or not paths[0].is_file():
        raise FileNotFoundError(f"There is no manifest {manifest}; give a *_cuts_*.jsonl.gz or a folder of them.")
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; give the one that holds the long recordings.")
    return RecordingStream(lambda: _read_cuts(paths, folder))


def make_recording(path: Path | None, transcript: str | None, **columns) -> Recording:
    """A recording with its size, or with what is missing in it; a transcript in capitals becomes small letters."""
    text = small_letters((transcript or "").strip())
    problem = None if text else "Its transcript is empty."
    size = None
    if path is None or not path.is_file():
        problem = "Its audio file is missing." if path is None else f"Its audio file {path.name} is missing."
    else:
        size = path.stat().st_size
    return Recording(text=text, path=str(path or ""), size=size, problem=problem, **columns)


def small_letters(text: str) -> str:
    """A transcript in capitals, in small letters but for its first and "I"; any other text as it is."""
    if not text.isupper():
        return text
    text = re.sub(r"\bi\b", "I", text.lower())
    return text[0].upper() + text[1:]


def _read_chapters(path: Path) -> dict[str, str]:
    """The book of each chapter: `ID | READER | MINUTES | SUBSET | PROJ. | BOOK ID | CH. TITLE | PROJECT TITLE`."""
    rows = ([cell.strip() for cell in line.split("|")] for _, line in numbered_lines(path) if not line.startswith(";"))
    return {row[0]: row[5] for row in rows if len(row) > 5 and row[5]}


def _read_trans(path: Path, folder: Path, books: dict[str, str]) -> Iterator[Recording]:
    split = split_of_folders(path.relative_to(folder).parts[:-1])
    files = {file.stem: file for file in sorted(path.parent.iterdir()) if file.suffix.lower() in AUDIO_SUFFIXES}
    for _, line in numbered_lines(path):
        name, *texts = line.split(maxsplit=1)
        speaker, chapter = (name.split("-") + ["", ""])[:2]
        yield make_recording(
            files.get(name),
            " ".join(texts),
            id=name,
            document=f"{speaker}-{chapter}",
            speaker=speaker,
            topic=books.get(chapter),
            split=split,
        )


def _read_metadata(path: Path, folder: Path, audio: list[Path]) -> Iterator[Recording]:
    rows, named = read_table(path, {file.stem for file in audio})
    names = [row.get("file", "") for row in rows]
    files = AudioFiles(path.parent, audio, names)
    unknown = sorted({split for row in rows if (split := row.get("split")) and split_named(split) is None})
    if unknown:
        logger.warning(
            "The splits %s in %s are none of train, validation and test; what is of them is taken for what no split "
            "is given of.",
            ", ".join(unknown[:5]),
            path,
        )
    for number, (row, name) in enumerate(zip(rows, names), 1):
        found = files.find(name) if name else []
        place = path.parent.relative_to(folder)
        inside = Path(_inside(name, path.parent, found) or f"{path.name}:{number}")
        columns = (_of_audiofolder if named else _of_ljspeech)(row, place, inside)
        lies = found[0].relative_to(folder) if found else place / inside
        columns["split"] = split_named(row.get("split", "")) or split_of_folders(lies.parts[:-1])
        missing = path.parent / name if Path(name).suffix.lower() in AUDIO_SUFFIXES else None
        recording = make_recording(found[0] if found else missing, row.get("text"), **columns)
        problem = row.get("problem")
        if len(found) > 1:
            places = " and ".join(file.relative_to(folder).as_posix() for file in found[:2])
            problem = f"Its audio file may be {places}: the table has to name the folder."
        yield replace(recording, problem=problem) if problem else recording


def _inside(name: str, base: Path, found: list[Path]) -> str:
    """A name as a path from the folder of the table: no part of an id may depend on where that folder lies."""
    name = name.replace("\\", "/")
    if not Path(name).is_absolute():
        return name
    return (
        found[0].relative_to(base) if found and base in found[0].parents else Path(name).relative_to("/")
    ).as_posix()


def _of_audiofolder(row: dict[str, str], place: Path, inside: Path) -> dict:
    """What a row with named columns says of a recording beside its text."""
    whole = without_suffix((place / inside).as_posix())
    in_folder = not all(map(says_nothing, inside.parts[:-1]))
    return {
        "id": row.get("id") or whole,
        "document": row.get("document") or ((place / inside).parent.as_posix() if in_folder else whole),
        "speaker": row.get("speaker", ""),
        "topic": row.get("topic"),
    }


def _of_ljspeech(row: dict[str, str], place: Path, inside: Path) -> dict:
    """What a row without named columns says of a recording beside its text."""
    whole = without_suffix((place / inside).as_posix())
    stem = Path(whole).name
    series = stem.rpartition("-")[0]
    return {
        "id": whole,
        "document": whole.rpartition("-")[0] if series else whole,
        "speaker": row.get("speaker") or ("LJSpeech" if re.fullmatch(r"LJ\d{3}-\d{4}", stem) else ""),
        "topic": series or None,
    }


def _read_cuts(paths: list[Path], folder: Path) -> Iterator[Recording]:
    import gzip

    for path in paths:
        split = split_of_manifest(path.name)
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
