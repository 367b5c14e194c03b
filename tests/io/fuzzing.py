"""Files that were damaged on purpose, decoded in a process that may die of it: what became of each."""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from gpustack.errors import GpustackError
from gpustack.io import xmp
from gpustack.io.decode import Decoder, probe
from gpustack.io.exif import rebuild
from gpustack.io.metadata import Metadata, description, read_metadata, without_gps
from gpustack.io.taken import of_exif

MOST_CPU_S = 5.0
"""Processor seconds that a file may take: what hangs on a machine with other work is no hang."""

MOST_WALL_S = 60.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a file: `said` is the sentence it was refused with, empty where it was read; `broken`
    what must not happen, empty where nothing did; processor seconds, and bytes that the process grew by, at
    most."""

    said: str = ""
    broken: str = ""
    seconds: float = 0.0
    grown: int = 0


def read_all(path: Path) -> None:
    """Everything that a run does with a frame's file."""
    frames = probe(path)
    for frame in {frames[0], frames[-1]}:
        decoder = Decoder(frame)
        pixels = decoder(frame)
        decoder.unpack(frame, np.empty_like(pixels))
        decoder.reduced(frame, max(frame.kind.reductions), colours=True)
        decoder.shot(frame)
        _carried_over(read_metadata(frame))


def _carried_over(metadata: Metadata) -> None:
    """What is done with metadata when they are written."""
    if metadata.exif is not None:
        rebuild(metadata.exif, 1, 1, "a test")
        of_exif(metadata.exif)
    xmp.renewed(without_gps(metadata).xmp, "a test", "done")
    description(metadata)


def fate_of(path: Path) -> Fate:
    """Read a file in this process."""
    before, started = _fresh_peak(), time.process_time()
    said = broken = ""
    try:
        read_all(path)
    except GpustackError as error:
        said = str(error)
        if "\n" in said or not error.message.endswith("."):
            broken = f"no sentence: {said!r}"
    except Exception:
        broken = traceback.format_exc()
    return Fate(said, broken, time.process_time() - started, max(0, _peak() - before))


def _fresh_peak() -> int:
    """Let the largest resident set begin anew, where the system can; what it is now, in bytes."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _serve(pipe: Connection, folder: str) -> None:
    """Read files as they come, until the pipe closes; what libraries print is lost."""
    hole = os.open(os.devnull, os.O_WRONLY)
    os.dup2(hole, 1)
    os.dup2(hole, 2)
    path = Path(folder) / f"case-{os.getpid()}"
    with suppress(EOFError):
        while True:
            path.write_bytes(pipe.recv_bytes())
            pipe.send(fate_of(path))


class Reader:
    """A process that reads files, and is replaced when it dies or hangs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = multiprocessing.get_context("spawn")
        self._begin()

    def _begin(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs, str(self._folder)), daemon=True)
        self._process.start()
        theirs.close()

    def read(self, data: bytes) -> Fate:
        """What becomes of a file with this content."""
        self._pipe.send_bytes(data)
        with suppress(EOFError, ConnectionResetError):
            if self._pipe.poll(MOST_WALL_S):
                fate: Fate = self._pipe.recv()
                return fate
        hangs = self._process.is_alive()
        self.close()
        code = self._process.exitcode
        self._begin()
        return Fate(broken="it hangs" if hangs else f"the process died with {code}")

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(1)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    """A reader, ended at last."""
    made = Reader(folder)
    try:
        yield made
    finally:
        made.close()
