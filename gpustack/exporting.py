"""The Python interface to what a depth map can become: `gpustack.open_depth(path) -> DepthMap`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from gpustack.depth import views
from gpustack.depth.mesh import Mesh, mesh
from gpustack.depth.relief import Scale, as_colours, heights_px, heights_um, nearness, normals
from gpustack.errors import InputError, UsageError
from gpustack.io.animation import ANIMATION_ENDINGS, write_animation
from gpustack.io.atomic import replacing
from gpustack.io.decode import probe
from gpustack.io.encode import eight_bit
from gpustack.io.exr import encode_planes
from gpustack.io.meshes import MESH_ENDINGS, PLAIN_WRITERS, write_glb
from gpustack.io.metadata import Metadata, description, read_metadata
from gpustack.io.picture import Picture, read_picture
from gpustack.io.planes import depth_description, read_depth_description
from gpustack.io.told import Voxel
from gpustack.io.write import OUTPUT_ENDINGS, check_output, write_picture, write_plane
from gpustack.settings import ANIMATION_PX, JPEG_QUALITY, MESH_TRIANGLES, PARALLAX, Export
from gpustack.version import SOFTWARE

Plane = npt.NDArray[np.float32]
Pixels = npt.NDArray[Any]

_TEXTURE_PX = 4096
_VIEWS, _SECONDS = 24, 2.0
_UNSCALED_MM = 100.0  # the longer side of a mesh whose scale is not known


ENDINGS = {
    Export.DEPTH: (".tif", ".tiff", ".png", ".exr"),
    Export.HEIGHT: (".tif", ".tiff", ".png", ".exr"),
    Export.NORMALS: (".tif", ".tiff", ".png"),
    Export.MESH: MESH_ENDINGS,
    Export.ANAGLYPH: OUTPUT_ENDINGS,
    Export.STEREO: OUTPUT_ENDINGS,
    Export.ROCKING: ANIMATION_ENDINGS,
}


@dataclass(frozen=True, slots=True, eq=False)
class DepthMap:
    """A depth map in frames, (h, w) float32 from 0 to `top`; the picture it belongs to, if given; what a
    frame and a pixel are worth as the user says, and as the file does."""

    depth: Plane
    top: float
    picture: Picture | None = None
    scale: Scale = field(default_factory=Scale)
    voxel: Voxel = field(default_factory=Voxel)

    @property
    def step_um(self) -> float | None:
        """Micrometres between two frames: what the user says counts more."""
        return self.scale.step_um or self.voxel.step_um

    @property
    def whole_scale(self) -> Scale:
        """The scale with what the file says where the user does not, if both directions are known then."""
        both = replace(
            self.scale, step_um=self.step_um, um_per_px=self.scale.um_per_px or self.voxel.pixel_um
        )
        return both if both.step_um is not None and both.um_per_px is not None else self.scale

    def fitting(self, path: Path) -> Export:
        """What a file's ending suggests."""
        ending = path.suffix.lower()
        if ending in MESH_ENDINGS:
            return Export.MESH
        if ending in ANIMATION_ENDINGS:
            return Export.ROCKING
        return Export.DEPTH if self.step_um is None else Export.HEIGHT

    @property
    def nearness(self) -> Plane:
        """(h, w) float32, 0 (farthest) to 1 (nearest)."""
        return nearness(self.depth, self.top, self.scale)

    def save(
        self,
        path: str | Path,
        kind: Export | None = None,
        *,
        overwrite: bool = False,
        triangles: int = MESH_TRIANGLES,
        parallax: float = PARALLAX,
        width: int = ANIMATION_PX,
    ) -> Export:
        """Write it as `kind`, or as the ending suggests; returns what it became.

        `triangles`: the most of a mesh. `parallax`: how far nearest and farthest parts move against each
        other between two eyes, as a share of the picture's width. `width`: of an animation, in pixels, at
        most. Raises UsageError for what does not fit together, WriteError as `write_picture` does.
        """
        path = Path(path)
        kind = kind or self.fitting(path)
        check_output(path, overwrite, ENDINGS[kind])
        match kind:
            case Export.DEPTH | Export.HEIGHT:
                self._save_plane(path, kind, overwrite)
            case Export.NORMALS:
                directions = normals(heights_px(self.depth, self.top, self.whole_scale))
                _save_picture(path, as_colours(directions), Metadata(), overwrite)
            case Export.MESH:
                self._save_mesh(path, triangles, overwrite)
            case Export.ROCKING:
                self._save_rocking(path, parallax, width, overwrite)
            case Export.ANAGLYPH | Export.STEREO:
                self._save_stereo(path, kind, parallax, overwrite)
        return kind

    def _save_plane(self, path: Path, kind: Export, overwrite: bool) -> None:
        if kind is Export.DEPTH:
            plane, top, text = self.depth, self.top, depth_description(self.top, self.voxel)
        else:
            plane = heights_um(self.depth, self.top, replace(self.scale, step_um=self.step_um))
            top = self.top * (self.step_um or 0)
            text = f"height in micrometres above the farthest frame, 0 to {top:g}"
        if path.suffix.lower() == ".exr":
            with replacing(path, overwrite=overwrite) as file:
                encode_planes(file, {"Z": plane}, {"comments": text})
            return
        write_plane(path, plane, top=top, overwrite=overwrite, software=SOFTWARE, description=text)

    def _save_mesh(self, path: Path, triangles: int, overwrite: bool) -> None:
        if triangles < 2:
            raise UsageError(f"A mesh of {triangles} triangles is none.", "Allow 2 or more.")
        metres = path.suffix.lower() == ".glb"
        found = mesh(
            heights_px(self.depth, self.top, self.whole_scale),
            self._pixel_mm() / (1000 if metres else 1),
            triangles,
        )
        with replacing(path, overwrite=overwrite) as file:
            if metres:
                write_glb(file, found.points, found.normals, found.places, found.triangles, self._texture())
            else:
                write = PLAIN_WRITERS[path.suffix.lower()]
                write(file, found.points, found.normals, found.triangles, self._colours(found))

    def _pixel_mm(self) -> float:
        scale = self.whole_scale
        if scale.known:
            assert scale.um_per_px is not None
            return scale.um_per_px / 1000
        return float(_UNSCALED_MM / max(self.depth.shape))

    def _texture(self) -> bytes | None:
        if self.picture is None:
            return None
        texture = _fitted(_rgb(eight_bit(self.picture.pixels)), _TEXTURE_PX)
        return bytes(simplejpeg.encode_jpeg(texture, JPEG_QUALITY))

    def _colours(self, found: Mesh) -> npt.NDArray[np.uint8] | None:
        """The picture's colour at each point: the mean over what the point stands for."""
        if self.picture is None:
            return None
        points = len(found.places)
        columns = int(np.count_nonzero(found.places[:, 1] == found.places[0, 1]))
        size = columns, points // columns
        small = cv2.resize(_rgb(eight_bit(self.picture.pixels)), size, interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8).reshape(-1, 3)

    def _save_stereo(self, path: Path, kind: Export, parallax: float, overwrite: bool) -> None:
        picture = self._seen()
        make: Callable[..., Pixels] = views.anaglyph if kind is Export.ANAGLYPH else views.stereo_pair
        seen = make(picture.colours, self.nearness, _shift(parallax, picture.size[0]))
        _save_picture(path, seen, Metadata(icc=picture.icc), overwrite)

    def _save_rocking(self, path: Path, parallax: float, width: int, overwrite: bool) -> None:
        small = _fitted(_rgb(eight_bit(self._seen().pixels)), width)
        near = cv2.resize(self.nearness, small.shape[1::-1], interpolation=cv2.INTER_AREA)
        swing = views.rocking(small, np.asarray(near, np.float32), _shift(parallax, small.shape[1]), _VIEWS)
        with replacing(path, overwrite=overwrite) as file:
            write_animation(file, swing, _SECONDS, path.suffix.lower())

    def _seen(self) -> Picture:
        if self.picture is None:
            raise UsageError("There is nothing to look at.", "Give the sharp picture with --picture.")
        return self.picture


def open_depth(
    path: str | Path,
    picture: str | Path | None = None,
    *,
    frames: int | None = None,
    scale: Scale | None = None,
) -> DepthMap:
    """Read a depth map that `stack --depth` has written, as TIFF or PNG, and the picture that belongs to it.

    `frames`: of the stack, where the file does not say. Raises InputError for files that cannot be read,
    are no depth map or do not belong together; UsageError where the number of frames is needed.
    """
    plane = read_picture(Path(path))
    if plane.pixels.shape[2] != 1:
        problem = f"{plane.name} has {plane.pixels.shape[2]} channels and is no depth map."
        raise InputError(problem, "Give what stack --depth has written.")
    seen = None if picture is None else read_picture(Path(picture))
    if seen is not None and seen.size != plane.size:
        sizes = [f"{of.name} has {of.size[0]}x{of.size[1]} pixels" for of in (plane, seen)]
        problem = f"{' and '.join(sizes)}."
        raise InputError(problem, "Give the picture and the depth of one run.")
    values = plane.pixels[..., 0]
    stated, voxel = _stated(Path(path))
    top = stated if frames is None else _top(frames)
    scale = scale or Scale()
    if values.dtype == np.float32:
        top = float(values.max()) if top is None else top
        return DepthMap(np.asarray(values, np.float32), top, seen, scale, voxel)
    if top is None:
        raise UsageError(
            f"{plane.name} does not say of how many frames it is.", "Give their number with --frames."
        )
    depth = values.astype(np.float32) * np.float32(top / np.iinfo(values.dtype).max)
    return DepthMap(depth, top, seen, scale, voxel)


def _stated(path: Path) -> tuple[float | None, Voxel]:
    """The largest depth, and what a frame and a pixel measure, as far as the file says so."""
    return read_depth_description(description(read_metadata(probe(path)[0])))


def _top(frames: int) -> float:
    if frames < 1:
        raise UsageError(f"A stack has no {frames} frames.", "Give 1 or more.")
    return float(frames - 1)


def _shift(parallax: float, width: int) -> float:
    if not 0 < parallax <= 0.2:
        raise UsageError(f"A parallax of {parallax:g} cannot be looked at.", "Give one above 0, up to 0.2.")
    return parallax * width


def _rgb(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _fitted(pixels: npt.NDArray[np.uint8], longest: int) -> npt.NDArray[np.uint8]:
    """The picture, made smaller until its longer side is at most `longest` pixels."""
    height, width = pixels.shape[:2]
    share = longest / max(height, width)
    if share >= 1:
        return np.ascontiguousarray(pixels)
    size = max(1, round(width * share)), max(1, round(height * share))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _save_picture(path: Path, pixels: Pixels, metadata: Metadata, overwrite: bool) -> None:
    write_picture(path, pixels, metadata, overwrite=overwrite, software=SOFTWARE, quality=JPEG_QUALITY)
