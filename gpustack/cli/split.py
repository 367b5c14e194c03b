"""`gpustack split`: a card full of frames as stacks, in a table and in a manifest for `gpustack batch`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.errors import StackError, UsageError

if TYPE_CHECKING:
    from gpustack.batching.splitting import Group, Unread

DEFAULT_LEAST = 3


@ending
def split(
    inputs: options.Inputs,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the stacks as a manifest: .toml.", show_default=False),
    ] = None,
    least: Annotated[
        int, typer.Option(help="Frames of a stack at least; fewer are single pictures.")
    ] = DEFAULT_LEAST,
    pause: Annotated[
        float | None,
        typer.Option(help="Seconds that part two stacks; else the frames tell.", show_default=False),
    ] = None,
    likeness: Annotated[
        float | None,
        typer.Option(help="Correlation below which two frames are not of one stack.", show_default=False),
    ] = None,
    raw_developer: options.DeveloperOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the table and write nothing.")] = False,
    json_: options.JsonOption = False,
    overwrite: options.OverwriteOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Find the stacks among many frames, by time, exposure, focus and picture; no frame is changed."""
    del debug
    from gpustack.batching.splitting import LIKENESS, look
    from gpustack.batching.splitting import split as split_shots
    from gpustack.io.discover import discover
    from gpustack.io.write import check_output

    if (
        least < 1
        or (pause is not None and not pause > 0)
        or (likeness is not None and not -1 <= likeness <= 1)
    ):
        raise UsageError("A least number, a pause or a likeness is out of range.", "Check the numbers.")
    if output is not None:
        check_output(output, overwrite, (".toml",))
    shots, unread = look(discover(inputs).paths, raw_developer)
    groups = split_shots(shots, pause, LIKENESS if likeness is None else likeness)
    stacks = [group for group in groups if len(group.shots) >= least]
    if json_:
        typer.echo(json.dumps(_as_dict(groups, least, unread), indent=1))
    else:
        _print(groups, least)
    for one in unread:
        typer.echo(f"left out: {one.problem}", err=True)
    if not stacks:
        raise StackError(
            f"No {least} frames belong together.", "Lower --likeness, or allow fewer with --least."
        )
    if output is not None and not dry_run:
        _write(output, stacks, overwrite)
        if not json_:
            typer.echo(f"{output}: {len(stacks)} stacks; make them with: gpustack batch {output} -o DIR")


def _name(number: int, group: Group) -> str:
    return f"{number:03d}_{group.shots[0].frame.path.stem}"


def _write(path: Path, stacks: list[Group], overwrite: bool) -> None:
    from gpustack.io.manifest import Entry, write_manifest

    entries = [
        Entry(_name(number, group), tuple(str(shot.frame.path.absolute()) for shot in group.shots))
        for number, group in enumerate(stacks, 1)
    ]
    write_manifest(path, entries, overwrite=overwrite)


def _print(groups: list[Group], least: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for title in ("stack", "frames", "first", "last", "seconds", "begins"):
        table.add_column(title, justify="right" if title in ("frames", "seconds") else "left", no_wrap=True)
    number = 0
    for group in groups:
        is_stack = len(group.shots) >= least
        number += is_stack
        first, last = group.shots[0].frame.name, group.shots[-1].frame.name
        seconds = "" if group.seconds is None else f"{group.seconds:.0f}"
        name = f"{number:03d}" if is_stack else "single"
        table.add_row(name, str(len(group.shots)), first, last, seconds, group.reason)
    Console(width=140, highlight=False).print(table)


def _as_dict(groups: list[Group], least: int, unread: list[Unread]) -> dict[str, Any]:
    rows = [
        {
            "stack": len(group.shots) >= least,
            "frames": [str(shot.frame.path) for shot in group.shots],
            "seconds": group.seconds,
            "begins": group.reason,
        }
        for group in groups
    ]
    return {"groups": rows, "left_out": [one.problem for one in unread]}
