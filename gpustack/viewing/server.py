"""The server of the page: an application behind its locks, on a port of this machine."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from gpustack.errors import GpustackError, UsageError
from gpustack.viewing.desk import Desk
from gpustack.viewing.locks import Keys, Locks
from gpustack.viewing.routes import failed, routes, static_files

LOOPBACK = {"127.0.0.1": socket.AF_INET, "localhost": socket.AF_INET, "::1": socket.AF_INET6}
_MOST_AT_ONCE = 256


def application(desk: Desk, keys: Keys) -> Starlette:
    """The page of a desk, for who has a key."""
    app = Starlette(
        routes=routes(),
        middleware=[Middleware(Locks, keys=keys)],
        exception_handlers={GpustackError: failed, HTTPException: failed, Exception: failed},
    )
    app.state.desk, app.state.static = desk, static_files()
    return app


def listen(host: str, port: int) -> socket.socket:
    """A socket on this machine; `port` 0: any that is free. Raises UsageError for other hosts, and for a port
    that is taken."""
    if host not in LOOPBACK:
        raise UsageError(
            f"--host {host} would show the page to others.",
            "Leave it out, and reach this machine by ssh -L; docs/view.md says how.",
        )
    # Told to be TCP, asyncio switches Nagle's algorithm off, which held every second tile back for 40 ms.
    place = socket.socket(LOOPBACK[host], socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind((host, port))
    except OSError as error:
        place.close()
        raise UsageError(
            f"Port {port} of {host} cannot be had.", "Leave --port out, or choose another."
        ) from error
    return place


def link(host: str, place: socket.socket, token: str) -> str:
    """What opens the page."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{place.getsockname()[1]}/?token={token}"


def serve(
    desk: Desk, keys: Keys, place: socket.socket, ready: Callable[[], None], unsaved: Callable[[], None]
) -> None:
    """Answer until Ctrl-C or SIGTERM; `ready` is called when the first request would be answered. Where
    strokes would be lost, the first Ctrl-C calls `unsaved`, and the second one ends it."""
    config = uvicorn.Config(
        application(desk, keys),
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http="h11",
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=1,
        limit_concurrency=_MOST_AT_ONCE,
    )
    _Server(config, desk, ready, unsaved).run(sockets=[place])


class _Server(uvicorn.Server):
    """Ends on a signal as on a wish: uvicorn's own would be sent the signal once more."""

    def __init__(
        self, config: uvicorn.Config, desk: Desk, ready: Callable[[], None], unsaved: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._desk, self._ready, self._unsaved, self._asked = desk, ready, unsaved, False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        del frame
        if sig == signal.SIGINT and not self._asked and self._desk.edits.unsaved:
            self._asked = True
            self._unsaved()
            return
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True
