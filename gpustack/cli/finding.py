"""From the files that were named to a stack."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gpustack.errors import StackError
from gpustack.model.stack import Stack

if TYPE_CHECKING:
    from gpustack.io.discover import Found


def find(
    inputs: list[str],
    *,
    outputs: list[Path] | None = None,
    flat: Path | None = None,
    developer: str | None = None,
    every: int = 1,
    quiet: bool = False,
) -> Stack:
    """The stack that the inputs name; says on stderr what was left out.

    A result of an earlier run that lies among the frames is not taken for one, nor is the flat field.
    `developer` is the command that develops RAW files.
    """
    from gpustack.io.decode import probe_all
    from gpustack.io.discover import discover

    found = discover(inputs, sys.stdin)
    results = {path.resolve() for path in outputs or []}
    paths = [path for path in found.paths if path.resolve() not in results]
    if not quiet:
        _tell_left_out(found, len(found.paths) - len(paths))
    paths = [path for path in paths if flat is None or path.resolve() != flat.resolve()]
    if not paths:
        raise StackError("There is no frame to stack.", "Name picture files, or a folder that holds some.")
    return Stack(probe_all(paths, developer)[::every], every)


def _tell_left_out(found: Found, results: int) -> None:
    for left in found.left_out:
        typer.echo(f"left out {left.path.name}: {left.reason}", err=True)
    if results:
        typer.echo("left out the output file itself, which lies among the frames", err=True)
