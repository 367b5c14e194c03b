"""The folder beside an output that an interrupted run is continued from.

`journal.json` says what the run is (its inputs, settings and versions), what has been kept, and in which
files; it is replaced as a whole (`gpustack.io.atomic`). A part is written under a name of its own, seen onto
the disk, and only then named in the journal; the part that it replaces is deleted after that. So whatever
happens at whatever moment, the journal names whole parts only, and files that it does not name are remains.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gpustack.errors import CheckpointError, WriteError
from gpustack.io.atomic import replacing, unwritable
from gpustack.io.parts import DamagedError, PartReader, PartWriter, reading

ENDING = ".checkpoint"
FORMAT = 1
LARGEST_JOURNAL = 64 << 20

SCRATCH = "again-"
"""How names of files begin that are needed for a moment."""

_JOURNAL, _LOCK, _PART = "journal.json", "lock", ".part.npz"


def left_in(folder: Path) -> bool:
    """Whether an interrupted run has left something in a folder."""
    return (folder / _JOURNAL).exists()


def folder_of(output: Path) -> Path:
    """Where the checkpoint of an output lies."""
    return output.with_name(output.name + ENDING)


class Journal:
    """An open checkpoint folder; only one process has it open at a time. Of several threads each may write
    parts."""

    def __init__(self, folder: Path) -> None:
        """Open or make the folder, and read what it holds.

        Raises CheckpointError where another process has it open, or what it holds is none of ours;
        WriteError where it cannot be made.
        """
        self.folder = folder
        self._guard = threading.Lock()
        try:
            folder.mkdir(exist_ok=True)
            self._lock = _locked(folder / _LOCK)
        except OSError as error:
            raise unwritable(folder, error) from error
        try:
            self.content: dict[str, Any] = self._read()
        except BaseException:
            self.close()
            raise

    @property
    def closed(self) -> bool:
        """Whether others may have it."""
        return bool(self._lock.closed)

    @property
    def begun(self) -> bool:
        """Whether a run has left something here."""
        return bool(self.content)

    @property
    def parts(self) -> dict[str, dict[str, Any]]:
        """What is kept: for each name its file, and what its writer noted."""
        kept: dict[str, dict[str, Any]] = self.content.get("parts", {})
        return kept

    def start(self, content: dict[str, Any]) -> None:
        """Begin anew. Raises OSError."""
        with self._guard:
            self._commit({"format": FORMAT, **content})
            self._sweep()

    def go_on(self, content: dict[str, Any]) -> None:
        """Go on from what is there: change the journal, and delete what a kill has left. Raises OSError."""
        with self._guard:
            self._commit(self.content | content)
            self._sweep()

    def note(self, content: dict[str, Any]) -> None:
        """Change the journal, and nothing else. Raises OSError."""
        with self._guard:
            self._commit(self.content | content)

    def write(self, name: str, note: dict[str, Any], fill: Callable[[PartWriter], None]) -> int:
        """Keep a part, in the place of the one that has its name; the bytes of it.

        `note` is put into the journal beside its file, and may hold more of the journal's own content under
        "journal". Raises OSError; the part from before stays then.
        """
        before = self.parts.get(name)
        number = 1 + max((int(part.get("number", 0)) for part in self.parts.values()), default=0)
        path = self.folder / f"{name}-{number}{_PART}"
        try:
            with path.open("xb") as file:
                with PartWriter(file) as part:
                    fill(part)
                file.flush()
                os.fsync(file.fileno())
            more = note.pop("journal", {})
            with self._guard:
                parts = self.parts | {name: {"file": path.name, "number": number, **note}}
                self._commit(self.content | more | {"parts": parts})
        except BaseException:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        if before is not None:
            with suppress(OSError):
                (self.folder / str(before["file"])).unlink(missing_ok=True)
        return path.stat().st_size

    @contextmanager
    def read(self, name: str) -> Iterator[PartReader]:
        """Open a part. Raises DamagedError, KeyError for one that is not there."""
        file = str(self.parts[name]["file"])
        if Path(file).name != file or not file.endswith(_PART):
            raise DamagedError(f"{file} is no part")
        with reading(self.folder / file) as part:
            yield part

    def forget(self, name: str) -> None:
        """Let a part go. Raises OSError."""
        with self._guard:
            gone = self.parts.get(name)
            others = {key: part for key, part in self.parts.items() if key != name}
            if gone is not None:
                self._commit(self.content | {"parts": others})
        if gone is not None:
            (self.folder / str(gone["file"])).unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """Room on the disk."""
        return shutil.disk_usage(self.folder).free

    def remove(self) -> None:
        """Delete all of it; the journal goes last. Files of others are left, and the folder with them."""
        self.content = {}
        with suppress(OSError):
            self._sweep()
            (self.folder / _JOURNAL).unlink(missing_ok=True)
        self.close()
        with suppress(OSError):
            (self.folder / _LOCK).unlink(missing_ok=True)
            self.folder.rmdir()

    def close(self) -> None:
        """Let others have it."""
        self._lock.close()

    def _read(self) -> dict[str, Any]:
        path = self.folder / _JOURNAL
        try:
            if not path.exists():
                return {}
            if path.stat().st_size > LARGEST_JOURNAL:
                raise ValueError("it is too large")
            content = json.loads(path.read_bytes())
            for part in content.get("parts", {}).values():
                str(part["file"]), int(part["number"])
            return dict(content)
        except (OSError, ValueError, RecursionError, AttributeError, TypeError, KeyError) as error:
            raise CheckpointError(f"{path} cannot be read ({error}).", "Delete that folder.") from error

    def _commit(self, content: dict[str, Any]) -> None:
        """Replace the journal; what is in memory is what is on the disk."""
        try:
            with replacing(self.folder / _JOURNAL, overwrite=True) as file:
                file.write(json.dumps(content).encode())
        except WriteError as error:
            raise error.__cause__ if isinstance(error.__cause__, OSError) else OSError(str(error)) from error
        _seen_onto_disk(self.folder)
        self.content = content

    def _sweep(self) -> None:
        """Delete parts that the journal does not name, and half-written journals."""
        named = {str(part["file"]) for part in self.content.get("parts", {}).values()}
        for path in self.folder.iterdir():
            begins = path.name.startswith((f".{_JOURNAL}.partial-", SCRATCH, f".{SCRATCH}"))
            ours = begins or path.name.endswith(_PART)
            if ours and path.name not in named:
                path.unlink(missing_ok=True)


def _locked(path: Path) -> Any:
    """An open file that no other process can lock; the system lets it go when this one ends."""
    file = path.open("ab")
    try:
        import fcntl
    except ImportError:  # no such locks on Windows
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if isinstance(error, BlockingIOError):
            raise CheckpointError(
                f"Another run is at work on {path.parent}.", "Wait for it, or choose another output."
            ) from error
        return path.open("ab")  # a disk without locks
    return file


def _seen_onto_disk(folder: Path) -> None:
    """A name, too, is lost with the power where its folder was not written."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
