"""Files of ours in other people's programs: each test needs one that is installed.

CI has the small ones; darktable, RawTherapee and GIMP are too large for it, see docs/contributing.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

import gpustack
from gpustack import Crop, Model, Settings
from gpustack.io import cicp, encode
from gpustack.io.colour import srgb_profile
from gpustack.io.metadata import Metadata
from gpustack.io.write import write_picture
from tests.cli.test_raw_proofs import mosaicked
from tests.io.test_layers import NAMES, Made

Pixels = npt.NDArray[Any]

HEIGHT, WIDTH, PATCH, MARGIN = 384, 640, 64, 20


def tool(name: str) -> str:
    """Where a program lies; the test is skipped where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: object, folder: Path, timeout: int = 240) -> str:
    """Run a program with a home of its own; what it says."""
    homes = dict.fromkeys(
        ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"), str(folder / "home")
    )
    (folder / "home").mkdir(exist_ok=True)
    words = [str(word) for word in command]
    done = subprocess.run(
        words, capture_output=True, check=False, timeout=timeout, env=os.environ | homes, cwd=folder
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, said
    return said


def by_darktable(source: Path, target: Path) -> None:
    """Without the look that it gives to mosaics by default, and not to linear files."""
    bits = ("--conf", "plugins/imageio/format/tiff/bpp=16", "--conf", "plugins/darkroom/workflow=none")
    place = ("--configdir", target.parent / "configuration", "--library", ":memory:")
    run(tool("darktable-cli"), source, target, "--core", *place, *bits, folder=target.parent)


def by_rawtherapee(source: Path, target: Path) -> None:
    """Neutral, as it is without a profile."""
    run(tool("rawtherapee-cli"), "-t", "-b16", "-Y", "-o", target, "-c", source, folder=target.parent)


def by_dcraw(source: Path, target: Path) -> None:
    """Linear, with the camera's white balance."""
    done = subprocess.run(
        [tool("dcraw"), "-T", "-4", "-w", "-c", str(source)], capture_output=True, check=True, timeout=60
    )
    target.write_bytes(done.stdout)


def patches(path: Path) -> Pixels:
    """The mean colour of the inner patches of the left half, 0..1; programs may cut off a few pixels at the
    edges."""
    picture = tifffile.imread(path)[..., :3] / 65535
    top, left = (HEIGHT - picture.shape[0]) // 2, (WIDTH - picture.shape[1]) // 2
    corners = [
        (y + MARGIN - top, x + MARGIN - left)
        for y in range(PATCH, HEIGHT - PATCH, PATCH)
        for x in range(PATCH, WIDTH // 2 - PATCH, PATCH)
    ]
    side = PATCH - 2 * MARGIN
    return np.array([picture[y : y + side, x : x + side].mean(axis=(0, 1)) for y, x in corners])


def chart(folder: Path) -> list[Path]:
    """Two RAW frames of patches of many colours with texture; each is sharp in one half."""
    random = np.random.default_rng(3)
    shape = HEIGHT // PATCH, WIDTH // PATCH
    colours = random.uniform(0.08, 0.5, (*shape, 1)) * random.uniform(0.75, 1.25, (*shape, 3))
    texture = np.kron(random.uniform(0.9, 1.1, (HEIGHT // 4, WIDTH // 4, 1)), np.ones((4, 4, 1)))
    sharp = np.kron(colours, np.ones((PATCH, PATCH, 1))) * texture
    blurred = cv2.GaussianBlur(sharp, (0, 0), 5)
    left = np.arange(WIDTH)[None, :, None] < WIDTH // 2
    return [
        mosaicked(folder / f"{number}.dng", np.where(left == (number == 0), sharp, blurred))
        for number in range(2)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("develop", [by_darktable, by_rawtherapee, by_dcraw])
def test_a_stacked_dng_has_the_colours_of_its_frames(
    develop: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    """Where the first frame is sharp, in the program's own development of both: within 0.5 % of white."""
    tool(
        {"by_darktable": "darktable-cli", "by_rawtherapee": "rawtherapee-cli", "by_dcraw": "dcraw"}[
            develop.__name__
        ]
    )
    pytest.importorskip("rawpy", reason="rawpy has no build for this platform")
    frames = chart(tmp_path)
    settings = Settings(align=Model.NONE, crop=Crop.NONE, reference="first", linear=True, threads=2)
    gpustack.stack(frames, settings).save(tmp_path / "stacked.dng")
    seen = []
    for source in (frames[0], tmp_path / "stacked.dng"):
        develop(source, tmp_path / f"{source.stem}.tif")
        seen.append(patches(tmp_path / f"{source.stem}.tif"))
    off = np.abs(seen[1] - seen[0])
    print(develop.__name__, "off by at most", off.max(axis=0), "of white, mean", off.mean(axis=0))  # noqa: T201
    assert np.ptp(seen[0], axis=0).min() > 0.2  # it is a chart
    assert off.max() < 0.005
    assert off.mean() < 0.001


GIMP = """
(define (look path flat)
  (let* ((image (car (gimp-file-load RUN-NONINTERACTIVE path path)))
         (layers (cadr (gimp-image-get-layers image)))
         (count (car (gimp-image-get-layers image))))
    (do ((at 0 (+ at 1))) ((= at count))
      (let ((layer (vector-ref layers at)))
        (gimp-message (string-append "layer " (car (gimp-item-get-name layer)) "; mask "
          (number->string (car (gimp-layer-get-mask layer)))))))
    (gimp-message (string-append "precision " (number->string (car (gimp-image-get-precision image)))))
    (file-png-save RUN-NONINTERACTIVE image (car (gimp-image-flatten image)) flat flat 0 1 0 0 0 0 0)))
"""


@pytest.mark.slow
def test_gimp_reads_the_layers(tmp_path: Path) -> None:
    """Layers, names and masks of PSD in 8 and 16 bits, gray and RGB; of TIFF the picture."""
    gimp = tool("gimp-console")
    made = {(dtype, channels): Made(dtype, channels) for dtype in ("uint8", "uint16") for channels in (1, 3)}
    calls = ""
    for (dtype, channels), each in made.items():
        for ending in (".psd", ".tif"):
            path, _ = each.write(tmp_path / f"{dtype}{channels}{ending}")
            calls += f'(gimp-message "file {path.name}") (look "{path}" "{path}.png")'
    (tmp_path / "look.scm").write_text(GIMP + calls)
    said = run(
        gimp, "-i", "-d", "-f", "-b", f'(load "{tmp_path}/look.scm")', "-b", "(gimp-quit 0)", folder=tmp_path
    )
    for (dtype, channels), each in made.items():
        for ending in (".psd", ".tif"):
            name = f"{dtype}{channels}{ending}"
            told = said.split(f"file {name}")[1].split("file ")[0]
            flat = np.asarray(imagecodecs.png_decode((tmp_path / f"{name}.png").read_bytes()))
            flat = flat.reshape(len(each.picture), -1, flat.shape[2] if flat.ndim == 3 else 1)
            assert flat.dtype == dtype, name
            assert np.abs(flat.astype(int) - each.picture).max() <= 1, name
            if ending == ".psd":
                assert told.count("layer ") == 3, told
                assert told.count("mask -1") == 1, told  # only the lowest has none
                assert NAMES[0] in told


def pixels(dtype: str) -> Pixels:
    top = 1.0 if dtype == "float32" else float(np.iinfo(dtype).max)
    return (np.random.default_rng(0).random((40, 56, 3)) * top).astype(dtype)


def test_exrheader_reads_what_is_told(tmp_path: Path) -> None:
    pytest.importorskip("OpenEXR", reason="OpenEXR is not installed")
    path = tmp_path / "a.exr"
    metadata = Metadata(cicp.profile(9, 8), resolution=(300.0, 300.0), history="2 frames fused")
    write_picture(path, pixels("float32"), metadata, overwrite=False, software="gpustack 1")
    said = run(tool("exrheader"), path, folder=tmp_path)
    for line in (
        "R, 32-bit floating-point",
        "dataWindow (type box2i): (0 0) - (55 39)",
        "white (0.3127 0.329)",
    ):
        assert line in said, said
    assert "2 frames fused" in said


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif"])
def test_exiv2_reads_xmp_and_exif(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{ending}"
    metadata = Metadata(srgb_profile(), history="2 frames fused by method auto")
    write_picture(path, pixels("uint8"), metadata, overwrite=False, software="gpustack 1")
    said = run(tool("exiv2"), "-pa", path, folder=tmp_path)
    assert "warning" not in said.lower()
    assert "error" not in said.lower()
    for line in ("Exif.Image.Software", "Exif.Photo.PixelXDimension", "2 frames fused by method auto"):
        assert line in said, said


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("big", [False, True])
def test_libtiff_reads_every_tile(
    dtype: str, big: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tiffcp` decodes all of it, and codes it plainly."""
    monkeypatch.setattr(encode, "BIGTIFF_BYTES", 0 if big else encode.BIGTIFF_BYTES)
    path, plain = tmp_path / "a.tif", tmp_path / "plain.tif"
    write_picture(path, pixels(dtype), Metadata(srgb_profile()), overwrite=False, software="gpustack 1")
    said = run(tool("tiffcp"), "-c", "none", "-s", path, plain, folder=tmp_path)
    assert unknown_tags_only(said.splitlines()), said
    np.testing.assert_array_equal(tifffile.imread(plain), pixels(dtype))


def unknown_tags_only(lines: Sequence[str]) -> bool:
    """Whether libtiff says nothing but that there are tags it does not know, which is right."""
    return all("nknown field with tag" in line for line in lines)
