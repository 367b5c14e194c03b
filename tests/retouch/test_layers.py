"""Layers of retouched pictures: together they are the picture, and beyond its mask a layer is the frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import psdtags
import pytest
import tifffile
from psd_tools import PSDImage
from psd_tools.composite import composite

from gpustack.errors import UsageError, WriteError
from gpustack.model.frame import PixelType
from gpustack.retouch.applying import apply
from gpustack.retouch.layers import LayersWish
from gpustack.retouch.strokes import Erase, PictureSource
from gpustack.settings import Settings
from tests.retouch.results import Bench, Pixels, brush, polygon, stacked, write_frames

MACHINE = Settings(threads=1)
STROKES = (
    brush((60, 100), (300, 100), frame=0, radius=30.0, opacity=0.8),
    polygon((90, 30), (280, 80), (200, 180), frame=3, opacity=0.6, feather=30.0),
    brush((180, 40), (180, 200), frame=0, radius=15.0, hardness=0.0),
    replace(brush((220, 40), (220, 200), radius=12.0), source=Erase()),
    brush((60, 190), (120, 200), frame=2, radius=20.0, match=False),
)


@pytest.fixture(scope="module", params=[PixelType.UINT8, PixelType.UINT16])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    home = tmp_path_factory.mktemp("layers")
    write_frames(home / "frames", kind=request.param)
    return Bench(stacked(home))


def white(pixels: Pixels) -> float:
    return float(np.iinfo(pixels.dtype).max)


def test_together_they_are_the_retouched_picture(bench: Bench, tmp_path: Path) -> None:
    done = apply(bench.draw(*STROKES), layers=LayersWish(tmp_path / "l.psd"), machine=MACHINE)
    assert done.layers == tmp_path / "l.psd"
    psd = PSDImage.open(done.layers)
    assert [layer.name for layer in psd] == ["Fused", "f0.tif", "f3.tif", "f2.tif"]
    assert np.array_equal(np.rint(psd.numpy() * white(done.pixels)), done.pixels)
    together = np.asarray(composite(psd, force=True)[0]) * white(done.pixels)
    assert np.abs(together - done.pixels).max() < 1.6  # each layer rounds once
    assert np.array_equal(np.rint(psd[0].numpy("color") * white(done.pixels)), bench.pixels())


def test_beyond_its_mask_a_layer_is_the_aligned_frame(bench: Bench, tmp_path: Path) -> None:
    done = apply(bench.draw(*STROKES), layers=LayersWish(tmp_path / "l.psd"), machine=MACHINE)
    assert done.layers is not None
    aligned = bench.aligned()
    for layer, index in zip(list(PSDImage.open(done.layers))[1:], (0, 3, 2), strict=True):
        left, top, right, bottom = layer.bbox
        outside = layer.numpy("mask")[..., 0] == 0
        seen = layer.numpy("shape")[..., 0] == 1
        assert outside.any()
        pixels = np.rint(layer.numpy("color") * white(done.pixels))
        apart = np.abs(pixels - aligned[index][top:bottom, left:right])[outside & seen]
        assert apart.max() <= max(1, white(done.pixels) * 5e-4)


def test_a_layered_tiff_shows_the_retouched_picture(bench: Bench, tmp_path: Path) -> None:
    done = apply(bench.draw(*STROKES), layers=LayersWish(tmp_path / "l.tif"), machine=MACHINE)
    with tifffile.TiffFile(tmp_path / "l.tif") as file:
        assert np.array_equal(file.asarray(), done.pixels)
        layers = psdtags.TiffImageSourceData.fromtiff(tmp_path / "l.tif").layers
    assert [layer.name for layer in layers] == ["Fused", "f0.tif", "f3.tif", "f2.tif"]


def test_without_strokes_there_is_the_picture(bench: Bench, tmp_path: Path) -> None:
    apply(bench.draw(), layers=LayersWish(tmp_path / "l.psd"), machine=MACHINE)
    assert [layer.name for layer in PSDImage.open(tmp_path / "l.psd")] == ["Fused"]


def test_another_result_is_a_layer_where_it_reaches(bench: Bench, tmp_path: Path) -> None:
    stacked(bench.path.parent, "--method", "average", "--crop", "auto", "-y", name="other.tif")
    stroke = replace(
        polygon((-9, -9), (200, -9), (200, 200), (-9, 200), feather=0.0), source=PictureSource("other.tif")
    )
    done = apply(bench.draw(stroke), layers=LayersWish(tmp_path / "l.psd"), machine=MACHINE)
    psd = PSDImage.open(tmp_path / "l.psd")
    assert psd[1].name == "other.tif"
    assert (psd[1].numpy("shape")[0] == 0).all()
    together = np.asarray(composite(psd, force=True)[0]) * white(done.pixels)
    assert np.abs(together - done.pixels).max() < 1.1


def test_what_cannot_be_written_is_refused_before_any_work(bench: Bench, tmp_path: Path) -> None:
    edits = bench.draw(*STROKES)
    with pytest.raises(UsageError, match=r"\.psd, \.psb, \.tif or \.tiff"):
        apply(edits, layers=LayersWish(tmp_path / "l.png"), machine=MACHINE)
    (tmp_path / "l.psd").write_bytes(b"mine")
    with pytest.raises(WriteError, match="exists"):
        apply(edits, layers=LayersWish(tmp_path / "l.psd"), machine=MACHINE)
    assert (tmp_path / "l.psd").read_bytes() == b"mine"


def test_floating_point_is_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", kind=PixelType.FLOAT32)
    bench = Bench(stacked(tmp_path))
    with pytest.raises(UsageError, match="floating point"):
        apply(bench.draw(brush((60, 60))), layers=LayersWish(tmp_path / "l.psd"), machine=MACHINE)
