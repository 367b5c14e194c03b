"""The strokes that are painted on the page."""

from __future__ import annotations

import threading
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gpustack.viewing.grid import Area
from gpustack.viewing.look import Look


class Edits:
    """The strokes, what can be redone, and a number that changes with them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._strokes: list[dict[str, Any]] = []
        self._undone: list[dict[str, Any]] = []
        self.rev = 0

    def over(self, look: Look, area: Area) -> Look:
        """An area of the result with the strokes painted."""
        del area
        return look

    def as_dict(self) -> dict[str, Any]:
        with self._lock:
            return {"gpustack_edits": 1, "strokes": list(self._strokes), "undone": len(self._undone)}

    def change(self, how: str, stroke: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if how == "add":
                self._strokes.append(stroke)
                self._undone.clear()
            elif how == "undo" and self._strokes:
                self._undone.append(self._strokes.pop())
            elif how == "redo" and self._undone:
                self._strokes.append(self._undone.pop())
            elif how == "clear":
                self._strokes.clear()
            self.rev += 1
            return {"rev": self.rev, "dirty": None, "undo": len(self._strokes), "redo": len(self._undone)}


async def _listed(request: Request) -> Response:
    return JSONResponse(request.app.state.desk.edits.as_dict())


async def _changed(request: Request) -> Response:
    how = request.path_params["how"]
    stroke = await request.json() if how == "add" else {}
    return JSONResponse(request.app.state.desk.edits.change(how, stroke))


ROUTES = [Route("/api/edits", _listed), Route("/api/edits/{how}", _changed, methods=["POST"])]
