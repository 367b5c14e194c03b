"""The metadata of written files as exiftool and ImageMagick, two independent readers, see it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpustack.io.metadata import read_metadata
from gpustack.io.write import write_picture
from gpustack.model.frame import Frame, Kind, PixelType

# What belongs to the old file: its size, coding, orientation, thumbnail, writer, and what cannot be moved.
OF_THE_FILE = {
    "IFD0:BitsPerSample",
    "IFD0:Compression",
    "IFD0:ImageHeight",
    "IFD0:ImageWidth",
    "IFD0:Orientation",
    "IFD0:PhotometricInterpretation",
    "IFD0:PlanarConfiguration",
    "IFD0:SamplesPerPixel",
    "IFD0:Software",
    "IFD0:YCbCrCoefficients",
    "IFD0:YCbCrPositioning",
    "ExifIFD:ExifImageHeight",
    "ExifIFD:ExifImageWidth",
}
CARRIED = ("IFD0", "ExifIFD", "GPS", "ICC-header", "ICC_Profile")
SOURCES = (
    "pcb/pcb_001.jpg",
    "fly_head/hf001.jpg",
    "mineral/001.jpg",
    "amber_flies/flies_0000.jpg",
)


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture(scope="module")
def stacks() -> Path:
    folder = os.environ.get("GPUSTACK_DATA")
    if not folder:
        pytest.skip("GPUSTACK_DATA does not name the data folder")
    return Path(folder) / "stacks"


def tags(path: Path, *options: str) -> dict[str, Any]:
    command = [tool("exiftool"), "-json", "-G1", *options, os.fspath(path)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def written(source: Path, ending: str, folder: Path) -> Path:
    path = folder / f"out{ending}"
    pixels = np.random.default_rng(0).integers(0, 65536, (30, 50, 3), np.uint16)
    metadata = read_metadata(Frame(source, 1, 1, 3, PixelType.UINT8, Kind.JPEG))
    write_picture(path, pixels, metadata, overwrite=False, software="gpustack 1")
    return path


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif"])
def test_exiftool_reads_what_the_camera_wrote(name: str, ending: str, stacks: Path, tmp_path: Path) -> None:
    before = tags(stacks / name)
    path = written(stacks / name, ending, tmp_path)
    after = tags(path)
    carried = {key: value for key, value in before.items() if key.split(":")[0] in CARRIED}
    carried = {key: value for key, value in carried.items() if key not in OF_THE_FILE}
    assert len(carried) >= 6
    assert {key: after.get(key) for key in carried} == carried
    assert after["IFD0:Software"] == "gpustack 1"
    assert (after["ExifIFD:ExifImageWidth"], after["ExifIFD:ExifImageHeight"]) == (50, 30)
    assert after["IFD0:Orientation"] == "Horizontal (normal)"
    assert not [key for key in after if key.startswith(("IFD1", "InteropIFD", "MakerNotes", "Canon"))]
    assert "ExifTool:Error" not in tags(path, "-validate", "-warning", "-error")


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif"])
def test_imagemagick_reads_profile_and_size(ending: str, stacks: Path, tmp_path: Path) -> None:
    path = written(stacks / "mineral/001.jpg", ending, tmp_path)
    command = [tool("identify"), "-format", "%wx%h %x %[icc:description]", os.fspath(path)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True)
    size, density, profile = done.stdout.split(" ", 2)
    assert size == "50x30"
    assert float(density) in (pytest.approx(300, abs=0.01), pytest.approx(118.11, abs=0.01))
    assert "sRGB" in profile
    assert done.stderr == ""
