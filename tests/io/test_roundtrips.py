"""What every format that is read becomes in those that are written, as exiftool and ImageMagick see it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest

import gpustack
from gpustack.io import encode
from gpustack.io.decode import probe
from gpustack.io.metadata import read_metadata
from gpustack.io.profiles import same_colours
from gpustack.model.stack import Stack
from gpustack.result import Result
from gpustack.settings import Model, Settings
from tests.io.sources import SOURCES, Source

WHOLE, FLOATS = (".jpg", ".png", ".tif", ".big.tif", ".jxl"), (".tif", ".big.tif", ".jxl", ".exr")
MADE = [source for source in SOURCES if not source.needs or shutil.which(source.needs)]


@dataclass(frozen=True)
class Output:
    """A written file, the result that it holds, and what exiftool says of it."""

    path: Path
    result: Result
    tags: dict[str, Any]


def endings(source: Source) -> tuple[str, ...]:
    if source.kind != "float32":
        return WHOLE
    return FLOATS if source.name == "OpenEXR" else FLOATS[:-1]  # the others are coded, not light as it is


CASES = [(source, ending) for source in MADE for ending in endings(source)]
# One of each type of pixels: how these are written does not depend on where they came from.
SEEN = (
    "JPEG-8-bit",
    "TIFF-16-bit",
    "TIFF-32-bit-float",
    "HEIC-10-bit",
    "OpenEXR-32-bit-float",
    "video-H.265-10-bit",
)
every_case = pytest.mark.parametrize(("source", "ending"), CASES, ids=str)


def save(result: Result, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        if path.name.endswith(".big.tif"):
            patch.setattr(encode, "BIGTIFF_BYTES", 0)
        result.save(path)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Output]:
    """Every source, turned where it can be, stacked as one frame and written in every format."""
    exiftool = shutil.which("exiftool")
    if exiftool is None:
        pytest.skip("exiftool is not installed")
    folder = tmp_path_factory.mktemp("outputs")
    found, monkeypatch = {}, pytest.MonkeyPatch()
    for source in MADE:
        path = source.make(folder, 6 if 6 in source.turns else 1)
        frames = Stack(gpustack.open_stack([path]).frames[:1])
        result = gpustack.stack(frames, Settings(align=Model.NONE))
        for ending in endings(source):
            out = folder / f"out_{source}{ending}"
            save(result, out, monkeypatch)
            found[str(source), ending] = Output(out, result, {})
    names = [str(output.path) for output in found.values()]
    command = [exiftool, "-json", "-n", "-G1", "-b", "-all", "-icc_profile", *names]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout)
    by_name = {Path(each["SourceFile"]).name: each for each in told}
    return {case: Output(o.path, o.result, by_name[o.path.name]) for case, o in found.items()}


@every_case
def test_exiftool_reads_what_the_source_told(
    source: Source, ending: str, outputs: dict[tuple[str, str], Output]
) -> None:
    output = outputs[str(source), ending]
    tags, metadata = output.tags, output.result.metadata
    if ending == ".exr":
        assert ("OpenEXR:Chromaticities" in tags) is (metadata.icc is not None)
        return
    assert ("e" in source.carried) is (tags.get("IFD0:Make") == "Maker")
    if "e" in source.carried and source.name not in ("TIFF", "BigTIFF", "OpenEXR"):
        # In BigTIFF exiftool finds these directories, too, but calls them and the tags for GPS otherwise.
        big = ending == ".big.tif"
        assert tags["ExifOffset:ExposureTime" if big else "ExifIFD:ExposureTime"] == pytest.approx(1 / 125)
        assert tags["GPSInfo:InteropVersion" if big else "GPS:GPSLatitude"] == ("48 30 0" if big else 48.5)
    assert ("x" in source.carried) is (tags.get("XMP-dc:Source") == "beetle")
    assert "1 frames fused" in tags["XMP-xmpMM:HistoryParameters"]
    assert tags.get("IFD0:Orientation", 1) == 1
    if "r" in source.carried:
        named = ("IFD0:XResolution", "JFIF:XResolution")
        seen = [tags[name] for name in named if name in tags]
        seen += [tags["PNG-pHYs:PixelsPerUnitX"] * 0.0254] if "PNG-pHYs:PixelsPerUnitX" in tags else []
        assert seen
        assert seen == [pytest.approx(300, abs=0.02)] * len(seen)
    if ending == ".jxl":  # which tells colours by numbers, and not to exiftool
        gray = output.result.image.shape[2] < 3
        assert same_colours(read_metadata(probe(output.path)[0]).icc, metadata.icc, gray=gray)
        return
    profile = tags.get("File:ICC_Profile") or tags.get("ICC_Profile:ICC_Profile")
    told = None if profile is None else base64.b64decode(profile.removeprefix("base64:"))
    assert told == metadata.icc


@pytest.mark.parametrize(("source", "ending"), [case for case in CASES if str(case[0]) in SEEN], ids=str)
def test_imagemagick_sees_the_pixels_of_the_result(
    source: Source, ending: str, outputs: dict[tuple[str, str], Output]
) -> None:
    identify = shutil.which("identify")
    if identify is None:
        pytest.skip("ImageMagick is not installed")
    output = outputs[str(source), ending]
    picture = output.result.image
    if ending == ".jxl":
        np.testing.assert_array_equal(by_djxl(output.path, picture), picture)
        return
    if picture.dtype == np.float32:
        coding, white = ["-define", "quantum:format=floating-point", "-depth", "32"], 1.0
        within = 5e-4 if ending == ".exr" else 1e-4  # ImageMagick reads OpenEXR as 16-bit floats
    else:
        white = 255.0 if ending == ".jpg" else float(np.iinfo(picture.dtype).max)
        coding, within = ["-depth", "8" if white == 255 else "16"], 5.0 if ending == ".jpg" else 0.0
    if ending == ".exr":
        coding += ["-set", "colorspace", "sRGB"]  # else light is coded on the way out
    command = [str(Path(identify).with_name("convert")), str(output.path), *coding, "-endian", "LSB", "rgb:-"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    dtype: npt.DTypeLike = np.float32 if white == 1 else np.uint8 if white == 255 else np.uint16
    seen = np.frombuffer(done.stdout, dtype).reshape(picture.shape)
    wanted = picture / 257 if ending == ".jpg" and picture.dtype == np.uint16 else picture
    assert np.abs(seen.astype(np.float64) - wanted).max() <= within


def by_djxl(path: Path, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What the tool of libjxl makes of a file: PNG of whole numbers, PFM of floats, from the bottom up."""
    djxl = shutil.which("djxl")
    if djxl is None:
        pytest.skip("djxl is not installed")
    made = path.with_suffix(".pfm" if like.dtype == np.float32 else ".png")
    subprocess.run([djxl, str(path), str(made)], check=True, capture_output=True, timeout=60)
    if like.dtype != np.float32:
        return np.asarray(imagecodecs.png_decode(made.read_bytes())).reshape(like.shape)
    *_, scale, data = made.read_bytes().split(b"\n", 3)
    order = "<f4" if float(scale) < 0 else ">f4"
    return np.frombuffer(data, order).reshape(like.shape)[::-1]


def test_a_tiff_of_many_bytes_is_a_bigtiff(outputs: dict[tuple[str, str], Output]) -> None:
    big = [output.path for (_, ending), output in outputs.items() if ending == ".big.tif"]
    assert big
    assert all(path.read_bytes()[:4] == b"II+\0" for path in big)
