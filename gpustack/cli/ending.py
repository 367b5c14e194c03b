"""How a command ends when something is wrong: one sentence on stderr and an exit code."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import NoReturn, ParamSpec

import typer

from gpustack.backend.memory import share_arena
from gpustack.errors import GpustackError

INTERRUPTED = 130
OUT_OF_MEMORY = 5
P = ParamSpec("P")


def ending(command: Callable[P, None]) -> Callable[P, None]:
    """Make every error of a command one sentence and an exit code; with its option `debug`, the trace too."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        share_arena()
        try:
            command(*args, **kwargs)
        except GpustackError as error:
            _end(str(error), error.exit_code, trace=bool(kwargs.get("debug")))
        except KeyboardInterrupt:
            _end("interrupted; no half-written file was left behind.", INTERRUPTED)
        except MemoryError:
            _end(
                "out of memory. Allow less with --ram, or close other programs.",
                OUT_OF_MEMORY,
                trace=bool(kwargs.get("debug")),
            )

    return run


def _end(sentence: str, code: int, *, trace: bool = False) -> NoReturn:
    if trace:
        traceback.print_exc()
    typer.echo(f"gpustack: {sentence}", err=True)
    raise typer.Exit(code)
