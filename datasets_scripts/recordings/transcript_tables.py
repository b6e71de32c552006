"""Tables of transcripts as people save them: metadata.csv, .tsv and .jsonl, with a header or as LJSpeech has them.

file -> its lines -> rows of the columns that [`read_table`] names, whatever the file calls them.
A row that is damaged has a `problem`; it never takes others with it.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

from .audio_files import AUDIO_SUFFIXES

# Column, and what files call it; the first that has something in it counts.
_NAMES = {
    "file": (
        *("file_name", "filename", "file", "path", "audio_filepath", "audio_file", "audio_path", "audio", "wav"),
        *("wav_filename", "wav_path", "wav_file"),
    ),
    "text": (
        *("text", "transcription", "transcript", "sentence", "normalized_text", "normalised_text"),
        *("normalized_transcription", "normalized", "raw_transcription", "raw_text", "utterance"),
    ),
    "id": ("id", "utterance_id", "utt_id", "name"),
    "speaker": ("speaker", "speaker_id", "speaker_name", "client_id", "spk", "spk_id"),
    "document": ("document",),
    "topic": ("topic",),
    "split": ("split",),
}
_DELIMITERS = ",;\t|"
# Line ends inside a quotation are rare, and never many.
_MAX_QUOTED_LINES = 20
_NEVER_CLOSED = "Line {} of {} has a quotation mark that is never closed."


def read_table(path: Path, stems: Set[str] = frozenset()) -> tuple[list[dict[str, str]], bool]:
    """
    Read a table of transcripts.

    Args:
        path (`Path`): The file.
        stems (`Set[str]`, *optional*): Names of audio files without their endings, by which a row is known where a
            quotation mark is never closed.

    Returns:
        `tuple[list[dict[str, str]], bool]`: The rows, with those of `file`, `text`, `id`, `speaker`, `document`,
        `topic`, `split` and `problem` that have something in them, and whether the columns have names. Without, as in
        LJSpeech, the file is first, the last text is taken, and a column of single words beside a text is the speaker.

    Raises:
        `ValueError`: If it cannot be read, or has no columns of files and transcripts.
    """
    lines = numbered_lines(path)
    if path.suffix.lower() == ".jsonl":
        return _named(path, list(_json_rows(path, lines))), True
    header = lines[0][1] if lines else ""
    delimiter = next((mark for mark in _DELIMITERS if _is_header(header.split(mark))), None)
    if delimiter:
        columns = [_key(cell) for cell in header.split(delimiter)]
        return _named(path, list(_rows(path, lines[1:], columns, delimiter, stems))), True
    delimiter = next((mark for mark in "|\t" if mark in header), None)
    if delimiter is None:
        raise _no_columns(path, next(csv.reader([header]), []))
    return _unnamed([[_unquoted(cell) for cell in line.split(delimiter)] for _, line in lines]), False


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """
    Lines that are not empty, with their numbers.

    Raises:
        `ValueError`: If it is no text in UTF-8, or UTF-16 with a byte order mark.
    """
    data = path.read_bytes()
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    # Not `splitlines`: a transcript may hold other characters that count as line ends there.
    return [(i, line) for i, line in enumerate(re.split(r"\r\n|\n|\r", text), 1) if line.strip()]


def _key(cell: object) -> str:
    return str(cell).strip().strip('"').strip().lower().replace(" ", "_")


def _is_header(cells: Sequence[str]) -> bool:
    keys = set(map(_key, cells))
    return bool(keys & {*_NAMES["file"], *_NAMES["id"]} and keys & {*_NAMES["text"]})


def _no_columns(path: Path, columns: Sequence[str]) -> ValueError:
    return ValueError(
        f"{path} has the columns {', '.join(columns) or 'none'}; it needs file_name and text (or transcription, "
        "transcript, sentence, ...)."
    )


def _json_rows(path: Path, lines: Sequence[tuple[int, str]]) -> Iterator[dict]:
    for number, line in lines:
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"Line {number} of {path} is not JSON: {error}.") from error
        if not isinstance(row, dict):
            raise ValueError(f"Line {number} of {path} is not a JSON object.")
        yield {_key(column): value for column, value in row.items()}


def _named(path: Path, rows: Sequence[dict]) -> list[dict[str, str]]:
    """Rows by our names of columns."""
    columns = dict.fromkeys(column for row in rows for column in row)
    if rows and not _is_header(list(columns)):
        raise _no_columns(path, list(columns))
    named = []
    for number, row in enumerate(rows, 1):
        values = {name: _first(row, theirs) for name, theirs in (_NAMES | {"problem": (None,)}).items()}
        values["file"] = values["file"] or values["id"]
        if not values["file"]:
            raise ValueError(f"Row {number} of {path} has no file_name; every recording needs one.")
        named.append({name: value for name, value in values.items() if value})
    return named


def _first(row: dict, columns: Sequence[str | None]) -> str:
    values = (row.get(column) for column in columns)
    values = (value.get("path") if isinstance(value, dict) else value for value in values)
    return next((text for value in values if value is not None and (text := str(value).strip())), "")


def _rows(
    path: Path, lines: Sequence[tuple[int, str]], columns: Sequence[str], delimiter: str, stems: Set[str]
) -> Iterator[dict[str | None, str]]:
    """Rows of a file with a header; `None` is the column of what is wrong with them."""
    position = 0
    while position < len(lines):
        number, line = lines[position]
        if delimiter == "|":  # Nobody quotes there.
            cells, used = [_unquoted(cell) for cell in line.split("|")], 1
        else:
            cells, used = _cells(lines, position, columns, delimiter, stems)
        position += used
        row: dict[str | None, str] = dict(zip(columns, cells or line.split(delimiter)))
        if cells is None:
            row[None] = _NEVER_CLOSED.format(number, path.name)
        elif any(cells[len(columns) :]):
            row[None] = f"Line {number} of {path.name} has more columns than its header."
        yield row


def _cells(
    lines: Sequence[tuple[int, str]], position: int, columns: Sequence[str], delimiter: str, stems: Set[str]
) -> tuple[list[str] | None, int]:
    """Cells of a row, `None` if nothing says where they end; and how many lines it takes."""
    line = lines[position][1]
    cells = _parsed(line, delimiter)
    while cells and len(cells) > len(columns) and not cells[-1].strip():
        cells.pop()
    if cells is not None and len(cells) <= len(columns):
        return cells, 1
    if cells is None:
        for i in range(position + 1, min(position + _MAX_QUOTED_LINES, len(lines))):
            if _begins_a_row(lines[i][1], columns, delimiter, stems):
                break
            joined = _parsed("\n".join(line for _, line in lines[position : i + 1]), delimiter)
            if joined is not None and len(joined) == len(columns):
                return joined, i + 1 - position
    # A quotation mark, or a comma, that is part of a transcript that nobody quoted.
    plain = line.split(delimiter)
    if columns[-1] in _NAMES["text"]:
        plain = line.split(delimiter, len(columns) - 1)
        return [*map(_unquoted, plain[:-1]), plain[-1].rstrip(delimiter)], 1
    if len(plain) == len(columns):
        return [_unquoted(cell) for cell in plain], 1
    return cells, 1


def _parsed(text: str, delimiter: str) -> list[str] | None:
    """The cells of a row by the rules of CSV, `None` if a quotation is not closed."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _begins_a_row(line: str, columns: Sequence[str], delimiter: str, stems: Set[str]) -> bool:
    """Whether a line names an audio file where a row does."""
    cells = dict(zip(columns, line.split(delimiter)))
    names = [cells.get(column, "").strip(' "') for column in (*_NAMES["file"], *_NAMES["id"])]
    return len(cells) > 1 and any(_is_audio(name) or name in stems for name in names)


def _unquoted(cell: str) -> str:
    """A cell without quotation marks that a program put around it, which doubles those inside."""
    cell = cell.strip()
    inner = cell[1:-1]
    doubled = '""' in inner and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' and doubled else cell


def _unnamed(rows: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """Rows of a file without a header: by their number of columns, which holds files, which names and which texts."""
    width = Counter(map(len, rows)).most_common(1)[0][0]
    columns = list(zip(*(row for row in rows if len(row) == width)))
    file = next((i for i, cells in enumerate(columns) if all(map(_is_audio, cells))), 0)
    others = [i for i in range(width) if i != file]
    names = [i for i in others if not any(re.search(r"\s", cell) for cell in columns[i])]
    if names == others:  # Transcripts of one word.
        names = []
    # Of several columns of names, that which differs: others are the language or a corpus. In front of the file stands
    # an id if no two are the same.
    speakers = [i for i in names if i > file or len(set(columns[i])) < len(columns[i])]
    speakers.sort(key=lambda i: len(set(columns[i])) == 1)
    named = []
    for row in rows:
        if len(row) == width:
            texts = [row[i] for i in others if i not in names]
            values = {"file": row[file], "speaker": row[speakers[0]] if speakers else ""}
        else:
            texts = list(row[1:])
            values = {"file": row[0]}
        values["text"] = next((cell for cell in reversed(texts) if cell), "")
        named.append({name: value for name, value in values.items() if value})
    return named


def _is_audio(name: str) -> bool:
    return name.lower().endswith(AUDIO_SUFFIXES)
