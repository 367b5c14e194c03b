"""Damage and hostile claims in the newer formats, and what their headers say against their own tools."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tracemalloc
from contextlib import suppress
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gpustack.errors import DecodeError, GpustackError
from gpustack.io import jxl
from gpustack.io.decode import Decoder, probe
from gpustack.io.metadata import read_metadata
from tests.io.sources import SOURCES, Source
from tests.patience import processor_seconds

OpenEXR = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed")

PICTURES = [source for source in SOURCES if source.ending in (".heic", ".avif", ".jxl", ".webp", ".exr")]
ONE_OF_EACH = [
    next(source for source in PICTURES if source.ending == ending and not source.needs)
    for ending in (".heic", ".avif", ".jxl", ".webp", ".exr")
]


@pytest.fixture(scope="module", params=ONE_OF_EACH, ids=lambda source: source.ending)
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source: Source = request.param
    return source.make(tmp_path_factory.mktemp("sound"))


def read(path: Path) -> None:
    """Everything that is done with a file of frames."""
    frame = probe(path)[0]
    read_metadata(frame)
    pixels = Decoder(frame)(frame)
    assert pixels.shape == (frame.height, frame.width, frame.channels)


def test_a_cut_file_is_one_sentence(sound: Path, tmp_path: Path) -> None:
    data = sound.read_bytes()
    path = tmp_path / sound.name
    for share in (0.02, 0.2, 0.4, 0.6, 0.8, 0.95):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(DecodeError) as told:
            read(path)
        assert "\n" not in told.value.message


@settings(max_examples=20)
@given(st.data())
def test_a_flipped_byte_gives_a_picture_or_a_sentence(
    sound: Path, tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(sound.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # Headers are where a byte can do harm.
        at = data.draw(st.integers(0, min(len(content), 700) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path = tmp_path / sound.name
    path.write_bytes(content)
    with processor_seconds(5), suppress(GpustackError):
        read(path)


def claims(path: Path, data: bytes) -> None:
    """The file is refused for its size, and no memory is taken for it."""
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(DecodeError, match=r"claims \d+ x \d+ pixels"):
        probe(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_absurd_sizes_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    canvas = b"VP8X" + struct.pack("<II", 10, 0) + (1 << 24).to_bytes(4, "little")[:3] + b"\xff\xff\xff"
    webp = b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas
    claims(tmp_path / "a.webp", webp[:24] + b"\xff\xff\xff\xff\xff\xff" + webp[30:])
    # Not small, height 2^30 as 1 + 30 bits, ratio 1:1.
    bits = 0 | 3 << 1 | ((1 << 30) - 1) << 3 | 1 << 33 | 1 << 36
    claims(tmp_path / "a.jxl", b"\xff\x0a" + bits.to_bytes(8, "little"))
    for name, source in ((".heic", PICTURES[0]), (".avif", next(s for s in PICTURES if s.ending == ".avif"))):
        data = source.make(tmp_path).read_bytes()
        at = data.index(b"ispe") + 8
        huge = data[:at] + struct.pack(">II", 1 << 20, 1 << 20) + data[at + 8 :]
        while (more := huge.find(b"ispe", at + 8)) > 0:
            at = more + 8
            huge = huge[:at] + struct.pack(">II", 1 << 20, 1 << 20) + huge[at + 8 :]
        claims(tmp_path / f"b{name}", huge)
    OpenEXR.File({"type": OpenEXR.scanlineimage}, {"Y": np.zeros((2, 2), np.float32)}).write(
        str(tmp_path / "s.exr")
    )
    data = (tmp_path / "s.exr").read_bytes()
    window = b"dataWindow\0box2i\0" + struct.pack("<I", 16)
    at = data.index(window) + len(window)
    claims(tmp_path / "b.exr", data[:at] + struct.pack("<iiii", 0, 0, 1 << 24, 1 << 24) + data[at + 16 :])


@pytest.mark.parametrize("size", [(1, 1), (8, 16), (256, 256), (257, 3), (192, 108)])
@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, "uint16"), (2, "uint8"), (3, "float32"), (4, "uint8"), (4, "uint16")]
)
def test_the_header_of_jpeg_xl_is_that_of_its_pixels(
    size: tuple[int, int], channels: int, dtype: str, tmp_path: Path
) -> None:
    shape = (size[1], size[0]) if channels == 1 else (size[1], size[0], channels)
    pixels = np.ones(shape, dtype)
    path = tmp_path / "a.jxl"
    path.write_bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, effort=1))
    (frame,) = probe(path)
    assert (frame.size, frame.channels, frame.pixel_type.value) == (size, channels, dtype)
    np.testing.assert_array_equal(Decoder(frame)(frame).reshape(shape), pixels)


@pytest.mark.parametrize(
    ("space", "transfer", "gamma"),
    [("RGB_D65_SRG_Rel_SRG", 13, None), ("RGB_D65_202_Rel_Lin", 8, None), ("RGB_D65_SRG_Rel_g0.5", 0, 2.0)],
)
def test_colours_that_jpeg_xl_names_are_found(
    space: str, transfer: int, gamma: float | None, tmp_path: Path
) -> None:
    if shutil.which("cjxl") is None:
        pytest.skip("cjxl is not installed")
    source, path = tmp_path / "a.ppm", tmp_path / "a.jxl"
    source.write_bytes(b"P6 16 8 255\n" + bytes(range(128)) * 3)
    subprocess.run(
        ["cjxl", str(source), str(path), "-d", "0", "-x", f"color_space={space}"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    coding = jxl._header(path).coding
    assert coding.transfer == transfer
    assert coding.gamma == (None if gamma is None else pytest.approx(gamma, abs=1e-4))
    assert read_metadata(probe(path)[0]).icc is not None


def test_animations_are_refused(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 8), colour) for colour in ("red", "blue")]
    for name in ("a.webp", "a.avif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.raises(DecodeError, match=r"it is an animation|it is a sequence"):
            probe(tmp_path / name)


def exr(path: Path, channels: dict[str, np.ndarray], **header: object) -> Path:
    OpenEXR.File({"type": OpenEXR.scanlineimage, **header}, channels).write(str(path))
    return path


def test_other_channels_of_openexr_are_refused(tmp_path: Path) -> None:
    plane = np.ones((4, 6), np.float32)
    with pytest.raises(DecodeError, match=r"its channels are Z, left\.R"):
        probe(exr(tmp_path / "a.exr", {"left.R": plane, "Z": plane}))
    (frame,) = probe(exr(tmp_path / "b.exr", {"Y": plane.astype(np.uint32)}))
    with pytest.raises(DecodeError, match="whole numbers"):
        Decoder(frame)(frame)


def test_alpha_of_openexr_is_divided_out(tmp_path: Path) -> None:
    alpha = np.full((4, 6), 0.25, np.float32)
    path = exr(tmp_path / "a.exr", {"Y": alpha * 0.5, "A": alpha})
    (frame,) = probe(path)
    np.testing.assert_array_equal(Decoder(frame)(frame)[0, 0], [0.5, 0.25])
