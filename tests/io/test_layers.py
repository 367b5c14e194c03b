"""Layered files, read back by psd-tools, psdtags and ImageMagick, none of which wrote them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psdtags
import pytest
import tifffile
from psd_tools import PSDImage
from psd_tools.composite import composite
from psd_tools.constants import Resource

from gpustack.errors import WriteError
from gpustack.io import layers
from gpustack.io.colour import srgb_profile
from gpustack.io.exif import Exif
from gpustack.io.ifd import Entry
from gpustack.io.layers import layered_file
from gpustack.io.metadata import Metadata
from gpustack.io.psd.files import Base, opaque
from gpustack.io.psd.layers import Picture, Record
from gpustack.model.layer import Box

Pixels = npt.NDArray[Any]
HEIGHT, WIDTH = 90, 131
CAMERA = Exif(main=(Entry(271, 2, b"Maker\0"),))
NAMES = ("frame 1.jpg", "Bl\u00fcte \u2116 2.jpg")
BOXES = (Box(0, 0, 80, HEIGHT), Box(50, 7, 81, 60))

every_kind = pytest.mark.parametrize(
    ("dtype", "channels"), [("uint8", 1), ("uint8", 3), ("uint16", 1), ("uint16", 3)]
)


class Made:
    """A picture and two layers: inside its mask each is the picture, elsewhere noise."""

    def __init__(self, dtype: str, channels: int) -> None:
        draw = np.random.default_rng(channels)
        top = np.iinfo(dtype).max
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        waves = [(np.sin(x / 9 + c) + np.cos(y / 7) + 2) / 4 for c in range(channels)]
        self.picture: Pixels = (np.stack(waves, -1) * top).astype(dtype)
        self.picture[:20, :, 0] = draw.integers(0, top, (20, WIDTH), dtype, endpoint=True)
        mine = np.zeros((HEIGHT, WIDTH), bool)
        mine[7:67, 60:] = True
        self.owns = (~mine & (x < 70), mine)
        self.layers = [self._layer(box, owns, draw) for box, owns in zip(BOXES, self.owns, strict=True)]

    def _layer(self, box: Box, owns: npt.NDArray[np.bool_], draw: np.random.Generator) -> Picture:
        below, ours = self.picture[box.rows, box.columns], owns[box.rows, box.columns]
        noise = draw.integers(0, np.iinfo(below.dtype).max, below.shape, below.dtype, endpoint=True)
        pixels = np.where(ours[..., None], below, noise)
        return Picture(pixels, opaque(ours.shape), np.where(ours, 255, 0).astype(np.uint8))

    def write(self, path: Path, metadata: Metadata | None = None, **more: Any) -> tuple[Path, list[str]]:
        """The file that it became, and what was told."""
        told: list[str] = []
        base = Base(self.picture, metadata or Metadata(), "gpustack 1", "Fused")
        records = [Record(name, box, masked=True) for name, box in zip(NAMES, BOXES, strict=True)]
        with layered_file(path, base, records, overwrite=False, threads=2, warn=told.append, **more) as (
            written,
            write,
        ):
            for layer in self.layers:
                write(layer)
        return written, told


def shown(pixels: Pixels) -> Pixels:
    """Values 0..1."""
    return pixels / np.float64(np.iinfo(pixels.dtype).max)


@every_kind
@pytest.mark.parametrize("ending", [".psd", ".psb"])
def test_psd_tools_reads_every_layer_and_mask(dtype: str, channels: int, ending: str, tmp_path: Path) -> None:
    made = Made(dtype, channels)
    path, told = made.write(tmp_path / f"out{ending}")
    psd = PSDImage.open(path)
    assert told == []
    assert (psd.width, psd.height, psd.channels, psd.depth) == (
        WIDTH,
        HEIGHT,
        channels,
        8 * made.picture.itemsize,
    )
    base, *others = psd
    assert [layer.name for layer in psd] == ["Fused", *NAMES]
    assert np.allclose(base.numpy("color"), shown(made.picture), atol=1e-6)
    assert np.allclose(psd.numpy()[..., :channels], shown(made.picture), atol=1e-6)  # the merged picture
    for layer, box, wanted in zip(others, BOXES, made.layers, strict=True):
        assert (
            layer.bbox == (box.left, box.top, box.left + box.width, box.top + box.height) == layer.mask.bbox
        )
        assert np.allclose(layer.numpy("color"), shown(wanted.colours), atol=1e-6)
        assert np.array_equal(layer.numpy("mask")[..., 0] * 255, wanted.mask)


@every_kind
def test_all_layers_together_are_the_picture(dtype: str, channels: int, tmp_path: Path) -> None:
    made = Made(dtype, channels)
    psd = PSDImage.open(made.write(tmp_path / "out.psd")[0])
    colours, _, alpha = composite(psd, force=True)
    assert np.abs(colours - shown(made.picture)).max() < 0.5 / np.iinfo(dtype).max
    assert (alpha == 1).all()


@every_kind
@pytest.mark.parametrize("large", [False, True])
def test_psdtags_reads_the_layers_of_a_tiff(
    dtype: str, channels: int, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(layers, "BIGTIFF_BYTES", 1000)
    made = Made(dtype, channels)
    metadata = Metadata(icc=srgb_profile() if channels == 3 else None, exif=CAMERA, history="fused")
    path, told = made.write(tmp_path / "out.tif", metadata)
    assert len(told) == large
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff == large
        assert len(tiff.pages) == 1
        page = tiff.pages[0].aspage()
        assert np.array_equal(page.asarray().reshape(made.picture.shape), made.picture)
        assert page.tags.valueof(271) == "Maker"
        assert page.iccprofile == metadata.icc
    found = list(psdtags.TiffImageSourceData.fromtiff(path).layers)
    assert [unicode_name(layer) for layer in found] == ["Fused", *NAMES]
    for layer, box, wanted in zip(found[1:], BOXES, made.layers, strict=True):
        assert tuple(layer.rectangle) == (box.top, box.left, box.top + box.height, box.left + box.width)
        planes = {int(channel.channelid): channel.data for channel in layer.channels}
        for number in range(channels):
            assert np.array_equal(planes[number], wanted.colours[..., number])
        assert np.array_equal(shown(planes[-2]) * 255, wanted.mask)
        assert shown(planes[-1]).min() == 1


def unicode_name(layer: Any) -> str:
    return next(info.value for info in layer.info if info.key.value == b"luni").rstrip("\0")


def magick(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    names = [("magick",), ("convert-im6",), ("convert",)]
    program = next((shutil.which(*name) for name in names if shutil.which(*name)), None)
    if program is None:
        pytest.skip("ImageMagick is not installed")
    return subprocess.run([program, *map(str, arguments)], capture_output=True, check=True, timeout=60)


@every_kind
@pytest.mark.parametrize("ending", [".psd", ".psb", ".tif"])
def test_imagemagick_puts_the_layers_together(dtype: str, channels: int, ending: str, tmp_path: Path) -> None:
    made = Made(dtype, channels)
    path, _ = made.write(tmp_path / f"out{ending}")
    # Scene 0 is the merged picture, 1 the lowest layer; masks have become transparency. ImageMagick 6
    # puts gray layers with a mask into red alone.
    depth = ("-depth", 8 * made.picture.itemsize, "-endian", "LSB")
    flat = ("-delete", 0, "-background", "none", "-layers", "merge", "-alpha", "off")
    kind = ("-channel", "R", "-separate", *depth, "gray:-") if channels == 1 else (*depth, "rgb:-")
    done = magick(path, *flat, *kind)
    found = np.frombuffer(done.stdout, dtype).reshape(made.picture.shape)
    assert np.abs(found.astype(int) - made.picture).max() <= 1
    top = magick(path, "-delete", "0-2", "-alpha", "extract", "-depth", 8, "gray:-")
    box, mask = BOXES[1], made.layers[1].mask
    assert mask is not None
    assert np.array_equal(np.frombuffer(top.stdout, np.uint8).reshape(box.height, box.width), mask)


def test_profile_resolution_exif_and_history_are_in_the_file(tmp_path: Path) -> None:
    metadata = Metadata(srgb_profile(), CAMERA, (300.0, 240.0), history="two frames fused")
    path, _ = Made("uint8", 3).write(tmp_path / "out.psd", metadata)
    resources = PSDImage.open(path).image_resources
    assert resources.get_data(Resource.ICC_PROFILE) == srgb_profile()
    assert b"Maker" in resources.get_data(Resource.EXIF_DATA_1)
    assert b"two frames fused" in resources.get_data(Resource.XMP_METADATA)
    resolution = resources.get_data(Resource.RESOLUTION_INFO)
    assert (resolution.horizontal / 65536, resolution.vertical / 65536) == (300, 240)


def test_a_profile_for_other_colours_is_left_out(tmp_path: Path) -> None:
    path, _ = Made("uint8", 1).write(tmp_path / "out.psd", Metadata(icc=srgb_profile()))
    assert PSDImage.open(path).image_resources.get_data(Resource.ICC_PROFILE) is None


@pytest.mark.parametrize(("limit", "value"), [("PSD_BYTES", 20_000), ("PSD_SIDE", WIDTH - 1)])
def test_what_a_psd_cannot_hold_becomes_psb_with_a_word(
    limit: str, value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, limit, value)
    path, told = Made("uint8", 3).write(tmp_path / "out.psd")
    assert path == tmp_path / "out.psb"
    assert list(tmp_path.iterdir()) == [path]
    assert len(told) == 1
    assert "out.psb" in told[0]
    assert PSDImage.open(path)._record.header.version == 2


@every_kind
@pytest.mark.parametrize("ending", [".psd", ".psb", ".tif"])
def test_no_file_is_larger_than_was_reckoned(dtype: str, channels: int, ending: str, tmp_path: Path) -> None:
    """Of noise, which no compression makes smaller; narrow layers have most overhead."""
    draw = np.random.default_rng(0)
    top = np.iinfo(dtype).max
    noise = draw.integers(0, top, (40, 50, channels), dtype, endpoint=True)
    base = Base(noise, Metadata(), "gpustack 1", "Fused")
    records = [Record(str(left), Box(left, 0, 1, 40), masked=True) for left in range(50)]
    path = tmp_path / f"out{ending}"
    with layered_file(path, base, records, overwrite=False, threads=1, warn=pytest.fail) as (_, write):
        for left in range(50):
            column = noise[:, left : left + 1]
            write(Picture(column, opaque((40, 1)), draw.integers(0, 256, (40, 1)).astype(np.uint8)))
    reckoned = layers.most_bytes(base, records) - (1 << 20)
    assert path.stat().st_size - 200 * 51 - 3000 <= reckoned  # records, and the head


@pytest.mark.parametrize("ending", [".psd", ".tif"])
def test_an_error_half_way_leaves_no_file(ending: str, tmp_path: Path) -> None:
    made = Made("uint16", 3)
    made.layers[1] = None  # type: ignore[call-overload]
    with pytest.raises(AttributeError):
        made.write(tmp_path / f"out{ending}")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out.psd").write_bytes(b"mine")
    with pytest.raises(WriteError):
        Made("uint8", 1).write(tmp_path / "out.psd")
    assert (tmp_path / "out.psd").read_bytes() == b"mine"


def test_threads_change_no_byte(tmp_path: Path) -> None:
    made = Made("uint16", 3)
    base = Base(made.picture, Metadata(), "gpustack 1", "Fused")
    records = [Record(name, box, masked=True) for name, box in zip(NAMES, BOXES, strict=True)]
    for threads in (1, 3):
        with layered_file(
            tmp_path / f"{threads}.psd", base, records, overwrite=False, threads=threads, warn=pytest.fail
        ) as (_, write):
            for layer in made.layers:
                write(layer)
    assert (tmp_path / "1.psd").read_bytes() == (tmp_path / "3.psd").read_bytes()
