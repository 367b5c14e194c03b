"""Maps over a result: from files, and from one look at the frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import pytest
import tifffile

from gpustack import inspecting
from gpustack.io.metadata import Metadata
from gpustack.io.sidecar import sidecar_of
from gpustack.io.write import write_picture
from gpustack.scenes import Shoot, render
from gpustack.viewing import measuring
from gpustack.viewing.desk import Desk
from gpustack.viewing.grid import Area, Grid
from gpustack.viewing.plane import Plane
from gpustack.viewing.scale import CIVIDIS, NOTHING, VIRIDIS, Classes, Scale
from tests.cli.calling import write_tagged
from tests.viewing.stacks import client_of, decoded, opened, stacked

FRAMES = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered stack, its result, and the depth that the run found."""
    folder = tmp_path_factory.mktemp("scene")
    (folder / "frames").mkdir()
    rendered = render("dome", Shoot(FRAMES, 480, 320, breathing=0.02, drift_px=3.0, noise=1.0))
    for index in range(FRAMES):
        path = folder / f"frames/f{index}.png"
        write_picture(path, rendered.frame(index), Metadata(), overwrite=False, software="test")
    stacked(folder, "--depth", folder / "depth.tif")
    stacked(folder, name="plain.tif")
    return folder


@pytest.fixture(scope="module")
def desk(folder: Path) -> Iterator[Desk]:
    with opened(folder / "plain.tif") as desk:
        yield desk


def whole(desk: Desk) -> Area:
    return Area(0, 0, 0, *desk.pictures.shown.box[2:])


def values(desk: Desk, name: str) -> np.ndarray:
    scale = desk.planes.scales[name]
    assert isinstance(scale, Scale)
    return desk.planes.maps[name].plane.read(whole(desk)) * (scale.high / scale.most)


def test_depth_from_the_frames_is_near_that_of_the_run(folder: Path, desk: Desk) -> None:
    run = tifffile.imread(folder / "depth.tif")
    sure = values(desk, "confidence") > 0.8
    assert sure.mean() > 0.2
    assert np.abs(values(desk, "depth") - run)[sure].mean() < 0.4
    assert np.abs(values(desk, "winners") - run)[sure].mean() < 0.6


def test_a_smaller_look_gives_the_same_depth(folder: Path) -> None:
    run = tifffile.imread(folder / "depth.tif")
    with patch.object(measuring, "MOST_PIXELS", 480 * 320 // 3), opened(folder / "plain.tif") as desk:
        sure = values(desk, "confidence") > 0.8
        assert np.abs(values(desk, "depth") - run)[sure].mean() < 0.6


def test_a_file_of_depth_is_taken_as_it_is(folder: Path) -> None:
    with opened(folder / "sharp.tif") as desk:
        assert np.abs(values(desk, "depth") - tifffile.imread(folder / "depth.tif")).max() < 1e-3


@pytest.mark.parametrize("spoil", ["size", "gone"])
def test_a_file_that_does_not_fit_any_more_is_made_again(folder: Path, tmp_path: Path, spoil: str) -> None:
    for name in ("sharp.tif", "sharp.tif.gpustack.json", "depth.tif"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    depth = tmp_path / "depth.tif"
    if spoil == "gone":
        depth.unlink()
    else:
        tifffile.imwrite(depth, np.zeros((10, 10), np.float32))
    with opened(tmp_path / "sharp.tif", folder=folder / "frames") as desk:
        assert np.abs(values(desk, "depth") - tifffile.imread(folder / "depth.tif")).mean() < 1
        assert bool(desk.work.errors) is (spoil == "size")


def test_maps_are_coloured_as_their_legends_say(desk: Desk) -> None:
    client = client_of(desk)
    legends = {one["id"]: one["legend"] for one in client.get("/api/picture").json()["layers"]}
    shown = decoded(client.get("/tile/winners/0/0/0").content)
    winners = values(desk, "winners")
    stops = {round(value): colour for value, colour in legends["winners"]["stops"]}
    for frame in (0, FRAMES - 1):
        where = winners == frame
        assert where.any()
        rgb = [int(stops[frame][at : at + 2], 16) for at in (1, 3, 5)]
        assert (shown[where] == [*rgb, 255]).all()


def test_frames_that_are_missing_are_left_out_of_the_maps(folder: Path, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for path in (folder / "frames").iterdir():
        if path.name != "f2.png":
            (frames / path.name).write_bytes(path.read_bytes())
    with opened(folder / "plain.tif", folder=frames) as desk:
        winners = values(desk, "winners")
        assert not (winners == 2).any()
        assert (winners == FRAMES - 1).any()
        left, top, wide, high = desk.pictures.shown.box
        curve = client_of(desk).get(f"/api/at?x={left + wide / 2}&y={top + high / 2}").json()["curve"]
        assert [index for index, _ in curve] == [0, 1, 3, 4, 5, 6, 7]


def test_without_any_frame_the_result_is_shown_all_the_same(folder: Path, tmp_path: Path) -> None:
    with opened(folder / "sharp.tif", folder=tmp_path) as desk:
        assert any("missing" in error for error in desk.work.errors)
        client = client_of(desk)
        for layer in ("result", "depth"):
            assert client.get(f"/tile/{layer}/0/0/0").status_code == 200
        answer = client.get("/tile/winners/0/0/0")
        assert (answer.status_code, set(answer.json())) == (503, {"error", "remedy"})
        assert client.get("/tile/frame-0/0/0/0").status_code == 422


@pytest.mark.parametrize("orientation", [1, 6])
def test_gaps_are_those_of_inspect_turned_upright(tmp_path: Path, orientation: int) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    rendered = render("print", Shoot(24, 360, 240, max_blur_px=24.0, noise=0.5))
    for number, index in enumerate((0, 2, 4, 6, 14, 16, 18, 20, 22)):
        write_tagged(frames / f"f{number}.png", rendered.frame(index), orientation=orientation)
    result = stacked(tmp_path)
    wanted = inspecting.inspect_again(sidecar_of(result)).as_dict()["gaps"]
    assert [gap["side"] for gap in wanted].count("between")
    with opened(result) as desk:
        told = client_of(desk).get("/api/gaps").json()
        classes = desk.planes.maps["gaps"].plane.read(whole(desk))
        left, top, wide, high = desk.pictures.shown.box
        other = wanted[0]  # the largest: small ones come and go with a rounding
        (gap,) = (each for each in told["gaps"] if each["frames"] == other["frames"])
        assert gap["side"] == other["side"]
        assert gap["share"] == pytest.approx(other["share"], abs=0.02)
        box = desk.pictures.shown.turn.upright(tuple(other["box"]))
        assert np.abs(np.subtract(gap["box"], box)).max() <= 24, "within three cells"
        x, y, across, down = gap["box"]
        inside = classes[max(0, y - top) : y - top + down, max(0, x - left) : x - left + across]
        assert inside.any()
        assert classes.shape == (high, wide)


def test_planes_are_read_at_any_size(tmp_path: Path) -> None:
    grid = Grid(2000, 1200)
    ramp = np.tile(np.linspace(0, 60_000, 1000).astype(np.uint16), (600, 1))
    plane = Plane(ramp, grid, tmp_path / "p", between=True)
    for level in range(grid.levels):
        area = Area(level, 0, 0, *grid.size(level))
        x = ((np.arange(area.width) + 0.5) * 2**level) / 2000
        wanted = np.clip(x * 1000 - 0.5, 0, 999) * 60_000 / 999
        inside = slice(1, -1)
        found = plane.read(area).astype(float)[area.height // 2]
        assert np.abs(found - wanted)[inside].max() < 150
    part = Area(0, 700, 300, 100, 50)
    assert np.array_equal(plane.read(part), plane.read(Area(0, 0, 0, 2000, 1200))[part.slices])


def test_names_are_never_mixed(tmp_path: Path) -> None:
    names = np.random.default_rng(0).choice([3, 900, NOTHING], (300, 400)).astype(np.uint16)
    plane = Plane(names, Grid(3000, 2250), tmp_path / "p", between=False)
    for level in (0, 2):
        assert set(np.unique(plane.read(Area(level, 0, 0, 500, 500)))) <= {3, 900, NOTHING}
    assert plane.at(0, 0) == names[0, 0]
    assert plane.at(2999.9, 2249.9) == names[-1, -1]


@pytest.mark.parametrize("stops", [VIRIDIS, CIVIDIS])
def test_scales_rise_evenly_in_lightness(stops: tuple[int, ...]) -> None:
    palette = Scale(1.0, 100, stops, "").palette[1::16, :3]
    lab = cv2.cvtColor((palette[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    steps = np.diff(lab[:, 0])
    assert steps.min() > 0.5 * steps.mean()
    assert steps.max() < 1.6 * steps.mean()


def test_samples_are_values_again() -> None:
    scale = Scale(7.0, 65_534, VIRIDIS, "frame")
    values = np.array([0.0, 1.25, 6.9999, 7.0, 9.0, -1.0], np.float32)
    back = [scale.value(int(sample)) for sample in scale.samples(values)]
    assert back == pytest.approx([0, 1.25, 6.9999, 7, 7, 0], abs=2e-4)
    assert scale.value(NOTHING) is None
    assert scale.indices(np.array([NOTHING, 0, 65_534], np.uint16)).tolist() == [0, 1, 255]


def test_classes_are_clear_where_there_is_none() -> None:
    classes = Classes([("a", 0xFF0000), ("b", 0x00FF00)])
    assert classes.palette.tolist() == [[0, 0, 0, 0], [255, 0, 0, 255], [0, 255, 0, 255]]
