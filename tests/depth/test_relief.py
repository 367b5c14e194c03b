"""Heights, normals and meshes against planes and steps whose shape is known."""

from __future__ import annotations

import numpy as np
import pytest

from gpustack.depth.mesh import mesh
from gpustack.depth.relief import Scale, as_colours, heights_px, heights_um, nearness, normals
from gpustack.errors import UsageError

DEPTH = np.linspace(0, 9, 30, dtype=np.float32).reshape(5, 6)


def test_the_first_frame_is_nearest_unless_told_otherwise() -> None:
    near = nearness(DEPTH, 9, Scale())
    assert near[0, 0] == 1
    assert near[-1, -1] == 0
    np.testing.assert_allclose(nearness(DEPTH, 9, Scale(near_first=False)), 1 - near, atol=1e-6)


def test_heights_in_micrometres_and_in_pixels() -> None:
    scale = Scale(step_um=20, um_per_px=4)
    np.testing.assert_allclose(heights_um(DEPTH, 9, scale), (9 - DEPTH) * 20, rtol=1e-5)
    np.testing.assert_allclose(heights_px(DEPTH, 9, scale), (9 - DEPTH) * 5, rtol=1e-5)


def test_without_a_scale_the_relief_is_a_share_of_the_longer_side() -> None:
    assert np.ptp(heights_px(DEPTH, 9, Scale(relief=0.5))) == pytest.approx(3)


def test_half_a_scale_is_refused() -> None:
    with pytest.raises(UsageError, match="one direction"):
        heights_px(DEPTH, 9, Scale(step_um=20))
    with pytest.raises(UsageError, match="unit"):
        heights_um(DEPTH, 9, Scale(um_per_px=4))
    with pytest.raises(UsageError, match="no length"):
        Scale(step_um=-1)


def test_one_frame_is_flat() -> None:
    flat = np.zeros((4, 4), np.float32)
    assert np.ptp(heights_px(flat, 0, Scale())) == 0


def test_normals_of_a_plane() -> None:
    y, x = np.mgrid[:8, :9].astype(np.float32)
    found = normals(0.5 * x - 0.25 * y)
    # The plane rises to the right and, as y points up in space, upwards: its normal leans left and down.
    wanted = np.array([-0.5, -0.25, 1]) / np.linalg.norm([0.5, 0.25, 1])
    np.testing.assert_allclose(found, np.broadcast_to(wanted, found.shape), atol=1e-6)
    flat = as_colours(normals(np.zeros((3, 3), np.float32)))
    assert flat[1, 1].tolist() == [32768, 32768, 65535]


def test_a_mesh_spans_the_picture_and_faces_the_viewer() -> None:
    heights = np.add.outer(np.zeros(20), np.arange(30.0)).astype(np.float32)
    found = mesh(heights, 0.1, 10_000)
    assert len(found.points) == 600
    assert len(found.triangles) == 2 * 19 * 29
    np.testing.assert_allclose(np.ptp(found.points, axis=0), [2.9, 1.9, 2.9], rtol=1e-5)
    corners = found.points[found.triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (facing[:, 2] > 0).all()
    assert (np.einsum("ij,ij->i", facing, found.normals[found.triangles[:, 0]]) > 0).all()
    assert found.points[0, 1] > 0 > found.points[-1, 1]  # the first row is on top


@pytest.mark.parametrize("most", [2, 50, 300])
def test_a_mesh_keeps_its_limit_and_its_size(most: int) -> None:
    found = mesh(np.full((40, 60), 7, np.float32), 1.0, most)
    assert 2 <= len(found.triangles) <= most
    assert found.points[:, 2] == pytest.approx(7)
    assert np.abs(found.points[:, 0]).max() < 30


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_a_line_of_pixels_becomes_a_mesh(shape: tuple[int, int]) -> None:
    assert len(mesh(np.zeros(shape, np.float32), 1.0, 100).triangles) >= 2
