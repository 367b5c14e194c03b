"""RAW files: one recipe, locked to the reference frame, for the whole stack.

LibRaw reads them; Bayer mosaics are developed by a backend, what has other filters by LibRaw. Its defaults
depend on each frame's content: they scale to its brightest pixel and brighten by its histogram, so a frame
with highlights would come out a quarter brighter than its neighbour. Everything here is fixed beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.backend.demosaic.develop import WAYS, developed
from gpustack.errors import DecodeError, StackError
from gpustack.io import libraw
from gpustack.io.balance import Balance, balance_of
from gpustack.io.bayer import Levels, at_half_size, bayer, relative, told_ours
from gpustack.io.guard import COPY_AGAIN, check_size, damaged
from gpustack.io.libraw import opened
from gpustack.io.raw_directory import camera, missing_data
from gpustack.io.shots import Shot, of_raw
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.mosaic import Mosaic, room
from gpustack.settings import DEMOSAIC, Demosaic, WhiteBalance

if TYPE_CHECKING:
    import rawpy

__all__ = ["Balance", "Recipe", "decode", "halved", "lock", "opened", "probe", "unpack"]

_BESIDE = 0.9
"""What unpacking and developing take besides the picture, as a share of it, where that is not LibRaw's to do:
samples twice, and the rows of a tile's planes (0.83 of 12 megapixels)."""

# LibRaw's flip bits (1 mirror, 2 upside down, 4 transpose) as EXIF orientations.
_ORIENTATIONS = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is locked over a stack: white balance, and the levels for frames of the reference's sensitivity.

    `balance` is per filter colour (red, green, blue, second green). `camera` tells camera models apart.
    `shots` is filled in: how each frame that was developed had been taken.
    """

    name: str
    camera: tuple[object, ...]
    iso: float
    balance: tuple[float, ...]
    levels: Levels
    demosaic: Demosaic
    shots: dict[Path, Shot] = field(default_factory=dict, compare=False)

    @property
    def gains(self) -> tuple[float, float, float]:
        """What red, green and blue are multiplied with for the white balance: the smallest is 1."""
        red, green, blue, _ = (float(gain) for gain in relative(self.balance))
        return red, green, blue


def probe(path: Path) -> tuple[Frame, ...]:
    """Describe a RAW file, as (h, w, 3) uint16 after development; only its header is read.

    Raises: DecodeError for files that LibRaw does not know, cut files, and sensors of other than three
    colours.
    """
    _refuse_cut(path)
    with opened(path, path.name) as raw:
        width, height = _developed_size(raw)
        check_size(path.name, width, height)
        if raw.num_colors not in (1, 3):
            raise DecodeError(
                path.name,
                f"its sensor has {raw.num_colors} colours.",
                "Develop it to TIFF with the camera maker's program.",
            )
        turn = _ORIENTATIONS.get(raw.sizes.flip, 1)
        beside = _BESIDE if told_ours(raw, path) else None
        frame = Frame(path, width, height, 3, PixelType.UINT16, Kind.RAW, orientation=turn, decoding=beside)
        return (frame,)


def lock(reference: Frame, wish: Balance = WhiteBalance.CAMERA, demosaic: Demosaic = DEMOSAIC) -> Recipe:
    """Read from the reference frame what all frames of the stack are developed with.

    Raises: StackError where its file does not tell the balance that is wished for.
    """
    with opened(reference.path, reference.name) as raw:
        levels = Levels.of(raw)
        iso = raw.other.iso_speed
        known_by = _camera(raw, reference.path)
        balance = balance_of(raw, reference.name, wish)  # at last: LibRaw may have to develop for it
        return Recipe(reference.name, known_by, iso, balance, levels, demosaic)


def decode(frame: Frame, recipe: Recipe) -> npt.NDArray[Any]:
    """Develop a frame to linear camera RGB with the white balance applied: (h, w, 3) uint16, not rotated.

    Raises: StackError for another camera than the reference's; DecodeError where there are no image data.
    """
    with _checked(frame, recipe) as raw:
        mosaic = _own(raw, frame, recipe)
        if mosaic is None:
            return _by_libraw(raw, recipe)
        return developed(raw.raw_image_visible, mosaic)


def unpack(frame: Frame, recipe: Recipe, out: npt.NDArray[Any]) -> Mosaic | npt.NDArray[Any]:
    """Put the mosaic of a frame into `room(out)`, and tell how a backend makes of it what `decode` gives;
    where none can, return what `decode` gives. Raises: as that does.
    """
    with _checked(frame, recipe) as raw:
        mosaic = _own(raw, frame, recipe)
        if mosaic is None or raw.raw_image_visible.shape != out.shape[:2]:
            return _by_libraw(raw, recipe)
        np.copyto(room(out)[..., 0], raw.raw_image_visible)
        return mosaic


def halved(frame: Frame, recipe: Recipe) -> npt.NDArray[Any]:
    """What `decode` gives, at half its size, (h // 2, w // 2, 3) uint16: each pixel of the four of Bayer's
    pattern, without demosaicking, which takes most of the time. Raises: as `decode` does.
    """
    with _checked(frame, recipe) as raw:
        mosaic = _mosaic(raw, frame, recipe)
        if mosaic is None or raw.raw_image_visible.shape != (frame.height, frame.width):
            size = frame.width // 2, frame.height // 2
            even = _by_libraw(raw, recipe)[: 2 * size[1], : 2 * size[0]]
            return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA))
        return at_half_size(raw.raw_image_visible, mosaic)


@contextmanager
def _checked(frame: Frame, recipe: Recipe) -> Iterator[rawpy.RawPy]:
    """A frame's file, opened; known to be of the recipe's camera, and to hold a picture."""
    _refuse_cut(frame.path)
    with opened(frame.path, frame.name) as raw:
        if _camera(raw, frame.path) != recipe.camera:
            raise StackError(
                f"{frame.name} was taken with another camera or picture size than {recipe.name}.",
                "Leave it out, or convert all frames to TIFF.",
            )
        mosaic = raw.raw_image_visible
        if mosaic.min() == mosaic.max():
            raise DecodeError(frame.name, "it holds no image data, every pixel is the same.", COPY_AGAIN)
        yield raw
        # Only now: LibRaw unpacks once more for what it tells, under the feet of a development to come.
        recipe.shots[frame.path] = of_raw(raw)


def _own(raw: rawpy.RawPy, frame: Frame, recipe: Recipe) -> Mosaic | None:
    """How a backend develops a frame's mosaic; None where LibRaw does, as it can or is wished to."""
    return _mosaic(raw, frame, recipe) if recipe.demosaic in WAYS else None


def _mosaic(raw: rawpy.RawPy, frame: Frame, recipe: Recipe) -> Mosaic | None:
    """What is to be known of a frame's mosaic; None where only LibRaw can develop it."""
    levels = recipe.levels if _same_levels(raw, recipe) else None
    return bayer(raw, frame.path, recipe.balance, levels, recipe.demosaic)


def _by_libraw(raw: rawpy.RawPy, recipe: Recipe) -> npt.NDArray[Any]:
    levels, wishes = Levels.of(raw), {}
    if _same_levels(raw, recipe):
        levels = recipe.levels
        wishes = {"user_black": 0, "user_cblack": list(levels.black), "user_sat": levels.white}
    pixels = libraw.developed(raw, recipe.balance, recipe.demosaic, **wishes)
    return np.minimum(pixels, np.uint16(levels.top), out=pixels)


def _same_levels(raw: rawpy.RawPy, recipe: Recipe) -> bool:
    """Whether the reference's levels hold for a frame: cameras change them with the ISO speed."""
    return bool(0 < recipe.iso == raw.other.iso_speed)


def _refuse_cut(path: Path) -> None:
    """Raise where the directories of a TIFF-like file show that sensor data are missing."""
    with path.open("rb") as file:
        problem = missing_data(file)
    if problem:
        raise damaged(path.name, problem)


def _developed_size(raw: rawpy.RawPy) -> tuple[int, int]:
    """Width and height of the developed picture: LibRaw makes oblong pixels square."""
    sizes = raw.sizes
    aspect = sizes.pixel_aspect
    if 0 < aspect < 1:
        return sizes.iwidth, int(sizes.iheight / aspect + 0.5)
    return int(sizes.iwidth * max(aspect, 1) + 0.5), sizes.iheight


def _camera(raw: rawpy.RawPy, path: Path) -> tuple[object, ...]:
    """What tells camera models apart: name (of TIFF-like files), size, colours, filter pattern, matrix."""
    with path.open("rb") as file:
        names = camera(file)
    pattern = None if raw.raw_pattern is None else raw.raw_pattern.tobytes()
    sizes = raw.sizes
    matrix = np.array(raw.rgb_xyz_matrix).tobytes()
    return names, sizes.iwidth, sizes.iheight, raw.color_desc, pattern, matrix
