"""`gpustack depth`: every kind of file from one depth map, and what it refuses."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
import tifffile
import trimesh
from PIL import Image

from gpustack.io.write import write_plane
from tests.cli.calling import HEIGHT, WIDTH, assert_refused, call, pixels, shots

TOP = 7.0
DEPTH = np.linspace(0, TOP, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)


@pytest.fixture
def depth(tmp_path: Path) -> Path:
    return written(tmp_path / "depth.png")


def written(path: Path) -> Path:
    text = f"depth in frames, 0 to {TOP:.0f}"
    write_plane(path, DEPTH, top=TOP, overwrite=False, software="test", description=text)
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    tifffile.imwrite(tmp_path / "picture.tif", shots(1)[0], photometric="rgb")
    return tmp_path / "picture.tif"


@pytest.mark.parametrize("name", ["depth.tif", "depth.png"])
def test_depth_comes_through(tmp_path: Path, name: str) -> None:
    source = written(tmp_path / name)
    result = call("depth", source, "-o", tmp_path / "out.tif")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.endswith("out.tif: depth\n")
    np.testing.assert_allclose(tifffile.imread(tmp_path / "out.tif"), DEPTH, atol=TOP / 65535)


def test_heights_in_micrometres(depth: Path, tmp_path: Path) -> None:
    for name in ("out.tif", "out.exr", "out.png"):
        assert call("depth", depth, "-o", tmp_path / name, "--step-um", "50").exit_code == 0
    wanted = (TOP - DEPTH) * 50
    np.testing.assert_allclose(tifffile.imread(tmp_path / "out.tif"), wanted, atol=0.01)
    channels = OpenEXR.File(str(tmp_path / "out.exr")).channels()
    np.testing.assert_allclose(channels["Z"].pixels, wanted, atol=0.01)
    found = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(found / 65535 * TOP * 50, wanted, atol=0.02)
    with Image.open(tmp_path / "out.png") as image:
        assert image.getexif()[270] == "height in micrometres above the farthest frame, 0 to 350"


def test_the_last_frame_may_be_the_nearest(depth: Path, tmp_path: Path) -> None:
    call("depth", depth, "-o", tmp_path / "out.tif", "--step-um", "1", "--near", "last")
    np.testing.assert_allclose(tifffile.imread(tmp_path / "out.tif"), DEPTH, atol=0.001)


@pytest.mark.parametrize("ending", ["ply", "obj", "stl", "glb"])
def test_meshes_have_their_true_size(depth: Path, picture: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"out.{ending}"
    scale = ("--step-um", "50", "--um-per-px", "4", "--picture", picture)
    result = call("depth", depth, "-o", out, *scale)
    assert result.exit_code == 0, result.stderr
    found = trimesh.load(io.BytesIO(out.read_bytes()), file_type=ending, force="mesh", process=False)
    unit = 1e-6 if ending == "glb" else 1e-3
    wanted = np.array([(WIDTH - 1) * 4, (HEIGHT - 1) * 4, TOP * 50]) * unit
    np.testing.assert_allclose(found.extents, wanted, rtol=1e-3)
    if ending in ("ply", "obj"):
        np.testing.assert_allclose(found.visual.vertex_colors[:, :3], shots(1)[0].reshape(-1, 3), atol=1)


@pytest.mark.parametrize("ending", ["gif", "webp", "apng"])
def test_an_animation_moves_and_has_no_end(depth: Path, picture: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"out.{ending}"
    result = call("depth", depth, "-o", out, "--picture", picture, "--width", "100", "--parallax", "0.1")
    assert result.exit_code == 0, result.stderr
    with Image.open(out) as image:
        assert image.size[0] == 100
        assert image.n_frames >= 20
        assert image.info.get("loop", 0) == 0


@pytest.mark.parametrize(("kind", "wide"), [("normals", 1), ("anaglyph", 1), ("stereo", 2)])
def test_pictures(depth: Path, picture: Path, tmp_path: Path, kind: str, wide: int) -> None:
    out = tmp_path / "out.png"
    result = call("depth", depth, "-o", out, "--as", kind, "--picture", picture)
    assert result.exit_code == 0, result.stderr
    assert pixels(out).shape == (HEIGHT, wide * WIDTH, 3)
    assert len(np.unique(pixels(out))) > 5


def test_nothing_is_overwritten_unasked(depth: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.ply"
    out.write_bytes(b"mine")
    assert_refused(call("depth", depth, "-o", out), 1, "exists already", "--overwrite")
    assert out.read_bytes() == b"mine"
    assert call("depth", depth, "-o", out, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["-o", "out.xyz"], 2, "format of out.xyz"),
        (["-o", "out.jpg", "--as", "depth"], 2, "format of out.jpg"),
        (["-o", "out.gif"], 2, "--picture"),
        (["-o", "out.png", "--as", "height"], 2, "--step-um"),
        (["-o", "out.ply", "--step-um", "5"], 2, "--um-per-px"),
        (["-o", "out.ply", "--triangles", "1"], 2, "triangles"),
        (["-o", "out.tif", "--frames", "0"], 2, "no 0 frames"),
        (["-o", "out.ply", "--relief", "0"], 2, "no length"),
    ],
)
def test_what_does_not_fit_is_refused(
    depth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(call("depth", depth, *options), code, said)
    assert [path.name for path in tmp_path.iterdir()] == ["depth.png"]


def test_a_parallax_that_nobody_can_look_at(depth: Path, picture: Path, tmp_path: Path) -> None:
    given = ("-o", tmp_path / "out.gif", "--picture", picture, "--parallax", "0.5")
    assert_refused(call("depth", depth, *given), 2, "parallax")


def test_a_picture_of_another_size_or_no_depth_map(depth: Path, picture: Path, tmp_path: Path) -> None:
    assert_refused(call("depth", picture, "-o", tmp_path / "out.tif"), 3, "no depth map")
    tifffile.imwrite(tmp_path / "small.tif", shots(1)[0][:-1], photometric="rgb")
    given = ("-o", tmp_path / "out.glb", "--picture", tmp_path / "small.tif")
    assert_refused(call("depth", depth, *given), 3, "one run")


def test_a_foreign_map_needs_the_number_of_frames(tmp_path: Path) -> None:
    coded = np.round(DEPTH / TOP * 65535).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "foreign.png"), coded)
    assert_refused(call("depth", tmp_path / "foreign.png", "-o", tmp_path / "out.tif"), 2, "--frames")
    assert call("depth", tmp_path / "foreign.png", "-o", tmp_path / "out.tif", "--frames", "8").exit_code == 0
    np.testing.assert_allclose(tifffile.imread(tmp_path / "out.tif"), DEPTH, atol=0.001)
