"""Whether a file of sound is whole: what its container announces, against what lies in it.

file or its bytes -> [`open_whole`] -> what libsndfile is to open: the file, or a copy whose header says the length.
libsndfile reads what is there, and where a header gives no length it guesses one and reads no further than that.
"""

import io
import mmap
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from .flac_frames import check_flac
from .mpeg_frames import check_mpeg

# Programs that write into a pipe do not know the length, and leave 0 or one of the largest numbers.
_UNKNOWN = 0x7F000000
_PLAIN_WAVE_FORMATS = (1, 3, 6, 7, 0xFFFE)
# Bytes of a sample by AU's codes and by AIFF-C's names; others are compressed.
_AU_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}
_AIFC_PLAIN = (b"NONE", b"sowt", b"twos", b"raw ", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64")
_LAW = (b"ulaw", b"ULAW", b"alaw", b"ALAW")

_Bytes = bytes | mmap.mmap


def open_whole(source: Path | bytes, name: str) -> Path | io.BytesIO:
    """
    What libsndfile is to open for a recording, after a look at whether all of it is there.

    Only a count of frames or bytes announces a length: the Xing, Info or VBRI header of an MP3, FLAC's STREAMINFO, the
    size of the samples in WAV, RF64, W64, AIFF, AU, CAF and NIST SPHERE, the end mark of an Ogg stream. The size of a
    whole RIFF file does not, and neither does a bit rate.

    Args:
        source (`Path` or `bytes`): The file, not empty, or what is in it.
        name (`str`): What an error calls it.

    Returns:
        `Path` or `io.BytesIO`: The source; or, where libsndfile would guess its length, a copy with the true one.

    Raises:
        `ValueError`: If it ends before its header says or in the middle of a frame.
        `OSError`: If the file cannot be read.
    """
    if isinstance(source, bytes):
        repaired = _check(source, name)
        return io.BytesIO(source if repaired is None else repaired)
    status = source.stat()
    repaired = _check_file(source, name, status.st_size, status.st_mtime_ns)
    return source if repaired is None else io.BytesIO(repaired)


# Cuts of a long recording stand together.
@lru_cache(maxsize=1)
def _check_file(path: Path, name: str, size: int, modified: int) -> bytes | None:
    with _mapped(path) as data:
        return _check(data, name)


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def _check(data: _Bytes, name: str) -> bytes | None:
    """The bytes of a copy with the true length, `None` if the file says it itself."""
    start = _behind_id3(data)
    if data[start : start + 4] == b"fLaC":
        return check_flac(data, start, name)
    try:
        return _CHECKS.get(data[:4], lambda data, name: check_mpeg(data, start, name))(data, name)
    except struct.error:  # The header itself is cut off; libsndfile says so.
        return None


def _behind_id3(data: _Bytes) -> int:
    """Where the sound begins behind ID3v2 tags, which may stand in front of MP3 and FLAC."""
    start = 0
    while data[start : start + 3] == b"ID3" and len(data) >= start + 10:
        a, b, c, d = data[start + 6 : start + 10]
        footer = 10 if data[start + 5] & 0x10 else 0
        start += 10 + (a << 21 | b << 14 | c << 7 | d) + footer
    return start


def _check_length(name: str, there: int, announced: int | None, block: int) -> None:
    """
    Compare the bytes of samples that are there with those announced, if any are.

    Args:
        block (`int`): Bytes of a sample in all channels, 0 where the samples are compressed.
    """
    if announced is not None and there < announced:
        raise ValueError(f"{name} is truncated: it has {there} of {announced} bytes of samples.")
    if block and (there if announced is None else announced) % block:
        raise ValueError(f"{name} is truncated: it ends in the middle of a sample.")


def _is_chunk(data: _Bytes, start: int, order: str) -> bool:
    """Whether something with a name and a size stands there, and not samples."""
    if len(data) < start + 8 or not re.fullmatch(rb"[A-Za-z0-9_ ]{4}", data[start : start + 4]):
        return False
    return start + 8 + struct.unpack_from(order + "I", data, start + 4)[0] <= len(data)


def _check_riff(data: _Bytes, name: str) -> bytes | None:
    """WAV in either order of bytes, and RF64, whose sizes stand in a chunk of their own."""
    order = ">" if data[:4] == b"RIFX" else "<"
    start, block, sizes = 12, 0, 0
    while len(data) >= start + 8:
        kind, length = struct.unpack_from(order + "4sI", data, start)
        body = start + 8
        if kind == b"ds64":
            sizes = body
        elif kind == b"fmt ":
            code, _, _, _, align = struct.unpack_from(order + "HHIIH", data, body)
            block = align if code in _PLAIN_WAVE_FORMATS else 0
        elif kind == b"data":
            long = sizes and length == 0xFFFFFFFF
            if long:
                length = struct.unpack_from("<Q", data, sizes + 8)[0]
            there = len(data) - body
            if length == 0 and (there == 0 or _is_chunk(data, body, order)):
                return None  # No samples, as it says.
            known = 0 < length < (1 << 62 if long else _UNKNOWN) or 0 < length <= there
            _check_length(name, there, length if known else None, block)
            if long and not known:
                return _with(data, sizes, struct.pack("<QQQ", len(data) - 8, there, there // block if block else 0))
            # libsndfile reads to the end itself where the length is one of the largest numbers.
            return None if length else _with(data, start + 4, struct.pack(order + "I", there))
        start = body + length + length % 2
    return None


def _check_w64(data: _Bytes, name: str) -> bytes | None:
    start, block = 40, 0
    while len(data) >= start + 24:
        kind, length = struct.unpack_from("<4s12xQ", data, start)
        body = start + 24
        if kind == b"fmt ":
            code, _, _, _, align = struct.unpack_from("<HHIIH", data, body)
            block = align if code in _PLAIN_WAVE_FORMATS else 0
        elif kind == b"data":
            there = len(data) - body
            known = 24 <= length < 1 << 62
            _check_length(name, there, length - 24 if known else None, block)
            return None if known else _with(data, start + 16, struct.pack("<Q", there + 24))
        start += max(24, (length + 7) // 8 * 8)
    return None


def _check_aiff(data: _Bytes, name: str) -> None:
    start, block, frames, sound = 12, 0, 0, None
    while len(data) >= start + 8 and not (sound and block):
        kind, length = struct.unpack_from(">4sI", data, start)
        body = start + 8
        if kind == b"COMM":
            channels, frames, bits = struct.unpack_from(">HIH", data, body)
            compression = data[body + 18 : body + 22] if data[8:12] == b"AIFC" else b"NONE"
            width = (bits + 7) // 8 if compression in _AIFC_PLAIN else int(compression in _LAW)
            block = channels * width
        elif kind == b"SSND":
            offset = 8 + struct.unpack_from(">I", data, body)[0]
            sound = (body + offset, length - offset if offset < length < _UNKNOWN else None)
        start = body + length + length % 2
    if sound:
        first, announced = sound
        there = max(len(data) - first, 0)
        if block and 0 < frames < _UNKNOWN:
            announced = frames * block
        _check_length(name, there, announced, block)


def _check_au(data: _Bytes, name: str) -> bytes | None:
    order = ">" if data[:4] == b".snd" else "<"
    first, length, code, _, channels = struct.unpack_from(order + "5I", data, 4)
    there = max(len(data) - first, 0)
    known = 0 < length < _UNKNOWN or 0 < length <= there
    _check_length(name, there, length if known else None, channels * _AU_WIDTHS.get(code, 0))
    return None if length or not there else _with(data, 8, struct.pack(order + "I", there))


def _check_caf(data: _Bytes, name: str) -> bytes | None:
    start, block = 8, 0
    while len(data) >= start + 12:
        kind, length = struct.unpack_from(">4sq", data, start)
        if kind == b"desc":
            block = struct.unpack_from(">8x4x4xI", data, start + 12)[0]
        elif kind == b"data":
            there = max(len(data) - start - 16, 0)
            known = length >= 4
            _check_length(name, there, length - 4 if known else None, block)
            return None if known else _with(data, start + 4, struct.pack(">q", there + 4))
        start += 12 + max(length, 0)
    return None


def _check_nist(data: _Bytes, name: str) -> None:
    """NIST SPHERE, of TIMIT and the LDC's telephone speech."""
    header = data[:16].split()
    size = int(header[1]) if len(header) > 1 and header[1].isdigit() else 1024
    fields = dict(re.findall(rb"^(\w+) -\S+ (.*?)\s*$", data[:size], re.MULTILINE))
    try:
        count, width = int(fields[b"sample_count"]), int(fields[b"sample_n_bytes"])
        block = width * int(fields.get(b"channel_count", b"1"))
    except (KeyError, ValueError):
        return
    if b"shorten" not in fields.get(b"sample_coding", b""):
        _check_length(name, max(len(data) - size, 0), count * block, block)


def _check_ogg(data: _Bytes, name: str) -> None:
    """Every page names its number and size, and the last one carries a mark."""
    start, last, flags, numbers = 0, 0, {}, {}
    while (start := data.find(b"OggS", start)) >= 0:
        count = data[start + 26] if len(data) > start + 26 else 255
        end = start + 27 + count + sum(data[start + 27 : start + 27 + count])
        if len(data) < start + 27 + count or len(data) < end:
            raise ValueError(f"{name} is truncated: it ends in the middle of a page.")
        kind, serial, number = struct.unpack_from("<5xB8xII", data, start)
        if numbers.get(serial, number - 1) != number - 1 and not kind & 2:
            raise ValueError(f"{name} is truncated: pages are missing in the middle of it.")
        flags[serial], numbers[serial], last = kind, number, serial
        start = end
    if flags and not flags[last] & 4:
        raise ValueError(f"{name} is truncated: the page that ends it is missing.")


def _with(data: _Bytes, start: int, replacement: bytes) -> bytes:
    return data[:start] + replacement + data[start + len(replacement) :]


_CHECKS: dict[bytes, Callable[[_Bytes, str], bytes | None]] = {
    b"RIFF": _check_riff,
    b"RIFX": _check_riff,
    b"RF64": _check_riff,
    b"riff": _check_w64,
    b"FORM": _check_aiff,
    b".snd": _check_au,
    b"dns.": _check_au,
    b"caff": _check_caf,
    b"NIST": _check_nist,
    b"OggS": _check_ogg,
}
