"""Mesh files, read back by another library."""

from __future__ import annotations

import io
from typing import Any

import imagecodecs
import numpy as np
import pytest
import trimesh

from gpustack.depth.mesh import mesh
from gpustack.io.meshes import PLAIN_WRITERS, write_glb

Y, X = np.mgrid[:12, :17].astype(np.float32)
FOUND = mesh(np.sin(X / 3) + Y / 4, 0.5, 10_000)
COLOURS = np.random.default_rng(0).integers(0, 256, (len(FOUND.points), 3), np.uint8)


def loaded(data: bytes, ending: str) -> Any:
    return trimesh.load(io.BytesIO(data), file_type=ending[1:], force="mesh", process=False)


@pytest.mark.parametrize("ending", PLAIN_WRITERS)
@pytest.mark.parametrize("colours", [None, COLOURS], ids=["plain", "coloured"])
def test_other_programs_read_the_same_surface(ending: str, colours: Any) -> None:
    file = io.BytesIO()
    PLAIN_WRITERS[ending](file, FOUND.points, FOUND.normals, FOUND.triangles, colours)
    back = loaded(file.getvalue(), ending)
    np.testing.assert_allclose(back.triangles, FOUND.points[FOUND.triangles], atol=1e-4)
    if colours is not None and ending != ".stl":
        np.testing.assert_allclose(back.visual.vertex_colors[:, :3], colours, atol=1)


@pytest.mark.parametrize("textured", [False, True])
def test_a_glb_has_its_surface_and_its_texture(textured: bool) -> None:
    texture = imagecodecs.jpeg8_encode(np.full((8, 10, 3), 77, np.uint8)) if textured else None
    file = io.BytesIO()
    write_glb(file, FOUND.points, FOUND.normals, FOUND.places, FOUND.triangles, texture)
    data = file.getvalue()
    assert len(data) % 4 == 0
    assert int.from_bytes(data[8:12], "little") == len(data)
    back = loaded(data, ".glb")
    np.testing.assert_allclose(back.triangles, FOUND.points[FOUND.triangles], atol=1e-6)
    np.testing.assert_allclose(back.vertex_normals, FOUND.normals, atol=0.01)  # trimesh makes its own
    if textured:
        assert back.visual.material.baseColorTexture.size == (10, 8)
        np.testing.assert_allclose(back.visual.uv[0], [FOUND.places[0, 0], 1 - FOUND.places[0, 1]], atol=1e-6)
