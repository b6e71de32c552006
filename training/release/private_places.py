"""Whether a file that is to be published names a folder of the user's machine, whatever it is packed in.

a run -> [`PrivatePlaces`] + a file -> its contents, unpacked: columns of a parquet, text of a PNG, members of a wheel
-> the first name of such a folder, or none.
"""

import json
import mmap
import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zipfile import BadZipFile, ZipFile

import pyarrow
import pyarrow.compute
import pyarrow.parquet
from huggingface_hub import constants
from PIL import Image

from ...models.cache import default_cache_dir

# What goes on with a word or a path before it, such as that of an address, is no name of /data.
_NO_BEGINNING = rb"(?:(?<=://)|(?<![\w.~}\])*$%+/-]))"


class PrivatePlaces:
    """
    Folders of this machine that nothing published may name: the run's, the user's, the working one and the caches.

    A folder is named where its path stands and the last name in it ends: that of `ann` is not named by `anna`'s. One
    at the root, such as `/root` or `/data`, is named by what lies in it alone, since its own name tells nothing of
    anybody, and is a word of many texts and addresses; and the root itself is no such folder.

    Args:
        run (`Path`): The run's folder.
    """

    def __init__(self, run: Path):
        folders = [run, Path.home(), Path.cwd(), default_cache_dir(), Path(constants.HF_HOME)]
        folders = {place for folder in folders for place in (folder.absolute(), folder.resolve())}
        paths = {path: len(place.parts) > 2 for place in folders if len(place.parts) > 1 for path in _written(place)}
        longest_first = sorted(paths, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(_pattern(path, deep=paths[path]) for path in longest_first))
        # Of two paths the one within the other is found where that one is.
        self._parts = [path for path in paths if not any(other != path and other in path for other in paths)]

    def find(self, path: Path) -> tuple[str, str] | None:
        """
        Search a file.

        Args:
            path (`Path`): The file.

        Returns:
            `tuple[str, str]` or `None`: What was found, and where in the file (`""` of one that is not packed).

        Raises:
            `ValueError`: If a parquet, a PNG or a wheel cannot be unpacked.
        """
        if not path.stat().st_size:
            return None
        try:
            if path.suffix == ".parquet":
                return self._find_in_parquet(path)
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if path.suffix == ".whl":
                    return self._find_in_wheel(path)
                return self._find_in(content, path.suffix)
        except (OSError, ValueError, SyntaxError, BadZipFile) as error:  # a broken PNG is a SyntaxError to PIL
            raise ValueError(f"{path} cannot be searched for folders of this machine: {error}") from error

    def _find_in(self, content: bytes | mmap.mmap, suffix: str) -> tuple[str, str] | None:
        # To look for plain bytes first is many times faster, and nearly every file has none of them.
        if any(content.find(part.encode()) >= 0 for part in self._parts) and (found := self._pattern.search(content)):
            return found[0].decode(), ""
        if suffix != ".png":
            return None
        with Image.open(BytesIO(content), formats=["PNG"]) as image:
            image.load()  # text may stand behind the pixels, too
            return self._find_in_values((value.encode(), f"its text {key}") for key, value in image.text.items())

    def _find_in_wheel(self, path: Path) -> tuple[str, str] | None:
        with ZipFile(path) as archive:
            for name in archive.namelist():
                if found := self._find_in(archive.read(name), Path(name).suffix):
                    return found[0], f"its file {name}"
        return None

    def _find_in_parquet(self, path: Path) -> tuple[str, str] | None:
        with pyarrow.parquet.ParquetFile(path) as file:
            if found := self._find_in_values(_schema_texts(file)):
                return found
            leaves = (file.schema.column(index) for index in range(len(file.schema)))
            columns = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
            for group in range(file.num_row_groups if columns else 0):
                table = file.read_row_group(group, columns=columns, use_threads=False)
                for name, column in zip(table.column_names, table.columns):
                    values = (value for chunk in column.chunks for value in self._likely(chunk))
                    if found := self._find_in_values((value, f"its column {name}") for value in values):
                        return found
        return None

    def _find_in_values(self, values: Iterable[tuple[bytes, str]]) -> tuple[str, str] | None:
        for value, where in values:
            if found := self._pattern.search(value):
                return found[0].decode(), where
        return None

    def _likely(self, values: pyarrow.Array) -> Iterator[bytes]:
        """Of an array of any depth, the values that have the characters of a path in them."""
        for texts in _leaves(values):
            for part in self._parts:
                chosen = texts.filter(pyarrow.compute.match_substring(texts, part))
                yield from (value if isinstance(value, bytes) else value.encode() for value in chosen.to_pylist())


def _written(place: Path) -> set[str]:
    """A path as texts, JSON (where `\\` and what is not ASCII are escaped) and addresses have it."""
    forms = {str(place), place.as_posix()}
    return forms | {json.dumps(form)[1:-1] for form in forms} | {quote(place.as_posix(), safe="/:")}


def _pattern(path: str, deep: bool) -> bytes:
    escaped = re.escape(path.encode())
    return rb"%s(?![\w-]|\.\w)" % escaped if deep else rb"%s%s[\\/]+(?=[\w.])" % (_NO_BEGINNING, escaped)


def _schema_texts(file: pyarrow.parquet.ParquetFile) -> Iterator[tuple[bytes, str]]:
    """Names of columns, and what is said of them and of the whole beside the rows."""
    schema = file.schema_arrow
    yield str(schema.names).encode(), "its names of columns"
    for said in (file.metadata.metadata, schema.metadata, *(field.metadata for field in schema)):
        for key, value in (said or {}).items():
            yield key + b" " + value, f"its metadata {key.decode(errors='replace')}"


def _leaves(values: Any) -> Iterator[pyarrow.Array]:
    kind = values.type
    if isinstance(values, pyarrow.ExtensionArray):
        yield from _leaves(values.storage)
    elif pyarrow.types.is_dictionary(kind):
        yield from _leaves(values.dictionary)
    elif pyarrow.types.is_map(kind):
        yield from _leaves(values.keys)
        yield from _leaves(values.items)
    elif pyarrow.types.is_struct(kind):
        for field in values.flatten():
            yield from _leaves(field)
    elif pyarrow.types.is_nested(kind):
        yield from _leaves(values.flatten())
    elif _is_text(kind):
        yield values


def _is_text(kind: pyarrow.DataType) -> bool:
    kinds = pyarrow.types
    return kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_binary(kind) or kinds.is_large_binary(kind)
