"""The `gpustack` command and its sub-commands."""

from __future__ import annotations

from typing import Annotated

import typer

from gpustack.cli.align import align
from gpustack.cli.apply import apply
from gpustack.cli.batch import batch
from gpustack.cli.bench import bench
from gpustack.cli.compare import compare
from gpustack.cli.demo import demo
from gpustack.cli.depth import depth
from gpustack.cli.doctor import doctor
from gpustack.cli.inspect import inspect
from gpustack.cli.plan import plan
from gpustack.cli.replay import replay
from gpustack.cli.split import split
from gpustack.cli.stack import stack
from gpustack.cli.view import view
from gpustack.cli.watch import watch
from gpustack.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Focus stacking: many photographs, each focused at another distance, become one that is sharp "
    "everywhere, with a depth map.\n\n"
    "Exit codes: 0 done, 1 failure, 2 wrong usage, 3 unreadable or unfit input, 4 some stacks of a batch "
    "failed, 5 memory or device, 130 interrupted.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gpustack {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    del version


for _command in (
    stack,
    align,
    plan,
    watch,
    split,
    batch,
    inspect,
    replay,
    apply,
    view,
    compare,
    depth,
    demo,
    doctor,
    bench,
):
    app.command()(_command)


def main() -> None:
    """Run the command line."""
    app()
