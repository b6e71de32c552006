"""FLAC whose STREAMINFO does not say how long it is, as programs leave it that write into a pipe.

the file's bytes -> the last frame, which carries its own number and checksum -> a copy whose header says the length.
libFLAC compares a length that STREAMINFO does announce with what it decodes.
"""

import mmap
from functools import cache

# The largest frame that is looked at; one of two channels, 24 bits and 4,608 samples, not compressed, is of 28 kB.
_MAX_FRAME = 1 << 18
_BLOCK_SIZES = {1: 192, 2: 576, 3: 1152, 4: 2304, 5: 4608} | {code: 1 << code for code in range(8, 16)}


def check_flac(data: bytes | mmap.mmap, start: int, name: str) -> bytes | None:
    """
    Find out how long a FLAC file is that does not say so.

    Args:
        data (`bytes` or `mmap`): The file.
        start (`int`): Where `fLaC` stands in it.
        name (`str`): What an error calls it.

    Returns:
        `bytes`: A copy without what stands before `start`, whose STREAMINFO says how many samples it has; `None` if
        that of the file does.

    Raises:
        `ValueError`: If it ends in the middle of a frame.
    """
    info = data[start + 8 : start + 42]
    if len(info) < 34 or int.from_bytes(info[13:18], "big") & 0xFFFFFFFFF:
        return None
    end = len(data) - 128 if data[-128:-125] == b"TAG" else len(data)
    samples = _samples(data, start, end, int.from_bytes(info[:2], "big"))
    if samples is None:
        raise ValueError(f"{name} is truncated: it ends in the middle of a frame.")
    count = (info[13] & 0xF0) << 32 | samples
    return data[start : start + 21] + count.to_bytes(5, "big") + data[start + 26 : end]


def _samples(data: bytes | mmap.mmap, start: int, end: int, block: int) -> int | None:
    """Samples up to the end of the last frame, if that frame is whole."""
    position, floor = end, max(start, end - _MAX_FRAME)
    while (position := data.rfind(b"\xff", floor, position)) >= 0:
        header = _header(data[position : position + 16])
        if header and _crc(data[position:end], 16, 0x8005) == 0:
            number, size, variable = header
            return (number if variable else number * block) + size
    return None


def _header(data: bytes) -> tuple[int, int, bool] | None:
    """Number of a frame (of its first sample, where blocks vary), its samples and whether they vary."""
    if len(data) < 16 or data[1] & 0xFE != 0xF8 or data[3] & 1:
        return None
    size_code, rate_code = data[2] >> 4, data[2] & 15
    length = max(8 - (data[4] ^ 0xFF).bit_length(), 0)  # of the number, written as UTF-8 writes a character
    if length == 1 or length > 7:
        return None
    number = data[4] & (0x7F >> length)
    position = 4 + max(length, 1)
    for byte in data[5:position]:
        number = number << 6 | byte & 0x3F
    size = _BLOCK_SIZES.get(size_code)
    if size_code in (6, 7):
        width = size_code - 5
        size = int.from_bytes(data[position : position + width], "big") + 1
        position += width
    position += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if size is None or position >= len(data) or _crc(data[: position + 1], 8, 0x07) != 0:
        return None
    return number, size, bool(data[1] & 1)


@cache
def _table(width: int, polynomial: int) -> list[int]:
    table = []
    for value in range(256):
        value <<= width - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> (width - 1) & 1 else 0)
        table.append(value & (1 << width) - 1)
    return table


def _crc(data: bytes, width: int, polynomial: int) -> int:
    """The checksum, which is 0 over bytes that end with their own."""
    table, mask, value = _table(width, polynomial), (1 << width) - 1, 0
    for byte in data:
        value = (value << 8 & mask) ^ table[value >> (width - 8) ^ byte]
    return value
