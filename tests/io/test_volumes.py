"""Stacks of microscopes: slices, channels and measures, as tifffile writes them for ImageJ and OME."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

import gpustack
from gpustack.depth.relief import Scale
from gpustack.errors import DecodeError, UsageError
from gpustack.io.decode import Decoder, probe
from gpustack.io.metadata import description, read_metadata
from gpustack.io.planes import depth_description, read_depth_description
from gpustack.io.told import Voxel
from gpustack.settings import Export, Model, Settings

DEPTH, HEIGHT, WIDTH = 4, 24, 32
IMAGEJ = {"spacing": 2.5, "unit": "um"}
OME = {"PhysicalSizeX": 0.65, "PhysicalSizeXUnit": "µm", "PhysicalSizeZ": 2500, "PhysicalSizeZUnit": "nm"}
VOXEL = Voxel(0.65, 2.5)


def slices(*shape: int, dtype: str = "uint16") -> npt.NDArray[Any]:
    values = np.random.default_rng(1).integers(0, 1 << 8, (*shape, HEIGHT, WIDTH))
    return values.astype(dtype)


def imagej(path: Path, data: npt.NDArray[Any], axes: str, **more: Any) -> Path:
    tifffile.imwrite(
        path, data, imagej=True, resolution=(1 / 0.65, 1 / 0.65), metadata={**IMAGEJ, "axes": axes, **more}
    )
    return path


def ome(path: Path, data: npt.NDArray[Any], axes: str, **more: Any) -> Path:
    tifffile.imwrite(path, data, photometric="minisblack", metadata={**OME, "axes": axes, **more}, ome=True)
    return path


@pytest.mark.parametrize("write", [imagej, ome])
def test_slices_are_frames_with_their_measures(write: Any, tmp_path: Path) -> None:
    data = slices(DEPTH)
    frames = probe(write(tmp_path / "a.tif", data, "ZYX"))
    decode = Decoder(frames[0])
    assert len(frames) == DEPTH
    for frame, wanted in zip(frames, data, strict=True):
        np.testing.assert_array_equal(decode(frame)[..., 0], wanted)
    found = read_metadata(frames[1])
    assert found.voxel is not None
    assert (found.voxel.pixel_um, found.voxel.step_um) == (pytest.approx(0.65, rel=1e-5), 2.5)
    assert found.resolution == pytest.approx((25400 / 0.65,) * 2, rel=1e-4)


@pytest.mark.parametrize(
    ("write", "axes"),
    [(imagej, "ZCYX"), (ome, "ZCYX"), (ome, "CZYX")],
    ids=["imagej", "ome by slice", "ome by channel"],
)
@pytest.mark.parametrize("channels", [2, 3])
def test_channels_become_colours(write: Any, axes: str, channels: int, tmp_path: Path) -> None:
    data = slices(DEPTH, channels)
    stored = data if axes[0] == "Z" else np.swapaxes(data, 0, 1)
    frames = probe(write(tmp_path / "a.tif", stored, axes))
    decode = Decoder(frames[0])
    assert [(frame.channels, frame.page) for frame in frames] == [(3, index) for index in range(DEPTH)]
    for frame, wanted in zip(frames, data, strict=True):
        pixels = decode(frame)
        np.testing.assert_array_equal(np.moveaxis(pixels[..., :channels], -1, 0), wanted)
        assert not pixels[..., channels:].any()


def test_slices_in_colour_stay_so(tmp_path: Path) -> None:
    data = np.moveaxis(slices(DEPTH, 3, dtype="uint8"), 1, -1)
    frames = probe(imagej(tmp_path / "a.tif", data, "ZYXS"))
    assert [frame.channels for frame in frames] == [3] * DEPTH
    np.testing.assert_array_equal(Decoder(frames[0])(frames[2]), data[2])


@pytest.mark.parametrize("order", ["<", ">"])
def test_slices_behind_one_page_are_found(order: str, tmp_path: Path) -> None:
    """As ImageJ writes files over 4 GB: one directory, the slices one after the other."""
    path, data = tmp_path / "a.tif", slices(DEPTH)
    text = f"ImageJ=1.54f\nimages={DEPTH}\nslices={DEPTH}\nunit=um\nspacing=2.5\n"
    tifffile.imwrite(
        path, data[0], photometric="minisblack", description=text, metadata=None, byteorder=order
    )
    with path.open("ab") as file:
        with tifffile.TiffFile(path) as tif:
            start = tif.pages[0].dataoffsets[0]
        file.truncate(start + data[0].nbytes)
        file.seek(0, 2)
        for each in data[1:]:
            file.write(each.astype(f"{order}u2").tobytes())
    frames = probe(path)
    assert [frame.name for frame in frames] == [f"a.tif[{index}]" for index in range(DEPTH)]
    decode = Decoder(frames[0])
    for frame, wanted in zip(frames, data, strict=True):
        np.testing.assert_array_equal(decode(frame)[..., 0], wanted)


@pytest.mark.parametrize(
    ("write", "data", "axes", "says"),
    [
        (imagej, slices(3, DEPTH), "TZYX", "3 points in time"),
        (ome, slices(3, DEPTH), "TZYX", "3 points in time"),
        (imagej, slices(DEPTH, 5), "ZCYX", "5 channels a slice"),
        (ome, slices(DEPTH, 4), "ZCYX", "4 channels a slice"),
    ],
    ids=["imagej-time", "ome-time", "imagej-channels", "ome-channels"],
)
def test_other_axes_are_refused(write: Any, data: Any, axes: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=says):
        probe(write(tmp_path / "a.tif", data, axes))


@pytest.mark.parametrize(
    "text",
    [
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><OME>&b;</OME>',
        '<?xml version="1.0"?><OME><Image><Pixels SizeZ="many" PhysicalSizeZ="-"/></Image></OME>',
        '<?xml version="1.0"?><OME><Image><Pixels SizeZ="9999999999999" SizeC="7"/></Image></OME>',
        '<?xml version="1.0"?><OME',
    ],
)
def test_broken_descriptions_leave_pages_as_they_are(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path, slices(DEPTH), photometric="minisblack", description=text + "</OME>", metadata=None
    )
    frames = probe(path)
    assert len(frames) == DEPTH
    assert Decoder(frames[0])(frames[3]).shape == (HEIGHT, WIDTH, 1)


def test_the_depth_map_knows_step_and_pixel(tmp_path: Path) -> None:
    path = imagej(tmp_path / "a.tif", slices(9, dtype="uint8"), "ZYX")
    stack = gpustack.open_stack([path], every=2)
    result = gpustack.stack(stack, Settings(align=Model.NONE, depth=True))
    result.save_depth(tmp_path / "d.tif")
    with tifffile.TiffFile(tmp_path / "d.tif") as tif:
        assert tif.pages[0].description == "depth in frames, 0 to 4; 5 um a frame; 0.65 um a pixel"
    depth = gpustack.open_depth(tmp_path / "d.tif")
    assert depth.save(tmp_path / "h.tif") is Export.HEIGHT
    with tifffile.TiffFile(tmp_path / "h.tif") as tif:
        assert tif.pages[0].description == "height in micrometres above the farthest frame, 0 to 20"
        np.testing.assert_allclose(tif.asarray(), (4 - depth.depth) * 5, atol=1e-4)
    assert depth.whole_scale == Scale(5.0, 0.65)
    own = gpustack.open_depth(tmp_path / "d.tif", scale=Scale(step_um=7.0))
    assert own.whole_scale == Scale(7.0, 0.65)
    assert own.save(tmp_path / "again.tif", Export.DEPTH) is Export.DEPTH
    assert description(read_metadata(probe(tmp_path / "again.tif")[0])) == (
        "depth in frames, 0 to 4; 5 um a frame; 0.65 um a pixel"
    )


def test_a_step_alone_makes_heights_and_meshes_without_a_unit(tmp_path: Path) -> None:
    path = tmp_path / "d.tif"
    text = depth_description(3.0, Voxel(None, 2.0))
    tifffile.imwrite(path, np.full((8, 9), 3, np.float32), description=text, metadata=None)
    depth = gpustack.open_depth(path)
    assert depth.fitting(Path("h.tif")) is Export.HEIGHT
    assert not depth.whole_scale.known
    depth.save(tmp_path / "m.ply")
    with pytest.raises(UsageError, match="one direction only"):
        gpustack.open_depth(path, scale=Scale(step_um=1.0)).save(tmp_path / "n.ply")


@pytest.mark.parametrize("voxel", [None, Voxel(), VOXEL, Voxel(None, 2.5), Voxel(0.65, None)])
def test_descriptions_are_read_as_they_are_written(voxel: Voxel | None) -> None:
    assert read_depth_description(depth_description(31.0, voxel)) == (31.0, voxel or Voxel())
    assert read_depth_description("a hand-made plane") == (None, Voxel())
