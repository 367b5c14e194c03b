"""The Python interface: `gpustack.stack(frames) -> Result`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy.typing as npt

from gpustack.engine.checkpoint import Checkpoint
from gpustack.engine.job import Keep
from gpustack.engine.known import Known
from gpustack.engine.layers import KeepLayers
from gpustack.engine.progress import Progress
from gpustack.engine.report import Report
from gpustack.engine.run import locate as locate_stack
from gpustack.engine.run import run
from gpustack.errors import UsageError
from gpustack.finishing import Finishing
from gpustack.io.decode import Decoder
from gpustack.io.shots import differences
from gpustack.layering import LayerFile
from gpustack.model.frame import Frame
from gpustack.model.place import Place
from gpustack.model.slab import Slab
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform
from gpustack.result import Result, SlabPicture, result_of, slab_picture
from gpustack.settings import Settings
from gpustack.sources import held, opened
from gpustack.version import SOFTWARE

Pixels = npt.NDArray[Any]


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
            keep_slab=None if keep_slab is None else _handing_out(keep_slab, finishing),
            keep_layers=None if layers is None else _layering(layers, finishing, reference, settings),
            unpack=source.unpack,
            shrink=source.shrink,
            known=known,
            checkpoint=checkpoint,
        )
    if decoder is not None:
        _tell_differences(whole, decoder, outcome.report, settings, progress)
    return result_of(finishing, outcome)


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


def _layering(layers: LayerFile, finishing: Finishing, reference: Frame, settings: Settings) -> KeepLayers:
    """What a run hands its layers to; they are shown as they are to be seen beside a linear picture, too."""
    if settings.linear:
        finishing = Finishing(reference, replace(settings, linear=False))
    return partial(layers.open, finishing, SOFTWARE)


def _handing_out(keep: Callable[[SlabPicture], None], finishing: Finishing) -> Callable[[Slab, Pixels], None]:
    return lambda slab, picture: keep(slab_picture(finishing, slab, picture))
