"""`gpustack inspect`: what each frame of a stack gives, what is wrong with it, and where gaps are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.cli.finding import find
from gpustack.cli.given import settings_of
from gpustack.cli.options import DEFAULT
from gpustack.errors import UsageError

if TYPE_CHECKING:
    from gpustack.coverage.frames import Look
    from gpustack.inspecting import Inspection
    from gpustack.settings import Settings

_WIDTH = 120


@ending
def inspect(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Frames, as stack takes them; or a picture of stack with its sidecar, or the sidecar.",
            show_default=False,
        ),
    ],
    map_: Annotated[
        Path | None, typer.Option("--map", help="Write a picture of the gaps and of what each frame gives.")
    ] = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Of a sidecar: tell what it says, and read no frame.")
    ] = False,
    frames: Annotated[
        Path | None, typer.Option(help="Of a sidecar: the folder where the inputs lie now.")
    ] = None,
    every: options.EveryOption = 1,
    convert_profile: options.ConvertProfileOption = False,
    raw_developer: options.DeveloperOption = None,
    align: options.AlignOption = DEFAULT.align,
    reference: options.ReferenceOption = DEFAULT.reference,
    crop: options.CropOption = DEFAULT.crop,
    radius: options.RadiusOption = DEFAULT.radius,
    backend: options.BackendOption = DEFAULT.backend,
    ram: options.RamOption = None,
    vram: options.VramOption = None,
    devices: options.DevicesOption = options.DEFAULT_DEVICES,
    threads: options.ThreadsOption = None,
    json_: options.JsonOption = False,
    quiet: options.QuietOption = False,
    overwrite: options.OverwriteOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Tell what each frame of a stack gives, which are bad or not needed, and where focus was missed."""
    del debug
    settings, sidecar = settings_of(locals()), _sidecar(inputs)
    _check(sidecar, map_, recorded=recorded, elsewhere=frames is not None, overwrite=overwrite)
    if sidecar is None:
        found = _looked_at(inputs, settings, map_, every=every, quiet=quiet)
    else:
        found = _of_record(sidecar, settings, frames, recorded=recorded, quiet=quiet)
    if map_ is not None:
        found.save_map(map_, overwrite=overwrite)
    if json_:
        typer.echo(json.dumps(found.as_dict(), indent=1))
    else:
        _print(found)


def _check(
    sidecar: Path | None, map_: Path | None, *, recorded: bool, elsewhere: bool, overwrite: bool
) -> None:
    """Refuse before any work what does not go together, or could not be written."""
    if sidecar is None and (recorded or elsewhere):
        raise UsageError("--recorded and --frames go with a sidecar.", "Name one, or the picture beside it.")
    if recorded and map_ is not None:
        raise UsageError("--map needs a look at the frames.", "Leave --recorded out.")
    if map_ is not None:
        from gpustack.io.write import check_output

        check_output(map_, overwrite)


def _looked_at(
    inputs: list[str], settings: Settings, map_: Path | None, *, every: int, quiet: bool
) -> Inspection:
    from gpustack import inspecting
    from gpustack.cli.progress import TerminalProgress

    written, developer = [] if map_ is None else [map_], settings.raw_developer
    stack = find(inputs, outputs=written, developer=developer, every=every, quiet=quiet)
    with TerminalProgress(quiet) as progress:
        return inspecting.inspect(stack, settings, progress=progress)


def _of_record(
    sidecar: Path, settings: Settings, folder: Path | None, *, recorded: bool, quiet: bool
) -> Inspection:
    from gpustack import inspecting
    from gpustack.cli.progress import TerminalProgress
    from gpustack.io.sidecar import read_sidecar

    if recorded:
        return inspecting.inspect_record(read_sidecar(sidecar))
    with TerminalProgress(quiet) as progress:
        return inspecting.inspect_again(sidecar, folder=folder, machine=settings, progress=progress)


def _sidecar(inputs: list[str]) -> Path | None:
    """The sidecar that is meant, if one is."""
    from gpustack.io.sidecar import beside

    path = beside(Path(inputs[0]))
    return path if len(inputs) == 1 and path.is_file() else None


def _print(found: Inspection) -> None:
    """The table of the frames, what is covered, and the advice, on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("frame", justify="right")
    table.add_column("file", overflow="ellipsis", no_wrap=True, max_width=40)
    measured = any(look.alone is not None for look in found.frames)
    names = (
        ("shows", "alone", "to next", "EV", "off line", "links")
        if measured
        else ("shows", "EV", "off line", "links")
    )
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for look in found.frames:
        table.add_row(*_cells(look, measured=measured))
    Console(width=_WIDTH, highlight=False).print(table)
    if found.coverage is not None:
        typer.echo(f"in focus: {found.coverage.covered:.1%} of the detail")
    elif measured:
        typer.echo("gaps cannot be told: too few frames, or too little detail")
    for sentence in found.advice:
        typer.echo(sentence)
    if not measured:
        for warning in found.warnings:
            typer.echo(f"warning: {warning}")


def _cells(look: Look, *, measured: bool) -> list[str]:
    """A row of the table."""
    if not look.used:
        said = look.verdicts[0].value
        return [str(look.index), look.file, *[""] * (6 if measured else 4), f"left out: {said}"]
    step = "" if look.step_px is None else f"{look.step_px:.1f} px"
    alone = [f"{look.alone or 0:.1%}", step] if measured else []
    notes = [verdict.value for verdict in look.verdicts] + (["not needed"] if look.spare else [])
    numbers = [f"{look.share:.1%}", *alone, f"{look.brightness_ev:+.2f}", f"{look.moved_px:.1f} px"]
    return [str(look.index), look.file, *numbers, f"{look.residual_px:.2f} px", ", ".join(notes)]
