"""What every reader of untrusted files shares: bounds on claimed sizes, and one family of errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gpustack.errors import DecodeError, GpustackError

MOST_PIXELS = 2**30
"""Pixels of the largest picture that is read; the largest sensors and scans have a fifth of that."""

LONGEST_SIDE = 65_500
"""Pixels of the longest side that is read: the limit of JPEG, and of most programs."""

MOST_SQUEEZED = 1400
"""Bytes of a picture that one byte of a file can stand for. The ways of coding end at 1,032 (deflate), 1,315
(LZW, as its table grows) and 1,365 (JPEG with a bit a block and chroma of a sixteenth); LZMA, ZSTD and the
codecs of HEIC, AVIF, JPEG XL and WebP go farther, but for pictures that show nothing."""

HARMLESS_BYTES = 16 << 20
"""Of a picture, which may be claimed by a file of any size."""

JPEG_SCAN = b"\xff\xda"
"""Begins a scan, and occurs nowhere else in JPEG data after the header."""

MOST_SCANS = 100
"""Scans of a progressive JPEG picture; encoders make some ten. Each walks over the whole picture, however
little it tells: 5,000 of four megapixels took 13 seconds."""

COPY_AGAIN = "Copy the file again from its source, or leave it out."
EXPORT_AGAIN = "Export it again as TIFF with 8 or 16 bits a channel, or leave it out."


def check_size(name: str, width: int, height: int) -> None:
    """Refuse a picture of `width` x `height` pixels that nobody photographs, before memory is taken for it.

    Raises: DecodeError for no pixel at all, a side over `LONGEST_SIDE`, or more than `MOST_PIXELS` in all.
    """
    if width < 1 or height < 1:
        raise DecodeError(name, "the header claims a picture without a pixel.", COPY_AGAIN)
    if max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
        raise DecodeError(
            name,
            f"the header claims {width} x {height} pixels, which is more than is read.",
            f"The limits are {LONGEST_SIDE} pixels a side and {MOST_PIXELS / 1e6:.0f} megapixels in all.",
        )


def check_squeezed(name: str, claimed: int, stored: int) -> None:
    """Refuse a picture of `claimed` bytes that the `stored` ones cannot hold, before memory is taken for it.

    Raises: DecodeError.
    """
    if claimed > max(MOST_SQUEEZED * stored, HARMLESS_BYTES):
        problem = f"the header claims a picture of {claimed >> 20} MiB, and {stored} bytes are there for it"
        raise damaged(name, problem)


def damaged(name: str, how: str) -> DecodeError:
    """The error for a file that is broken; `how` says what was found, without a full stop."""
    return DecodeError(name, f"the file is damaged: {how}.", COPY_AGAIN)


@contextmanager
def guarded(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises on the file `name` into a DecodeError; errors of our own pass.

    The decoders name no common base of what they raise on broken data: struct.error, KeyError,
    ZeroDivisionError and RuntimeError all occur.
    """
    try:
        yield
    except GpustackError:
        raise
    except MemoryError as error:
        raise DecodeError(
            name, "the picture does not fit the free memory.", "Close other programs, or use smaller frames."
        ) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DecodeError(
            name, f"the file cannot be read: {reason}.", "Check its name and rights."
        ) from error
    except Exception as error:
        raise damaged(name, "its data do not make a picture") from error
