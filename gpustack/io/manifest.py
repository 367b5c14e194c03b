"""Manifests: many stacks in one TOML file, for `gpustack batch`.

    [settings]                      # optional: options of gpustack stack, for every stack
    method = "auto"

    [[stack]]
    name = "beetle"                 # the result is beetle.tif in the output folder
    frames = ["beetle_*.jpg"]       # as gpustack stack takes them, relative to the manifest
    settings = { align = "none" }   # optional, beside those for all

Names cannot lead out of the output folder, and settings are those that write nothing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from gpustack.errors import InputError
from gpustack.io.atomic import replacing

LARGEST_FILE = 16 << 20
"""Bytes of a manifest that are read; ten thousand stacks of 50 frames take about that."""

_LOOK = "every method radius smoothing prefer deghost strip-gps convert-profile no-sidecar"
_GEOMETRY = "align reference crop interpolation brightness flat on-bad-frame wb exposure"
SETTINGS = frozenset(f"{_LOOK} {_GEOMETRY}".split())
"""Options of `gpustack stack` that a manifest may hold: those that neither write files nor share the
machine."""

_COMMAND = "raw-developer"
_NAME = re.compile(r"[^/\\:*?\"<>|\x00-\x1f]{1,200}")
_KEYS = {"name", "frames", "settings"}
_SEE = "See docs/cli.md for what a manifest holds."


@dataclass(frozen=True, slots=True)
class Entry:
    """One stack: the name of its result, its inputs as `discover` takes them, and options by their names."""

    name: str
    frames: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> list[str]:
        """The settings as the command line has them."""
        words = []
        for name, value in sorted(self.settings.items()):
            if value is not False:
                words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        return words


def read_manifest(path: Path) -> tuple[Entry, ...]:
    """The stacks of a manifest, their frames relative to the working directory. Raises InputError."""
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise InputError(f"{path} has {size >> 20} MiB and is no manifest.", _SEE)
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"The manifest {path} cannot be read: {error.strerror}.", "Check its name."
        ) from error
    return manifest_of(data, str(path), str(path.parent))


def manifest_of(data: bytes, path: str, folder: str) -> tuple[Entry, ...]:
    """The stacks of a manifest that lies at `path`, here or on object storage, their frames relative to
    `folder`. Raises InputError."""
    try:
        content = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, UnicodeDecodeError, endless numbers
        said = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"The manifest {path} is no TOML: {said}.", _SEE) from error
    return parsed(content, PurePosixPath(path).name, folder)


def parsed(content: Mapping[str, Any], path: str, folder: str) -> tuple[Entry, ...]:
    """The stacks of the content of a manifest of the name `path`. Raises InputError for what is missing,
    unknown, or named twice."""
    shared = _settings(content.get("settings", {}), f"{path}, [settings]")
    rows = content.get("stack")
    if set(content) - {"settings", "stack"} or not isinstance(rows, list) or not rows:
        raise InputError(f"{path} holds no [[stack]], or something beside it.", _SEE)
    entries = tuple(_entry(row, shared, path, folder, number) for number, row in enumerate(rows, 1))
    seen: dict[str, int] = {}
    for number, entry in enumerate(entries, 1):
        other = seen.setdefault(entry.name.casefold(), number)
        if other != number:
            raise InputError(
                f"{path}: stacks {other} and {number} are both called {entry.name}.", "Rename one."
            )
    return entries


def write_manifest(path: Path, entries: Sequence[Entry], *, overwrite: bool) -> None:
    """Write stacks as a manifest that `read_manifest` reads. Raises WriteError."""
    lines = ["# Stacks for: gpustack batch " + path.name, ""]
    for entry in entries:
        lines += ["[[stack]]", f"name = {_quoted(entry.name)}", "frames = ["]
        lines += [f"  {_quoted(frame)}," for frame in entry.frames] + ["]"]
        if entry.settings:
            pairs = ", ".join(f"{name} = {_value(value)}" for name, value in entry.settings.items())
            lines.append(f"settings = {{ {pairs} }}")
        lines.append("")
    with replacing(path, overwrite=overwrite) as file:
        file.write("\n".join(lines).encode())


def _entry(row: Any, shared: Mapping[str, Any], path: str, folder: str, number: int) -> Entry:
    where = f"{path}, stack {number}"
    if not isinstance(row, dict) or set(row) - _KEYS:
        raise InputError(f"{where} has keys other than {', '.join(sorted(_KEYS))}.", _SEE)
    name, frames = row.get("name"), row.get("frames")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.strip(". ") != name:
        raise InputError(f"{where} has no name that a file could have.", "Use letters, digits, - and _.")
    if not isinstance(frames, list) or not frames or not all(isinstance(one, str) and one for one in frames):
        raise InputError(f"{where} has no list of frames.", _SEE)
    settings = dict(shared) | _settings(row.get("settings", {}), where)
    return Entry(name, tuple(_placed(frame, folder) for frame in frames), settings)


def _placed(frame: str, folder: str) -> str:
    """A frame's name as seen from the working directory; one on object storage is what it is."""
    if "://" in frame:
        return frame
    mark, name = ("@", frame[1:]) if frame.startswith("@") else ("", frame)
    return mark + (f"{folder.rstrip('/')}/{name}" if "://" in folder else str(Path(folder) / name))


def _settings(found: Any, where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise InputError(f"{where}: settings are no table.", _SEE)
    for name, value in found.items():
        if name == _COMMAND:
            raise InputError(
                f"{where}: {name} is a command, and none is run because a manifest says so.",
                f"Give it to gpustack batch, as --{name}.",
            )
        if name not in SETTINGS:
            raise InputError(
                f"{where}: {name} cannot be set in a manifest.", f"Known are {', '.join(sorted(SETTINGS))}."
            )
        if not isinstance(value, str | int | float) or str(value).startswith("-"):
            raise InputError(f"{where}: {name} has no usable value.", _SEE)
    return dict(found)


def _quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = re.sub(r'["\\]', lambda found: "\\" + found[0], text)
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _quoted(value) if isinstance(value, str) else repr(value)
