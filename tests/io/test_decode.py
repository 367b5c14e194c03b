import contextlib
import errno
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from gpustack.errors import DecodeError, GpustackError
from gpustack.io.decode import Decoder, probe, working_colour
from gpustack.io.guard import guarded
from gpustack.model.frame import Kind

SMALL = np.add.outer(np.arange(24), np.arange(32)).astype(np.uint8)[..., None] * np.array([1, 2, 4], np.uint8)


def jpeg() -> bytes:
    return imagecodecs.jpeg8_encode(SMALL)


def png() -> bytes:
    return imagecodecs.png_encode(SMALL)


def tiff(tmp_path, **options) -> bytes:
    path = tmp_path / "seed.tif"
    tifffile.imwrite(path, SMALL, photometric="rgb", metadata=None, **options)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.nef", "a"])
def test_the_content_decides_not_the_name(tmp_path, name):
    path = tmp_path / name
    for kind, data in ((Kind.JPEG, jpeg()), (Kind.PNG, png()), (Kind.TIFF, tiff(tmp_path))):
        path.write_bytes(data)
        (frame,) = probe(path)
        assert frame.kind is kind
        assert Decoder(frame)(frame).shape == (24, 32, 3)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file is empty"),
        (b"hello, world", "not a picture of a kind that is read"),
        (b"\xff\xd8", "not a picture of a kind that is read"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "ends before its picture does"),
        (b"\0\0\0\x20ftypavif\0\0\0\0", "ends before its picture does"),
        (b"\0\0\0\x10ftypavis\0\0\0\0", "sequence of pictures"),
        (b"8BPS\0\x01", "Photoshop file"),
        (b"GIF89a", "GIF picture"),
        (b"RIFF\x0c\0\0\0WEBPVP8 \0\0\0\0", "it has no header"),
        (b"RIFF\0\1\0\0WEBPVP8 ", "ends before its picture does"),
        (b"\xff\x0a\0", "ends inside its header"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "ends before its picture does"),
        (b"v/1\1\2\0\0\0", "damaged"),
        (b"\x1aE\xdf\xa3\x80\0\0\0", "damaged|cannot be read"),
        (b"\0\0\0\x10ftypisom\0\0\0\0", "damaged|cannot be read"),
        (b"II*\0", "damaged"),
        (b"MM\0*\0\0\0\x08\0\0\0\0\0\0", "without a pixel"),
    ],
)
def test_what_is_no_picture_we_read_is_named(tmp_path, data, says):
    path = tmp_path / "x.jpg"
    path.write_bytes(data)
    with pytest.raises(DecodeError, match=says) as caught:
        probe(path)
    assert caught.value.name == "x.jpg"
    assert caught.value.remedy


def test_a_file_that_is_gone_is_one_sentence(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png())
    (frame,) = probe(path)
    path.unlink()
    for attempt in (lambda: probe(path), lambda: Decoder(frame)(frame)):
        with pytest.raises(
            DecodeError, match=r"a\.png: the file cannot be read: No such file or directory\."
        ):
            attempt()


def test_a_file_without_rights_is_one_sentence():
    with pytest.raises(DecodeError, match="cannot be read: Permission denied"), guarded("a.png"):
        raise PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize("change", [{"width": 31}, {"channels": 4}])
def test_a_file_that_changed_meanwhile_is_refused(tmp_path, change):
    path = tmp_path / "a.png"
    path.write_bytes(png())
    (frame,) = probe(path)
    with pytest.raises(DecodeError, match="are not what its header said"):
        Decoder(frame)(replace(frame, **change))


def test_a_page_that_is_gone_is_refused(tmp_path):
    tiff(tmp_path)
    (frame,) = probe(tmp_path / "seed.tif")
    with pytest.raises(DecodeError, match="damaged"):
        Decoder(frame)(replace(frame, page=3))


def test_developed_files_have_no_working_colour(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png())
    assert working_colour(probe(path)[0]) is None


def test_one_decoder_serves_many_threads(tmp_path):
    frames = []
    for index, data in enumerate([jpeg(), png(), tiff(tmp_path, compression="zlib")] * 8):
        path = tmp_path / f"{index}.x"
        path.write_bytes(data)
        frames += probe(path)
    decode = Decoder(frames[0])
    with ThreadPoolExecutor(8) as pool:
        many = list(pool.map(decode, frames))
    for frame, pixels in zip(frames, many, strict=True):
        np.testing.assert_array_equal(pixels, decode(frame))


def test_memory_that_runs_out_is_no_damage():
    with pytest.raises(DecodeError, match="does not fit the free memory"), guarded("a.png"):
        raise MemoryError


@pytest.mark.parametrize(
    "error", [struct.error("x"), KeyError(1), RuntimeError(), ZeroDivisionError(), zlib.error()]
)
def test_any_error_of_a_decoder_becomes_one_sentence(error):
    says = r"a\.png: the file is damaged: its data do not make a picture\."
    with pytest.raises(DecodeError, match=says), guarded("a.png"):
        raise error


@pytest.fixture(scope="session")
def seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    return {
        "jpeg": jpeg(),
        "png": png(),
        "tiff": tiff(folder),
        "lzw": tiff(folder, compression="lzw", tile=(16, 16)),
        "jpeg in tiff": tiff(folder, compression="jpeg", rowsperstrip=8),
    }


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff", "lzw", "jpeg in tiff"])
@settings(max_examples=150)
@given(data=st.data())
def test_changed_bytes_raise_nothing_but_our_own_errors(kind, seeds, tmp_path, data):
    damaged = bytearray(seeds[kind])
    # Headers and directories lie at the ends, where a change does most.
    spots = st.one_of(
        st.integers(0, min(400, len(damaged) - 1)),
        st.integers(max(0, len(damaged) - 400), len(damaged) - 1),
        st.integers(0, len(damaged) - 1),
    )
    for at in data.draw(st.lists(spots, min_size=1, max_size=4)):
        damaged[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "x.bin"
    path.write_bytes(damaged[: data.draw(st.sampled_from([len(damaged), len(damaged) // 2]))])
    with contextlib.suppress(GpustackError):
        for frame in probe(path):
            pixels = Decoder(frame)(frame)
            assert pixels.shape == (frame.height, frame.width, frame.channels)
