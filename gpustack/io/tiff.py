"""TIFF and BigTIFF files through tifffile and imagecodecs; a file of several pages is a stack.

OpenCV is not used: it turns or refuses pages by their orientation and returns planar 16-bit pages wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from tifffile import TiffFile, TiffPage

from gpustack.errors import DecodeError
from gpustack.io import lzw
from gpustack.io.guard import (
    COPY_AGAIN,
    EXPORT_AGAIN,
    JPEG_SCAN,
    MOST_SCANS,
    check_size,
    check_squeezed,
    damaged,
)
from gpustack.io.samples import unassociated
from gpustack.io.tiff_kinds import CONTIGUOUS, JPEG, LZW, WHITE_IS_ZERO, pixel_type, refuse_kind
from gpustack.io.told import Voxel
from gpustack.io.volume import Volume, volume
from gpustack.model.frame import Frame, Kind

# Whatever tifffile has to say about broken tags is told in our own errors.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

_OLD_SUBFILE_TYPE, _ORIENTATION = 255, 274
_REDUCED, _MASK = 1, 4
_ASSOCIATED = 1
_MOST_PAGES = 10_000
"""Pages of a file; their headers alone take more than half a second, and a file of eleven megabytes can hold
a hundred thousand."""


_READ_BYTES = 16 << 20
"""Of parts that are read, and then decoded by threads, at a time."""

_READ_AHEAD_BYTES = 2 << 20
"""The same of parts that are decoded one after the other; they are held twice until the next are read."""

_PACKED_PARTS = 2.4
"""What decoding a packed strip or tile takes, as a share of its pixels: itself, which is more than they where
LZW packs noise, and what it becomes."""

Pixels = npt.NDArray[Any]


def probe(path: Path) -> tuple[Frame, ...]:
    """Describe each full-size page of a TIFF file as a frame; no pixel data are read.

    `page` of a frame is its place in the file's chain of directories; previews and masks in that chain are
    no frames. Raises: DecodeError for damaged files, kinds of pixels that are not handled, and pages of
    several sizes.
    """
    with TiffFile(path) as tif:
        if len(tif.pages) > _MOST_PAGES:
            raise damaged(path.name, f"it has {len(tif.pages)} pages, more than are read")
        pages = [(index, page) for index, page in _pages(tif) if not _is_preview(page)]
        if not pages:
            raise DecodeError(path.name, "no page of it holds a full-size picture.", EXPORT_AGAIN)
        for _, page in pages:
            _check_page(page, path.name)
        sizes = sorted({(page.imagewidth, page.imagelength) for _, page in pages})
        if len(sizes) > 1:
            listed = " and ".join(f"{width} x {height}" for width, height in sizes[:2])
            raise DecodeError(
                path.name, f"its pages differ in size: {listed}.", "Export the pages as separate files."
            )
        slices = volume(tif, path.name)
        if slices is not None and slices.slices * slices.channels > len(pages) == 1:
            return _frames_of_one(path, pages[0][1], slices)
        if slices is not None and slices.channels > 1 and slices.slices * slices.channels == len(pages):
            return _frames_of_channels(path, pages, slices)
        return tuple(_frame(path, index, page, len(pages)) for index, page in pages)


def told_voxel(path: Path) -> Voxel | None:
    """The measures of a microscope's stack; None where the file tells none."""
    with TiffFile(path) as tif:
        slices = volume(tif, path.name)
    return slices.voxel or None if slices is not None else None


def decode(frame: Frame) -> npt.NDArray[Any]:
    """The pixels of one page, (h, w, c) uint8, uint16 or float32, not rotated; 0 is black, colours are not
    multiplied with alpha.

    Raises: DecodeError for damaged data, and for float pixels that are not finite.
    """
    with TiffFile(frame.path) as tif:
        page = tif.pages[0 if len(tif.pages) == 1 else frame.page].aspage()
        if page.samplesperpixel != frame.channels:
            return _channels(tif, frame)
        pixels = _page_pixels(page, frame) if len(tif.pages) > 1 or frame.page == 0 else _hidden(page, frame)
    return _usual(pixels, page, frame.name)


def parts(frame: Frame, work: Callable[[int, int, Pixels], None], threads: int) -> Iterator[int]:
    """Hand the strips or tiles of a page to `work`, in several threads: their first row and column, and their
    pixels as `decode` gives them. Yields how many rows from the top are through.

    A page whose channels do not lie together is one part. Raises: as `decode`.
    """
    with TiffFile(frame.path) as tif:
        page = tif.pages[0 if len(tif.pages) == 1 else frame.page].aspage()
        apart = page.planarconfig != CONTIGUOUS or page.samplesperpixel != frame.channels
        if apart or (len(tif.pages) == 1 and frame.page):
            work(0, 0, decode(frame))
            yield frame.height
            return
        _check_page(page, frame.name)
        _check_data(page, frame.name)

        def through(segment: tuple[Pixels | None, tuple[int, ...], tuple[int, ...]]) -> int:
            pixels, (_, _, top, left, _), _ = segment  # tiles reach beyond the picture's edges
            assert pixels is not None, "a page with parts that were never written is refused"
            inside = pixels[:, : frame.height - top, : frame.width - left]
            work(top, left, _usual(inside, page, frame.name))
            return top

        tops: Iterator[int] = page.segments(func=through, maxworkers=threads, buffersize=_READ_BYTES)
        yield from tops
        yield frame.height


def _page_pixels(page: TiffPage, frame: Frame) -> npt.NDArray[Any]:
    """The samples of a page, (planes, height, width, samples)."""
    _check_page(page, frame.name)
    _check_data(page, frame.name)
    planes, _, height, width, samples = page.shaped
    whole = page.asarray(squeeze=False, maxworkers=1, buffersize=_READ_AHEAD_BYTES)
    pixels = whole.reshape(planes, height, width, samples)
    return np.asarray(pixels)


def _usual(pixels: npt.NDArray[Any], page: TiffPage, name: str) -> npt.NDArray[Any]:
    """Samples of a page as those of a frame: (h, w, c), 0 is black."""
    pixels = np.moveaxis(pixels, 0, -1)[..., 0, :] if len(pixels) > 1 else pixels[0]
    if page.photometric == WHITE_IS_ZERO:
        pixels = _inverted(pixels)
    if page.extrasamples[:1] == (_ASSOCIATED,):
        unassociated(pixels)
    if pixels.dtype.kind == "f" and not np.isfinite([pixels.min(), pixels.max()]).all():
        raise DecodeError(name, "it holds samples that are not numbers (NaN or infinite).", EXPORT_AGAIN)
    return pixels


def _hidden(page: TiffPage, frame: Frame) -> npt.NDArray[Any]:
    """The samples of a slice that ImageJ wrote behind the only page, as it does where a file exceeds 4 GB."""
    _check_page(page, frame.name)
    shape = 1, frame.height, frame.width, frame.channels
    handle, size = page.parent.filehandle, frame.nbytes
    handle.seek(page.dataoffsets[0] + frame.page * size)
    data = np.frombuffer(handle.read(size), np.dtype(page.dtype).newbyteorder(page.parent.byteorder))
    return data.reshape(shape).astype(frame.pixel_type.value)


def _channels(tif: TiffFile, frame: Frame) -> npt.NDArray[Any]:
    """The pixels of a slice whose channels lie in pages of their own; a missing blue stays black."""
    slices = volume(tif, frame.name)
    out = np.zeros((frame.height, frame.width, frame.channels), frame.pixel_type.value)
    numbers = () if slices is None else slices.pages(frame.page)
    for channel, number in enumerate(numbers):
        page = tif.pages[number].aspage()
        out[..., channel] = _usual(_page_pixels(page, frame), page, frame.name)[..., 0]
    return out


def _pages(tif: TiffFile) -> Iterator[tuple[int, TiffPage]]:
    """All pages with their place in the chain of directories."""
    for index in range(len(tif.pages)):
        yield index, tif.pages[index].aspage()


def _is_preview(page: TiffPage) -> bool:
    """Whether a page is a reduced-size copy or a transparency mask of another one."""
    kind = int(page.subfiletype)
    return bool(kind & (_REDUCED | _MASK)) or page.tags.valueof(_OLD_SUBFILE_TYPE) == 2


def _frame(path: Path, index: int, page: TiffPage, pages: int) -> Frame:
    turn = page.tags.valueof(_ORIENTATION, 1)
    return Frame(
        path,
        page.imagewidth,
        page.imagelength,
        page.samplesperpixel,
        pixel_type(page),
        Kind.TIFF,
        page=index,
        pages=pages,
        orientation=turn if isinstance(turn, int) and 1 <= turn <= 8 else 1,
        decoding=_beside(page),
    )


def _beside(page: TiffPage) -> float:
    """What decoding takes besides the pixels, as a share of them."""
    width, height = _part(page)
    samples = page.samplesperpixel if page.planarconfig == CONTIGUOUS else 1
    sample = max(1, page.bitspersample // 8)
    pixels = max(1, page.imagewidth * page.imagelength * page.samplesperpixel * sample)
    straight = page.compression == 1 and page.is_contiguous
    parts = 0 if straight else 4 * _READ_AHEAD_BYTES + _PACKED_PARTS * width * height * samples * sample
    # What is not as it is wanted is copied: planes, inverted gray, colours multiplied with alpha.
    others = page.planarconfig != CONTIGUOUS, page.photometric == WHITE_IS_ZERO
    alpha = page.extrasamples[:1] == (_ASSOCIATED,)
    return sum(others) + 2.0 * alpha + parts / pixels


def _frames_of_one(path: Path, page: TiffPage, slices: Volume) -> tuple[Frame, ...]:
    """The slices that ImageJ wrote behind the only page of a file over 4 GB.

    Raises: DecodeError where the file ends before, and where slices are no plain pictures.
    """
    frame, count = replace(_frame(path, 0, page, slices.slices), decoding=1.0), slices.slices
    if slices.channels > 1 or page.compression != 1 or not page.is_contiguous:
        raise DecodeError(
            path.name,
            f"ImageJ stored {count * slices.channels} pictures as one page.",
            "Export it from ImageJ as an image sequence.",
        )
    if page.dataoffsets[0] + count * frame.nbytes > page.parent.filehandle.size:
        raise damaged(path.name, "it ends before its last slice does")
    return tuple(replace(frame, page=index) for index in range(count))


def _frames_of_channels(path: Path, pages: list[tuple[int, TiffPage]], slices: Volume) -> tuple[Frame, ...]:
    """Slices of two or three gray pages each, as RGB frames. Raises: DecodeError for other pages."""
    if any(page.samplesperpixel > 1 for _, page in pages):
        raise DecodeError(path.name, "its channels are pictures in colour.", EXPORT_AGAIN)
    gray = _frame(path, 0, pages[0][1], slices.slices)
    one = replace(gray, channels=3, decoding=1 + (gray.decoding or 0.0))
    return tuple(replace(one, page=index) for index in range(slices.slices))


def _check_page(page: TiffPage, name: str) -> None:
    """Raise for sizes, kinds and extents of data that cannot make a picture."""
    check_size(name, page.imagewidth, page.imagelength)
    refuse_kind(page, name)
    width, height = _part(page)
    check_size(name, width, height)
    extents = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if len(extents) != prod(page.chunked):
        raise damaged(name, f"it has {len(extents)} strips or tiles where there must be {prod(page.chunked)}")
    # tifffile fills what has no data with zeros, silently.
    if any(start <= 0 or count <= 0 for start, count in extents):
        raise DecodeError(name, "parts of its picture were never written.", COPY_AGAIN)
    size = page.parent.filehandle.size
    if max(start + count for start, count in extents) > size:
        raise damaged(name, "it ends before its picture does")
    samples = page.samplesperpixel if page.planarconfig == CONTIGUOUS else 1
    claimed = len(extents) * height * width * samples * page.bitspersample // 8
    check_squeezed(name, claimed, min(size, sum(count for _, count in extents)))


def _part(page: TiffPage) -> tuple[int, int]:
    """Width and height of a tile, or of a strip but the last."""
    if page.is_tiled:
        return page.tilewidth, page.tilelength
    return page.imagewidth, min(page.rowsperstrip, page.imagelength)


def _check_data(page: TiffPage, name: str) -> None:
    """Raise where a strip or tile is damaged in a way that its decoder would pass over, or die of."""
    if page.compression not in _CHECKS:
        return
    handle = page.parent.filehandle
    for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        handle.seek(start)
        _CHECKS[page.compression](page, name, handle.read(count))


def _check_jpeg(page: TiffPage, name: str, data: bytes) -> None:
    """The decoder of tifffile fills gaps with gray, and believes the size that the JPEG header claims."""
    tables = (page.jpegtables or b"")[2:-2]
    whole = data[:2] + tables + data[2:]
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(whole)
        most = _part(page)
        if width > most[0] or height > most[1] or whole.count(JPEG_SCAN) > MOST_SCANS:
            raise damaged(name, "a part of its picture is larger than it should be")
        simplejpeg.decode_jpeg(whole, colorspace="RGB", strict=True)
    except ValueError as error:
        raise damaged(name, str(error).rstrip(".")) from error


def _check_lzw(page: TiffPage, name: str, data: bytes) -> None:
    """The decoder of tifffile may die of damaged data."""
    del page
    if not lzw.is_sound(data):
        raise damaged(name, "its LZW data are not in order")


_CHECKS = {JPEG: _check_jpeg, LZW: _check_lzw}


def _inverted(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn pixels in which 0 is white, (h, w, 1 or 2), into the usual kind; alpha stays."""
    white = 1.0 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max
    gray = white - pixels[..., :1]
    return np.concatenate([gray.astype(pixels.dtype), pixels[..., 1:]], axis=-1)
