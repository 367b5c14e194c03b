"""The machine code of the loops on this machine's disk, and having it made; knows no numba.

Who compiles imports numba, which takes a second and 90 MiB that do not come back. So that is done once, by a
process of its own, which leaves the machine code in a file named by all that it depends on.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_HERE = Path(__file__).parent
_TELLING = ("vendor_id", "model name", "flags", "CPU implementer", "CPU part", "Features")
_ENTRY = 8192  # bytes of /proc/cpuinfo that hold the first processor
_DIGEST = hashlib.sha256().digest_size
_PLAIN = {"NUMBA_OPT": "0", "NUMBA_LOOP_VECTORIZE": "0", "NUMBA_SLP_VECTORIZE": "0"}
"""What has numba leave its translation as it is: `compiled.py` tells LLVM more before it is optimised."""


def compiled_before() -> bool:
    """Whether an earlier process has compiled just these loops for this processor."""
    return kept_code() is not None


def kept_code() -> bytes | None:
    """The machine code that an earlier process has left, if it is there and whole."""
    return next(filter(None, map(_read, (folder / _name() for folder in _folders()))), None)


def have_compiled() -> str | None:
    """Compile and keep the loops, in a process of its own, for a quarter of a minute; or what went wrong."""
    path = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-m", "gpustack.backend.fast.compiling"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | _PLAIN | {"PYTHONPATH": path},
        )
    except OSError as error:
        return f"{sys.executable} cannot be started: {error.strerror}"
    if done.returncode == 0:
        return None if compiled_before() else "there is no folder for what it compiles"
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"compiling ended with code {done.returncode}"


def keep(code: bytes) -> None:
    """Leave machine code for later processes."""
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            part = folder / f"{_name()}.{os.getpid()}"
            part.write_bytes(hashlib.sha256(code).digest() + code)
            part.replace(folder / _name())
            return


def _read(file: Path) -> bytes | None:
    try:
        held = file.read_bytes()
    except OSError:
        return None
    digest, code = held[:_DIGEST], held[_DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else None


def _folders() -> Iterator[Path]:
    """Where it may lie: the first of these that can be written to."""
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
    """The file's name: a digest of what compiled loops depend on."""
    sources = [path.read_bytes() for path in sorted(_HERE.glob("*.py"))]
    given = os.environ.items() - _PLAIN.items()  # who compiles has these besides
    switches = sorted(item for item in given if item[0].startswith("NUMBA_"))
    told = [str(_HERE), platform.python_version(), *map(_version, ("numba", "llvmlite", "numpy"))]
    digest = hashlib.sha256(repr([told, sources, switches, _processor()]).encode())
    return f"gpustack-loops-{digest.hexdigest()[:16]}.o"


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
