"""The Python interface: `gpustack.stack(frames) -> Result`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack import __version__
from gpustack.engine.checkpoint import Checkpoint
from gpustack.engine.feed import Read, Source, filled
from gpustack.engine.job import Keep
from gpustack.engine.known import Known
from gpustack.engine.layers import KeepLayers
from gpustack.engine.progress import Progress
from gpustack.engine.report import Report
from gpustack.engine.run import Outcome, run
from gpustack.engine.run import locate as locate_stack
from gpustack.errors import DecodeError, UsageError
from gpustack.finishing import Finishing
from gpustack.io.decode import Decoder, probe_all
from gpustack.io.flat import Flat
from gpustack.io.metadata import Metadata, described
from gpustack.io.planes import depth_description
from gpustack.io.profiles import Profiles
from gpustack.io.shots import differences
from gpustack.io.write import oriented, write_picture, write_plane
from gpustack.layering import LayerFile
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.place import Place
from gpustack.model.slab import Slab
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform
from gpustack.settings import JPEG_QUALITY, Brightness, Settings

Pixels = npt.NDArray[Any]
Plane = npt.NDArray[np.float32]

SOFTWARE = f"gpustack {__version__}"


@dataclass(frozen=True, slots=True)
class SlabPicture:
    """The picture of one slab, upright: image (h, w, c) as that of a `Result`.
    metadata: that of the reference frame, with the slab's frames as description."""

    slab: Slab
    image: Pixels
    metadata: Metadata

    def save(self, path: str | Path, *, overwrite: bool = False, quality: int = JPEG_QUALITY) -> None:
        """Write it as `Result.save` does."""
        write_picture(
            Path(path), self.image, self.metadata, overwrite=overwrite, software=SOFTWARE, quality=quality
        )


@dataclass(frozen=True, slots=True)
class Result:
    """A fused picture, upright.

    image: (h, w, c) in the frames' dtype; RAW frames give uint16 in sRGB, or with `Settings.linear` in linear
    camera RGB with the white balance applied, which is written as DNG only. depth: (h, w) float32 in frame
    units (0 is the first frame) and confidence: (h, w) float32 0..1, or None unless asked for. transforms:
    one a frame, reference pixels to frame pixels, of the frames as stored. report: what was done, how long
    it took, and one row a frame. metadata: colour profile, EXIF and resolution of the reference frame.
    winners: (h, w) uint16, the frame that each pixel mostly comes from.
    """

    image: Pixels
    depth: Plane | None
    confidence: Plane | None
    places: tuple[Place, ...]
    report: Report
    metadata: Metadata
    winners: npt.NDArray[np.uint16]

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """One a frame, reference pixels to frame pixels, of the frames as stored."""
        return tuple(place.transform for place in self.places)

    def save(self, path: str | Path, *, overwrite: bool = False, quality: int = JPEG_QUALITY) -> None:
        """Write the picture as JPEG, PNG or TIFF, as the name ends; what is linear, as DNG. Raises
        UsageError, WriteError."""
        write_picture(
            Path(path), self.image, self.metadata, overwrite=overwrite, software=SOFTWARE, quality=quality
        )

    def save_depth(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the depth: float32 TIFF in frame units, or 16-bit PNG from first (0) to last frame
        (65535)."""
        top = float(max(1, len(self.report.frames) - 1))
        self._save(path, self.depth, top, depth_description(top, self.metadata.voxel), overwrite)

    def save_confidence(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the confidence: float32 TIFF 0..1, or 16-bit PNG."""
        self._save(path, self.confidence, 1.0, "confidence of the depth, 0 to 1", overwrite)

    def _save(
        self, path: str | Path, plane: Plane | None, top: float, description: str, overwrite: bool
    ) -> None:
        if plane is None:
            raise UsageError("This result has no depth.", "Stack with depth=True.")
        write_plane(
            Path(path), plane, top=top, overwrite=overwrite, software=SOFTWARE, description=description
        )


def stack(
    frames: Sequence[str | Path | Pixels] | Stack,
    settings: Settings | None = None,
    *,
    transforms: Sequence[Transform | Place] | None = None,
    progress: Progress | None = None,
    keep_aligned: Keep | None = None,
    keep_slab: Callable[[SlabPicture], None] | None = None,
    known: Known | None = None,
    layers: LayerFile | None = None,
    checkpoint: Checkpoint | None = None,
    heard: Callable[[Frame], None] | None = None,
) -> Result:
    """Align and fuse frames into one picture.

    `frames`: paths of pictures (pages of a multi-page TIFF count each), arrays (h, w) or (h, w, c) of
    one dtype uint8, uint16 or float32 0..1, or a Stack. `settings`: what to do, see `Settings`.
    `transforms`: use these, one a frame, instead of estimating them. `progress`: is told where the run is.
    `keep_aligned`: is called with every frame and its aligned pixels. `keep_slab`: is called with the picture
    of each slab, where `settings.slab` asks for them; again, where a GPU is full and the run begins anew.
    `known`: what `gpustack.watching` found out about the frames as they came.
    `layers`: is written, after the picture is made, as the frames come once more.
    `checkpoint`: is kept up while the run goes on, and continued where an interrupted run of the same files
    and settings has left it; remove it when the result is saved. Not for arrays, nor with `keep_aligned`.
    `heard` is told of a frame each time it was read, in any thread.

    Raises InputError (DecodeError, StackError) for frames that cannot be used, PlanError where the memory
    budget is too small.
    """
    settings = settings or Settings()
    if checkpoint is not None and keep_aligned is not None:
        raise UsageError(
            "keep_aligned does not go with a checkpoint, after which not all frames come.", "Leave one out."
        )
    whole, source, decoder = opened(frames, settings, fuses=True)
    source = source if heard is None else source.telling(heard)
    places = None if transforms is None else [t if isinstance(t, Place) else Place(t) for t in transforms]
    reference = whole.frames[whole.reference(settings.reference)]
    finishing = Finishing(reference, settings, whole.every)
    if layers is not None:
        layers.check(whole)
    with held(decoder):
        outcome = run(
            whole,
            source.read,
            settings,
            places=places,
            progress=progress,
            keep_aligned=keep_aligned,
            keep_slab=None if keep_slab is None else partial(_hand_out, keep_slab, finishing),
            keep_layers=None if layers is None else _layering(layers, finishing, reference, settings),
            unpack=source.unpack,
            shrink=source.shrink,
            known=known,
            checkpoint=checkpoint,
        )
    if decoder is not None:
        _tell_differences(whole, decoder, outcome.report, settings, progress)
    return _result(finishing, outcome)


def locate(
    frames: Sequence[str | Path | Pixels] | Stack,
    settings: Settings | None = None,
    *,
    progress: Progress | None = None,
    keep_aligned: Keep | None = None,
) -> tuple[Place, ...]:
    """Find where frames lie against the reference, without fusing them; takes what `stack` takes.

    `keep_aligned` is called with every used frame and its aligned pixels, which costs a second pass. Frames
    of several colour profiles keep them, unless `settings.convert_profile`. Raises
    as `stack` does, and AlignError where a frame cannot be aligned, or is shaken, and `settings.on_bad_frame`
    is fail.
    """
    settings = settings or Settings()
    whole, source, decoder = opened(frames, settings, fuses=settings.convert_profile)
    with held(decoder):
        return locate_stack(
            whole,
            source.read,
            settings,
            progress=progress,
            keep_aligned=keep_aligned,
            unpack=source.unpack,
            shrink=source.shrink,
        )


def open_stack(paths: Sequence[str | Path], raw_developer: str | None = None, *, every: int = 1) -> Stack:
    """Read the headers of files and check that they belong together; take every so many-th frame of them.

    Of RAW files that another program develops, see `Settings`, the first is made. Raises DecodeError,
    StackError, UsageError.
    """
    return Stack(probe_all(map(Path, paths), raw_developer)[::every], every)


def _tell_differences(
    frames: Stack, decoder: Decoder, report: Report, settings: Settings, progress: Progress | None
) -> None:
    """Warn of frames that were taken otherwise than the reference; RAW files have told only now."""
    names, shots = [frame.name for frame in frames], [decoder.shot(frame) for frame in frames]
    sentence = differences(names, shots, frames.reference(settings.reference))
    if sentence is not None:
        report.warnings.append(sentence)
        if progress is not None:
            progress.warn(sentence)


@contextmanager
def held(decoder: Decoder | None) -> Iterator[None]:
    """Let go in the end what a decoder has kept."""
    try:
        yield
    finally:
        if decoder is not None:
            decoder.close()


def opened(
    frames: Sequence[str | Path | Pixels] | Stack,
    settings: Settings,
    *,
    colours: bool = False,
    fuses: bool = False,
) -> tuple[Stack, Source, Decoder | None]:
    """The stack, and what reads its frames, as the reference was taken; the decoder of files. `colours`: they
    are wanted of small pictures, too, where else the luma may do. `fuses`: frames must have one colour
    profile, or are converted to one. Raises as `stack`."""
    if not isinstance(frames, Stack):
        arrays = [frame for frame in frames if isinstance(frame, np.ndarray)]
        paths = [frame for frame in frames if not isinstance(frame, np.ndarray)]
        if arrays and paths:
            raise UsageError("Files and arrays cannot be mixed in one stack.", "Give one or the other.")
        if arrays:
            whole, read = _in_memory(arrays)
            whole.refuse_raw_options(settings)
            source = Source(read) if settings.flat is None else _flattened(read, whole, settings.flat)
            return whole, replace(source, read=_sane(source.read)), None
        frames = open_stack(paths, settings.raw_developer)
    if settings.raw_developer is not None and frames.kind is Kind.RAW:
        frames = open_stack([frame.path for frame in frames], settings.raw_developer)
    frames.refuse_raw_options(settings)
    reference = frames.reference(settings.reference)
    decoder = Decoder(frames.frames[reference], settings.wb, settings.demosaic, settings.raw_developer)
    profiles = _profiles(frames, reference, settings) if fuses else None
    if settings.flat is not None:
        source = _flattened(decoder, frames, settings.flat)
    else:
        # Light is compared: that of the luma alone is another than that of the colours.
        coded = settings.brightness is Brightness.CHANNELS or any(f.kind is not Kind.JPEG for f in frames)
        colours = colours or coded or profiles is not None
        source = Source(decoder, decoder.unpack, partial(decoder.reduced, colours=colours))
    source = replace(source, read=_sane(source.read))
    return frames, source if profiles is None else _converted(source, profiles), decoder


def _profiles(frames: Stack, reference: int, settings: Settings) -> Profiles | None:
    """What converts frames to the reference's colours, where some mean others; refused unless asked for."""
    profiles = Profiles(frames, reference)
    if not settings.convert_profile:
        profiles.refuse()
    return profiles or None


def _converted(source: Source, profiles: Profiles) -> Source:
    """Read frames in one colour profile; that is done here, so nothing is left to backends."""
    shrink = source.shrink

    def shrunk(frame: Frame, by: int) -> Pixels:
        assert shrink is not None
        return profiles.convert(frame, shrink(frame, by), None)

    def read(frame: Frame, out: Pixels | None) -> Pixels:
        pixels = source.read(frame, out)
        return profiles.convert(frame, pixels, pixels if out is None and pixels.flags.writeable else out)

    return Source(read, None, None if shrink is None else shrunk)


def _flattened(read: Read, frames: Stack, path: str) -> Source:
    """Read frames, divided by the flat field in a file; that is done here, so nothing is left to backends."""
    decoder = read if isinstance(read, Decoder) else None
    flat = Flat(Path(path), frames, decoder)

    def shrunk(frame: Frame, by: int) -> Pixels:
        assert decoder is not None
        pixels = decoder.reduced(frame, by, colours=True)
        small = replace(frame, width=pixels.shape[1], height=pixels.shape[0])
        return flat.divide(small, pixels, None)

    return Source(
        lambda frame, out: flat.divide(frame, read(frame, out), out), None, shrunk if decoder else None
    )


def _in_memory(arrays: list[Pixels]) -> tuple[Stack, Read]:
    described = tuple(_described(array, index) for index, array in enumerate(arrays))
    pictures = [np.ascontiguousarray(array if array.ndim == 3 else array[..., None]) for array in arrays]
    return Stack(described), lambda frame, out: filled(pictures[frame.page], out)


LARGEST_FLOAT = 1e6
"""Floating point samples beyond this are damage, not light; their squares would swamp the focus measure."""


def _sane(read: Read) -> Read:
    """Read frames, but refuse NaN, infinity and absurd values: a pyramid spreads one over the picture."""

    def checked(frame: Frame, out: Pixels | None) -> Pixels:
        pixels = read(frame, out)
        if pixels.dtype == np.float32 and not max(-pixels.min(), pixels.max()) <= LARGEST_FLOAT:
            problem = f"it holds samples that are not numbers, or beyond {LARGEST_FLOAT:.0e}."
            raise DecodeError(frame.name, problem, "Replace them, 0 is black and 1 white, or leave it out.")
        return pixels

    return checked


def _described(picture: Pixels, index: int) -> Frame:
    fits = picture.ndim in (2, 3) and picture.size > 0 and picture.dtype.name in list(PixelType)
    height, width, channels = (*picture.shape, 1)[:3] if fits else (0, 0, 0)
    if not 1 <= channels <= 4:
        raise UsageError(
            f"Frame {index} has shape {picture.shape} and dtype {picture.dtype}.",
            "Give (h, w) or (h, w, 1 to 4) arrays of uint8, uint16 or float32.",
        )
    kind = PixelType(picture.dtype.name)
    return Frame(Path("array"), width, height, channels, kind, Kind.ARRAY, page=index, pages=1 << 30)


def _layering(layers: LayerFile, finishing: Finishing, reference: Frame, settings: Settings) -> KeepLayers:
    """What a run hands its layers to; they are shown as they are to be seen beside a linear picture, too."""
    if settings.linear:
        finishing = Finishing(reference, replace(settings, linear=False))
    return partial(layers.open, finishing, SOFTWARE)


def _result(finishing: Finishing, outcome: Outcome) -> Result:
    """Turn the pictures as the reference's EXIF says, develop RAW colours, and add its metadata."""
    fused, turn = outcome.fused, finishing.orientation
    image, metadata = finishing.upright(fused.picture), finishing.told(outcome.places)
    depth = confidence = None
    if fused.surface is not None:
        depth = np.ascontiguousarray(oriented(fused.surface.depth, turn))
        confidence = np.ascontiguousarray(oriented(fused.surface.confidence, turn))
    winners = np.ascontiguousarray(oriented(fused.winners, turn))
    return Result(image, depth, confidence, outcome.places, outcome.report, metadata, winners)


def _hand_out(keep: Callable[[SlabPicture], None], finishing: Finishing, slab: Slab, picture: Pixels) -> None:
    keep(SlabPicture(slab, finishing.upright(picture), described(finishing.metadata, str(slab))))
