"""What kind of picture a file holds, by its content; its name does not matter."""

from __future__ import annotations

from pathlib import Path

from gpustack.errors import DecodeError
from gpustack.io import exr, heif, jxl, png, video
from gpustack.io.boxes import brands
from gpustack.io.guard import COPY_AGAIN
from gpustack.io.raw_directory import is_raw
from gpustack.model.frame import Kind

_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# RAW formats that do not start as TIFF does: (offset, mark).
_RAW_MARKS = (
    (0, b"FUJIFILMCCD-RAW"),  # RAF
    (0, b"FOVb"),  # X3F
    (0, b"\0MRM"),  # MRW
    (0, b"IIRO"),  # ORF
    (0, b"IIRS"),
    (0, b"MMOR"),
    (0, b"IIU\0"),  # RW2
    (6, b"HEAPCCDR"),  # CRW
    (4, b"ftypcrx"),  # CR3
)
# The other kinds by their first bytes: (offset, mark).
_MARKS: tuple[tuple[int, bytes, Kind], ...] = (
    (0, b"\xff\xd8\xff", Kind.JPEG),
    (0, png.SIGNATURE, Kind.PNG),
    *((at, mark, Kind.RAW) for at, mark in _RAW_MARKS),
    (0, jxl.CODESTREAM_MARK, Kind.JXL),
    (0, jxl.CONTAINER_MARK, Kind.JXL),
    (8, b"WEBP", Kind.WEBP),
    (0, exr.MARK, Kind.EXR),
)
# What people try, named so that the sentence helps: (offset, mark, name).
_OTHER_MARKS = (
    (0, b"8BPS", "Photoshop file"),
    (0, b"GIF8", "GIF picture"),
    (0, b"BM", "BMP picture"),
    (4, b"jP  ", "JPEG 2000 picture"),
)
_LONGEST_MARK = 512


def kind_of(path: Path) -> Kind:
    """How the pixels are stored, by the first bytes and, for TIFF, by its directories.

    Raises: DecodeError for files of a kind that is not read; OSError.
    """
    with path.open("rb") as file:
        head = file.read(_LONGEST_MARK)
        if head.startswith(_TIFF_MARKS):
            return Kind.RAW if is_raw(file) else Kind.TIFF
    for at, mark, kind in _MARKS:
        if head.startswith(mark, at):
            return kind
    stated = brands(head)
    if stated and head[8:12] in heif.SEQUENCE_BRANDS:
        raise DecodeError(path.name, "it is a sequence of pictures.", "Export its pictures one by one.")
    if stated & heif.AVIF_BRANDS:
        return Kind.AVIF
    if stated & heif.HEIC_BRANDS:
        return Kind.HEIC
    if video.is_video(head):
        return Kind.VIDEO
    raise _foreign(path.name, head)


def _foreign(name: str, head: bytes) -> DecodeError:
    """The error for a file of no kind that is read."""
    if not head:
        return DecodeError(name, "the file is empty.", COPY_AGAIN)
    known = next((what for at, mark, what in _OTHER_MARKS if head.startswith(mark, at)), None)
    if known:
        return DecodeError(name, f"it is a {known}, which is not read.", "Convert it to TIFF, PNG or JPEG.")
    return DecodeError(
        name, "it is not a picture of a kind that is read.", "Convert it to TIFF, PNG or JPEG."
    )
