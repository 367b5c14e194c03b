"""How hard deflate should try on the pixels of a TIFF file.

What looks for repetitions among differences of pixels finds none but by chance where they are noise, as the
low bytes of 16 bits are, and codes those by more bits than it spares: the quickest level is then not only a
third quicker than the usual one, but packs smaller. Pictures of 8 bits, or of 16 bits that hold 8, repeat
themselves. So some pieces of the picture are packed both ways, and they tell.
"""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]

LEVELS, THOROUGH = (1, 4), 6
"""Levels of libdeflate that are tried, the quickest first, and the one that they are held to, which is what
programs use that do not ask for another."""

LARGER = 1.02
"""How much larger a file may become for a third to a half of the time."""

_PIECES, _ROWS, _COLUMNS = 4, 16, 512
"""Pieces down and across the picture, and their size: 0.13 megapixels, so that trying takes some hundredths
of a second whatever the picture."""


def level_for(pixels: Pixels) -> int:
    """The quickest level that packs (h, w, c) uint8, uint16 or float32 pixels nearly as small as THOROUGH."""
    differences = [_differences(piece) for piece in _pieces(pixels)]
    most = LARGER * _packed(differences, THOROUGH)
    return next((level for level in LEVELS if _packed(differences, level) <= most), THOROUGH)


def _pieces(pixels: Pixels) -> list[Pixels]:
    """Pieces of the picture, evenly spread; those of a small one may overlap."""
    height, width = pixels.shape[:2]
    rows, columns = (
        np.linspace(0, max(0, length - piece), _PIECES).astype(int)
        for length, piece in ((height, _ROWS), (width, _COLUMNS))
    )
    return [pixels[top : top + _ROWS, left : left + _COLUMNS] for top in rows for left in columns]


def _differences(piece: Pixels) -> bytes:
    """What deflate is given, as TIFF's predictors have it."""
    predict = imagecodecs.floatpred_encode if piece.dtype.kind == "f" else imagecodecs.delta_encode
    return np.asarray(predict(np.ascontiguousarray(piece), axis=-2)).tobytes()


def _packed(pieces: list[bytes], level: int) -> int:
    return sum(len(imagecodecs.deflate_encode(piece, level=level)) for piece in pieces)
