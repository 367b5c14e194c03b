"""`gpustack view`: look at a result, and mend it, in a browser."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gpustack.cli import options
from gpustack.cli.ending import ending
from gpustack.cli.given import machine_of
from gpustack.errors import UsageError

if TYPE_CHECKING:
    import socket

    from gpustack.viewing.desk import Desk


@ending
def view(
    result: Annotated[
        Path, typer.Argument(help="A picture of gpustack stack, or its sidecar.", show_default=False)
    ],
    frames: Annotated[
        Path | None, typer.Option(help="The folder where the frames lie now, by the names they had.")
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(help="Another method's output of the same frames; may be given again.", metavar="FILE"),
    ] = None,
    host: Annotated[
        str, typer.Option(help="A name of this machine: 127.0.0.1, localhost or ::1.", metavar="HOST")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 is any that is free.")] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the link, and open nothing.")
    ] = False,
    raw_developer: options.DeveloperOption = None,
    ram: options.RamOption = None,
    debug: options.DebugOption = False,
) -> None:
    """Look at a result and its frames in a browser, and mend it. Ends on Ctrl-C."""
    del debug
    from gpustack.viewing.desk import Desk, Wish

    machine = machine_of(locals())
    wish = Wish(result, frames, tuple(compare or ()), machine)
    with _closing_on_term(), closing(Desk(wish)) as desk, closing(_listen(host, port)) as place:
        desk.start()
        _serve(desk, host, place, browser=not no_browser)


def _listen(host: str, port: int) -> socket.socket:
    """Where the page is asked for. Raises UsageError, also where its libraries are not installed."""
    try:
        from gpustack.viewing.server import listen
    except ImportError as error:
        raise UsageError(
            "The page needs libraries that are not installed.", "Run pip install 'gpustack-focus[web]'."
        ) from error
    return listen(host, port)


@contextmanager
def _closing_on_term() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does, with nothing left in the temporary folder; while the server
    answers, it takes both as the wish to end."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _serve(desk: Desk, host: str, place: socket.socket, *, browser: bool) -> None:
    from gpustack.viewing.locks import Keys
    from gpustack.viewing.server import link, serve

    def used(token: str) -> None:
        typer.echo(f"opened; for another browser: {link(host, place, token)}", err=True)

    keys = Keys(used)

    def ready() -> None:
        typer.echo(link(host, place, keys.token))
        typer.echo("Ctrl-C ends it.", err=True)
        sys.stdout.flush()
        if browser:
            _open(link(host, place, keys.token))

    def unsaved() -> None:
        typer.echo("Strokes are not saved: save them on the page, or end without them by Ctrl-C.", err=True)

    serve(desk, keys, place, ready, unsaved)


def _open(address: str) -> None:
    """Open the browser where there is a screen for one."""
    import os
    import threading
    import webbrowser

    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
