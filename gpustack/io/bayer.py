"""RAW files with a Bayer mosaic that may be developed elsewhere than by LibRaw, and how LibRaw would."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gpustack.io.raw_directory import black_repeats, calibrates_samples, drops_zeros
from gpustack.model.mosaic import GREEN, PATTERNS, Mosaic, Sites

if TYPE_CHECKING:
    import rawpy

_SECOND_GREEN = 3
_LARGEST_GAIN = 1 << 15  # with more, samples of 16 bits may leave the 32 bits of LibRaw's integers


def bayer(
    raw: rawpy.RawPy, path: Path, balance: tuple[float, ...], levels: tuple[tuple[int, ...], int] | None
) -> Mosaic | None:
    """How the mosaic `raw.raw_image_visible` is developed; None where that takes more than levels and PPG.

    `balance` is per filter colour (red, green, blue, second green); `levels` are black for each of these and
    white above black, None for the file's own. Read it before LibRaw develops: that changes what it reports.
    """
    sites = _sites(raw)
    own = levels is None
    black, white = own_levels(raw) if levels is None else levels
    if sites is None or white <= 0 or not _usable(balance) or _special(raw, path, own=own):
        return None
    gain = _gains(balance, white)
    if max(gain) > _LARGEST_GAIN:
        return None
    upper_left, upper_right, lower_left, lower_right = sites
    return Mosaic(
        _plain(sites),
        (black[upper_left], black[upper_right], black[lower_left], black[lower_right]),
        (gain[upper_left], gain[upper_right], gain[lower_left], gain[lower_right]),
    )


def own_levels(raw: rawpy.RawPy) -> tuple[tuple[int, ...], int]:
    """The file's black for each filter colour, and its white above the lowest of them."""
    black = tuple(raw.black_level_per_channel)
    return black, raw.white_level - min(black)


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


def _gains(balance: tuple[float, ...], white: int) -> list[float]:
    """What LibRaw multiplies with: the smallest balance brings white to 65535. In float32, as it has it."""
    weights = np.array(balance, np.float32)
    weights[_SECOND_GREEN] = weights[_SECOND_GREEN] or weights[GREEN]
    gains = weights / weights.min() * np.float32(65535) / np.float32(white)
    return [float(gain) for gain in gains]


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
