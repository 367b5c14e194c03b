"""RAW files through LibRaw (rawpy): one recipe, locked to the reference frame, for the whole stack.

LibRaw's defaults depend on each frame's content: they scale to its brightest pixel and brighten by its
histogram, so a frame with highlights would come out a quarter brighter than its neighbour. Everything here
is fixed beforehand.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.errors import DecodeError, StackError
from gpustack.io.bayer import at_half_size, bayer, own_levels, relative
from gpustack.io.guard import COPY_AGAIN, check_size, damaged
from gpustack.io.raw_directory import camera, missing_data
from gpustack.io.shots import Shot, of_raw
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.mosaic import Mosaic, room
from gpustack.settings import WhiteBalance

if TYPE_CHECKING:
    import rawpy

Balance = WhiteBalance | tuple[float, float, float]
"""What red, green and blue are multiplied with, or where that is taken from."""

# LibRaw's flip bits (1 mirror, 2 upside down, 4 transpose) as EXIF orientations.
_ORIENTATIONS = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is locked over a stack: white balance, and the levels for frames of the reference's sensitivity.

    `balance` and `black` are per filter colour (red, green, blue, second green), `white` is the saturation
    level above black; levels are in the sensor's units. `camera` tells camera models apart. `shots` is filled
    in: how each frame that was developed had been taken.
    """

    name: str
    camera: tuple[object, ...]
    iso: float
    balance: tuple[float, ...]
    black: tuple[int, ...]
    white: int
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
        return (Frame(path, width, height, 3, PixelType.UINT16, Kind.RAW, orientation=turn),)


def lock(reference: Frame, wish: Balance = WhiteBalance.CAMERA) -> Recipe:
    """Read from the reference frame what all frames of the stack are developed with.

    Raises: StackError where its file does not tell daylight, and that is wished for.
    """
    with opened(reference.path, reference.name) as raw:
        black, white = own_levels(raw)
        return Recipe(
            name=reference.name,
            camera=_camera(raw, reference.path),
            iso=raw.other.iso_speed,
            balance=_balance(raw, reference.name, wish),
            black=black,
            white=white,
        )


def decode(frame: Frame, recipe: Recipe) -> npt.NDArray[Any]:
    """Develop a frame to linear camera RGB with the white balance applied: (h, w, 3) uint16, not rotated.

    Demosaicking is PPG: nearly as good as AHD on mosaics made from real pictures, in about half the time.
    Bilinear takes as long and is better where all is smooth, but worse on sharp detail, which is what a stack
    is after.

    Raises: StackError for another camera than the reference's; DecodeError where there are no image data.
    """
    with _checked(frame, recipe) as raw:
        return _developed(raw, recipe)


def unpack(frame: Frame, recipe: Recipe, out: npt.NDArray[Any]) -> Mosaic | npt.NDArray[Any]:
    """Put the mosaic of a frame into `room(out)`, and tell how it becomes what `decode` gives; where only
    LibRaw can do that, return what `decode` gives. Raises: as that does.
    """
    with _checked(frame, recipe) as raw:
        mosaic = _mosaic(raw, frame, recipe)
        if mosaic is None or raw.raw_image_visible.shape != out.shape[:2]:
            return _developed(raw, recipe)
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
            even = _developed(raw, recipe)[: 2 * size[1], : 2 * size[0]]
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


def _mosaic(raw: rawpy.RawPy, frame: Frame, recipe: Recipe) -> Mosaic | None:
    """How a frame's mosaic is developed; None where only LibRaw can do that."""
    levels = (recipe.black, recipe.white) if _same_levels(raw, recipe) else None
    return bayer(raw, frame.path, recipe.balance, levels)


_DEVELOPING = threading.Lock()
"""LibRaw develops a frame on all cores by itself, and several at a time have crashed it, seldom."""


def _developed(raw: rawpy.RawPy, recipe: Recipe) -> npt.NDArray[Any]:
    wishes = _settings(recipe, same_levels=_same_levels(raw, recipe))
    with _DEVELOPING:
        pixels = raw.postprocess(**wishes)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _same_levels(raw: rawpy.RawPy, recipe: Recipe) -> bool:
    """Whether the reference's levels hold for a frame: cameras change them with the ISO speed."""
    return bool(0 < recipe.iso == raw.other.iso_speed)


@contextmanager
def opened(path: Path, name: str) -> Iterator[rawpy.RawPy]:
    """Open a file with LibRaw; its errors, also those raised while it is open, become DecodeError."""
    rawpy = _library()
    try:
        with rawpy.imread(str(path)) as raw:
            yield raw
    except (rawpy.LibRawFileUnsupportedError, rawpy.NotSupportedError) as error:
        raise DecodeError(
            name, "this RAW format is not known to LibRaw.", "Convert it to DNG or TIFF first."
        ) from error
    except rawpy.LibRawError as error:
        raise damaged(name, "LibRaw finds no complete picture in it") from error


def _library() -> Any:
    """The rawpy module, imported late: it is the one reader that some platforms lack."""
    try:
        import rawpy
    except ImportError as error:
        raise StackError(
            "RAW files cannot be read, because rawpy is not there for this platform.",
            "Develop them to 16-bit TIFF first.",
        ) from error
    return rawpy


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


def _balance(raw: rawpy.RawPy, name: str, wish: Balance) -> tuple[float, ...]:
    """The white balance wished for; that as shot is LibRaw's daylight one where it is missing.

    For DNG files with AsShotWhiteXY, LibRaw reports (0, 1, 0) as shot, and puts the chromaticity into the
    daylight multipliers (rawpy issue 251).
    """
    if isinstance(wish, tuple):
        return *wish, wish[1]
    shot, daylight = tuple(raw.camera_whitebalance), tuple(raw.daylight_whitebalance)
    if wish is WhiteBalance.CAMERA:
        return shot if _tells(shot) else daylight
    if not _tells(daylight):
        raise StackError(f"What is white in daylight is not known for {name}.", "Give --wb as R,G,B.")
    return daylight


def _tells(balance: tuple[float, ...]) -> bool:
    return bool(np.isfinite(balance).all()) and min(balance[:3]) > 0


def _settings(recipe: Recipe, *, same_levels: bool) -> dict[str, Any]:
    """Arguments for LibRaw; `same_levels`: black and white are the reference's."""
    rawpy = _library()
    levels = (
        {"user_black": 0, "user_cblack": list(recipe.black), "user_sat": recipe.white} if same_levels else {}
    )
    return {
        "gamma": (1, 1),
        "no_auto_bright": True,
        "output_bps": 16,
        "adjust_maximum_thr": 0.0,
        "user_wb": list(recipe.balance),
        "user_flip": 0,
        "output_color": rawpy.ColorSpace.raw,
        "highlight_mode": rawpy.HighlightMode.Clip,
        "demosaic_algorithm": rawpy.DemosaicAlgorithm.PPG,
        **levels,
    }
