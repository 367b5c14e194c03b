"""Arrays and plain values in one file, written and read piece by piece: a ZIP archive of NPY entries, as
`numpy.savez` makes them, and of JSON entries. `numpy.load` opens it; nothing in it can hold code.

Entries are stored, not compressed, and carry the CRC-32 of the archive.
"""

from __future__ import annotations

import json
import math
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

Host = npt.NDArray[Any]

LARGEST_NOTE = 64 << 20
"""Bytes of a JSON entry that are read; what a thousand frames need takes less than one megabyte."""


class DamagedError(Exception):
    """The file is not what was written, or not what is wanted of it."""


class PartWriter:
    """Writes entries, one after the other; `close` or a `with` statement ends the archive."""

    def __init__(self, file: BinaryIO) -> None:
        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def note(self, name: str, content: Any) -> None:
        """Plain values under a name."""
        self._archive.writestr(zipfile.ZipInfo(f"{name}.json"), json.dumps(content))

    def array(self, name: str, array: Host) -> None:
        """An array, C-contiguous, under a name; it is not copied."""
        assert array.flags.c_contiguous
        with self._archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
            npy.write_array_header_1_0(entry, npy.header_data_from_array_1_0(array))
            if array.size:
                entry.write(array.data.cast("B"))


class PartReader:
    """Reads entries by name, in any order. Every method raises DamagedError."""

    def __init__(self, archive: zipfile.ZipFile, nbytes: int) -> None:
        self._archive, self._nbytes = archive, nbytes

    def note(self, name: str) -> Any:
        """The plain values under a name."""
        with _checked(), self._entry(f"{name}.json", LARGEST_NOTE) as entry:
            return json.loads(entry.read())

    def array(self, name: str) -> Host:
        """The array under a name; no more memory is taken than the file has bytes."""
        with _checked(), self._entry(f"{name}.npy", self._nbytes) as entry:
            shape, dtype = _header(entry)
            if math.prod(shape) * dtype.itemsize > self._nbytes:
                raise DamagedError(f"{name} is larger than its file")
            out = np.empty(shape, dtype)
            _fill(entry, out)
            return out

    def into(self, name: str, out: Host) -> None:
        """Fill an array, C-contiguous, with that of the same shape and dtype under a name."""
        with _checked(), self._entry(f"{name}.npy", self._nbytes) as entry:
            if _header(entry) != (out.shape, out.dtype):
                raise DamagedError(f"{name} is another array")
            _fill(entry, out)

    def _entry(self, name: str, most: int) -> IO[bytes]:
        info = self._archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > most:
            raise DamagedError(f"{name} is too large")
        return self._archive.open(info)


@contextmanager
def reading(path: Path) -> Iterator[PartReader]:
    """Open a file for reading. Raises DamagedError, here and from all that is asked of the reader."""
    with _checked():
        archive = zipfile.ZipFile(path)
        nbytes = path.stat().st_size
    with archive:
        yield PartReader(archive, nbytes)


@contextmanager
def _checked() -> Iterator[None]:
    """Whatever NumPy, json and zipfile raise on broken files, as one error."""
    try:
        yield
    except (OSError, EOFError, KeyError, ValueError, RecursionError) as error:
        raise DamagedError(str(error)) from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, struct.error) as error:
        raise DamagedError(str(error)) from error


def _header(entry: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype; what is in Fortran order, or holds objects, was not written here."""
    npy.read_magic(entry)
    shape, fortran, dtype = npy.read_array_header_1_0(entry)
    if fortran or dtype.hasobject:
        raise DamagedError("an array of another kind")
    return shape, dtype


def _fill(entry: IO[bytes], out: Host) -> None:
    """Read the values, and the end, where the archive compares its checksum."""
    view = out.data.cast("B") if out.size else memoryview(b"")
    read = 0
    while read < len(view):
        count = entry.readinto(view[read:])  # type: ignore[attr-defined]
        if not count:
            raise DamagedError("an entry is too short")
        read += count
    if entry.read(1):
        raise DamagedError("an entry is too long")
