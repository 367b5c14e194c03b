"""What is to be done about one stack of a batch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from gpustack import __version__
from gpustack.errors import GpustackError, InputError
from gpustack.io.discover import PICTURE_ENDINGS, discover, natural_key
from gpustack.io.manifest import Entry


@dataclass(frozen=True, slots=True)
class Task:
    """One stack: its frames in order by their full names, options of `gpustack stack`, the name of the
    result, and what identifies it."""

    name: str
    frames: tuple[str, ...]
    options: tuple[str, ...]
    output: str
    key: str
    problem: str | None = None


def task_of(entry: Entry, ending: str) -> Task:
    """The task of a manifest's entry; one whose frames are not to be had has a `problem`, and stops no
    other."""
    options, output = tuple(entry.options), f"{entry.name}{ending}"
    try:
        found = discover(entry.frames).paths
        names = tuple(str(path.resolve()) for path in found)
        return Task(entry.name, names, options, output, key_of(found, options))
    except GpustackError as error:
        return Task(entry.name, (), options, output, "", str(error))


def key_of(frames: tuple[Path, ...], options: tuple[str, ...]) -> str:
    """A digest of the frames' names, sizes and times, the options, and this version of the program.

    Contents are not read: a card full of frames would take minutes. Raises InputError where a frame has gone.
    """
    try:
        seen = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in frames]
    except OSError as error:
        raise InputError(f"{error.filename} has gone: {error.strerror}.", "Put it back.") from error
    return hashlib.sha256(json.dumps([__version__, seen, options]).encode()).hexdigest()


def entries_of(folder: Path) -> tuple[Entry, ...]:
    """Each sub-folder that holds pictures as a stack of its name. Raises InputError where there is none."""
    try:
        folders = sorted((path for path in folder.iterdir() if path.is_dir()), key=natural_key)
    except OSError as error:
        raise InputError(
            f"The folder {folder} cannot be read: {error.strerror}.", "Check its rights."
        ) from error
    found = [Entry(path.name, (str(path),)) for path in folders if _holds_pictures(path)]
    if not found:
        raise InputError(
            f"No folder in {folder} holds pictures.",
            "Give a folder of folders, one a stack, or a manifest; gpustack split makes one.",
        )
    return tuple(found)


def _holds_pictures(folder: Path) -> bool:
    if folder.name.startswith("."):
        return False
    return any(
        path.suffix.lower() in PICTURE_ENDINGS and not path.name.startswith(".") for path in folder.iterdir()
    )
