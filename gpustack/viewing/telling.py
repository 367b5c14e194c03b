"""What the page is told of the result, in plain values; places are pixels of the upright reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpustack.errors import GpustackError
from gpustack.model.transform import Transform
from gpustack.viewing.desk import Desk
from gpustack.viewing.grid import TILE, Area, Grid
from gpustack.viewing.planes import NAMES


def picture(desk: Desk) -> dict[str, Any]:
    """The result, its frames and its layers."""
    shown = desk.pictures.shown
    wide, high = shown.turn.size
    return {
        "name": shown.path.name,
        "width": shown.box[2],
        "height": shown.box[3],
        "box": list(shown.box),
        "reference": {"width": wide, "height": high, "index": shown.sidecar.reference},
        "tile": TILE,
        "levels": Grid.of(shown).levels,
        "bits": shown.picture.pixel_type.itemsize * 8,
        "rev": desk.edits.rev,
        "frames": [_frame(desk, index) for index in range(len(shown.sidecar.inputs))],
        "layers": _layers(desk),
        "others": [
            {"id": f"other-{n}", "name": one.picture.name, "source": desk.edits.source_of(one.picture.path)}
            for n, one in enumerate(desk.pictures.others)
        ],
        "warnings": shown.warnings,
        "settings": {name: _plain(value) for name, value in shown.sidecar.as_dict()["settings"].items()},
        "edits": True,
        "work": desk.work.now,
        "um_per_step": desk.planes.um_per_step,
        "method": shown.sidecar.report["method"],
    }


def _frame(desk: Desk, index: int) -> dict[str, Any]:
    shown = desk.pictures.shown
    row, place = shown.sidecar.report["frames"][index], shown.sidecar.places[index]
    problem = desk.pictures.frames.problem(index)
    linear = place.transform.matrix[:2, :2] / place.transform.matrix[2, 2]
    return {
        "index": index,
        "name": shown.name_of(index),
        "file": shown.sidecar.inputs[index].file,
        "page": shown.sidecar.inputs[index].page,
        "source": desk.edits.source(index),
        "used": place.used,
        "share": row["share"],
        "shaken": row["shaken"],
        "shift_px": _shift(desk, place.transform),
        "scale": float(np.sqrt(abs(np.linalg.det(linear)))),
        "rotation_deg": float(
            np.degrees(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))
        ),
        "gain": place.transform.gain,
        "residual_px": place.residual_px,
        "confidence": place.confidence,
        "problem": None if problem is None else str(problem),
    }


def _shift(desk: Desk, transform: Transform) -> list[float]:
    """How far the middle of the result lies from where the frame has it, upright, in pixels (x, y)."""
    shown = desk.pictures.shown
    to_stored, (_, _, width, height) = shown.to_stored, shown.box
    middle = np.array([[(width - 1) / 2, (height - 1) / 2]])
    stored = Transform(to_stored).apply(middle)
    moved = transform.apply(stored) - stored
    return [float(part) for part in (np.linalg.inv(to_stored[:2, :2]) @ moved[0])]


def _layers(desk: Desk) -> list[dict[str, Any]]:
    scales, maps, shown = desk.planes.scales, desk.planes.maps, desk.pictures.shown
    pictures = [("result", "Result"), ("original", "As fused")]
    pictures += [(f"other-{n}", one.picture.name) for n, one in enumerate(desk.pictures.others)]
    frames = [(f"frame-{n}", shown.name_of(n)) for n in range(len(shown.sidecar.inputs))]
    return [
        *(_layer(own, name, "picture") for own, name in pictures),
        *(
            _layer(own, name, "map", ready=own in maps, legend=scales[own].legend())
            for own, name in NAMES.items()
        ),
        *(_layer(own, name, "frame") for own, name in frames),
    ]


def _layer(own: str, name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"id": own, "name": name, "kind": kind, "ready": True, "legend": None} | more


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def work(desk: Desk) -> dict[str, Any]:
    """What goes on, which layers are there, and what failed."""
    ready = [layer["id"] for layer in _layers(desk) if layer["ready"]]
    return {"work": desk.work.now, "ready": ready, "errors": desk.work.errors}


def at(desk: Desk, x: float, y: float) -> dict[str, Any]:
    """What is known of a place of the upright reference; fields are null outside the result."""
    left, top, wide, high = desk.pictures.shown.box
    x, y = x - left, y - top
    if not (0 <= x < wide and 0 <= y < high):
        return desk.planes.nothing() | {"rgb": None}
    return desk.planes.at(x, y) | {"rgb": _colour(desk, int(x), int(y))}


def _colour(desk: Desk, column: int, row: int) -> list[int] | None:
    try:
        pixel = desk.pictures.fused.read(Area(0, column, row, 1, 1), wait_s=0.0)[0, 0]
    except GpustackError:
        return None
    return [int(level) for level in (pixel if len(pixel) > 1 else pixel.repeat(3))]
