import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from gpustack.errors import DecodeError
from gpustack.io.decode import Decoder, probe
from gpustack.model.frame import Kind, PixelType

HEIGHT, WIDTH = 37, 53


def picture(channels: int, dtype: str, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((HEIGHT, WIDTH, channels))
    return (noise * {"uint8": 255, "uint16": 65535, "float32": 2.5}[dtype]).astype(dtype)


def smooth() -> np.ndarray:
    """A picture that JPEG keeps well."""
    y, x = np.mgrid[:64, :80]
    return np.stack([y * 3, x * 3, y + x], -1).astype(np.uint8)


def write(path: Path, pixels: np.ndarray, channels: int, **options) -> None:
    """Write (h, w, c) pixels with the photometric interpretation and extra samples that fit their number."""
    photometric = "rgb" if channels > 2 else "minisblack"
    options = {"photometric": photometric, "metadata": None, **options}
    if channels in (2, 4):
        options["extrasamples"] = ["unassalpha"]
    planar = options.get("planarconfig") == "separate"
    shaped = pixels[..., 0] if channels == 1 else np.moveaxis(pixels, -1, 0) if planar else pixels
    if channels == 2 and not planar:
        options["planarconfig"] = "contig"
    tifffile.imwrite(path, shaped, **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "picture.bin"


def read(path: Path) -> np.ndarray:
    (frame,) = probe(path)
    return Decoder(frame)(frame)


def patched(path: Path, tag: int, value: int) -> None:
    """Set the first value of a SHORT or LONG tag of the first page in a little-endian file."""
    with tifffile.TiffFile(path) as tif:
        entry = tif.pages[0].tags[tag]
        at, code = entry.valueoffset, {3: "<H", 4: "<I"}[int(entry.dtype)]
    data = bytearray(path.read_bytes())
    struct.pack_into(code, data, at, value)
    path.write_bytes(data)


LAYOUTS = {
    "one strip": {},
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 32)},
    "big-endian strips": {"rowsperstrip": 5, "byteorder": ">"},
    "BigTIFF tiles": {"tile": (16, 16), "bigtiff": True},
    "LZW": {"compression": "lzw", "rowsperstrip": 8, "predictor": True},
    "deflate": {"compression": "zlib", "tile": (32, 32), "predictor": True},
    "deflate, no predictor": {"compression": "zlib", "rowsperstrip": 8},
    "ZSTD": {"compression": "zstd", "rowsperstrip": 8, "predictor": True},
    "PackBits": {"compression": "packbits", "rowsperstrip": 8},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(
    ("channels", "planar"),
    [(c, planar) for c in (1, 2, 3, 4) for planar in (False, True) if c > 1 or not planar],
)
def test_samples_come_back_exactly(path, channels, dtype, layout, planar):
    pixels = picture(channels, dtype)
    options = dict(LAYOUTS[layout])
    if planar:
        options["planarconfig"] = "separate"
    write(path, pixels, channels, **options)
    (frame,) = probe(path)
    assert (frame.width, frame.height, frame.channels) == (WIDTH, HEIGHT, channels)
    assert frame.pixel_type is PixelType(dtype)
    assert frame.kind is Kind.TIFF
    decoded = Decoder(frame)(frame)
    assert decoded.flags.c_contiguous
    assert decoded.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(decoded, pixels)


@pytest.mark.parametrize("layout", [{"rowsperstrip": 16}, {"tile": (32, 32)}, {"rowsperstrip": 64}])
@pytest.mark.parametrize("options", [{}, {"compressionargs": {"level": 95, "subsampling": "420"}}])
def test_jpeg_inside_is_read_as_rgb(path, layout, options):
    write(path, smooth(), 3, compression="jpeg", **layout, **options)
    assert abs(read(path).astype(int) - smooth()).mean() < 4


def test_gray_jpeg_inside_is_read(path):
    write(path, smooth(), 1, compression="jpeg", rowsperstrip=16)
    assert abs(read(path)[..., 0].astype(int) - smooth()[..., 0]).mean() < 4


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_white_is_zero_is_inverted(path, dtype):
    pixels = picture(1, dtype)
    tifffile.imwrite(path, pixels[..., 0], photometric="miniswhite", metadata=None)
    white = {"uint8": 255, "uint16": 65535, "float32": np.float32(1)}[dtype]
    decoded = read(path)
    assert decoded.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(decoded, white - pixels)


def test_inverting_leaves_alpha_alone(path):
    pixels = picture(2, "uint8")
    write(path, pixels, 2, photometric="miniswhite")
    decoded = read(path)
    np.testing.assert_array_equal(decoded[..., 0], 255 - pixels[..., 0])
    np.testing.assert_array_equal(decoded[..., 1], pixels[..., 1])


@pytest.mark.parametrize(("value", "orientation"), [(6, 6), (8, 8), (0, 1), (9, 1)])
def test_orientation_is_told_and_not_applied(path, value, orientation):
    pixels = picture(3, "uint8")
    write(path, pixels, 3, extratags=[(274, "H", 1, value, True)])
    assert probe(path)[0].orientation == orientation
    np.testing.assert_array_equal(read(path), pixels)


def test_pages_are_frames_and_previews_are_not(path):
    pages = [picture(3, "uint16", seed) for seed in range(3)]
    with tifffile.TiffWriter(path) as tif:
        for page in pages:
            tif.write(page, photometric="rgb", metadata=None)
            tif.write(page[::4, ::4], photometric="rgb", metadata=None, subfiletype=1)
        tif.write(pages[0][..., 0] > 9, photometric="mask", metadata=None, subfiletype=4)
        old_preview = [(255, "H", 1, 2, True)]
        tif.write(pages[0][::2, ::2], photometric="rgb", metadata=None, extratags=old_preview)
    frames = probe(path)
    assert [frame.page for frame in frames] == [0, 2, 4]
    assert {frame.pages for frame in frames} == {3}
    decode = Decoder(frames[0])
    for frame, page in zip(frames, pages, strict=True):
        np.testing.assert_array_equal(decode(frame), page)


def test_pages_of_two_sizes_are_refused(path):
    with tifffile.TiffWriter(path) as tif:
        for size in (HEIGHT, 20):
            tif.write(picture(1, "uint8")[:size, :20, 0], photometric="minisblack", metadata=None)
    with pytest.raises(DecodeError, match="differ in size: 20 x 20 and 20 x 37"):
        probe(path)


def test_a_file_of_previews_only_is_refused(path):
    write(path, picture(3, "uint8"), 3, subfiletype=1)
    with pytest.raises(DecodeError, match="no page of it"):
        probe(path)


def test_imagej_stacks_with_one_directory_are_cut_short(path):
    tifffile.imwrite(
        path,
        picture(1, "uint8")[..., 0],
        photometric="minisblack",
        description="ImageJ=1.54\nimages=7\nslices=7\n",
    )
    with pytest.raises(DecodeError, match="ends before its last slice does"):
        probe(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(path, bad):
    pixels = picture(3, "float32")
    pixels[5, 6, 1] = bad
    write(path, pixels, 3)
    with pytest.raises(DecodeError, match="not numbers"):
        read(path)


@pytest.mark.parametrize(
    "options", [LAYOUTS[name] for name in ("one strip", "tiles", "LZW", "deflate", "ZSTD")]
)
@pytest.mark.parametrize("share", [0.3, 0.7, 0.999])
def test_a_cut_file_is_refused(path, options, share):
    write(path, picture(3, "uint16"), 3, **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DecodeError, match="damaged"):
        read(path)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd", "jpeg", "packbits"])
def test_cut_strips_are_refused(path, compression):
    write(path, smooth(), 3, compression=compression, rowsperstrip=64)
    with tifffile.TiffFile(path) as tif:
        count = tif.pages[0].databytecounts[0]
    patched(path, 279, count // 2)
    with pytest.raises(DecodeError, match="damaged"):
        read(path)


def test_damage_inside_jpeg_strips_is_refused(path):
    write(path, smooth(), 3, compression="jpeg", rowsperstrip=64)
    with tifffile.TiffFile(path) as tif:
        start, count = tif.pages[0].dataoffsets[0], tif.pages[0].databytecounts[0]
    data = bytearray(path.read_bytes())
    data[start + count // 2 : start + count - 2] = b"\x55" * (count - 2 - count // 2)
    path.write_bytes(data)
    with pytest.raises(DecodeError, match="damaged"):
        read(path)


@pytest.mark.parametrize(("tag", "value"), [(279, 0), (273, 0)])
def test_strips_that_were_never_written_are_refused(path, tag, value):
    write(path, picture(1, "uint8"), 1, compression="lzw")
    patched(path, tag, value)
    with pytest.raises(DecodeError, match=r"never written|damaged"):
        read(path)


@pytest.mark.parametrize(
    ("width", "height", "says"),
    [
        (0, HEIGHT, "without a pixel"),
        (65_501, 1, "more than is read"),
        (40_000, 40_000, "more than is read"),
        (9_000, 9_000, "strips or tiles"),
    ],
)
def test_a_bomb_is_refused_at_the_header(path, width, height, says):
    write(path, picture(1, "uint8"), 1, compression="zlib", rowsperstrip=8)
    patched(path, 256, width)
    patched(path, 257, height)
    with pytest.raises(DecodeError, match=says):
        probe(path)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [2, 4])
def test_colours_multiplied_with_alpha_are_divided_by_it(
    path: Path, planar: str, dtype: str, channels: int
) -> None:
    top = 1.0 if dtype == "float32" else float(np.iinfo(dtype).max)
    draw = np.random.default_rng(4)
    colours, alpha = draw.random((20, 30, channels - 1)), draw.random((20, 30, 1))
    alpha[:5] = np.array([0, 1, 0.5])[draw.integers(0, 3, (5, 30, 1))]
    stored = np.concatenate([colours * alpha, alpha], -1) * top
    stored = (stored if dtype == "float32" else np.rint(stored)).astype(dtype)
    tifffile.imwrite(
        path,
        stored if planar == "contig" else np.moveaxis(stored, -1, 0),
        photometric="rgb" if channels == 4 else "minisblack",
        planarconfig=planar,
        extrasamples=["assocalpha"],
    )
    found = read(path).astype(float)
    assert np.array_equal(found[..., -1], stored[..., -1])
    seen = stored[..., -1] > 0
    assert (found[~seen][..., :-1] == 0).all()
    # What was stored is known to half a level, which counts for more where little is seen.
    loss = 1e-6 if dtype == "float32" else 0.5 + 0.5 * top / stored[seen][:, -1:]
    most = loss + colours[seen] * (0 if dtype == "float32" else 0.5 * top / stored[seen][:, -1:])
    assert (np.abs(found[seen][:, :-1] - colours[seen] * top) <= most + 1e-9).all()


def test_division_by_alpha_is_that_of_pillow(data: Path) -> None:
    """Of a real file, tiled and planar, in 16 bits; Pillow cuts down to 8 before it divides."""
    file = data / "hostile/tiff_16bit__tiff_tiled_planar_16bit_RGBa.tiff"
    with Image.open(file) as picture:
        assert picture.mode in ("RGBA", "RGBa")
        other = np.asarray(picture.convert("RGBA"), float)
    found = read(file) / 257
    seen = other[..., -1] > 128
    assert seen.any()
    assert np.abs(found - other)[seen].max() <= 3


@pytest.mark.parametrize(
    ("channels", "dtype", "options"),
    [
        (3, "uint16", {"tile": (16, 32), "compression": "adobe_deflate", "predictor": True}),
        (3, "uint8", {"rowsperstrip": 5, "compression": "lzw"}),
        (1, "float32", {"rowsperstrip": 1}),
        (4, "uint8", {"tile": (16, 16)}),
        (2, "uint16", {}),
        (3, "uint8", {"planarconfig": "separate", "rowsperstrip": 7}),
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_parts_are_the_whole(path, channels, dtype, options, threads):
    pixels = picture(channels, dtype)
    write(path, pixels, channels, **options)
    (frame,) = probe(path)
    decoder = Decoder(frame)
    found, through = np.zeros_like(pixels), []

    def work(top, left, part):
        found[top : top + part.shape[0], left : left + part.shape[1]] = part

    for rows in decoder.parts(frame, work, threads):
        assert np.array_equal(found[:rows], decoder(frame)[:rows])
        through.append(rows)
    assert through == sorted(through)
    assert through[-1] == HEIGHT
    assert np.array_equal(found, pixels)


def test_damage_in_a_part_is_refused(path):
    write(path, picture(3, "uint8"), 3, rowsperstrip=8, compression="adobe_deflate")
    data = bytearray(path.read_bytes())
    (frame,) = probe(path)
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[0].dataoffsets[2]
    data[start : start + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(DecodeError, match="damaged"):
        list(Decoder(frame).parts(frame, lambda *_: None, 2))


def beside(path: Path, **options: object) -> float:
    """What decoding takes besides the pixels of a megapixel, as its header tells it."""
    tifffile.imwrite(path, np.zeros((1000, 1000, 3), np.uint16), photometric="rgb", **options)
    (frame,) = probe(path)
    assert frame.decoding is not None
    return frame.decoding


def test_what_decoding_takes_is_told(path) -> None:
    """Nothing where samples are read as they lie; parts that are packed lie beside what they become; planes
    are put together into another picture."""
    assert beside(path, rowsperstrip=64) == 0
    strips, whole = (beside(path, rowsperstrip=rows, compression="zlib") for rows in (10, 1000))
    assert whole - strips == pytest.approx(2.4 * 0.99)
    planar = np.zeros((3, 1000, 1000), np.uint16)
    tifffile.imwrite(path, planar, photometric="rgb", planarconfig="separate")
    assert probe(path)[0].decoding == 1


def test_packed_files_are_read_a_piece_at_a_time(path, monkeypatch) -> None:
    """Never more of the file at once than decoding is said to take."""
    picture = np.random.default_rng(3).integers(0, 1 << 16, (1000, 1500, 3), np.uint16)
    tifffile.imwrite(path, picture, photometric="rgb", rowsperstrip=20, compression="zlib")
    read: list[int] = []
    plain = tifffile.FileHandle.read_segments

    def watched(*arguments: object, **options: int) -> object:
        read.append(options["buffersize"])
        return plain(*arguments, **options)

    monkeypatch.setattr(tifffile.FileHandle, "read_segments", watched)
    frame = probe(path)[0]
    np.testing.assert_array_equal(Decoder(frame)(frame), picture)
    assert read
    assert 2 * max(read) < frame.decoding * frame.nbytes
