"""LibRaw, through rawpy: opening files, and having it develop them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gpustack.errors import DecodeError, StackError
from gpustack.io.guard import damaged
from gpustack.settings import Demosaic

if TYPE_CHECKING:
    import rawpy

_DEVELOPING = threading.Lock()
"""LibRaw develops a frame on all cores by itself, and several at a time have crashed it, seldom."""

# What is asked of LibRaw where the mosaic is not Bayer's; of X-Trans, AHD means three passes and PPG one.
_DEMOSAICKING = {
    Demosaic.RCD: "AHD",
    Demosaic.MALVAR: "PPG",
    Demosaic.PPG: "PPG",
    Demosaic.AHD: "AHD",
}


def library() -> Any:
    """The rawpy module, imported late: it is the one reader that some platforms lack. Raises StackError."""
    try:
        import rawpy
    except ImportError as error:
        raise StackError(
            "RAW files cannot be read, because rawpy is not there for this platform.",
            "Develop them to 16-bit TIFF first, or have --raw-developer do it.",
        ) from error
    return rawpy


@contextmanager
def opened(path: Path, name: str) -> Iterator[rawpy.RawPy]:
    """Open a file with LibRaw; its errors, also those raised while it is open, become DecodeError."""
    rawpy = library()
    try:
        with rawpy.imread(str(path)) as raw:
            yield raw
    except (rawpy.LibRawFileUnsupportedError, rawpy.NotSupportedError) as error:
        raise DecodeError(
            name,
            "this RAW format is not known to LibRaw.",
            "Convert it to DNG or TIFF first, or name a program that knows it with --raw-developer.",
        ) from error
    except rawpy.LibRawError as error:
        raise damaged(name, "LibRaw finds no complete picture in it") from error


def developed(
    raw: rawpy.RawPy, balance: tuple[float, ...], demosaic: Demosaic, **more: Any
) -> npt.NDArray[np.uint16]:
    """Linear camera RGB (h, w, 3) uint16 as LibRaw makes it, not turned, with nothing left to its content.

    `balance` is per filter colour, `more` what else LibRaw is told. One frame at a time is developed.
    """
    rawpy = library()
    wishes = {
        "gamma": (1, 1),
        "no_auto_bright": True,
        "output_bps": 16,
        "adjust_maximum_thr": 0.0,
        "user_wb": list(balance),
        "user_flip": 0,
        "output_color": rawpy.ColorSpace.raw,
        "highlight_mode": rawpy.HighlightMode.Clip,
        "demosaic_algorithm": rawpy.DemosaicAlgorithm[_DEMOSAICKING[demosaic]],
    }
    with _DEVELOPING:
        pixels = raw.postprocess(**wishes | more)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.asarray(pixels)
