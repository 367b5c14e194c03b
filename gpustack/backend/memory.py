"""How much memory this machine has free, and how much this process has used at most."""

from __future__ import annotations

import mmap
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

_M_ARENA_MAX = -8  # malloc.h
_STATM = Path("/proc/self/statm")
_shared = False


def free_bytes() -> int:
    """Bytes of RAM that can be used without swapping, within the limits of a control group."""
    return min(_available(), _cgroup_room())


def share_arena() -> None:
    """Let all threads take memory from one place, where the C library is GNU's, for the rest of the process.

    It has a place of its own for each thread otherwise, and what a thread has freed waits there for nobody.
    Whoever has set MALLOC_ARENA_MAX has decided.
    """
    global _shared
    library = _gnu_library()
    if library is not None and "MALLOC_ARENA_MAX" not in os.environ:
        _shared = library.mallopt(_M_ARENA_MAX, 1) == 1


def arena_is_shared() -> bool:
    """Whether threads take memory from one place."""
    return _shared or os.environ.get("MALLOC_ARENA_MAX") == "1"


def give_back() -> None:
    """Return to the system what was freed, where the C library is GNU's, which keeps it while anything that
    was taken later is still there."""
    library = _gnu_library()
    if library is not None:
        library.malloc_trim(0)


@cache
def _gnu_library() -> Any:
    if sys.platform != "linux":
        return None
    import ctypes

    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


def mapped_bytes() -> int:
    """Bytes of mapped files that are in this process's memory; 0 where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[2]) * mmap.PAGESIZE
    except OSError:
        return 0


def peak_bytes() -> int:
    """Largest resident set of this process so far, in bytes; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    status = Path("/proc/self/status")
    if status.exists():  # getrusage also counts what the process was before it became ours
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _available() -> int:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 4 << 30


def _cgroup_room() -> int:
    """Bytes left under a version 2 control group, or a very large number."""
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    try:
        return max(0, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):
        return 1 << 62
