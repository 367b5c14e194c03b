"""The Python interface to figures: `gpustack.compare(a, b) -> Comparison`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack import metrics
from gpustack.errors import InputError, UsageError
from gpustack.io.metadata import Metadata
from gpustack.io.picture import Picture, read_picture, sane
from gpustack.io.write import write_picture
from gpustack.metrics import GAIN, Likeness
from gpustack.model.frame import PixelType

Pixels = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """How two pictures differ, and which is closer to the truth.

    likeness: the figures of the first against the second. to_truth: those of the first and of the second
    against the truth, None without one. warnings: what makes the figures mean less, as sentences.
    """

    likeness: Likeness
    to_truth: tuple[Likeness, Likeness] | None
    warnings: tuple[str, ...]
    _pictures: tuple[Pixels, Pixels]

    @property
    def closer(self) -> int | None:
        """0 or 1: the picture with the higher PSNR against the truth; None without truth or if both are as
        close."""
        if self.to_truth is None or self.to_truth[0].psnr == self.to_truth[1].psnr:
            return None
        return int(self.to_truth[1].psnr > self.to_truth[0].psnr)

    def difference(self, gain: float = GAIN) -> npt.NDArray[np.uint8]:
        """The first picture less the second, `gain` times larger, (h, w, c): 128 is equal, brighter is where
        the first is brighter."""
        return metrics.difference(*self._pictures, gain=gain)

    def save_difference(self, path: str | Path, gain: float = GAIN, *, overwrite: bool = False) -> None:
        """Write `difference` as JPEG, PNG or TIFF, as the name ends. Raises UsageError, WriteError."""
        write_picture(
            Path(path), self.difference(gain), Metadata(), overwrite=overwrite, software="gpustack compare"
        )

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON has them; a PSNR is null where the pictures are equal."""
        against = dict(zip(("a", "b"), self.to_truth, strict=True)) if self.to_truth else {}
        return {
            "a_b": self.likeness.as_dict(),
            **{f"{name}_truth": likeness.as_dict() for name, likeness in against.items()},
            "closer": None if self.closer is None else "ab"[self.closer],
            "warnings": list(self.warnings),
        }


def compare(
    a: str | Path | Pixels,
    b: str | Path | Pixels,
    truth: str | Path | Pixels | None = None,
    *,
    depth: str | Path | Pixels | None = None,
) -> Comparison:
    """Compare two pictures with each other, and with the truth where it is known.

    Files, or arrays (h, w) or (h, w, c) of uint8, uint16 or float32, of one size; sample types may differ, 1
    is white for floats. Gray is compared with RGB as three equal channels. Pixels count where every picture
    is opaque. `depth` (h, w), in any unit: figures near its steps and elsewhere, too.

    Raises InputError for what cannot be read or does not fit, UsageError for arrays of other kinds.
    """
    given = [("A", a), ("B", b)] + ([] if truth is None else [("the truth", truth)])
    pictures = [_opened(picture, name) for name, picture in given]
    _refuse_sizes(pictures)
    first, second, *rest = _alike([picture.colours for picture in pictures])
    where = _opaque(pictures)
    near = None if depth is None else _near_steps(_depth(depth, pictures[0]))
    to_truth = None
    if rest:
        to_truth = (
            metrics.compare(first, rest[0], near, where),
            metrics.compare(second, rest[0], near, where),
        )
    likeness = metrics.compare(first, second, near, where)
    return Comparison(likeness, to_truth, _warnings(pictures), (first, second))


def _opened(picture: str | Path | Pixels, name: str) -> Picture:
    if not isinstance(picture, np.ndarray):
        return read_picture(Path(picture))
    pixels = picture if picture.ndim == 3 else picture[..., None]
    if pixels.ndim != 3 or not pixels.size or pixels.shape[2] > 4 or pixels.dtype.name not in list(PixelType):
        raise UsageError(
            f"{name} has shape {picture.shape} and dtype {picture.dtype}.",
            "Give (h, w) or (h, w, 1 to 4) arrays of uint8, uint16 or float32.",
        )
    return sane(Picture(name, pixels))


def _refuse_sizes(pictures: Sequence[Picture]) -> None:
    first = pictures[0]
    for other in pictures[1:]:
        if other.size != first.size:
            raise InputError(
                f"{first.name} has {first.size[0]}x{first.size[1]} pixels and {other.name} "
                f"{other.size[0]}x{other.size[1]}.",
                "Give pictures of one geometry: stack with --crop none, or cut both to the same part.",
            )


def _alike(pictures: Sequence[Pixels]) -> list[Pixels]:
    """The pictures with one number of channels: gray ones as RGB where another has colours."""
    channels = max(picture.shape[2] for picture in pictures)
    return [np.broadcast_to(picture, (*picture.shape[:2], channels)) for picture in pictures]


def _opaque(pictures: Sequence[Picture]) -> Mask | None:
    """The pixels that count, None for all. Raises InputError where none does."""
    where: Mask | None = None
    for opaque in (picture.opaque for picture in pictures):
        if opaque is not None:
            where = opaque if where is None else where & opaque
    if where is not None and not where.any():
        raise InputError("There is no pixel at which all pictures are opaque.", "Take their alpha away.")
    return where


def _depth(depth: str | Path | Pixels, picture: Picture) -> Pixels:
    """The depth map (h, w). Raises InputError for one that does not fit the picture."""
    found = _opened(depth, "the depth")
    if found.pixels.shape[2] != 1:
        raise InputError(
            f"{found.name} has {found.pixels.shape[2]} channels and is no depth map.",
            "Give what stack --depth has written.",
        )
    _refuse_sizes([picture, found])
    return np.asarray(found.pixels[..., 0])


def _near_steps(depth: Pixels) -> Mask:
    """The pixels near steps of a depth map of any unit."""
    values = np.asarray(depth, np.float32)
    return metrics.depth_edges(values, step=metrics.STEP_SHARE * float(np.ptp(values)))


def _warnings(pictures: Sequence[Picture]) -> tuple[str, ...]:
    first = pictures[0]
    return tuple(
        f"{first.name} and {other.name} have different colour profiles, so equal values are other colours."
        for other in pictures[1:]
        if not first.coloured_as(other)
    )
