"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from gpustack.errors import WriteError

_ELSEWHERE = "Choose another folder or another name."


@contextmanager
def replacing(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Yield a file, open for reading and writing, that takes the name `path` when the block ends.

    Until then it is `.NAME.partial-<pid>` in the same folder; whatever is raised inside, Ctrl-C included,
    removes it and leaves a file that already bore the name untouched. An OSError becomes a WriteError.
    """
    partial = partial_of(path, os.getpid())
    try:
        partial.unlink(missing_ok=True)
        with partial.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _take_name(partial, path, overwrite)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def partial_of(path: Path, process: int) -> Path:
    """The name that a file has while a process writes it."""
    return path.with_name(f".{path.name}.partial-{process}")


def unwritable(path: Path, error: OSError) -> WriteError:
    """The sentence and remedy for an operating system error on the way to `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        problem = f"The disk at {_mount_point(path)} is full, so {path.name} cannot be written."
        return WriteError(problem, "Free some space, or write to another disk.")
    if error.errno == errno.EFBIG:
        return WriteError(f"{path} grows larger than its disk allows for one file.", "Write to another disk.")
    if error.errno == errno.EEXIST:
        return existing(path)
    if error.errno == errno.ENOENT:
        return WriteError(f"The folder {path.parent} does not exist.", "Create it, or choose another one.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return WriteError(f"Files may not be written in {path.parent}.", _ELSEWHERE)
    return WriteError(f"{path} cannot be written: {error.strerror or error}.", _ELSEWHERE)


def existing(path: Path) -> WriteError:
    """The error for a name that is taken."""
    return WriteError(f"{path} exists already.", "Add --overwrite to replace it, or choose another name.")


def _take_name(partial: Path, path: Path, overwrite: bool) -> None:
    """Give the finished file its name; without `overwrite` one that turned up meanwhile is kept.

    A link fails where the name is taken, in one step; on disks without links an empty file claims the name.
    """
    if overwrite:
        partial.replace(path)
        return
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        raise
    except OSError:
        path.touch(exist_ok=False)
        try:
            partial.replace(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _mount_point(path: Path) -> Path:
    """Where the disk that holds `path` is mounted."""
    folder = path.absolute().parent
    return next(above for above in (folder, *folder.parents) if above.is_mount() or above == above.parent)
