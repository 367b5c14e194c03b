"""What the page asks about strokes, and what it is answered."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gpustack.viewing.editing import STEPS, Edits


def _edits(request: Request) -> Edits:
    edits: Edits = request.app.state.desk.edits
    return edits


def _listed(request: Request) -> Response:
    return JSONResponse(_edits(request).as_dict())


async def _added(request: Request) -> Response:
    body = await request.body()
    return JSONResponse(await run_in_threadpool(_edits(request).add, body))


def _stepped(request: Request) -> Response:
    return JSONResponse(_edits(request).step(request.url.path.rpartition("/")[2]))


def _saved(request: Request) -> Response:
    return JSONResponse(_edits(request).save())


ROUTES = [
    Route("/api/edits", _listed),
    Route("/api/edits/add", _added, methods=["POST"]),
    Route("/api/edits/save", _saved, methods=["POST"]),
    *(Route(f"/api/edits/{how}", _stepped, methods=["POST"]) for how in STEPS),
]
