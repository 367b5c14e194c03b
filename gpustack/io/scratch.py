"""A bounded folder for what was fetched, and what is to be put elsewhere."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from gpustack.errors import InputError
from gpustack.io import storage
from gpustack.io.storage import Stored
from gpustack.settings import SCRATCH_SHARE


class Scratch:
    """A temporary folder that goes away with all that is in it; `limit_bytes` of fetched files at most, None
    for a share of what is free where temporary files lie (`TMPDIR`)."""

    def __init__(self, limit_bytes: int | None = None) -> None:
        self._limit = limit_bytes
        self._fetched = 0
        self._folders = 0

    def __enter__(self) -> Self:
        self._root = Path(tempfile.mkdtemp(prefix="gpustack-"))
        if self._limit is None:
            self._limit = free_bytes()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._root, ignore_errors=True)

    def folder(self) -> Path:
        """Another folder, empty."""
        self._folders += 1
        made = self._root / str(self._folders)
        made.mkdir()
        return made

    def fetch(self, stored: Sequence[Stored]) -> list[Path]:
        """Copy files here, under their own names. Raises InputError where they are too much, or one cannot be
        read."""
        self._fetched += sum(each.size for each in stored)
        if self._fetched > (self._limit or 0):
            raise InputError(
                f"The frames take {self._fetched >> 20} MiB, and {(self._limit or 0) >> 20} MiB may lie in "
                f"{tempfile.gettempdir()}.",
                "Allow more with --scratch, or name a roomier folder with TMPDIR.",
            )
        homes: dict[str, Path] = {}
        paths = []
        for each in stored:
            parent = each.url.rpartition("/")[0]
            if parent not in homes:
                homes[parent] = self.folder()
            paths.append(homes[parent] / each.name)
        storage.fetch(stored, paths)
        return paths


def free_bytes() -> int:
    """What fetched files may take by default."""
    return int(shutil.disk_usage(tempfile.gettempdir()).free * SCRATCH_SHARE)
