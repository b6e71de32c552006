"""The frames of an MP3: how many there are, how many its header announces, and whether the last one is whole.

the file's bytes -> frame by frame, each of which says its size -> a copy whose header says how many there are.
libsndfile takes a file without such a header to be as long as its size and bit rate make it, and reads no further.
"""

import mmap
import struct
from dataclasses import dataclass
from functools import cache

_LAYER_1, _LAYER_3 = 3, 1
_MPEG_1 = 3
# Thousands of bits a second, by whether it is MPEG 1, and layer.
_BIT_RATES = {
    (True, 3): [32 * i for i in range(15)],
    (True, 2): [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    (True, 1): [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    (False, 3): [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    (False, 2): [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
}
_BIT_RATES[False, 1] = _BIT_RATES[False, 2]
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
# Bits of a header that no frame of a file changes: sync, version, layer and sampling rate.
_SAME = 0xFFFE0C00
# How far behind its tags the first frame may stand.
_SEARCHED = 1 << 16


@dataclass(frozen=True)
class _Frames:
    """
    Args:
        first (`int`): Where the first frame begins that is sound.
        end (`int`): Where the last one ends.
        number (`int`): How many there are.
        announced (`int`, *optional*): How many the header says.
        announced_end (`int`, *optional*): Where they end by the header.
        counted (`bool`): Whether libsndfile understands the header.
        whole (`bool`): Whether no part of a frame follows them.
    """

    first: int
    end: int
    number: int
    announced: int | None
    announced_end: int | None
    counted: bool
    whole: bool


def check_mpeg(data: bytes | mmap.mmap, start: int, name: str) -> bytes | None:
    """
    Compare an MP3 with the number of frames that it announces, if it does.

    Args:
        data (`bytes` or `mmap`): The file.
        start (`int`): Where its tags end.
        name (`str`): What an error calls it.

    Returns:
        `bytes`: A copy, without tags, whose header says how many frames it has; `None` if that of the file does, or if
        no frames of MPEG audio are in it.

    Raises:
        `ValueError`: If frames are missing, or it ends in the middle of one.
    """
    frames = _frames(data, start)
    if frames is None:
        return None
    if not frames.whole:
        raise ValueError(f"{name} is truncated: it ends in the middle of a frame.")
    announced = frames.announced or 0
    # Some programs count the header, too; how many bytes they announce says whether a frame is missing instead.
    with_header = frames.number + 1 == announced and frames.announced_end in (None, frames.end)
    if frames.number < announced and not with_header:
        raise ValueError(f"{name} is truncated: it has {frames.number} of {announced} frames.")
    if not frames.number or (frames.counted and frames.number == announced):
        return None
    return _counting_header(_int(data, frames.first), frames.number) + data[frames.first : frames.end]


def _frames(data: bytes | mmap.mmap, start: int) -> _Frames | None:
    position = _next(data, start, None, min(len(data), start + _SEARCHED))
    if position is None:
        return None
    header = _int(data, position)
    same, length = header & _SAME, _length(header)
    announced, announced_bytes, counted, is_header = _announced(data[position : position + length], header)
    announced_end = position + announced_bytes if announced_bytes else None
    if is_header:
        position += length
    first, end, number = position, position, 0
    while len(data) >= position + 4:
        header = _int(data, position)
        length = _length(header) if header & _SAME == same else 0
        if not length:
            found = _next(data, position, same, len(data))
            if found is None:
                break
            position = found
            continue
        if position + length > len(data):
            break
        position += length
        end, number = position, number + 1
    rest = data[end : end + 4]
    following = int.from_bytes(rest.ljust(4, b"\0"), "big")
    seen = _SAME & -1 << 8 * (4 - len(rest))
    whole = not rest or following & seen != same & seen or (len(rest) == 4 and not _length(following))
    return _Frames(first, end, number, announced, announced_end, counted, whole)


def _announced(frame: bytes, header: int) -> tuple[int | None, int | None, bool, bool]:
    """
    Frames and bytes that the first frame announces, whether libsndfile understands it, and whether it is no sound.
    """
    if header >> 17 & 3 != _LAYER_3:
        return None, None, False, False
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        size, frames = struct.unpack_from(">II", frame, 46)
        return frames or None, size or None, False, True
    position = 4 + _side_info(header)
    if frame[position : position + 4] not in (b"Xing", b"Info") or len(frame) < position + 16:
        return None, None, False, False
    flags, *fields = struct.unpack_from(">III", frame, position + 4)
    frames = fields.pop(0) if flags & 1 else None
    size = fields.pop(0) if flags & 2 else None
    return frames or None, size or None, True, True


def _counting_header(header: int, frames: int) -> bytes:
    """A frame of no sound that says how many follow; nothing for layers that have no such frame."""
    if header >> 17 & 3 != _LAYER_3:
        return b""
    tag = b"Info" + struct.pack(">II", 1, frames)
    # Without a checksum, and at the lowest bit rate that holds the tag.
    candidates = (header & ~0xF200 | 1 << 16 | bits << 12 for bits in range(1, 15))
    size = 4 + _side_info(header) + len(tag)
    own = next(candidate for candidate in candidates if _length(candidate) >= size)
    return (own.to_bytes(4, "big") + bytes(_side_info(header)) + tag).ljust(_length(own), b"\0")


def _next(data: bytes | mmap.mmap, position: int, same: int | None, limit: int) -> int | None:
    """Where a frame begins that another one of its kind, or the end, follows."""
    while (position := data.find(b"\xff", position, limit)) >= 0:
        header = _int(data, position)
        length = _length(header) if same is None or header & _SAME == same else 0
        end = position + length
        if length and (end == len(data) or (len(data) >= end + 4 and _int(data, end) & _SAME == header & _SAME)):
            return position
        position += 1
    return None


def _int(data: bytes | mmap.mmap, position: int) -> int:
    return int.from_bytes(data[position : position + 4].ljust(4, b"\0"), "big")


def _length(header: int) -> int:
    """Bytes of the frame with this header; 0 if it is none, or does not say."""
    return _length_of(header >> 9)


@cache
def _length_of(bits: int) -> int:
    version, layer, rate_code = bits >> 10 & 3, bits >> 8 & 3, bits >> 1 & 3
    bit_rate = bits >> 3 & 15
    if bits >> 12 != 0x7FF or version == 1 or layer == 0 or bit_rate in (0, 15) or rate_code == 3:
        return 0
    bits_a_second = 1000 * _BIT_RATES[version == _MPEG_1, layer][bit_rate]
    rate, padding = _RATES[version][rate_code], bits & 1
    if layer == _LAYER_1:
        return (12 * bits_a_second // rate + padding) * 4
    return (72 if layer == _LAYER_3 and version != _MPEG_1 else 144) * bits_a_second // rate + padding


def _side_info(header: int) -> int:
    """Bytes between the header of a frame and its sound."""
    mono = header >> 6 & 3 == 3
    if header >> 19 & 3 == _MPEG_1:
        return 17 if mono else 32
    return 9 if mono else 17
