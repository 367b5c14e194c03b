"""Runs of `gpustack` in forks of one process that has imported it all: a run takes its own time only, and can
be killed at any moment.

`python -m tests.cli.forks` reads one JSON object a line, runs the command of its `arguments` in a fork, and
prints an `Ended`. `keeping` is the work to a second of checkpoints, `looking` the least of a survey. The run
is killed at its `event`-th event, counted from 1, or after so many `seconds`; events are what touches the
disk, and frames that are folded in. `full` is the write of a part from which on there is no room.
With `after` frames folded in, a file is given another name (`rename`: [from, to]) or other rights (`chmod`:
[path, mode]), or the run is killed (`kill`). `plain`: root, too, obeys the modes of files.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.calling import surroundings

KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, or less than 0 for the signal that ended it; what it said; how many
    events it had, and how many seconds it took."""

    code: int
    said: str
    events: int
    seconds: float


class Forks:
    """The process that forks."""

    def __init__(self) -> None:
        alone = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # no thread is there when it forks
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.cli.forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=surroundings() | alone,
        )

    def run(self, *arguments: object, **how: Any) -> Ended:
        """Run the command in a fork, and wait for its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"arguments": [str(word) for word in arguments], **how}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process.wait()


@contextmanager
def forking() -> Iterator[Forks]:
    """The process, and its end."""
    forks = Forks()
    try:
        yield forks
    finally:
        forks.close()


def _import_all() -> None:
    import gpustack.api
    import gpustack.cli.app
    import gpustack.cli.steps
    import gpustack.engine.checkpoint
    import gpustack.io.write  # noqa: F401


class _Events:
    """Counts events in a fork, and kills it at one of them."""

    def __init__(self, counter: Path, last: int | None) -> None:
        self._file, self._last, self._lock = counter.open("ab"), last, threading.Lock()
        self._count = 0

    def __call__(self) -> None:
        with self._lock:
            self._count += 1
            os.write(self._file.fileno(), b".")
            if self._count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: Any, name: str, event: Callable[[], None]) -> None:
    original = getattr(owner, name)

    def watched(*arguments: Any, **options: Any) -> Any:
        event()
        result = original(*arguments, **options)
        event()
        return result

    setattr(owner, name, watched)


def _set_up(order: dict[str, Any], counter: Path) -> None:
    from gpustack.engine import lane, pace
    from gpustack.io.parts import PartWriter

    pace.WORK_TO_KEEPING = order.get("keeping", pace.WORK_TO_KEEPING)
    pace.LOOKING_SECONDS = order.get("looking", pace.LOOKING_SECONDS)
    event = _Events(counter, order.get("event"))
    for owner, names in (
        (os, ("fsync", "mkdir")),
        (Path, ("replace", "unlink", "hardlink_to", "rmdir")),
        (PartWriter, ("note", "array")),
        (lane.Lane, ("folded", "start")),
    ):
        for name in names:
            _before(owner, name, event)
    if "full" in order:
        _fill_disk(order["full"])
    if "after" in order:
        _meddle(order)
    if order.get("plain") and os.geteuid() == 0:
        _obey_modes()


def _obey_modes() -> None:
    """Give up root's right to pass over the modes of files (capset(2), CAP_DAC_OVERRIDE and _READ_SEARCH)."""
    version, own, words = 0x20080522, 0, 2
    header = (ctypes.c_uint32 * 2)(version, own)
    held = (ctypes.c_uint32 * (3 * words))()  # effective, permitted, inheritable; twice
    libc = ctypes.CDLL(None, use_errno=True)
    libc.capget(header, held)
    for number in range(3):
        held[number] &= ~0b110
    if libc.capset(header, held) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _meddle(order: dict[str, Any]) -> None:
    """Change files when so many frames are folded in."""
    from gpustack.engine.lane import Lane

    original, counted = Lane.folded, []

    def folded(self: Lane, backend: Any, states: Any) -> None:
        original(self, backend, states)
        counted.append(1)
        if len(counted) == order["after"]:
            if "rename" in order:
                shutil.move(*order["rename"])
            if "chmod" in order:
                path, mode = order["chmod"]
                Path(path).chmod(mode)
            if order.get("kill"):
                os.kill(os.getpid(), signal.SIGKILL)

    Lane.folded = folded  # type: ignore[method-assign]


def _fill_disk(first: int) -> None:
    """From a write of a part on there is no room."""
    from gpustack.io.journal import Journal

    original, written = Journal.write, []

    def write(self: Journal, name: str, note: Any, fill: Any) -> int:
        written.append(name)
        if len(written) < first:
            return original(self, name, note, fill)

        def breaking(part: Any) -> None:
            fill(part)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return original(self, name, note, breaking)

    Journal.write = write  # type: ignore[method-assign]


def _child(order: dict[str, Any], said: Path, counter: Path) -> None:
    from gpustack.cli.app import app

    code = 70
    try:
        handle = os.open(said, os.O_WRONLY | os.O_CREAT)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        _set_up(order, counter)
        app(order["arguments"], standalone_mode=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 70
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ended(order: dict[str, Any], folder: Path) -> Ended:
    said, counter = folder / "said", folder / "events"
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        _child(order, said, counter)
    timer = None
    if "seconds" in order:
        timer = threading.Timer(order["seconds"], os.kill, (child, signal.SIGKILL))
        timer.start()
    _, status = os.waitpid(child, 0)
    if timer is not None:
        timer.cancel()
        timer.join()  # the next fork has no thread beside it
    seconds = time.perf_counter() - started
    events = counter.stat().st_size if counter.exists() else 0
    told = said.read_text() if said.exists() else ""
    return Ended(os.waitstatus_to_exitcode(status), told, events, seconds)


def main() -> None:
    """Do what is read, one after the other."""
    _import_all()
    for line in sys.stdin:
        with tempfile.TemporaryDirectory() as folder:
            ended = _ended(json.loads(line), Path(folder))
        sys.stdout.write(json.dumps(vars(ended)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
