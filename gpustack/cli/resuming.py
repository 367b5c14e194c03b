"""`--resume`: the checkpoint beside the output, and results that an interrupted run may have written."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from gpustack.engine.checkpoint import Checkpoint

Save = Callable[[Path, bool], None]
"""Writes a file of some name; with True, over one that has it."""


class Files:
    """Writes results, over files that exist only where that was asked for. A result that the interrupted run
    has written, and that is what would be written now, is left as it is."""

    def __init__(self, overwrite: bool, checkpoint: Checkpoint | None = None) -> None:
        self.overwrite, self._checkpoint = overwrite, checkpoint
        self._earlier = frozenset() if checkpoint is None else checkpoint.outputs

    def may_exist(self, path: Path) -> bool:
        """Whether a file of that name is no reason to refuse the work."""
        return self.overwrite or str(path.absolute()) in self._earlier

    def is_own(self, path: Path) -> bool:
        """Whether a file that tells of a run may be replaced: the interrupted run has written it."""
        from gpustack.io.fingerprint import fingerprint

        if self.overwrite or self._checkpoint is None or not path.is_file():
            return self.overwrite
        return fingerprint(path).sha256 in self._checkpoint.promised(path)

    def note(self, path: Path, save: Save) -> None:
        """Write a file that tells of the run, of its seconds too: over that of the interrupted one, of which
        it is no copy. What it will hold is promised before it gets its name. Raises WriteError for another
        file of its name."""
        from gpustack.io.atomic import replacing
        from gpustack.io.fingerprint import fingerprint

        if self._checkpoint is None or self.overwrite:
            save(path, self.overwrite)
            return
        given = self._checkpoint.scratch(path.name)
        try:
            save(given, True)
            own = self.is_own(path)
            self._checkpoint.promise(path, fingerprint(given).sha256)
            with given.open("rb") as made, replacing(path, overwrite=own) as file:
                shutil.copyfileobj(made, file)
        finally:
            given.unlink(missing_ok=True)

    def write(self, path: Path, save: Save, *, ours: bool = False) -> None:
        """Write one; `ours`: what has its name may be replaced. Raises WriteError for another file of its
        name."""
        given = path if ours else self.aside(path)
        save(given, self.overwrite or ours or given != path)
        self.settle(given, path)

    def aside(self, path: Path, *names: Path) -> Path:
        """Where to write what is to have a name in the end: under that, or, where the interrupted run may
        have written it (under this name, or one of others), in the checkpoint's folder; `settle` it then."""
        checkpoint = self._checkpoint
        taken = any(str(each.absolute()) in self._earlier and each.exists() for each in (path, *names))
        return path if checkpoint is None or self.overwrite or not taken else checkpoint.scratch(path.name)

    def settle(self, given: Path, path: Path) -> None:
        """Compare what was written aside with what has its name. Raises WriteError where that is another
        file."""
        if given == path:
            return
        from gpustack.io.atomic import existing

        try:
            if not (path.exists() and filecmp.cmp(given, path, shallow=False)):
                raise existing(path)
        finally:
            given.unlink(missing_ok=True)


@contextmanager
def resuming(output: Path, *, resume: bool, overwrite: bool, quiet: bool) -> Iterator[Checkpoint | None]:
    """The checkpoint of an output, where one is wanted: deleted at the end, kept where the work fails.

    Raises CheckpointError, WriteError where it cannot be opened.
    """
    from gpustack.io.journal import folder_of, left_in

    folder = folder_of(output)
    if not resume:
        if left_in(folder) and not quiet:
            _say(f"{folder} is what an interrupted run left; --resume goes on from there, this run does not.")
        yield None
        return
    from gpustack.engine.checkpoint import Checkpoint

    with Checkpoint(folder, overwrite=overwrite) as checkpoint:
        try:
            if checkpoint.holds and not quiet:
                _say(f"going on from {folder}")
            yield checkpoint
        except BaseException:
            if checkpoint.bound and checkpoint.holds and not quiet:
                _say(f"what was done is kept in {folder}; the same command goes on from there.")
            raise
        checkpoint.remove()


def _say(sentence: str) -> None:
    typer.echo(f"gpustack: {sentence}", err=True)
