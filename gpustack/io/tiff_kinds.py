"""Which kinds of TIFF pages are read, and the sentence for each that is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tifffile import TiffPage

from gpustack.errors import DecodeError
from gpustack.io.guard import EXPORT_AGAIN
from gpustack.model.frame import PixelType

WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_LAB = {8, 9, 10}
LZW = 5
JPEG = 7
_OLD_JPEG = 6
# None, LZW, deflate (both numbers), PackBits, LZMA, ZSTD, JPEG.
_COMPRESSIONS = {1, LZW, 8, 32946, 32773, 34925, 50000, JPEG}
_UNSIGNED, _SIGNED, _FLOAT, _VOID, _COMPLEX = 1, 2, 3, 4, {5, 6}
CONTIGUOUS, _PLANAR = 1, 2

_TO_RGB = "Convert it to RGB, or leave it out."


def pixel_type(page: TiffPage) -> PixelType:
    """The sample type of a page that `refuse_kind` let pass."""
    return {8: PixelType.UINT8, 16: PixelType.UINT16, 32: PixelType.FLOAT32}[page.bitspersample]


def refuse_kind(page: TiffPage, name: str) -> None:
    """Raise DecodeError for a page whose kind of pixels is not handled, by the first rule that fits."""
    for fits, problem, remedy in _REFUSED:
        if fits(page):
            raise DecodeError(name, f"{problem(page)}.", remedy)


def _colours(page: TiffPage) -> int:
    """Samples of one pixel without alpha."""
    return 1 if page.photometric in (WHITE_IS_ZERO, _BLACK_IS_ZERO) else 3


def _has_odd_bits(page: TiffPage) -> bool:
    return page.bitspersample != 32 if page.sampleformat == _FLOAT else page.bitspersample not in (8, 16)


_Rule = tuple[Callable[[TiffPage], bool], Callable[[TiffPage], str], str]
_REFUSED: Sequence[_Rule] = (
    (lambda p: p.photometric == _PALETTE, lambda _: "it uses a colour palette", _TO_RGB),
    (lambda p: p.bitspersample == 1, lambda _: "it is black and white only, one bit a pixel", EXPORT_AGAIN),
    (lambda p: p.photometric == _CMYK, lambda _: "it is a CMYK picture", _TO_RGB),
    (lambda p: p.photometric in _LAB, lambda _: "it is a Lab picture", _TO_RGB),
    (lambda p: p.sampleformat in _COMPLEX, lambda _: "it holds complex numbers", EXPORT_AGAIN),
    (
        lambda p: p.sampleformat == _SIGNED,
        lambda p: f"it holds signed {p.bitspersample}-bit integers",
        EXPORT_AGAIN,
    ),
    (
        lambda p: p.sampleformat == _FLOAT and _has_odd_bits(p),
        lambda p: f"it holds {p.bitspersample}-bit floating-point numbers",
        "Export it again with 32-bit floating point or 16-bit integers, or leave it out.",
    ),
    (_has_odd_bits, lambda p: f"it has {p.bitspersample} bits a channel", EXPORT_AGAIN),
    (lambda p: p.sampleformat not in (_UNSIGNED, _FLOAT), lambda _: "its samples have no type", EXPORT_AGAIN),
    (
        lambda p: p.compression == _OLD_JPEG,
        lambda _: "it uses the old, ambiguous JPEG compression of TIFF 6.0",
        EXPORT_AGAIN,
    ),
    (
        lambda p: p.compression not in _COMPRESSIONS or (p.compression == JPEG and p.bitspersample != 8),
        lambda p: f"its compression (number {int(p.compression)}) is not handled",
        "Export it again with ZIP, LZW or no compression, or leave it out.",
    ),
    (
        lambda p: p.photometric == _YCBCR and (p.compression != JPEG or p.planarconfig == _PLANAR),
        lambda _: "it stores YCbCr colours in a way that is not handled",
        _TO_RGB,
    ),
    (
        lambda p: p.photometric not in (WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR),
        lambda p: f"its colour model (number {int(p.photometric)}) is not handled",
        _TO_RGB,
    ),
    (lambda p: p.imagedepth > 1 or p.tiledepth > 1, lambda _: "it is a volume, not a picture", EXPORT_AGAIN),
    (
        lambda p: p.samplesperpixel - _colours(p) not in (0, 1),
        lambda p: f"it has {p.samplesperpixel} channels",
        "Remove the channels that are neither colour nor transparency, or leave it out.",
    ),
)
