"""The header of a JPEG XL codestream, bit by bit: size, samples, turn and colour, without a decoder.

Source: ISO/IEC 18181-1, annexes C to E, as libjxl writes it (lib/jxl/headers.cc, image_metadata.cc,
color_encoding_internal.cc).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gpustack.errors import DecodeError
from gpustack.io.cicp import GAMUTS, SRGB_CURVE, SRGB_PRIMARIES, XY, Gamut
from gpustack.io.guard import damaged

Choice = tuple[int, int]
"""One of four ways to code a number: an offset, and how many bits are added to it."""

_SIZE = ((1, 9), (1, 13), (1, 18), (1, 30))
_ENUM = ((0, 0), (1, 0), (2, 4), (18, 6))
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
RGB, GRAY = 0, 1
CUSTOM, _EQUAL_ENERGY, _DCI = 2, 10, 11
_ALPHA, _SPOT, _CFA = 0, 2, 5
_TWELVE, _UNUSUAL = 2, 3  # ways to say how many bits a sample has
_WHITES = {1: GAMUTS[1].white, _EQUAL_ENERGY: (1 / 3, 1 / 3), _DCI: GAMUTS[11].white}
# Chromaticities in millionths, with the sign in the lowest bit.
COORDINATE = ((0, 19), (524_288, 19), (1_048_576, 20), (2_097_152, 21))


@dataclass(frozen=True, slots=True)
class Coding:
    """How colours are coded: chromaticities, and a curve of ITU-T H.273 or the gamma that light is raised to;
    `icc`: a profile inside the codestream says so."""

    gray: bool = False
    icc: bool = False
    gamut: Gamut = GAMUTS[SRGB_PRIMARIES]
    transfer: int = SRGB_CURVE
    gamma: float | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """Size in pixels as stored, bits of a sample, EXIF orientation, and channels beside the colours."""

    width: int
    height: int
    bits: int = 8
    floating: bool = False
    orientation: int = 1
    alphas: int = 0
    premultiplied: bool = False
    others: int = 0
    lossy: bool = True
    coding: Coding = Coding()


class Bits:
    """Reads numbers, lowest bit first."""

    def __init__(self, data: bytes, name: str) -> None:
        self._all, self._count, self._name = int.from_bytes(data, "little"), 8 * len(data), name
        self._left = self._count

    @property
    def taken(self) -> int:
        """How many bits were read."""
        return self._count - self._left

    def take(self, count: int) -> int:
        """The next bits as a number. Raises: DecodeError at the end."""
        self._left -= count
        if self._left < 0:
            raise damaged(self._name, "it ends inside its header")
        value = self._all & ((1 << count) - 1)
        self._all >>= count
        return value

    def flag(self) -> bool:
        """The next bit."""
        return bool(self.take(1))

    def choose(self, *ways: Choice) -> int:
        """A number coded in one of four ways."""
        offset, count = ways[self.take(2)]
        return offset + self.take(count)

    def enum(self) -> int:
        """A number out of a list."""
        return self.choose(*_ENUM)


def read_header(data: bytes, name: str) -> Header:
    """Read the header at the start of a codestream, from its first kilobyte or so.

    Raises: DecodeError where it is cut, and for animations.
    """
    bits = Bits(data[2:], name)
    header, usual, _ = _before_coding(bits, name)
    return header if usual else replace(header, coding=_coding(bits))


@dataclass(frozen=True, slots=True)
class Span:
    """Where, in bits after the first two bytes of a codestream, its colours are told, and where its header
    ends."""

    start: int
    stop: int
    end: int


def coding_span(data: bytes, name: str) -> Span:
    """Find the colours in the header of a codestream that tells them by numbers, and shows one picture.

    Raises: DecodeError where it is cut, or tells more than is understood.
    """
    bits = Bits(data[2:], name)
    _, usual, extra = _before_coding(bits, name)
    start = bits.taken
    coding = Coding() if usual else _coding(bits)
    if usual or coding.icc:
        raise damaged(name, "it does not tell its colours by numbers")
    # The intent of rendering follows, where not all of it is as usual: a flag alone.
    if bits.taken > start + 1:
        bits.enum()
    stop = bits.taken
    if extra and not bits.flag():  # how bright the screen is to be
        bits.take(49)
    if bits.take(2):
        raise damaged(name, "its header is extended")
    bits.flag()  # the transform of colours, as usual without loss
    return Span(start, stop, bits.taken)


def deepened(data: bytes, name: str) -> tuple[bytes, int]:
    """The start of a codestream with as many bits a sample as can be said without moving anything, and how
    many: 12 instead of 8 or 10, and 16 instead of unusual numbers. Raises: DecodeError where it is cut."""
    bits = Bits(data[2:], name)
    _size(bits)
    usual = bits.flag()
    if not usual and bits.flag():
        _extra_fields(bits, name)
    if usual or bits.flag():
        raise damaged(name, "it does not say how many bits its samples have")
    way, value = bits.take(2), int.from_bytes(data[2:], "little")
    if way == _UNUSUAL:
        depth, said, at, count = 16, 16 - 1, bits.taken, 6
    else:
        depth, said, at, count = 12, _TWELVE, bits.taken - 2, 2
    value = value & ~(((1 << count) - 1) << at) | said << at
    return data[:2] + value.to_bytes(len(data) - 2, "little"), depth


def _before_coding(bits: Bits, name: str) -> tuple[Header, bool, bool]:
    """What is told before the colours; whether these and all else are as usual, and not told; and whether
    there were extra fields."""
    width, height = _size(bits)
    if bits.flag():
        return Header(width, height), True, False
    extra = bits.flag()
    turn = _extra_fields(bits, name) if extra else 1
    floating, depth = _bit_depth(bits)
    bits.flag()  # whether 16 bits suffice for decoding
    more = [_extra_channel(bits) for _ in range(bits.choose((0, 0), (1, 0), (2, 4), (1, 12)))]
    alphas = [premultiplied for kind, premultiplied in more if kind == _ALPHA]
    others = len(more) - len(alphas)
    header = Header(width, height, depth, floating, turn, len(alphas), any(alphas), others, bits.flag())
    return header, False, extra


def _size(bits: Bits) -> tuple[int, int]:
    small = bits.flag()

    def side() -> int:
        return 8 * (1 + bits.take(5)) if small else bits.choose(*_SIZE)

    height = side()
    ratio = bits.take(3)
    if not ratio:
        return side(), height
    across, down = _RATIOS[ratio]
    return height * across // down, height


def _extra_fields(bits: Bits, name: str) -> int:
    """The orientation. Raises: DecodeError for what is no single picture."""
    turn = 1 + bits.take(3)
    if bits.flag():  # a size that it is to be shown at
        _size(bits)
    if bits.flag():  # a preview
        _preview_size(bits)
    if bits.flag():
        raise DecodeError(name, "it is an animation.", "Export its pictures one by one.")
    return turn


def _preview_size(bits: Bits) -> None:
    eighths = bits.flag()
    ways = ((16, 0), (32, 0), (1, 5), (33, 9)) if eighths else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.choose(*ways)
    if not bits.take(3):
        bits.choose(*ways)


def _bit_depth(bits: Bits) -> tuple[bool, int]:
    if bits.flag():
        depth = bits.choose((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
        return True, depth
    return False, bits.choose((8, 0), (10, 0), (12, 0), (1, 6))


def _extra_channel(bits: Bits) -> tuple[int, bool]:
    """The kind of a channel, and whether colours are multiplied with it."""
    if bits.flag():
        return _ALPHA, False
    kind = bits.enum()
    _bit_depth(bits)
    bits.choose((0, 0), (3, 0), (4, 0), (1, 3))
    for _ in range(bits.choose((0, 0), (0, 4), (16, 5), (48, 10))):
        bits.take(8)  # a letter of its name
    if kind == _SPOT:
        bits.take(64)
    if kind == _CFA:
        bits.choose((1, 0), (0, 2), (3, 4), (19, 8))
    return kind, kind == _ALPHA and bits.flag()


def _coding(bits: Bits) -> Coding:
    if bits.flag():
        return Coding()
    icc, space = bits.flag(), bits.enum()
    gray = space == GRAY
    if icc or space not in (RGB, GRAY):
        return Coding(gray, icc=icc)
    white = bits.enum()
    at = _xy(bits) if white == CUSTOM else _WHITES.get(white, GAMUTS[1].white)
    gamut = Gamut(at, *_corners(bits, gray=gray))
    if bits.flag():
        return Coding(gray, gamut=gamut, transfer=0, gamma=1e7 / max(1, bits.take(24)))
    return Coding(gray, gamut=gamut, transfer=bits.enum())


def _corners(bits: Bits, *, gray: bool) -> tuple[XY, XY, XY]:
    primaries = SRGB_PRIMARIES if gray else bits.enum()
    if primaries == CUSTOM:
        return _xy(bits), _xy(bits), _xy(bits)
    gamut = GAMUTS.get(primaries, GAMUTS[SRGB_PRIMARIES])
    return gamut.red, gamut.green, gamut.blue


def _xy(bits: Bits) -> XY:
    x, y = (bits.choose(*COORDINATE) for _ in range(2))
    return _signed(x) / 1e6, _signed(y) / 1e6


def _signed(value: int) -> int:
    return value // 2 if value % 2 == 0 else -(value + 1) // 2
