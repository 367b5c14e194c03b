"""The CPU backend's folding: how one frame's values join what is kept of the frames before it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.filters import SCRATCH, luma
from gpustack.backend.preferring import stood_aside
from gpustack.backend.values import Best, Extent, Mix, Part, Spread
from gpustack.model.frame import PixelType

Array = npt.NDArray[Any]

_SMALLEST_TOTAL = np.float32(1e-30)  # keeps 0/0 out where no frame covers a pixel yet


def fold_in(
    part: Part[Array],
    frame: int,
    image: Array,
    energy: Array,
    valid: Array | None,
    lit: Array | None = None,
) -> None:
    """Fold one frame in; energy below nothing counts as none. Where the frame is not valid its energy counts
    as -2, which never wins and weighs nothing. `lit` (h, w) is the luma of the image, for who keeps it."""
    energy = np.maximum(energy, np.float32(0))
    if valid is not None:
        energy = np.where(valid != 0, energy, np.float32(-2))
    if part.preference is not None:
        energy = stood_aside(part, part.preference, energy)
    if part.mix is not None:
        new, old = _above_noise(part, energy, "new"), _above_noise(part, part.best.energy, "old")
        if valid is not None or part.preference is not None:
            np.copyto(new, np.float32(0), where=energy < 0)
        share = _soften(part, new, old)
        _mix_in(part.mix, share, image, frame)
    won = _won(part.best, energy, frame)
    if part.mix is not None and part.mix.spread is not None:
        cv2.copyTo(luma(image) if lit is None else lit, won, part.mix.spread.sharpest)
    _keep_best(part.best, won, energy, frame, image)


def merge(part: Part[Array], other: Part[Array]) -> None:
    """Fold in what another run of frames kept."""
    best, another = part.best, other.best
    won = (another.energy > best.energy) | ((another.energy == best.energy) & (another.frame < best.frame))
    mask = won.astype(np.uint8) * np.uint8(255)
    if part.mix is not None and other.mix is not None:
        _merge_mix(part, part.mix, other, other.mix)
        if part.mix.spread is not None and other.mix.spread is not None:
            cv2.copyTo(other.mix.spread.sharpest, mask, part.mix.spread.sharpest)
    _take(best, mask, another.energy, another.frame, another.image)
    best.last = max(best.last, another.last)


def _won(best: Best[Array], energy: Array, frame: int) -> Array:
    """Where the frame is the sharpest so far, as a mask."""
    won = cv2.compare(energy, best.energy, cv2.CMP_GT)
    if frame < best.last:
        tied = (energy == best.energy) & (best.frame > frame)
        np.copyto(won, np.uint8(255), where=tied)
    return won


def _keep_best(best: Best[Array], won: Array, energy: Array, frame: int, image: Array) -> None:
    index = SCRATCH.like("frame", best.frame)
    index.fill(frame)
    _take(best, won, energy, index, image)
    best.last = max(best.last, frame)


def _take(best: Best[Array], won: Array, energy: Array, frame: Array, image: Array | None) -> None:
    """Copy the winner's values into `best` where `won` is set (OpenCV's masked copy: 1 ms for NumPy's 42)."""
    cv2.copyTo(energy, won, best.energy)
    cv2.copyTo(frame, won, best.frame)
    if best.image is not None and image is not None:
        for source, target in zip(image, best.image, strict=True):
            cv2.copyTo(np.ascontiguousarray(source), won, target)


def _above_noise(part: Part[Array], energy: Array, name: str) -> Array:
    """What weights compare, in the scratch plane of that name: energy and noise; of a steep choice, the root
    of the energy and noise."""
    level = np.maximum(energy, np.float32(0), out=SCRATCH.like(name, energy))
    if part.steep:
        np.sqrt(level, out=level)
    return np.add(level, np.float32(part.noise), out=level)


def _mix_in(mix: Mix[Array], share: Array, image: Array, frame: int) -> None:
    """Give a frame its share of the mean."""
    step = SCRATCH.like("mix", share)
    for mean, value in zip(mix.mean, image[: len(mix.mean)], strict=True):
        if mix.squared:
            np.multiply(value, value, out=step)
            np.subtract(step, mean, out=step)
        else:
            np.subtract(value, mean, out=step)
        np.multiply(step, share, out=step)
        np.add(mean, step, out=mean)
    if mix.spread is not None:
        _spread_in(mix.spread, share, np.float32(frame))


def _spread_in(spread: Spread[Array], share: Array, index: np.float32) -> None:
    """Fold an index into the weighted mean and variance (West, "Updating mean and variance estimates", CACM
    22, 1979)."""
    away, step = SCRATCH.like("away", share), SCRATCH.like("mix", share)
    np.subtract(index, spread.depth, out=away)
    np.multiply(away, share, out=step)
    np.add(spread.depth, step, out=spread.depth)
    np.multiply(step, away, out=step)
    np.add(spread.variance, step, out=spread.variance)
    np.subtract(np.float32(1), share, out=away)
    np.multiply(spread.variance, away, out=spread.variance)


def _soften(part: Part[Array], new: Array, old: Array) -> Array:
    """Fold a weight into the total (in place), rescaled to the running maximum; returns the newcomer's share
    of it. What is compared is overwritten."""
    assert part.mix is not None
    total = part.mix.total
    ratio = np.divide(new, old, out=new)
    gain = _power(part, np.minimum(ratio, np.float32(1), out=old))
    np.maximum(ratio, np.float32(1), out=ratio)
    keep = _power(part, np.divide(np.float32(1), ratio, out=ratio))
    np.multiply(total, keep, out=total)
    np.add(total, gain, out=total)
    return np.divide(gain, np.maximum(total, _SMALLEST_TOTAL, out=keep), out=gain)


def _merge_mix(part: Part[Array], mix: Mix[Array], other: Part[Array], another: Mix[Array]) -> None:
    a, b = _above_noise(part, part.best.energy, "old"), _above_noise(part, other.best.energy, "new")
    mine = mix.total * _power(part, np.minimum(1, a / b))
    theirs = another.total * _power(part, np.minimum(1, b / a))
    np.add(mine, theirs, out=mix.total)
    share = theirs / np.maximum(mix.total, _SMALLEST_TOTAL)
    mix.mean += share * (another.mean - mix.mean)
    if mix.spread is not None and another.spread is not None:
        _merge_spread(mix.spread, another.spread, share)


def _merge_spread(spread: Spread[Array], other: Spread[Array], share: Array) -> None:
    """Mean and variance of two runs together, the other's having a share of the weight."""
    away = other.depth - spread.depth
    step = share * away
    spread.depth += step
    spread.variance += share * (other.variance - spread.variance) + (step * away) * (1 - share)


def _power(part: Part[Array], base: Array) -> Array:
    """base^8, or ^STEEP_POWER, by squaring, in place: multiplications alone, so every device rounds alike."""
    for _ in range(6 if part.steep else 3):
        np.multiply(base, base, out=base)
    return base


def widen(extent: Extent[Array], image: Array, valid: Array | None) -> None:
    """Fold one frame into the running range where it is valid; values are rounded to the dtype first."""
    values = to_integers(image, PixelType(str(extent.low.dtype)))
    if valid is None:
        np.minimum(extent.low, values, out=extent.low)
        np.maximum(extent.high, values, out=extent.high)
        return
    seen = np.broadcast_to(valid != 0, values.shape)
    np.minimum(extent.low, values, out=extent.low, where=seen)
    np.maximum(extent.high, values, out=extent.high, where=seen)


def clamp(image: Array, extent: Extent[Array], kind: PixelType) -> None:
    """Clamp an image in place; 0 where the range is empty."""
    unit = np.float32(1 / kind.white)
    np.maximum(image, extent.low * unit, out=image)
    np.minimum(image, extent.high * unit, out=image)
    np.copyto(image, np.float32(0), where=extent.low > extent.high)


def around(extent: Extent[Array], inner: slice) -> Extent[Array]:
    """The range over 3 x 3 pixels, of the rows `inner`; empty where the pixel's own is."""
    square = np.ones((3, 3), np.uint8)
    low = np.stack([cv2.erode(plane, square, borderType=cv2.BORDER_REPLICATE)[inner] for plane in extent.low])
    high = np.stack(
        [cv2.dilate(plane, square, borderType=cv2.BORDER_REPLICATE)[inner] for plane in extent.high]
    )
    own_low, own_high = extent.low[:, inner], extent.high[:, inner]
    empty = own_low > own_high
    np.copyto(low, own_low, where=empty)
    np.copyto(high, own_high, where=empty)
    return Extent(low, high)


def to_integers(image: Array, kind: PixelType) -> Array:
    """0..1 -> the dtype's own range, rounded half to even; float frames pass."""
    if kind is PixelType.FLOAT32:
        return image
    flat = image.reshape(-1, image.shape[-1])
    depth = {PixelType.UINT8: cv2.CV_8U, PixelType.UINT16: cv2.CV_16U}[kind]
    # One pass that scales, rounds half to even and saturates; the second addend is nought.
    values: Array = cv2.addWeighted(flat, kind.white, flat, 0.0, 0.0, dtype=depth)
    return values.reshape(image.shape)
