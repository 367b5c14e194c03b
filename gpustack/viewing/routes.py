"""What the page asks for, and what it is answered; nothing a client sends is ever part of a file's name."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gpustack.errors import GpustackError
from gpustack.viewing import editroutes, telling
from gpustack.viewing.desk import Desk
from gpustack.viewing.locks import refused, too_large
from gpustack.viewing.tiles import NotYetError

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_KEPT = "private, max-age=31536000, immutable"


def static_files() -> dict[str, tuple[bytes, str]]:
    """The page's own files by their names, with their types: all that can be asked for."""
    found = {}
    for file in (files("gpustack.viewing") / "static").iterdir():
        ending = "." + file.name.rpartition(".")[2]
        if file.is_file() and ending in _TYPES:
            found[file.name] = (file.read_bytes(), _TYPES[ending])
    return found


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _page(request: Request) -> Response:
    return _static(request, "index.html")


async def _named(request: Request) -> Response:
    return _static(request, request.path_params["name"])


def _static(request: Request, name: str) -> Response:
    found = request.app.state.static.get(name)
    if found is None:
        return refused(404, "There is no such file.", "")
    return Response(found[0], media_type=found[1], headers={"cache-control": "no-cache"})


async def _picture(request: Request) -> Response:
    return JSONResponse(telling.picture(_desk(request)))


def _tile(request: Request) -> Response:
    desk, asked = _desk(request), request.path_params
    area = desk.pictures.grid.tile(asked["level"], asked["column"], asked["row"])
    rev = desk.edits.rev
    try:
        if area is None:
            raise KeyError
        data, kind = desk.tile(asked["layer"], area)
    except KeyError:
        return refused(404, "There is no such tile.", "")
    kept = request.query_params.get("r") == str(rev) == str(desk.edits.rev) and desk.pictures.fused.done
    return Response(data, media_type=kind, headers={"cache-control": _KEPT} if kept else None)


async def _at(request: Request) -> Response:
    place = [_number(request, name) for name in ("x", "y")]
    return JSONResponse(telling.at(_desk(request), *place))


def _number(request: Request, name: str) -> float:
    try:
        value = float(request.query_params.get(name, ""))
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e6:
        raise HTTPException(422, f"{name} is no place in the picture.")
    return value


async def _gaps(request: Request) -> Response:
    return JSONResponse(_desk(request).planes.gaps())


async def _work(request: Request) -> Response:
    return JSONResponse(telling.work(_desk(request)))


def failed(request: Request, error: Exception) -> Response:
    """A sentence and its remedy for whatever went wrong."""
    del request
    if isinstance(error, NotYetError):
        return refused(503, error.message, error.remedy)
    if isinstance(error, GpustackError):
        return refused(422, error.message, error.remedy)
    if isinstance(error, HTTPException):
        return too_large() if error.status_code == 413 else refused(error.status_code, error.detail, "")
    return refused(500, "This went wrong in gpustack itself.", "Look at the terminal, and report it.")


def routes() -> list[Any]:
    """All there are."""
    return [
        Route("/", _page),
        Route("/static/{name}", _named),
        Route("/api/picture", _picture),
        Route("/api/at", _at),
        Route("/api/gaps", _gaps),
        Route("/api/work", _work),
        Route("/tile/{layer}/{level:int}/{column:int}/{row:int}", _tile),
        *editroutes.ROUTES,
    ]
