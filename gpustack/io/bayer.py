"""RAW files with a Bayer mosaic, which backends develop, and what is to be known of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.io.raw_directory import black_repeats, calibrates_samples, drops_zeros, filters
from gpustack.model.mosaic import BLUE, GREEN, PATTERNS, RED, WHITE, Mosaic, Sites
from gpustack.settings import Demosaic

if TYPE_CHECKING:
    import rawpy

_SECOND_GREEN = 3
# From the first or the second of two samples to the middle between them, a quarter of the way to the next.
_TOWARDS = (np.array([0, 0.75, 0.25], np.float32), np.array([0.25, 0.75, 0], np.float32))
_LEAST_LINEAR = 0.75  # share of white; a maker who tells less means something else


@dataclass(frozen=True, slots=True)
class Levels:
    """Of a sensor: `black` for each filter colour, and the `white` that its files name, above the lowest of
    them. `top`, at most 65535, is what is cut off where `white` becomes 65535.

    Makers tell up to which level all colours are linear. Above it sensors saturate in one colour earlier
    than in the others, and what is bright and white turns pink.
    """

    black: tuple[int, ...]
    white: int
    top: int = WHITE

    @classmethod
    def of(cls, raw: rawpy.RawPy) -> Levels:
        """A file's own."""
        black = tuple(raw.black_level_per_channel)
        white, told = raw.white_level - min(black), raw.camera_white_level_per_channel
        linear = min(told) - min(black) if told else white
        if not _LEAST_LINEAR * white <= linear < white:
            return cls(black, white)
        return cls(black, white, int(WHITE * linear / white))


_LARGEST_GAIN = 1 << 15  # with more, samples of 16 bits may leave the 32 bits of LibRaw's integers


def bayer(
    raw: rawpy.RawPy,
    path: Path,
    balance: tuple[float, ...],
    levels: Levels | None,
    demosaic: Demosaic,
) -> Mosaic | None:
    """How the mosaic `raw.raw_image_visible` is developed; None where that takes more than levels, balance
    and finding the colours between.

    `balance` is per filter colour (red, green, blue, second green); `levels` are None for the file's own.
    Read it before LibRaw develops: that changes what it reports.
    """
    sites = _sites(raw)
    own = levels is None
    levels = levels or Levels.of(raw)
    if sites is None or levels.white <= 0 or not _usable(balance) or _special(raw, path, own=own):
        return None
    black, gain = levels.black, _gains(balance, levels.white)
    if max(gain) > _LARGEST_GAIN:
        return None
    upper_left, upper_right, lower_left, lower_right = sites
    return Mosaic(
        _plain(sites),
        (black[upper_left], black[upper_right], black[lower_left], black[lower_right]),
        (gain[upper_left], gain[upper_right], gain[lower_left], gain[lower_right]),
        demosaic,
        levels.top,
    )


def told_ours(raw: rawpy.RawPy, path: Path) -> bool:
    """Whether the header tells that `bayer` gives a mosaic, unless its samples or levels are unusual.

    LibRaw itself tells the pattern and the levels only once it has unpacked the whole picture.
    """
    if raw.color_desc != b"RGBG" or raw.sizes.pixel_aspect != 1:
        return False
    with path.open("rb") as file:
        plain = filters(file) in PATTERNS and max(black_repeats(file)) <= 2
        return plain and not calibrates_samples(file) and not drops_zeros(file)


def at_half_size(samples: npt.NDArray[Any], mosaic: Mosaic) -> npt.NDArray[Any]:
    """Linear camera RGB (h // 2, w // 2, 3) uint16 of a mosaic (h, w), a pixel for each four samples.

    Colours are where the pixel's middle is, or edges would have coloured sides and the luma lie off by a
    tenth of a pixel: the two greens' mean is there; red and blue lie half a sample beside it, and are
    interpolated.
    """
    height, width = (side // 2 for side in samples.shape)
    out = np.zeros((height, width, 3), np.uint16)
    for colour in (RED, GREEN, BLUE):
        sites = [site for site in range(4) if mosaic.colours[site] == colour]
        planes = [_centred(samples, mosaic, site) for site in sites]
        out[..., colour] = np.rint(sum(planes) / np.float32(len(planes)))
    return out


def _centred(samples: npt.NDArray[Any], mosaic: Mosaic, site: int) -> npt.NDArray[Any]:
    """One of the four samples of each 2x2, scaled to 0..65535, float32; red and blue as in the middle."""
    row, column = divmod(site, 2)
    height, width = (side // 2 * 2 for side in samples.shape)
    plane = samples[row:height:2, column:width:2].astype(np.float32)
    plane -= np.float32(mosaic.black[site])
    plane *= np.float32(mosaic.gain[site])
    np.clip(plane, 0, mosaic.white, out=plane)
    if mosaic.colours[site] == GREEN:
        return plane
    across, down = (_TOWARDS[place] for place in (column, row))
    return cv2.sepFilter2D(plane, cv2.CV_32F, across, down, borderType=cv2.BORDER_REPLICATE)


def _sites(raw: rawpy.RawPy) -> Sites | None:
    """The filter colours (3: second green) of the first 2x2 visible pixels; None for any other pattern."""
    if raw.raw_pattern is None or raw.raw_pattern.shape != (2, 2) or raw.color_desc != b"RGBG":
        return None
    top, left = raw.sizes.top_margin, raw.sizes.left_margin
    upper_left, upper_right, lower_left, lower_right = (
        int(raw.raw_color(top + y, left + x)) for y in (0, 1) for x in (0, 1)
    )
    sites = (upper_left, upper_right, lower_left, lower_right)
    return sites if _plain(sites) in PATTERNS else None


def _plain(sites: Sites) -> Sites:
    """The colours with one green only."""
    a, b, c, d = (GREEN if site == _SECOND_GREEN else site for site in sites)
    return a, b, c, d


def _usable(balance: tuple[float, ...]) -> bool:
    return bool(np.isfinite(balance).all()) and min(balance[:3]) > 0 and balance[_SECOND_GREEN] >= 0


def relative(balance: tuple[float, ...]) -> npt.NDArray[np.float32]:
    """A balance of the filter colours, where a second green of 0 stands for the first: the smallest is 1."""
    weights = np.array(balance, np.float32)
    weights[_SECOND_GREEN] = weights[_SECOND_GREEN] or weights[GREEN]
    return np.asarray(weights / weights.min(), np.float32)


def _gains(balance: tuple[float, ...], white: int) -> list[float]:
    """What LibRaw multiplies with: the smallest balance brings white to 65535. In float32, as it has it."""
    return [float(gain) for gain in relative(balance) * np.float32(65535) / np.float32(white)]


def _special(raw: rawpy.RawPy, path: Path, *, own: bool) -> bool:
    """Whether LibRaw does more with these samples, or other than to take the levels that it reports."""
    sizes, samples = raw.sizes, raw.raw_image_visible
    if sizes.pixel_aspect != 1 or samples.shape != (sizes.iheight, sizes.iwidth):
        return True
    with path.open("rb") as file:
        return (
            calibrates_samples(file)
            or (own and max(black_repeats(file)) > 2)
            or (drops_zeros(file) and not samples.all())
        )
