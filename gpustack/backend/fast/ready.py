"""Whether the loops were compiled before on this machine, and having them compiled; knows no numba.

A process that compiles takes 130 MiB more than one that finds the loops compiled, and keeps them (LLVM's
memory is not given back). So they are compiled by a process of its own, before frames are in memory. When it
is done it leaves a note of all that the compiled loops depend on, and of the files that numba keeps them in.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_HERE = Path(__file__).parent
_TELLING = ("vendor_id", "model name", "flags", "CPU implementer", "CPU part", "Features")
_ENTRY = 8192  # bytes of /proc/cpuinfo that hold the first processor


def compiled_before() -> bool:
    """Whether an earlier process has compiled just these loops for this processor, and they are there."""
    return any(map(_holds, (folder / _name() for folder in _folders())))


def have_compiled() -> str | None:
    """Compile the loops, in a process of its own, for a quarter of a minute; or what went wrong."""
    path = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-m", "gpustack.backend.fast.compiling"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path},
        )
    except OSError as error:
        return f"{sys.executable} cannot be started: {error.strerror}"
    if done.returncode == 0:
        return None
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"compiling ended with code {done.returncode}"


def leave_note(files: Mapping[str, list[str]]) -> None:
    """Note that all loops are compiled; `files`: where numba keeps them, names by folder."""
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            part = folder / f"{_name()}.{os.getpid()}"
            part.write_text(json.dumps(files))
            part.replace(folder / _name())
            return


def _holds(note: Path) -> bool:
    try:
        kept: dict[str, list[str]] = json.loads(note.read_text())
        return all((Path(folder) / name).exists() for folder, names in kept.items() for name in names)
    except (OSError, ValueError):
        return False


def _folders() -> Iterator[Path]:
    """Where a note may lie, in the order in which numba looks for a folder that can be written to."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(given)
    yield _HERE / "__pycache__"
    with suppress(RuntimeError):  # there is no home
        yield _user_folder() / "gpustack"


def _user_folder() -> Path:
    if sys.platform == "win32" and "LOCALAPPDATA" in os.environ:
        return Path(os.environ["LOCALAPPDATA"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _name() -> str:
    """The note's name: a digest of what compiled loops depend on."""
    sources = [path.read_bytes() for path in sorted(_HERE.glob("*.py"))]
    switches = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_"))
    told = [str(_HERE), platform.python_version(), *map(_version, ("numba", "llvmlite", "numpy"))]
    digest = hashlib.sha256(repr([told, sources, switches, _processor()]).encode())
    return f"gpustack-loops-{digest.hexdigest()[:16]}.json"


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "none"


def _processor() -> list[str]:
    """What a processor says of itself: loops are compiled for one kind."""
    try:
        with Path("/proc/cpuinfo").open() as file:
            lines = file.read(_ENTRY).partition("\n\n")[0].splitlines()
    except OSError:
        return [platform.machine(), os.environ.get("PROCESSOR_IDENTIFIER", "")]
    return [platform.machine(), *(line for line in lines if line.startswith(_TELLING))]
