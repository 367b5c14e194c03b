"""What is to be done about one stack of a batch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from gpustack.errors import GpustackError, InputError
from gpustack.io import storage
from gpustack.io.discover import PICTURE_ENDINGS, discover, listed, natural_key
from gpustack.io.manifest import Entry
from gpustack.version import __version__


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
        seen = _seen(entry.frames)
        return Task(entry.name, tuple(name for name, *_ in seen), options, output, key_of(seen, options))
    except GpustackError as error:
        return Task(entry.name, (), options, output, "", str(error))


Seen = tuple[str, int, int | str]
"""A frame as it is known again: its full name, its size in bytes, and its time or, on object storage, tag."""


def _seen(inputs: tuple[str, ...]) -> list[Seen]:
    """The frames that inputs stand for, here or on object storage. Raises InputError."""
    found: list[Seen] = []
    for text in inputs:
        lines = listed(Path(text[1:])) if text.startswith("@") else [text]
        if any(map(storage.is_url, lines)):
            found += [each for line in lines for each in _seen_at(line)]
        else:
            found += _near(text)
    return list(dict.fromkeys(found))


def _seen_at(line: str) -> list[Seen]:
    if not storage.is_url(line):
        return _near(line)
    return [(each.url, each.size, each.tag) for each in storage.pictures(line)]


def _near(text: str) -> list[Seen]:
    try:
        stats = [(path.resolve(), path.stat()) for path in discover([text]).paths]
    except OSError as error:
        raise InputError(f"{error.filename} has gone: {error.strerror}.", "Put it back.") from error
    return [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def key_of(seen: list[Seen], options: tuple[str, ...]) -> str:
    """A digest of the frames' names, sizes and times, the options, and this version of the program.

    Contents are not read: a card full of frames would take minutes.
    """
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


def entries_at(url: str) -> tuple[Entry, ...]:
    """The same of a folder on object storage. Raises InputError."""
    found = storage.folders(url)
    if not found:
        raise InputError(f"No folder in {url} holds pictures.", "Give a folder of folders, or a manifest.")
    return tuple(Entry(name, (storage.joined(url, name),)) for name in found)


def _holds_pictures(folder: Path) -> bool:
    if folder.name.startswith("."):
        return False
    return any(
        path.suffix.lower() in PICTURE_ENDINGS and not path.name.startswith(".") for path in folder.iterdir()
    )
