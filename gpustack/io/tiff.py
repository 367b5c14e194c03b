"""TIFF and BigTIFF files through tifffile and imagecodecs; a file of several pages is a stack.

OpenCV is not used: it turns or refuses pages by their orientation and returns planar 16-bit pages wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from tifffile import TiffFile, TiffPage

from gpustack.errors import DecodeError
from gpustack.io.guard import COPY_AGAIN, EXPORT_AGAIN, check_size, damaged
from gpustack.io.tiff_kinds import JPEG, WHITE_IS_ZERO, pixel_type, refuse_kind
from gpustack.model.frame import Frame, Kind

# Whatever tifffile has to say about broken tags is told in our own errors.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

_OLD_SUBFILE_TYPE, _ORIENTATION = 255, 274
_REDUCED, _MASK = 1, 4
_ASSOCIATED = 1


def probe(path: Path) -> tuple[Frame, ...]:
    """Describe each full-size page of a TIFF file as a frame; no pixel data are read.

    `page` of a frame is its place in the file's chain of directories; previews and masks in that chain are
    no frames. Raises: DecodeError for damaged files, kinds of pixels that are not handled, and pages of
    several sizes.
    """
    with TiffFile(path) as tif:
        pages = [(index, page) for index, page in _pages(tif) if not _is_preview(page)]
        if not pages:
            raise DecodeError(path.name, "no page of it holds a full-size picture.", EXPORT_AGAIN)
        _refuse_hidden_frames(tif, path.name)
        for _, page in pages:
            _check_page(page, path.name)
        sizes = sorted({(page.imagewidth, page.imagelength) for _, page in pages})
        if len(sizes) > 1:
            listed = " and ".join(f"{width} x {height}" for width, height in sizes[:2])
            raise DecodeError(
                path.name, f"its pages differ in size: {listed}.", "Export the pages as separate files."
            )
        return tuple(_frame(path, index, page, len(pages)) for index, page in pages)


def decode(frame: Frame) -> npt.NDArray[Any]:
    """The pixels of one page, (h, w, c) uint8, uint16 or float32, not rotated; 0 is black, colours are not
    multiplied with alpha.

    Raises: DecodeError for damaged data, and for float pixels that are not finite.
    """
    with TiffFile(frame.path) as tif:
        page = tif.pages[frame.page].aspage()
        _check_page(page, frame.name)
        if page.compression == JPEG:
            _check_jpeg(page, frame.name)
        planes, _, height, width, samples = page.shaped
        pixels = page.asarray(squeeze=False, maxworkers=1).reshape(planes, height, width, samples)
    pixels = np.moveaxis(pixels, 0, -1)[..., 0, :] if planes > 1 else pixels[0]
    if page.photometric == WHITE_IS_ZERO:
        pixels = _inverted(pixels)
    if page.extrasamples[:1] == (_ASSOCIATED,):
        _divide_by_alpha(pixels)
    if pixels.dtype.kind == "f" and not np.isfinite([pixels.min(), pixels.max()]).all():
        raise DecodeError(
            frame.name, "it holds samples that are not numbers (NaN or infinite).", EXPORT_AGAIN
        )
    return pixels


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
    )


def _refuse_hidden_frames(tif: TiffFile, name: str) -> None:
    """ImageJ writes stacks over 4 GB with one directory: all frames but the first would go missing."""
    images = (tif.imagej_metadata or {}).get("images", 1)
    if tif.is_imagej and images > len(tif.pages):
        raise DecodeError(
            name,
            f"ImageJ stored {images} pictures as one page.",
            "Export it from ImageJ as an image sequence.",
        )


def _check_page(page: TiffPage, name: str) -> None:
    """Raise for sizes, kinds and extents of data that cannot make a picture."""
    check_size(name, page.imagewidth, page.imagelength)
    refuse_kind(page, name)
    extents = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if len(extents) != prod(page.chunked):
        raise damaged(name, f"it has {len(extents)} strips or tiles where there must be {prod(page.chunked)}")
    # tifffile fills what has no data with zeros, silently.
    if any(start <= 0 or count <= 0 for start, count in extents):
        raise DecodeError(name, "parts of its picture were never written.", COPY_AGAIN)
    if max(start + count for start, count in extents) > page.parent.filehandle.size:
        raise damaged(name, "it ends before its picture does")


def _check_jpeg(page: TiffPage, name: str) -> None:
    """Raise where a strip or tile is damaged JPEG: the decoder of tifffile fills gaps with gray."""
    tables = (page.jpegtables or b"")[2:-2]
    handle = page.parent.filehandle
    for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        handle.seek(start)
        data = handle.read(count)
        try:
            simplejpeg.decode_jpeg(data[:2] + tables + data[2:], colorspace="RGB", strict=True)
        except ValueError as error:
            raise damaged(name, str(error).rstrip(".")) from error


def _divide_by_alpha(pixels: npt.NDArray[Any]) -> None:
    """Undo that colours were multiplied with alpha (TIFF 6.0, ExtraSamples 1), in place; where nothing is
    seen they are black. Blur and weights would treat them as darker colours."""
    white = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    for row in pixels:
        alpha = row[:, -1:].astype(np.float64)
        colours = np.divide(row[:, :-1] * white, alpha, out=np.zeros(row[:, :-1].shape), where=alpha > 0)
        row[:, :-1] = np.rint(np.minimum(colours, white)) if pixels.dtype.kind == "u" else colours


def _inverted(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn pixels in which 0 is white, (h, w, 1 or 2), into the usual kind; alpha stays."""
    white = 1.0 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max
    gray = white - pixels[..., :1]
    return np.concatenate([gray.astype(pixels.dtype), pixels[..., 1:]], axis=-1)
