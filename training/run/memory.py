"""How much memory this process may use: that of the machine, or of the container that it runs in.

`/proc/meminfo` and the control group -> [`read_memory`] -> bytes.
"""

from pathlib import Path
from typing import NamedTuple

_MEMINFO = Path("/proc/meminfo")
# Limit and use of a container: control groups of version 2, and of version 1.
_GROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


class Memory(NamedTuple):
    """Bytes that are free now, and that there could ever be, swap included."""

    free: float
    most: float


def read_memory() -> Memory | None:
    """
    What this process may use.

    Returns:
        [`Memory`] or `None`: `None` where the system does not say, which is everywhere but on Linux.
    """
    if not _MEMINFO.is_file():
        return None
    lines = (line.split() for line in _MEMINFO.read_text(encoding="utf-8").splitlines())
    of_machine = {words[0].rstrip(":"): 1024.0 * int(words[1]) for words in lines if len(words) > 1}
    swap = of_machine.get("SwapTotal", 0.0)
    memory = Memory(of_machine["MemAvailable"], of_machine["MemTotal"] + swap)
    for limit, use in _GROUPS:
        if limit.is_file() and use.is_file() and (text := limit.read_text(encoding="utf-8").strip()).isdigit():
            group = Memory(int(text) - float(use.read_text(encoding="utf-8")), int(text) + swap)
            memory = Memory(min(memory.free, group.free), min(memory.most, group.most))
    return memory
