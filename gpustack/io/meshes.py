"""Meshes as files: PLY, OBJ, STL and GLB, as the name ends."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]
Triangles = npt.NDArray[np.int32]
Colours = npt.NDArray[np.uint8]

MESH_ENDINGS = (".ply", ".obj", ".stl", ".glb")

_LINES = 100_000
"""Lines of text made at a time."""

_GLTF, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
_FLOAT, _UINT32, _VERTICES, _INDICES = 5126, 5125, 34962, 34963


def write_ply(
    file: BinaryIO, points: Points, normals: Points, triangles: Triangles, colours: Colours | None
) -> None:
    """Binary, little-endian, with normals, and a colour at each point."""
    fields = [("point", "<f4", 3), ("normal", "<f4", 3)] + ([] if colours is None else [("colour", "u1", 3)])
    vertices = np.empty(len(points), np.dtype(fields))
    vertices["point"], vertices["normal"] = points, normals
    names = [f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz")]
    if colours is not None:
        vertices["colour"] = colours
        names += [f"property uchar {name}" for name in ("red", "green", "blue")]
    faces = np.empty(len(triangles), np.dtype([("count", "u1"), ("corners", "<i4", 3)]))
    faces["count"], faces["corners"] = 3, triangles
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}", *names]
    head += [f"element face {len(triangles)}", "property list uchar int vertex_indices", "end_header", ""]
    file.write("\n".join(head).encode())
    file.write(vertices.tobytes())
    file.write(faces.tobytes())


def write_obj(
    file: BinaryIO, points: Points, normals: Points, triangles: Triangles, colours: Colours | None
) -> None:
    """Text; colours stand behind the positions, as most programs read them."""
    rows: npt.NDArray[Any] = points if colours is None else np.hstack([points, colours / 255])
    _write_lines(file, "v", rows, "%.6g")
    _write_lines(file, "vn", normals, "%.4g")
    _write_lines(file, "f", np.repeat(triangles + 1, 2, axis=1), "%d", pattern="f %d//%d %d//%d %d//%d\n")


def _write_lines(file: BinaryIO, mark: str, rows: npt.NDArray[Any], form: str, pattern: str = "") -> None:
    line = pattern or f"{mark} {' '.join([form] * rows.shape[1])}\n"
    for first in range(0, len(rows), _LINES):
        part = rows[first : first + _LINES]
        file.write((line * len(part) % tuple(part.ravel().tolist())).encode())


def write_stl(
    file: BinaryIO, points: Points, normals: Points, triangles: Triangles, colours: Colours | None
) -> None:
    """Binary; the format has neither colours nor normals of points."""
    del normals, colours
    corners = points[triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-30)
    facets = np.zeros(
        len(triangles), np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("", "<u2")])
    )
    facets["normal"], facets["corners"] = facing, corners
    file.write(b"gpustack".ljust(80) + struct.pack("<I", len(facets)))
    file.write(facets.tobytes())


def write_glb(
    file: BinaryIO,
    points: Points,
    normals: Points,
    places: Points,
    triangles: Triangles,
    texture: bytes | None,
) -> None:
    """glTF 2.0 in one file; `texture` is a JPEG, `places` (n, 2) where a point lies in it. The unit is the
    metre."""
    parts = [
        ("POSITION", points, _VERTICES),
        ("NORMAL", normals, _VERTICES),
        ("TEXCOORD_0", places, _VERTICES),
        ("indices", triangles.ravel().astype("<u4"), _INDICES),
    ]
    blob = b"".join(np.ascontiguousarray(array).tobytes() for _, array, _ in parts)
    scene = _scene(parts, points, len(blob), texture)
    chunks = [
        (_JSON, _padded(json.dumps(scene).encode(), b" ")),
        (_BIN, _padded(blob + (texture or b""), b"\0")),
    ]
    size = 12 + sum(8 + len(body) for _, body in chunks)
    file.write(struct.pack("<III", _GLTF, 2, size))
    for kind, body in chunks:
        file.write(struct.pack("<II", len(body), kind) + body)


def _scene(
    parts: list[tuple[str, npt.NDArray[Any], int]], points: Points, blob: int, texture: bytes | None
) -> dict[str, Any]:
    """The JSON of a GLB (glTF 2.0, 3.6 and 5)."""
    views, accessors, at = [], [], 0
    for number, (name, array, target) in enumerate(parts):
        views.append({"buffer": 0, "byteOffset": at, "byteLength": array.nbytes, "target": target})
        kind = "SCALAR" if name == "indices" else f"VEC{array.shape[1]}"
        accessors.append(
            {"bufferView": number, "count": len(array), "type": kind,
             "componentType": _UINT32 if name == "indices" else _FLOAT}
        )  # fmt: skip
        at += array.nbytes
    accessors[0] |= {"min": points.min(axis=0).tolist(), "max": points.max(axis=0).tolist()}
    surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
    images: dict[str, Any] = {}
    if texture is not None:
        views.append({"buffer": 0, "byteOffset": blob, "byteLength": len(texture)})
        images = {
            "images": [{"bufferView": len(parts), "mimeType": "image/jpeg"}],
            "textures": [{"source": 0}],
        }
        surface["baseColorTexture"] = {"index": 0}
    attributes = {name: number for number, (name, _, _) in enumerate(parts) if name != "indices"}
    primitive = {"attributes": attributes, "indices": len(parts) - 1, "material": 0}
    return {
        "asset": {"version": "2.0", "generator": "gpustack"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [{"pbrMetallicRoughness": surface, "doubleSided": True}],
        "buffers": [{"byteLength": blob + len(texture or b"")}],
        "bufferViews": views,
        "accessors": accessors,
    } | images


def _padded(body: bytes, filler: bytes) -> bytes:
    return body + filler * (-len(body) % 4)


Writer = Callable[[BinaryIO, Points, Points, Triangles, "Colours | None"], None]
PLAIN_WRITERS: dict[str, Writer] = {".ply": write_ply, ".obj": write_obj, ".stl": write_stl}
