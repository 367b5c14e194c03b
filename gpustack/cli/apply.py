"""`gpustack apply`: paint the strokes of an edit list into its picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.cli.given import machine_of
from gpustack.errors import UsageError

if TYPE_CHECKING:
    from gpustack.retouch.applying import Retouched, Task


@ending
def apply(
    edits: Annotated[
        Path,
        typer.Argument(
            help="An edit list, as gpustack view saves it, or the picture that it lies beside.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The retouched picture; the ending decides the format.")
    ],
    picture: Annotated[
        Path | None,
        typer.Option(help="Another result of the same stack to paint on, than the list names."),
    ] = None,
    frames: Annotated[
        Path | None, typer.Option(help="The folder where the inputs lie now, by the names they had.")
    ] = None,
    layers: Annotated[
        Path | None,
        typer.Option(help="Also write a layered file, .psd or .tif: a masked layer for each source."),
    ] = None,
    raw_developer: options.DeveloperOption = None,
    ram: options.RamOption = None,
    threads: options.ThreadsOption = None,
    json_: options.JsonOption = False,
    quiet: options.QuietOption = False,
    no_sidecar: options.NoSidecarOption = False,
    overwrite: options.OverwriteOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Paint the strokes of an edit list into its picture, at full resolution and bit depth."""
    del debug
    machine = machine_of(locals())
    from gpustack.cli.progress import TerminalProgress
    from gpustack.retouch.applying import Task, retouched
    from gpustack.retouch.edits import beside
    from gpustack.retouch.layers import LayersWish

    _check(output, overwrite, sidecar=not no_sidecar)
    path = beside(edits)
    wish = None if layers is None else LayersWish(layers, overwrite, threads)
    task = Task.open(path, picture=picture, folder=frames, machine=machine)
    _refuse_inputs(task, [output, *([] if layers is None else [layers])])
    with TerminalProgress(quiet) as progress:
        done = retouched(task, machine, wish, progress)
        _write(done, output, overwrite, sidecar=not no_sidecar)
    _tell(done, output, json_=json_, quiet=quiet)


def _check(output: Path, overwrite: bool, *, sidecar: bool) -> None:
    """Refuse before any work what could not be written after it."""
    from gpustack.io.sidecar import sidecar_of
    from gpustack.io.write import OUTPUT_ENDINGS, check_output

    check_output(output, overwrite, (*OUTPUT_ENDINGS, ".exr"))
    if sidecar:
        check_output(sidecar_of(output), overwrite, (".json",))


def _refuse_inputs(task: Task, outputs: list[Path]) -> None:
    """Raise UsageError for the name of a file that is read, or of another output."""
    read = {path.resolve() for path in task.inputs}
    for path in outputs:
        if path.resolve() in read:
            raise UsageError(f"{path} is read for this.", "Choose another name.")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise UsageError("Two outputs have the same name.", "Give each its own.")


def _write(done: Retouched, output: Path, overwrite: bool, *, sidecar: bool) -> None:
    from gpustack.records import provenance
    from gpustack.retouch.applying import record

    done.save(output, overwrite=overwrite)
    if sidecar:
        provenance.save(record(done, output), output, overwrite=overwrite)


def _tell(done: Retouched, output: Path, *, json_: bool, quiet: bool) -> None:
    files = [output, *([] if done.layers is None else [done.layers])]
    names = [done.place.shown.name_of(index) for index in done.frames]
    strokes = len(done.edits.strokes)
    if json_:
        told = {"outputs": list(map(str, files)), "strokes": strokes, "frames": names}
        typer.echo(json.dumps(told, indent=1))
    elif not quiet:
        height, width = done.pixels.shape[:2]
        typer.echo(f"{output}: {width}x{height}, {strokes} strokes from {len(names)} frames", err=True)
