"""What the directories of a TIFF-like file say about sensor data; most RAW formats are TIFF with own tags.

Sources: DNG 1.7.1.0; the TIFF/EP draft (ISO 12234-2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from gpustack.io.ifd import Directory, Entry, read_directory, read_header

_MAKE, _MODEL, _PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION = 271, 272, 262, 330, 50706
_CFA, _LINEAR_RAW = 32803, 34892
_WIDTH, _HEIGHT, _COMPRESSION, _BLACK_REPEATS = 256, 257, 259, 50713
_FILTER_REPEATS, _FILTERS = 33421, 33422
_EXTENTS = ((273, 279), (324, 325))
# UniqueCameraModel, ColorMatrix, CameraCalibration, AnalogBalance, BaselineExposure, CalibrationIlluminant,
# signatures of calibrations, ProfileName and ForwardMatrix; matrices and illuminants for two kinds of light.
_CALIBRATION = (
    50708,
    50721,
    50722,
    50723,
    50724,
    50727,
    50730,
    50778,
    50779,
    50931,
    50932,
    50936,
    50964,
    50965,
)
# The header's first bytes after the offset of IFD0: Canon CR2; Phase One IIQ of either byte order.
_PHASE_ONE_MARKS = (b"IIII", b"MMMM")
_OWN_MARKS = (b"CR", *_PHASE_ONE_MARKS)
_PANASONIC_MARK = b"IIU\0"
# RAW files have their sensor data in one of the first few directories; a stack of pages may have a thousand.
_MOST_CHAINED, _MOST_SUB = 8, 16
# Pixels that one byte can stand for: sensor data, being noise, take some 4 to 16 bits each. The lossy ways of
# DNG (JPEG and JPEG XL) can have any ratio where a picture is all white.
_MOST_SQUEEZED = 512
_LOSSY = (34892, 52546)


def is_raw(file: BinaryIO) -> bool:
    """Whether a TIFF file holds sensor data rather than a developed picture."""
    file.seek(8)
    return file.read(4).startswith(_OWN_MARKS) or any(
        _DNG_VERSION in directory or _holds_sensor_data(directory) for directory in _directories(file)
    )


def missing_data(file: BinaryIO) -> str:
    """What is amiss with the extents of the sensor data, as a clause; empty where nothing is.

    LibRaw does not see it in every format, and then returns memory as it found it. Files that are not
    TIFF-like pass.
    """
    header = read_header(file)
    for directory in filter(_holds_sensor_data, _directories(file)):
        extents = list(_extents(directory))
        if header is not None and any(start + count > header.size for start, count in extents):
            return "it ends before its picture does"
        if extents and sum(count for _, count in extents) * _MOST_SQUEEZED < _lossless_pixels(directory):
            return "it holds the header of a picture, but no picture"
    return ""


def camera(file: BinaryIO) -> tuple[bytes, bytes]:
    """Maker and model as the file states them; empty where it is not TIFF-like."""
    main: Directory = next(_directories(file), {})
    make, model = (main[tag].data if tag in main else b"" for tag in (_MAKE, _MODEL))
    return make, model


def calibration(file: BinaryIO) -> tuple[Entry, ...]:
    """What a DNG file says of its camera and of the colours that it sees; nothing where it is none."""
    main: Directory = next(_directories(file), {})
    return tuple(main[tag] for tag in _CALIBRATION if tag in main) if _DNG_VERSION in main else ()


def calibrates_samples(file: BinaryIO) -> bool:
    """Whether the maker has readers correct the samples beyond black and balance, as LibRaw does: Phase
    One."""
    file.seek(8)
    return file.read(4) in _PHASE_ONE_MARKS


def drops_zeros(file: BinaryIO) -> bool:
    """Whether a sample of 0 stands for a dead pixel, which LibRaw fills from its neighbours: Panasonic."""
    file.seek(0)
    return file.read(4) == _PANASONIC_MARK


def black_repeats(file: BinaryIO) -> tuple[int, ...]:
    """Rows and columns after which the black levels of a DNG file repeat; (1, 1) where it does not say."""
    for directory in filter(_holds_sensor_data, _directories(file)):
        if _BLACK_REPEATS in directory:
            return directory[_BLACK_REPEATS].numbers
    return 1, 1


def filters(file: BinaryIO) -> tuple[int, ...]:
    """The colours (red, green, blue from 0 on) of the 2x2 samples that repeat, by rows; empty where the file
    does not say, or where it has another pattern."""
    for directory in filter(_holds_sensor_data, _directories(file)):
        if {_FILTER_REPEATS, _FILTERS} <= directory.keys() and directory[_FILTER_REPEATS].numbers == (2, 2):
            return tuple(directory[_FILTERS].data)
    return ()


def _directories(file: BinaryIO) -> Iterator[Directory]:
    """The first directories of the chain, each followed by its sub-directories."""
    header = read_header(file)
    if header is None:
        return
    offset = header.first
    for _ in range(_MOST_CHAINED):
        directory, following = read_directory(file, header, offset)
        yield directory
        subs = directory[_SUB_IFDS].numbers[:_MOST_SUB] if _SUB_IFDS in directory else ()
        for sub in subs:
            yield read_directory(file, header, sub)[0]
        if following == 0:
            return
        offset = following


def _holds_sensor_data(directory: Directory) -> bool:
    entry = directory.get(_PHOTOMETRIC)
    return entry is not None and entry.numbers[0] in (_CFA, _LINEAR_RAW)


def _lossless_pixels(directory: Directory) -> int:
    """Pixels of a directory's picture; 0 where it does not say, or compresses with loss."""
    width, height, way = (
        directory[tag].numbers[0] if tag in directory else 0 for tag in (_WIDTH, _HEIGHT, _COMPRESSION)
    )
    return 0 if way in _LOSSY else width * height


def _extents(directory: Directory) -> Iterator[tuple[int, int]]:
    """Offset and count of bytes of each strip or tile."""
    for offsets, counts in _EXTENTS:
        if offsets in directory and counts in directory:
            yield from zip(directory[offsets].numbers, directory[counts].numbers, strict=False)
