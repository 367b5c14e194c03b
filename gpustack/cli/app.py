"""The `gpustack` command: its sub-commands, and what every one does with errors."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Annotated, NoReturn, ParamSpec

import typer

from gpustack import __version__
from gpustack.errors import GpustackError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Focus stacking: many photographs, each focused at another distance, become one that is sharp "
    "everywhere, with a depth map.\n\n"
    "Exit codes: 0 done, 1 failure, 2 wrong usage, 3 unreadable or unfit input, 5 memory or device, "
    "130 interrupted.",
)

INTERRUPTED = 130
P = ParamSpec("P")


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


def ending(command: Callable[P, None]) -> Callable[P, None]:
    """Make every error of a command one sentence on stderr and an exit code; with `debug`, the trace as
    well."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except GpustackError as error:
            _end(str(error), error.exit_code, trace=bool(kwargs.get("debug")))
        except KeyboardInterrupt:
            _end("interrupted; no half-written file was left behind.", INTERRUPTED)
        except MemoryError:
            _end(
                "out of memory. Allow less with --ram, or close other programs.",
                5,
                trace=bool(kwargs.get("debug")),
            )

    return run


def _end(sentence: str, code: int, *, trace: bool = False) -> NoReturn:
    if trace:
        traceback.print_exc()
    typer.echo(f"gpustack: {sentence}", err=True)
    raise typer.Exit(code)


def main() -> None:
    """Run the command line."""
    import gpustack.cli.align
    import gpustack.cli.demo
    import gpustack.cli.doctor
    import gpustack.cli.plan
    import gpustack.cli.stack  # noqa: F401

    app()
