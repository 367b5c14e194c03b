"""RAW files developed by another program: a command that makes a TIFF file of each."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
import threading
import weakref
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from gpustack.errors import DecodeError, GpustackError, UsageError
from gpustack.io import tiff
from gpustack.io.guard import guarded
from gpustack.io.metadata import read_metadata
from gpustack.model.frame import Frame, Kind, PixelType

INPUT, OUTPUT = "{input}", "{output}"

_SHARE = 0.5
"""Of the room that is free in the folder for temporary files, what may be kept there for further passes."""
_MOST_SAID = 200
"""Characters of what a program says that fit into a sentence."""


_Version = tuple[Path, int, int]
"""A file as it is now: its size, and the nanosecond in which it was last written to."""


class Developer:
    """Has a program develop RAW files, one at a time, and keeps its files for later as far as there is room.

    May be used by several threads at once. Who has it from `developer_of` closes it; what was kept is removed
    when the last one does, and with this object.
    """

    def __init__(self, command: str) -> None:
        """`command` as on a command line, with {input} and {output} in it. Raises UsageError."""
        self._words = words_of(command)
        self._folder = Path(tempfile.mkdtemp(prefix="gpustack-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._room = int(shutil.disk_usage(self._folder).free * _SHARE)
        self._kept: dict[_Version, Path] = {}
        self._running = threading.Lock()
        self.users = 1

    def close(self) -> None:
        """Say that it is not needed here any more."""
        with _sharing:
            self.users -= 1
            if self.users <= 0:
                self._remove()

    def probe(self, path: Path) -> Frame:
        """What the program makes of a RAW file. Raises as `decode` does."""
        with self._running:
            version = _version(path)
            kept = self._kept.get(version)
            if kept is not None:
                return self._described(path, kept)
            made = self._made(path)
            frame = self._described(path, made)
            self._keep_or_drop(version, made)
        return frame

    def decode(self, frame: Frame) -> npt.NDArray[Any]:
        """The pixels (h, w, c) of a frame, as the program has coded them, not turned.

        Raises: UsageError where there is no such program; DecodeError where it fails, writes no TIFF file of
        16 bits or floating point, or one of another size than for the first frame.
        """
        version = _version(frame.path)
        kept = self._kept.get(version)
        if kept is not None:
            return tiff.decode(replace(frame, path=kept, kind=Kind.TIFF))
        with self._running:
            made = self._made(frame.path)
            try:
                found = self._described(frame.path, made)
                if (found.size, found.channels, found.pixel_type) != (
                    frame.size,
                    frame.channels,
                    frame.pixel_type,
                ):
                    raise DecodeError(
                        frame.name,
                        f"{self._program} made {_form(found)} of it, and {_form(frame)} of the first frame.",
                        "Have it crop and turn no frame by itself, or leave the frame out.",
                    )
                return tiff.decode(replace(found, path=made, kind=Kind.TIFF))
            finally:
                self._keep_or_drop(version, made)

    @property
    def _program(self) -> str:
        return Path(self._words[0]).name

    def _made(self, path: Path) -> Path:
        """The file that the program makes of a RAW file; the caller holds the lock."""
        made = self._folder / f"{path.stem}-{len(list(self._folder.iterdir()))}.tif"
        words = [word.replace(INPUT, str(path.resolve())).replace(OUTPUT, str(made)) for word in self._words]
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
            )
        except OSError as error:
            raise UsageError(
                f"The program '{self._words[0]}' of --raw-developer cannot be started: {error.strerror}.",
                "Install it, or write where it lies.",
            ) from error
        if done.returncode != 0 or not made.is_file():
            made.unlink(missing_ok=True)
            how = f"failed with {done.returncode}" if done.returncode else "made no file"
            raise DecodeError(
                path.name,
                f"{self._program} {how}{_said(done.stdout)}.",
                f"Try by hand what was run: {shlex.join(words)} .",
            )
        return made

    def _described(self, path: Path, made: Path) -> Frame:
        """The frame of a RAW file, by the TIFF file that was made of it."""
        try:
            with guarded(made.name):
                (frame, *more) = tiff.probe(made)
        except GpustackError as error:
            problem = f"{self._program} made no TIFF file that can be read"
            raise DecodeError(path.name, f"{problem} ({error.message})", _FORMAT) from error
        if more or frame.pixel_type is PixelType.UINT8:
            what = "several pictures" if more else "a picture of 8 bits"
            raise DecodeError(path.name, f"{self._program} made {what} of it.", _FORMAT)
        profile = read_metadata(frame).icc
        return replace(frame, path=path, kind=Kind.DEVELOPED, profile=profile)

    def _keep_or_drop(self, version: _Version, made: Path) -> None:
        size = made.stat().st_size
        if size <= self._room and version not in self._kept:
            self._room -= size
            self._kept[version] = made
        else:
            made.unlink(missing_ok=True)


_FORMAT = "Have it write one TIFF file of 16 bits."
_open: weakref.WeakValueDictionary[str, Developer] = weakref.WeakValueDictionary()
_sharing = threading.Lock()


def developer_of(command: str) -> Developer:
    """That of a command, one for all who have it open at a time: a frame that one of them had developed need
    not be developed for the others. Each closes it. Raises UsageError."""
    with _sharing:
        found = _open.get(command)
        if found is None or found.users <= 0:
            found = _open[command] = Developer(command)
        else:
            found.users += 1
        return found


def _version(path: Path) -> _Version:
    """Raises: OSError where there is no such file."""
    found = path.stat()
    return path, found.st_size, found.st_mtime_ns


def words_of(command: str) -> list[str]:
    """The words of a command. Raises UsageError where it is none, or does not say where the files go."""
    words: list[str] = []
    with suppress(ValueError):  # a quotation mark that is not closed
        words = shlex.split(command)
    text = " ".join(words[1:])
    if INPUT not in text or OUTPUT not in text:
        raise UsageError(
            f"--raw-developer '{command}' does not say which file is read and which is written.",
            "Write the program and its options with {input} and {output}: 'darktable-cli {input} {output}'.",
        )
    return words


def _form(frame: Frame) -> str:
    return f"{frame.width}x{frame.height} pixels of {frame.channels} x {frame.pixel_type.value}"


def _said(output: bytes) -> str:
    """The last line that a program said, to be put after what happened."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return f", and said '{lines[-1][:_MOST_SAID].rstrip('.')}'" if lines else ""
