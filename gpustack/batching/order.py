"""One stack as a process of its own makes it, here or on another machine."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

STOPPED = "stopped."
"""How a stack ended that nobody wanted any more."""

_POLL_S = 0.2
"""How often a process is looked after: what it takes to see that it is done, or no longer wanted."""

_GRACE_S = 10.0
"""How long a process may take to put its things away before it is ended."""

_MOST_TOLD = 64 << 10
"""Bytes of what a process said that are looked at for how it ended."""


@dataclass(frozen=True, slots=True)
class Order:
    """A stack to be made: its frames by full names, where the result goes by its full name, options of
    `gpustack stack`; `replace`: a file that has the name of the result is the batch's own."""

    name: str
    frames: tuple[str, ...]
    output: str
    options: tuple[str, ...]
    replace: bool


@dataclass(frozen=True, slots=True)
class End:
    """How the making of a stack ended: with which sentence, None where the result is there, and after how
    many seconds."""

    error: str | None
    seconds: float = 0.0


def fulfil(order: Order, place: tuple[str, ...], wanted: Callable[[], bool]) -> End:
    """Make a stack in a process of its own.

    `place`: options for what it may use. As soon as the stack is not `wanted` any more, or this process ends,
    however it does, that one puts its half-written file away and ends, too.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gpustack-") as scratch:
        frames, told = Path(scratch) / "frames.txt", Path(scratch) / "told.txt"
        frames.write_text("\n".join(order.frames), errors="surrogateescape")
        words = ["stack", f"@{frames}", "-o", order.output, "--quiet", *order.options, *place]
        words += ["--overwrite"] if order.replace else []
        with told.open("wb") as file:
            code = _run([sys.executable, "-m", "gpustack.cli.leash", *words], file.fileno(), wanted)
        return End(None if code == 0 else _ending(code, _end_of(told)), time.monotonic() - started)


def _run(command: list[str], told: int, wanted: Callable[[], bool]) -> int | None:
    """Run a command while it is wanted; the code it ended with, None where it was stopped.

    Its standard input is a pipe on which nothing ever comes: that it closes is how it learns that this
    process has gone.
    """
    if not wanted():
        return None
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=told) as process:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(_POLL_S)
            if not wanted():
                _stop(process)
                return None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process in peace, or after a while by force."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_of(told: Path) -> str:
    return told.read_bytes()[-_MOST_TOLD:].decode(errors="replace")


def _ending(code: int | None, told: str) -> str:
    """What to say of a stack whose process ended with `code`."""
    if code is None:
        return STOPPED
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"its process was ended by {name}; the system ends what takes too much memory."
    lines = [line for line in told.splitlines() if line.strip()]
    said = [line.removeprefix("gpustack: ") for line in lines if line.startswith("gpustack: ")]
    return (said or lines or [f"it ended with code {code}."])[-1]
