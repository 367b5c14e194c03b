"""Pictures in every format that is read, made by encoders that are not ours, and what must come of them.

`python -m tests.io.sources` prints the table of docs/formats.md; a test compares the two.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

Pixels = npt.NDArray[Any]

HEIGHT, WIDTH = 64, 96
EIGHT, SIDEWAYS = tuple(range(1, 9)), (1, 3, 6, 8)
# What turns an upright picture into the stored one that the orientation makes upright again.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="beetle"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


@cache
def profile() -> bytes:
    """Display P3, which nobody takes for the usual."""
    white, corners = (0.3127, 0.3290, 1), (0.68, 0.32, 1, 0.265, 0.69, 1, 0.15, 0.06, 1)
    return bytes(imagecodecs.cms_profile("rgb", whitepoint=white, primaries=corners, gamma=2.2))


def upright(levels: int, channels: int = 3) -> Pixels:
    """Smooth colours that differ in every corner, (h, w, c), 0 to `levels`."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    parts = (x / (WIDTH - 1), y / (HEIGHT - 1), (x + y) / (WIDTH + HEIGHT - 2), 1 - x / (2 * WIDTH))
    whole = np.stack(parts[:channels] if channels > 2 else (parts[0], parts[3])[:channels], -1) * levels
    return np.rint(whole).astype(np.uint8 if levels < 256 else np.uint16)


def stored(pixels: Pixels, turn: int) -> Pixels:
    """Upright pixels as a file of this orientation stores them."""
    if turn == 1:
        return pixels
    planes = [Image.fromarray(pixels[..., c]).transpose(STORED[turn]) for c in range(pixels.shape[2])]
    return np.ascontiguousarray(np.stack([np.asarray(plane) for plane in planes], -1))


def exif(turn: int) -> Image.Exif:
    """A camera, an exposure, a place, and a turn."""
    block = Image.Exif()
    block[271], block[272], block[274] = "Maker", "Model", turn
    block[282], block[283], block[296] = IFDRational(300), IFDRational(300), 2
    block[34665] = {33434: IFDRational(1, 125), 36867: "2026:03:04 05:06:07"}
    block[34853] = {1: "N", 2: (IFDRational(48), IFDRational(30), IFDRational(0))}
    return block


@dataclass(frozen=True)
class Source:
    """A way to store a picture: `write` makes a file of upright pixels, 0 to `levels`, for an orientation.

    within: how far the pixels read may be from them, of 65535 or 255 as the frame's type is; carried: what
    the file holds besides pixels (i: ICC profile, c: colour by numbers, e: EXIF, x: XMP, r: resolution).
    """

    name: str
    depth: str
    ending: str
    levels: int
    kind: str
    write: Callable[[Path, Pixels, int], None]
    within: int = 0
    turns: Sequence[int] = (1,)
    carried: str = ""
    channels: int = 3
    needs: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.depth}".replace(" ", "-")

    def make(self, folder: Path, turn: int = 1) -> Path:
        """The file, in a folder."""
        path = folder / f"{self.name.replace(' ', '_')}_{self.depth.replace(' ', '_')}_{turn}{self.ending}"
        self.write(path, stored(upright(self.levels, self.channels), turn), turn)
        return path

    def truth(self) -> Pixels:
        """The upright pixels in the frame's type."""
        pixels = upright(self.levels, self.channels)
        white = {"uint8": 255, "uint16": 65535, "float32": 1}[self.kind]
        return (pixels * (white / self.levels)).round(0 if white > 1 else 12)


def by_pillow(kind: str, **options: Any) -> Callable[[Path, Pixels, int], None]:
    """Pillow writes 8 bits, EXIF, a profile, and where the format has it, XMP and density."""

    def write(path: Path, pixels: Pixels, turn: int) -> None:
        picture = Image.fromarray(pixels.squeeze())
        more = dict(options)
        if kind in ("JPEG", "WEBP", "AVIF"):
            more["xmp"] = XMP
        if kind in ("JPEG", "PNG", "TIFF"):
            more["dpi"] = (300, 300)
        picture.save(path, kind, exif=exif(turn), icc_profile=profile(), **more)

    return write


def by_tifffile(**options: Any) -> Callable[[Path, Pixels, int], None]:
    """tifffile writes TIFF of any depth, with its tags."""

    def write(path: Path, pixels: Pixels, turn: int) -> None:
        data = pixels if options.get("dtype") is None else (pixels / 65535).astype(options["dtype"])
        more = {key: value for key, value in options.items() if key != "dtype"}
        tags = [(274, 3, 1, turn, True), (271, 2, None, "Maker", True), (700, 1, len(XMP), XMP, True)]
        tifffile.imwrite(
            path,
            data,
            photometric="rgb",
            extratags=tags,
            iccprofile=profile(),
            resolution=(300, 300),
            resolutionunit=2,
            metadata=None,
            **more,
        )

    return write


def by_cv2(path: Path, pixels: Pixels, turn: int) -> None:
    """OpenCV writes PNG of 16 bits, and nothing else."""
    import cv2

    assert turn == 1
    cv2.imwrite(str(path), pixels[..., ::-1])


def by_pillow_heif(bits: int) -> Callable[[Path, Pixels, int], None]:
    """libheif with x265 writes HEIC of 8, 10 and 12 bits."""

    def write(path: Path, pixels: Pixels, turn: int) -> None:
        import pillow_heif

        mode, data = "RGB", pixels
        if bits > 8:
            mode, data = "RGB;16", (pixels.astype(np.uint16) << (16 - bits)).astype("<u2")
        pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
        picture = pillow_heif.from_bytes(mode, pixels.shape[1::-1], data.tobytes())
        picture.info["icc_profile"], picture.info["icc_profile_type"] = profile(), "prof"
        block = exif(turn).tobytes()
        picture.info["original_orientation"] = turn
        picture.save(path, quality=-1, chroma=444, exif=block, xmp=XMP)

    return write


def by_imagecodecs_avif(bits: int) -> Callable[[Path, Pixels, int], None]:
    """libavif writes 10 and 12 bits, and nothing else."""

    def write(path: Path, pixels: Pixels, turn: int) -> None:
        assert turn == 1
        coded = imagecodecs.avif_encode(pixels, level=100, speed=8, bitspersample=bits, pixelformat="444")
        path.write_bytes(coded)

    return write


def by_cjxl(*options: str, bits: int = 16) -> Callable[[Path, Pixels, int], None]:
    """The tool of libjxl codes a PPM; boxes of EXIF and XMP are put behind, as it does for other files."""

    def write(path: Path, pixels: Pixels, turn: int) -> None:
        assert turn == 1
        source = path.with_suffix(".ppm")
        levels = (1 << bits) - 1
        data = pixels if bits == 8 else pixels.astype(">u2")
        source.write_bytes(b"P6 %d %d %d\n" % (*pixels.shape[1::-1], levels) + data.tobytes())
        more = ["--container=1", "-e", "3", "-x", "color_space=RGB_D65_DCI_Rel_SRG", *options]
        command = ["cjxl", str(source), str(path), *more]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        block = bytes(4) + exif(1).tobytes().removeprefix(b"Exif\0\0")
        with path.open("ab") as file:
            for kind, body in ((b"Exif", block), (b"xml ", XMP)):
                file.write((len(body) + 8).to_bytes(4, "big") + kind + body)

    return write


def by_imagecodecs_jxl(dtype: str) -> Callable[[Path, Pixels, int], None]:
    """libjxl codes floats without loss."""

    def write(path: Path, pixels: Pixels, turn: int) -> None:
        assert turn == 1
        path.write_bytes(imagecodecs.jpegxl_encode((pixels / 65535).astype(dtype), lossless=True))

    return write


def by_openexr(dtype: str) -> Callable[[Path, Pixels, int], None]:
    """The format's own library, with the chromaticities of Display P3."""

    def write(path: Path, pixels: Pixels, turn: int) -> None:
        import OpenEXR

        assert turn == 1
        header = {
            "type": OpenEXR.scanlineimage,
            "chromaticities": (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329),
            "cameraMake": "Maker",
            "expTime": 1 / 125,
            "xDensity": 300.0,
        }
        OpenEXR.File(header, {"RGB": (pixels / 65535).astype(dtype)}).write(str(path))

    return write


def by_ffmpeg(codec: str, layout: str, **options: str) -> Callable[[Path, Pixels, int], None]:
    """FFmpeg (PyAV) codes three frames in BT.709 of limited range; the first is the picture."""

    def write(path: Path, pixels: Pixels, turn: int) -> None:
        import av

        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=Fraction(25), options=options)
            stream.height, stream.width = pixels.shape[:2]
            stream.pix_fmt = layout
            coding = stream.codec_context
            coding.color_range, coding.colorspace, coding.color_primaries, coding.color_trc = 1, 1, 12, 13
            if turn != 1:
                stream.set_display_rotation({3: 180, 6: -90, 8: 90}[turn])
            for index in range(3):
                deep = pixels.dtype == np.uint16
                data = np.roll(pixels, index, 1)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(data), "rgb48le" if deep else "rgb24")
                exact = 4 | 0x2000 | 0x4000 | 0x40000  # bicubic, full chroma in and out, accurate rounding
                frame = frame.reformat(
                    format=layout, dst_colorspace=1, dst_color_range=1, interpolation=exact
                )
                container.mux(stream.encode(frame))
            container.mux(stream.encode())

    return write


LOSSLESS_H264 = {"qp": "0", "preset": "ultrafast"}
LOSSLESS_H265 = {"x265-params": "lossless=1:log-level=none"}
ALL, ALL_BY_NUMBERS, LIGHT = "iexr", "cexr", "cer"
SOURCES = (
    Source("JPEG", "8 bit", ".jpg", 255, "uint8",
           by_pillow("JPEG", quality=100, subsampling=0), 4, EIGHT, ALL),
    Source("PNG", "8 bit", ".png", 255, "uint8", by_pillow("PNG"), 0, EIGHT, "ier"),
    Source("PNG", "16 bit", ".png", 65535, "uint16", by_cv2),
    Source("TIFF", "8 bit", ".tif", 255, "uint8", by_tifffile(), 0, EIGHT, ALL),
    Source("TIFF", "16 bit", ".tif", 65535, "uint16", by_tifffile(compression="zlib"), 0, EIGHT, ALL),
    Source("TIFF", "32 bit float", ".tif", 65535, "float32", by_tifffile(dtype="float32"), 0, EIGHT, ALL),
    Source("BigTIFF", "16 bit", ".tif", 65535, "uint16", by_tifffile(bigtiff=True), 0, EIGHT, ALL),
    Source("HEIC", "8 bit", ".heic", 255, "uint8", by_pillow_heif(8), 2, EIGHT, ALL),
    Source("HEIC", "10 bit", ".heic", 1023, "uint16", by_pillow_heif(10), 130, SIDEWAYS, ALL),
    Source("HEIC", "12 bit", ".heic", 4095, "uint16", by_pillow_heif(12), 35, SIDEWAYS, ALL),
    Source("AVIF", "8 bit", ".avif", 255, "uint8",
           by_pillow("AVIF", quality=100, subsampling="4:4:4"), 3, EIGHT, ALL),
    Source("AVIF", "10 bit", ".avif", 1023, "uint16", by_imagecodecs_avif(10)),
    Source("AVIF", "12 bit", ".avif", 4095, "uint16", by_imagecodecs_avif(12)),
    Source("JPEG XL", "8 bit", ".jxl", 255, "uint8",
           by_cjxl("-d", "0", bits=8), 0, (1,), ALL_BY_NUMBERS, needs="cjxl"),
    Source("JPEG XL", "16 bit", ".jxl", 65535, "uint16",
           by_cjxl("-d", "0"), 0, (1,), ALL_BY_NUMBERS, needs="cjxl"),
    Source("JPEG XL", "8 bit lossy", ".jxl", 255, "uint8",
           by_cjxl("-d", "0.3", bits=8), 12, (1,), ALL_BY_NUMBERS, needs="cjxl"),
    Source("JPEG XL", "16 bit float", ".jxl", 65535, "float32", by_imagecodecs_jxl("float16"), 16),
    Source("JPEG XL", "32 bit float", ".jxl", 65535, "float32", by_imagecodecs_jxl("float32")),
    Source("WebP", "8 bit lossless", ".webp", 255, "uint8", by_pillow("WEBP", lossless=True), 0, EIGHT, ALL),
    Source("WebP", "8 bit lossy", ".webp", 255, "uint8", by_pillow("WEBP", quality=100), 8, EIGHT, ALL),
    Source("OpenEXR", "16 bit float", ".exr", 65535, "float32", by_openexr("float16"), 16, (1,), LIGHT),
    Source("OpenEXR", "32 bit float", ".exr", 65535, "float32", by_openexr("float32"), 0, (1,), LIGHT),
    Source("video H.264", "8 bit", ".mp4", 255, "uint8",
           by_ffmpeg("libx264", "yuv444p", **LOSSLESS_H264), 2, SIDEWAYS, "c"),
    Source("video H.265", "10 bit", ".mov", 65535, "uint16",
           by_ffmpeg("libx265", "yuv444p10le", **LOSSLESS_H265), 200, SIDEWAYS, "c"),
)  # fmt: skip

_HEAD = """| format | depth | becomes | pixels | turned | profile | EXIF | XMP | resolution |
|---|---|---|---|---|---|---|---|---|
"""


def table() -> str:
    """The sources as docs/formats.md has them."""
    return _HEAD + "".join(_row(source) for source in SOURCES)


def _row(source: Source) -> str:
    white = 255 if source.kind == "uint8" else 65535
    pixels = "exact" if not source.within else f"within {source.within} of {white}"
    turned = (
        "1 to 8"
        if source.turns == EIGHT
        else ", ".join(map(str, source.turns))
        if len(source.turns) > 1
        else "-"
    )
    colour = "ICC" if "i" in source.carried else "from code points" if "c" in source.carried else "-"
    rest = ("yes" if letter in source.carried else "-" for letter in "exr")
    cells = (source.name, source.depth, f"`{source.kind}`", pixels, turned, colour, *rest)
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.stdout.write(table())
