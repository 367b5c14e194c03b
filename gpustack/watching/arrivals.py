"""Files that come to a folder: which of them are written to their end.

The folder is looked at again and again, as no file system tells of what another machine writes. A file has
settled when its size and its time have stayed the same for a moment. That it is whole only reading it tells:
writers pause, and some give a file its full size first. A file that cannot be read is tried again when it
changes, and now and then when it does not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from gpustack.errors import InputError
from gpustack.io.discover import PICTURE_ENDINGS, natural_key

SETTLE_S = 1.0
"""For so long a file must not change before it is read: writers over a network pause for shorter."""

PATIENCE_S = 5.0
"""A file that has not changed for so long is not waited for: frames after it by name are taken without it,
and it is named if it cannot be read."""

GONE_S = 10.0
"""A folder that has been away for so long does not come back by itself; shares drop out for some seconds."""

TEMPORARY = frozenset((".part", ".partial", ".filepart", ".tmp", ".temp", ".download", ".crdownload"))
"""Endings, anywhere in a name, that programs give to files they have not finished."""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Signature:
    """What changes when a file is written to: bytes, and nanoseconds."""

    size: int
    mtime_ns: int

    @staticmethod
    def of(path: Path) -> Signature | None:
        """That of a file now; None where there is none."""
        try:
            found = path.stat()
        except OSError:
            return None
        return Signature(found.st_size, found.st_mtime_ns)


@dataclass(slots=True)
class _File:
    """A file that is not taken yet: how it looked last and since when, when it is tried next, why it could
    not be read, whether it may still be written, and whether that was told."""

    signature: Signature
    since: float
    next_try: float
    problem: str
    hopeful: bool = True
    told: bool = False


class Arrivals:
    """The pictures in a folder, each given out once it has settled, in the order of their names."""

    def __init__(
        self, folder: Path, clock: Clock, *, match: str = "*", ignored: Collection[Path] = ()
    ) -> None:
        """`match`: a pattern that names must fit, case ignored; `ignored`: files that are no frames."""
        self._folder, self._clock, self._match = folder, clock, match.lower()
        self._ignored = {path.name for path in ignored if path.resolve().parent == folder.resolve()}
        self._waiting: dict[str, _File] = {}
        self._taken: dict[str, Signature] = {}
        self._closed = False
        self._seen = self._changed = self._looked = clock()

    @property
    def coming(self) -> bool:
        """Whether a file was there at the last look that may become a frame in a moment."""
        return any(self._is_coming(file) for file in self._waiting.values())

    @property
    def idle_s(self) -> float:
        """Seconds since anything happened; none have passed before the first frame."""
        return self._clock() - self._changed if self._taken else 0.0

    def close(self) -> None:
        """Look at no file any more that is not known yet."""
        self._closed = True

    def skip_present(self) -> None:
        """Leave out what is there now."""
        self._ignored |= self._listed().keys()

    def look(self) -> list[Path]:
        """Files to be read now. Raises InputError where the folder has been gone for a while."""
        listed, now = self._listed(), self._clock()
        self._looked = now
        for name in [name for name in self._waiting if name not in listed]:
            del self._waiting[name]
        for name, signature in listed.items():
            self._note(name, signature, now)
        ready = []
        for name in sorted(self._waiting, key=lambda name: (natural_key(Path(name)), name)):
            file = self._waiting[name]
            if now >= file.next_try and file.signature.size:
                ready.append(self._folder / name)
            elif self._is_coming(file):
                break  # those after it follow in order, unless it takes too long
        return ready

    def take(self, path: Path) -> None:
        """A file was read to its end."""
        self._taken[path.name] = self._waiting.pop(path.name).signature
        self._changed = self._clock()

    def refuse(self, path: Path, problem: str, *, hopeful: bool = True) -> None:
        """A file could not be read; the longer it does not change, the longer until it is tried again.
        `hopeful`: it may be whole in a moment."""
        file, now = self._waiting[path.name], self._clock()
        file.problem, file.next_try, file.hopeful = problem, now + max(SETTLE_S, now - file.since), hopeful

    def holds_up(self, path: Path) -> bool:
        """Whether those after a file wait for it, so that they come in order."""
        file = self._waiting.get(path.name)
        return file is not None and self._is_coming(file)

    def given_up(self) -> list[str]:
        """Why files that are not waited for any more cannot be read; each is told once."""
        late = [file for file in self._waiting.values() if not (file.told or self._is_coming(file))]
        for file in late:
            file.told = True
        return [file.problem for file in late]

    def changed(self) -> list[Path]:
        """Files that were written to, or have gone, after they were taken."""
        taken = {self._folder / name: signature for name, signature in self._taken.items()}
        return [path for path, signature in taken.items() if Signature.of(path) != signature]

    def unchanged(self, path: Path) -> bool:
        """Whether a file that is to be read is still as it was when it was looked at."""
        return Signature.of(path) == self._waiting[path.name].signature

    def _is_coming(self, file: _File) -> bool:
        """As of the last look: a file that one held up then is still to be given out."""
        return file.hopeful and self._looked - file.since < PATIENCE_S

    def _note(self, name: str, signature: Signature, now: float) -> None:
        file = self._waiting.get(name)
        if file is not None and file.signature == signature:
            return
        if file is None and self._closed:
            return
        problem = f"{name}: the file is empty."
        self._waiting[name] = _File(signature, now, now + SETTLE_S, problem)
        self._changed = now

    def _listed(self) -> dict[str, Signature]:
        """Files that may be frames and are not taken, and how they look."""
        try:
            with os.scandir(self._folder) as entries:
                names = [entry.name for entry in entries if self._is_wanted(entry)]
        except OSError as error:
            self._refuse_gone(error)
            return {name: file.signature for name, file in self._waiting.items()}
        self._seen = self._clock()
        looks = {name: Signature.of(self._folder / name) for name in names}
        return {name: signature for name, signature in looks.items() if signature is not None}

    def _refuse_gone(self, error: OSError) -> None:
        if self._clock() - self._seen >= GONE_S:
            raise InputError(
                f"The folder {self._folder} has gone: {error.strerror}.",
                "Bring it back, and stack its frames with gpustack stack.",
            ) from error

    def _is_wanted(self, entry: os.DirEntry[str]) -> bool:
        name = entry.name
        known = name in self._taken or name in self._ignored
        return not known and is_picture(name) and fnmatchcase(name.lower(), self._match) and _is_file(entry)


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Not so for links that lead nowhere, or in circles."""
    try:
        return entry.is_file()
    except OSError:
        return False


def is_picture(name: str) -> bool:
    """Whether a file's name is that of a finished picture: not hidden, not a copy's first part."""
    endings = {ending.lower() for ending in Path(name).suffixes}
    passing = name.startswith((".", "~")) or name.endswith("~") or bool(endings & TEMPORARY)
    return not passing and Path(name).suffix.lower() in PICTURE_ENDINGS
