"""The commands that make a picture again, as a shell takes them; files by their names alone."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any

from gpustack.model.frame import Kind
from gpustack.model.stack import Stack
from gpustack.settings import Settings

_IMPLIED = ("depth", "linear", "layers")
"""Settings that follow from which files are written."""

_UNITS = ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a run by the options of `gpustack stack` that name them, `output` first; the sidecar."""

    files: Mapping[str, Path] = field(default_factory=dict)
    sidecar: Path | None = None


def replay_command(sidecar: str) -> str:
    """What makes a picture again from its sidecar."""
    return f"gpustack replay {_quoted(_as_file(sidecar))}"


def stack_command(frames: Stack, settings: Settings, written: Written) -> str | None:
    """What makes it again from the frames; None where files of one name lie in several folders, where frames
    are no files, or where nothing was written."""
    inputs = _inputs(frames)
    if inputs is None or "output" not in written.files:
        return None
    named = [word for name, path in written.files.items() for word in (f"--{name}", _as_file(path.name))]
    words = [*inputs, *named, *_options(settings)]
    return " ".join(["gpustack stack", *map(_quoted, words)])


def program_of(command: str) -> str:
    """The program that a command line runs, without the folder where it lies."""
    words = shlex.split(command)
    return Path(words[0]).name if words else ""


def _inputs(frames: Stack) -> list[str] | None:
    """The names of the files in stack order, and of how many frames each is taken."""
    paths = list(dict.fromkeys(frame.path for frame in frames))
    if len({path.parent for path in paths}) > 1 or any(frame.kind is Kind.ARRAY for frame in frames):
        return None
    names = [_as_file(path.name) for path in paths]
    if frames.every == 1 or all(frame.pages == 1 for frame in frames):
        return names  # of single pictures those that were taken are named
    return [*names, "--every", str(frames.every)] if len(names) == 1 else None


def _as_file(name: str) -> str:
    """A name that is taken neither for an option nor for a list."""
    return f"./{name}" if name.startswith(("-", "@")) else name


def _options(settings: Settings) -> Iterator[str]:
    """What is not as usual, as options."""
    usual = Settings()
    for each in fields(Settings):
        value = getattr(settings, each.name)
        if value == getattr(usual, each.name) or each.name in _IMPLIED:
            continue
        yield f"--{each.name.removesuffix('_bytes').replace('_', '-')}"
        if not isinstance(value, bool):
            yield _value(each.name, value)


def _value(name: str, value: Any) -> str:
    if name == "flat":
        return _as_file(Path(value).name)
    if name == "raw_developer":  # its words may be places on the machine, and secrets
        return f"{program_of(value)} ... {{input}} ... {{output}}"
    if name.endswith("_bytes"):
        return next((f"{value // unit}{mark}" for unit, mark in _UNITS if value % unit == 0), str(value))
    if isinstance(value, tuple):
        return ",".join(map(repr, value))
    return str(value.value) if isinstance(value, Enum) else str(value)


def _quoted(word: str) -> str:
    """A word for a shell; one that cannot be shown as it is byte by byte, as bash reads it."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(_byte(byte) for byte in os.fsencode(word)) + "'"


def _byte(byte: int) -> str:
    plain = chr(byte)
    return plain if plain.isascii() and plain.isprintable() and plain not in "\\'" else f"\\x{byte:02x}"
