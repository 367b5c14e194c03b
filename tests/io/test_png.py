import struct
import zlib

import numpy as np
import pytest

from gpustack.errors import DecodeError
from gpustack.io.decode import Decoder, probe
from gpustack.model.frame import Kind, PixelType

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def rows(samples: np.ndarray, depth: int) -> bytes:
    """Unfiltered rows of (h, w, c) samples."""
    flat = samples.reshape(len(samples), -1)
    if depth == 16:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in flat)
    bits = np.unpackbits(flat.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
    return b"".join(b"\0" + np.packbits(row).tobytes() for row in bits.reshape(len(flat), -1))


def png(samples, depth, colour, *extra, interlaced=False, idat=None) -> bytes:
    height, width = samples.shape[:2]
    passes = [samples[t::d, left::a] for t, left, d, a in PASSES] if interlaced else [samples]
    raw = b"".join(rows(part, depth) for part in passes if part.size)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    data = chunk(b"IDAT", zlib.compress(raw) if idat is None else idat)
    return b"".join([SIGNATURE, chunk(b"IHDR", head), *extra, data, chunk(b"IEND", b"")])


def noise(depth, colour, height=11, width=13, top=None) -> np.ndarray:
    return np.random.default_rng(depth * 10 + colour).integers(
        0, top or 2**depth, (height, width, SAMPLES[colour])
    )


@pytest.fixture
def read(tmp_path):
    def read(data: bytes):
        path = tmp_path / "picture.bin"
        path.write_bytes(data)
        (frame,) = probe(path)
        return frame, Decoder(frame)(frame)

    return read


PLAIN = [
    *((GRAY, depth) for depth in (1, 2, 4, 8, 16)),
    *((colour, depth) for colour in (RGB, GRAY_ALPHA, RGBA) for depth in (8, 16)),
]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "depth"), PLAIN)
def test_samples_come_back_exactly(read, colour, depth, interlaced, capfd):
    samples = noise(depth, colour)
    frame, pixels = read(png(samples, depth, colour, interlaced=interlaced))
    full = 65535 if depth == 16 else 255
    np.testing.assert_array_equal(pixels, samples * full // (2**depth - 1))
    assert frame.kind is Kind.PNG
    assert frame.channels == SAMPLES[colour]
    assert frame.pixel_type is (PixelType.UINT16 if depth == 16 else PixelType.UINT8)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palettes_become_rgb(read, depth, interlaced):
    colours = np.random.default_rng(1).integers(0, 256, (2**depth, 3))
    samples = noise(depth, PALETTE)
    palette = chunk(b"PLTE", colours.astype(np.uint8).tobytes())
    frame, pixels = read(png(samples, depth, PALETTE, palette, interlaced=interlaced))
    assert frame.channels == 3
    np.testing.assert_array_equal(pixels, colours[samples[..., 0]])


def test_transparency_of_a_palette_becomes_alpha(read):
    colours, alpha = np.arange(12).reshape(4, 3), np.array([7, 9, 255, 255])
    samples = noise(2, PALETTE)
    extra = chunk(b"PLTE", bytes(range(12))), chunk(b"tRNS", bytes([7, 9]))
    frame, pixels = read(png(samples, 2, PALETTE, *extra))
    assert frame.channels == 4
    np.testing.assert_array_equal(pixels[..., :3], colours[samples[..., 0]])
    np.testing.assert_array_equal(pixels[..., 3], alpha[samples[..., 0]])


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("colour", [GRAY, RGB])
def test_a_transparent_colour_becomes_alpha(read, colour, depth):
    samples = noise(depth, colour)
    key = chunk(b"tRNS", samples[3, 4].astype(">u2").tobytes())
    frame, pixels = read(png(samples, depth, colour, key))
    hidden = (samples == samples[3, 4]).all(axis=2)
    assert frame.channels == SAMPLES[colour] + 1
    np.testing.assert_array_equal(pixels[..., :-1], samples)
    np.testing.assert_array_equal(pixels[..., -1] == 0, hidden)


@pytest.mark.parametrize("where", ["before", "behind"])
def test_orientation_is_told_and_not_applied(read, where):
    block = b"II" + struct.pack("<HIHHHIHHI", 42, 8, 1, 274, 3, 1, 8, 0, 0)
    samples = noise(8, RGB)
    data = png(samples, 8, RGB)
    at = data.index(b"IDAT" if where == "before" else b"IEND") - 4
    frame, pixels = read(data[:at] + chunk(b"eXIf", block) + data[at:])
    assert frame.orientation == 8
    np.testing.assert_array_equal(pixels, samples)


def test_broken_metadata_do_not_cost_the_picture(read, capfd):
    samples = noise(8, RGB)
    wrong_sum = chunk(b"iCCP", b"name\0\0nonsense")[:-1] + b"\0"
    _, pixels = read(png(samples, 8, RGB, chunk(b"gAMA", b"\0\0\0\1"), chunk(b"sBIT", b"\x09"), wrong_sum))
    np.testing.assert_array_equal(pixels, samples)
    assert capfd.readouterr() == ("", "")


def test_a_stream_in_many_chunks_is_read(read):
    samples = noise(8, RGB, 40, 50)
    whole = zlib.compress(rows(samples, 8))
    data = png(
        samples, 8, RGB, *(chunk(b"IDAT", whole[i : i + 100]) for i in range(0, 900, 100)), idat=whole[900:]
    )
    np.testing.assert_array_equal(read(data)[1], samples)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_stream_is_refused(read, share, interlaced):
    samples = noise(8, RGB, 40, 50)
    whole = png(samples, 8, RGB, interlaced=interlaced)
    stream = zlib.compress(rows(samples, 8))
    with pytest.raises(DecodeError, match="damaged"):
        read(whole[: int(len(whole) * share)])
    with pytest.raises(DecodeError, match="damaged"):
        read(png(samples, 8, RGB, idat=stream[: int(len(stream) * share)], interlaced=interlaced))


def test_every_changed_byte_of_the_pixel_data_is_noticed(read):
    data = png(noise(8, RGB), 8, RGB)
    start = data.index(b"IDAT")
    for at in range(start, len(data) - 12, 7):
        with pytest.raises(DecodeError):
            read(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (SIGNATURE, "ends before its picture"),
        (SIGNATURE + chunk(b"IEND", b""), "does not start with a header"),
        (png(noise(8, RGB), 8, RGB, chunk(b"acTL", bytes(8))), "animated"),
        (png(noise(8, RGB), 8, RGB, chunk(b"CgBI", bytes(4))), "chunk that PNG does not know"),
        (png(noise(8, RGB), 8, 5), "values that PNG does not know"),
        (png(np.zeros((0, 3, 1), int), 8, GRAY), "without a pixel"),
        (png(noise(8, GRAY), 8, GRAY).replace(struct.pack(">I", 13), struct.pack(">I", 30000)), "damaged"),
    ],
    ids=["signature", "no header", "animated", "apple", "colour type", "no pixel", "claims"],
)
def test_what_is_not_handled_has_a_sentence_of_its_own(read, data, says):
    with pytest.raises(DecodeError, match=says) as caught:
        read(data)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("size", "says"),
    [
        ((65_501, 1), "more than is read"),
        ((60_000, 60_000), "more than"),
        ((9_000, 9_000), "bytes are there"),
    ],
)
def test_a_bomb_is_refused_at_the_header(tmp_path, size, says):
    path = tmp_path / "bomb.png"
    head = struct.pack(">IIBBBBB", *size, 8, RGB, 0, 0, 0)
    path.write_bytes(
        SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    with pytest.raises(DecodeError, match=says):
        probe(path)
