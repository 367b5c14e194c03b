"""Every format, depth and orientation that is read, against pictures coded by others."""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import ImageCms

from gpustack.io.decode import Decoder, probe
from gpustack.io.metadata import read_metadata
from gpustack.io.write import oriented
from tests.io.sources import SOURCES, Source, profile, table

every_source = pytest.mark.parametrize("source", SOURCES, ids=str)


@pytest.fixture(autouse=True)
def tools(request: pytest.FixtureRequest) -> None:
    source = getattr(request.node, "callspec", None) and request.node.callspec.params.get("source")
    if source is not None and source.needs and shutil.which(source.needs) is None:
        pytest.skip(f"{source.needs} is not installed")


@pytest.mark.parametrize(
    ("source", "turn"), [(source, turn) for source in SOURCES for turn in source.turns], ids=str
)
def test_pixels_come_upright_in_their_depth(
    source: Source, turn: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = source.make(tmp_path, turn)
    capfd.readouterr()
    frame = probe(path)[0]
    pixels = oriented(Decoder(frame)(frame), frame.orientation)
    assert (frame.pixel_type.value, frame.channels) == (source.kind, source.channels)
    assert pixels.dtype == source.kind
    scale = 65535 if source.kind == "float32" else 1
    error = np.abs(pixels.astype(np.float64) - source.truth()).max() * scale
    assert error <= source.within + (0.01 if source.kind == "float32" else 0)
    assert capfd.readouterr() == ("", "")


@every_source
def test_what_a_file_tells_is_read(source: Source, tmp_path: Path) -> None:
    found = read_metadata(probe(source.make(tmp_path))[0])
    assert (found.icc == profile()) is ("i" in source.carried)
    if "c" in source.carried:
        assert found.icc is not None
        assert colorants(found.icc) == pytest.approx(colorants(profile()), abs=1e-3)
    elif "i" not in source.carried and found.icc is not None:
        assert colorants(found.icc) == pytest.approx(colorants(imagecodecs.cms_profile("srgb")), abs=1e-3)
    tags = {entry.tag: entry.data for entry in found.exif.main} if found.exif else {}
    assert (tags.get(271) == b"Maker\0") is ("e" in source.carried)
    assert (b"beetle" in (found.xmp or b"")) is ("x" in source.carried)
    expected = pytest.approx((300, 300), abs=0.01) if "r" in source.carried else None
    assert found.resolution == expected


def colorants(icc: bytes) -> list[float]:
    """XYZ of red, green and blue, as Little CMS sees them through Pillow."""
    seen = ImageCms.ImageCmsProfile(BytesIO(icc)).profile
    return [part for name in ("red", "green", "blue") for part in getattr(seen, f"{name}_colorant")[0]]


def test_the_table_of_the_documentation_is_the_one_that_is_tested() -> None:
    page = Path(__file__).parents[2].joinpath("docs/formats.md").read_text("utf-8")
    assert table() in page, "run: python -m tests.io.sources"
