"""What RAW files that are no TIFF structure tell of how they were taken."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gpustack.io import taken
from gpustack.io.metadata import Metadata, read_metadata
from gpustack.io.write import write_picture
from gpustack.model.frame import Frame, Kind, PixelType
from tests.io.sources import exif


def told(path: Path) -> Metadata:
    return read_metadata(Frame(path, 8, 6, 3, PixelType.UINT16, Kind.RAW))


def tags(path: Path) -> dict[str, Any]:
    exiftool = shutil.which("exiftool")
    if exiftool is None:
        pytest.skip("exiftool is not installed")
    done = subprocess.run(
        [exiftool, "-json", "-n", "-G1", str(path)], capture_output=True, check=True, timeout=60
    )
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


@pytest.mark.parametrize("name", ["raw_truncated__Canon-R6-pruned.CR3", "raw_truncated__fixture.cr3"])
def test_cr3_tells_what_exiftool_finds_in_it(name: str, data: Path, tmp_path: Path) -> None:
    """Written into a TIFF, of which exiftool then says the same as of the CR3."""
    metadata = told(data / "hostile" / name)
    write_picture(tmp_path / "a.tif", np.zeros((6, 8, 3), np.uint16), metadata, overwrite=False, software="x")
    before, after = tags(data / "hostile" / name), tags(tmp_path / "a.tif")
    wanted = (
        "Make",
        "Model",
        "Artist",
        "ExposureTime",
        "FNumber",
        "ISO",
        "DateTimeOriginal",
        "FocalLength",
        "LensInfo",
    )
    keys = [key for key in before if key.split(":")[0] in ("IFD0", "ExifIFD") and key.split(":")[1] in wanted]
    assert len(keys) >= 7
    assert {key: after.get(key) for key in keys} == {key: before[key] for key in keys}
    assert "ExifIFD:ColorSpace" not in after
    assert metadata.icc is None
    assert metadata.xmp is not None
    assert metadata.xmp.lstrip().startswith(b"<?xpacket")


def test_raf_tells_what_its_preview_does(tmp_path: Path) -> None:
    Image.new("RGB", (16, 8)).save(tmp_path / "p.jpg", exif=exif(6))
    preview = (tmp_path / "p.jpg").read_bytes()
    head = b"FUJIFILMCCD-RAW 0201FF383501X-T5".ljust(84, b"\0") + struct.pack(">II", 160, len(preview))
    path = tmp_path / "a.raf"
    path.write_bytes(head.ljust(160, b"\0") + preview)
    found = taken.of_exif(told(path).exif)
    assert (found.camera, found.shutter_s) == ("Maker Model", 1 / 125)
    assert tags(path)["IFD0:Make"] == "Maker"


def test_mrw_tells_what_its_block_does(tmp_path: Path) -> None:
    block = exif(1).tobytes().removeprefix(b"Exif\0\0")
    blocks = b"".join(
        name + struct.pack(">I", len(body)) + body
        for name, body in ((b"\0PRD", bytes(24)), (b"\0TTW", block))
    )
    path = tmp_path / "a.mrw"
    path.write_bytes(b"\0MRM" + struct.pack(">I", len(blocks)) + blocks + bytes(64))
    assert taken.of_exif(told(path).exif).camera == "Maker Model"
    assert tags(path)["IFD0:Make"] == "Maker"


def test_crw_tells_what_libraw_does(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = data / "raw/real/CRW_0117.CRW"
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    metadata = told(path)
    found, before = taken.of_exif(metadata.exif), tags(path)
    assert metadata.exif is not None
    dates = [entry.data for entry in metadata.exif.photo if entry.tag == 36867]
    assert dates == [before["CanonRaw:DateTimeOriginal"].encode() + b"\0"]
    assert (found.iso, found.shutter_s) == (50, 0.25)
    assert found.aperture == pytest.approx(2.8, abs=0.01)


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\0\x18ftypcrx \0\0\0\1" + b"\0\0\0\x08moov",
        b"\0\0\0\x18ftypcrx \0\0\0\1" + b"\0\0\0\0moov" + b"\0\0\0\x20uuid" + bytes(16),
        b"FUJIFILMCCD-RAW ".ljust(200, b"\xff"),
        b"FUJIFILMCCD-RAW ",
        b"\0MRM\xff\xff\xff\xff\0TTW\xff\xff\xff\xff",
    ],
)
def test_broken_files_tell_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    assert told(tmp_path / "a") == Metadata()
