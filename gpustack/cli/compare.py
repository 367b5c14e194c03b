"""`gpustack compare`: two results beside each other, and beside the truth where it is known."""

from __future__ import annotations

import json
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.errors import UsageError

if TYPE_CHECKING:
    from gpustack.comparing import Comparison
    from gpustack.metrics import Likeness

DEFAULT_GAIN = 8.0
_WIDTH = 100


@ending
def compare(
    a: Annotated[Path, typer.Argument(help="A picture.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Another one of the same size.", show_default=False)],
    truth: Annotated[
        Path | None, typer.Option(help="The picture as it should be: which of the two is closer to it?")
    ] = None,
    depth: Annotated[
        Path | None, typer.Option(help="A depth map: PSNR within 12 px of its steps and elsewhere, too.")
    ] = None,
    difference: Annotated[
        Path | None, typer.Option(help="Write A less B as a picture in which gray is equal.")
    ] = None,
    gain: Annotated[float, typer.Option(help="How many times larger differences are shown there.")] = (
        DEFAULT_GAIN
    ),
    json_: options.JsonOption = False,
    overwrite: options.OverwriteOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Tell how two pictures differ: PSNR, SSIM, and the share of pixels that are off."""
    del debug
    from gpustack import comparing
    from gpustack.io.write import check_output

    if not 0 < gain <= 255:
        raise UsageError(f"A gain of {gain:g} shows nothing.", "Give one above 0, up to 255.")
    if difference is not None:
        check_output(difference, overwrite)
    found = comparing.compare(a, b, truth, depth=depth)
    if difference is not None:
        found.save_difference(difference, gain, overwrite=overwrite)
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if json_:
        files = {"a": a, "b": b, "truth": truth, "depth": depth, "difference": difference}
        named = {name: None if path is None else str(path) for name, path in files.items()}
        typer.echo(json.dumps(named | {"gain": gain} | found.as_dict(), indent=1))
        return
    _print(found, a.name, b.name)
    if difference is not None:
        typer.echo(f"{difference}: {a.name} less {b.name}, {gain:g} times larger, gray is equal")


def _print(found: Comparison, a: str, b: str) -> None:
    """The table, and which picture is closer to the truth, on stdout."""
    from rich.console import Console
    from rich.table import Table

    columns = {"A and B": found.likeness}
    if found.to_truth:
        columns |= dict(zip(("A and truth", "B and truth"), found.to_truth, strict=True))
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    cells = [_cells(likeness) for likeness in columns.values()]
    for name in cells[0]:
        table.add_row(name, *(cell[name] for cell in cells))
    Console(width=_WIDTH, highlight=False).print(table)
    if found.to_truth:
        closer = "neither" if found.closer is None else (a, b)[found.closer]
        typer.echo(f"closer to the truth: {closer}")


def _cells(likeness: Likeness) -> dict[str, str]:
    """The figures as people read them, without those that were not asked for or cannot be given."""
    given: dict[str, Any] = {
        "PSNR": _decibels(likeness.psnr),
        "  near depth steps": _decibels(likeness.near_psnr),
        "  elsewhere": _decibels(likeness.away_psnr),
        "SSIM": None if likeness.ssim is None else f"{likeness.ssim:.4f}",
        "pixels off by more than 16/255": f"{likeness.off_share:.3%}",
        "pixels compared": f"{likeness.pixels:,}",
    }
    return {name: value for name, value in given.items() if value is not None}


def _decibels(value: float | None) -> str | None:
    if value is None:
        return None
    return "equal" if isinf(value) else f"{value:.2f} dB"
