"""`python -m gpustack.backend.fast.compiling`: have numba compile every loop that a run may ask for, and keep
it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gpustack.backend.fast import loops
from gpustack.backend.fast.backend import FastCpu
from gpustack.backend.fast.ready import leave_note
from gpustack.backend.values import Band, Best, Extent, LevelBand, Mix, Part, Spread
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows
from gpustack.model.transform import Transform
from gpustack.settings import Interpolation

_SIDE, _SIGMA = 16, 1.0


def practise() -> None:
    """Do all that a run does by loops, once with each kind of samples, on some pixels."""
    backend = FastCpu(1)
    for kind in PixelType:
        frame = np.zeros((_SIDE, _SIDE, 3), kind.value)
        for each in (frame, _locked(frame)):
            backend.load(each, Transform.identity(), kind, _SIDE, Rows(0, _SIDE))
        turned = Transform(np.diag([1.01, 1.01, 1.0]))
        backend.load(frame, turned, kind, _SIDE, Rows(0, _SIDE), interpolation=Interpolation.LANCZOS)
        band = Band(_full((3, _SIDE, _SIDE)), None)
        coarse = backend.reduce(band.image)
        level = LevelBand(band.image, coarse, None, None, slice(0, _SIDE))
        extent = Extent(_full(band.image.shape, kind.value), _full(band.image.shape, kind.value))
        backend.fold_level(_part(spread=False), 0, level, _SIGMA, extent)
        backend.fold_sharpness(_part(spread=True), 0, band, _SIGMA, slice(0, _SIDE))
        mix = _part(spread=False).mix
        assert mix is not None
        backend.blend_in(mix, _full((_SIDE, _SIDE)), 0, band)
        mean = _part(spread=True).mix
        assert mean is not None
        backend.debias(band.image, mean, 1.0, 0.01, slice(0, _SIDE))
        backend.blur_misfit(mean, _part(spread=True).best, 0.01, slice(0, _SIDE), (0.0, 1.0))


def _part(*, spread: bool) -> Part[Any]:
    size = _SIDE, _SIDE
    mix = Mix(_full((3, *size)), _full(size), squared=spread)
    if spread:
        mix.spread = Spread(*(_full(size) for _ in range(3)))
    return Part(Best(_full(size), _full(size, "uint16")), mix, 0.01)


def _full(shape: tuple[int, ...], dtype: str = "float32") -> Any:
    return np.zeros(shape, dtype)


def _locked(frame: Any) -> Any:
    """The same, which may only be read: numba takes that for another kind of array."""
    locked = frame.copy()
    locked.flags.writeable = False
    return locked


def kept() -> dict[str, list[str]]:
    """The files in which numba keeps the loops, names by folder."""
    one: Any = loops.separated
    folder = Path(one.stats.cache_path)  # that of all, as their sources lie in one
    return {str(folder): sorted(path.name for path in folder.glob("*.nb[ic]"))}


if __name__ == "__main__":
    practise()
    leave_note(kept())
