"""`--resume`: the checkpoint beside the output, and results that an interrupted run may have written."""

from __future__ import annotations

import filecmp
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
        self._overwrite, self._checkpoint = overwrite, checkpoint
        self._earlier = frozenset() if checkpoint is None else checkpoint.outputs

    def may_exist(self, path: Path) -> bool:
        """Whether a file of that name is no reason to refuse the work."""
        return self._overwrite or str(path.absolute()) in self._earlier

    def write(self, path: Path, save: Save, *, ours: bool = False) -> None:
        """Write one; `ours`: what has its name may be replaced. Raises WriteError for another file of its
        name."""
        known = path.exists() and self.may_exist(path) and not self._overwrite and not ours
        if self._checkpoint is None or not known:
            save(path, self._overwrite or ours)
            return
        from gpustack.io.atomic import existing

        again = self._checkpoint.scratch(path.name)
        try:
            save(again, True)
            if not filecmp.cmp(again, path, shallow=False):
                raise existing(path)
        finally:
            again.unlink(missing_ok=True)


@contextmanager
def resuming(output: Path, *, resume: bool, overwrite: bool, quiet: bool) -> Iterator[Checkpoint | None]:
    """The checkpoint of an output, where one is wanted: deleted at the end, kept where the work fails.

    Raises CheckpointError, WriteError where it cannot be opened.
    """
    from gpustack.io.journal import folder_of

    folder = folder_of(output)
    if not resume:
        if folder.exists() and not quiet:
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
