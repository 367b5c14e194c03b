"""What the frames of a stack give, and where it has gaps: `gpustack.inspect(frames) -> Inspection`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gpustack import api
from gpustack.coverage import needed
from gpustack.coverage.advice import advice
from gpustack.coverage.curves import Curves
from gpustack.coverage.frames import Look, Needed, looks
from gpustack.coverage.gaps import Coverage, Gap, coverage
from gpustack.coverage.picture import Views, focus_map
from gpustack.engine.focus import measure_focus
from gpustack.engine.progress import Progress
from gpustack.errors import StackError, UsageError
from gpustack.finishing import Finishing
from gpustack.io.discover import natural_key
from gpustack.io.encode import eight_bit
from gpustack.io.metadata import Metadata
from gpustack.io.profiles import Profiles
from gpustack.io.sidecar import Sidecar, read_sidecar
from gpustack.io.write import oriented, write_picture
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform
from gpustack.records.recorded import Inputs
from gpustack.settings import Settings
from gpustack.sources import held, opened
from gpustack.version import SOFTWARE

PREVIEW_SIDE = 900
"""Longer side in pixels of each view of the map."""


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """What is known of a stack.

    frames: one look a frame. coverage: where it has gaps, None where that cannot be told. advice: sentences.
    warnings: of the alignment. box: the part of the reference that was looked at. views: what the map shows.
    """

    frames: tuple[Look, ...]
    coverage: Coverage | None = None
    advice: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    views: Views | None = None

    @property
    def spare(self) -> tuple[int, ...]:
        """Indices of the frames that could be left out, all together."""
        return tuple(look.index for look in self.frames if look.spare)

    def map(self) -> npt.NDArray[np.uint8]:
        """(h, w, 3) uint8: the gaps, which frame shows what, and what each frame gives. Raises UsageError
        where the frames have not been looked at."""
        if self.views is None:
            raise UsageError("There is no map without a look at the frames.", "Name the frames.")
        return focus_map(self.views, self.frames)

    def save_map(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the map as JPEG, PNG or TIFF. Raises UsageError, WriteError."""
        write_picture(Path(path), self.map(), Metadata(), overwrite=overwrite, software=SOFTWARE, quality=92)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; boxes in pixels of the reference, as stored."""
        gaps = () if self.coverage is None else self.coverage.gaps
        return {
            "frames": [look.as_dict() for look in self.frames],
            "covered": None if self.coverage is None else self.coverage.covered,
            "gaps": [self._gap(gap) for gap in gaps],
            "spare": list(self.spare),
            "advice": list(self.advice),
            "warnings": list(self.warnings),
        }

    def _gap(self, gap: Gap) -> dict[str, Any]:
        assert self.coverage is not None
        rows, columns = self.coverage.seen.shape
        across, down = self.box[2] / columns, self.box[3] / rows
        left, top, width, height = gap.box
        box = (self.box[0] + left * across, self.box[1] + top * down, width * across, height * down)
        return {
            "side": gap.side.value,
            "frames": list(gap.frames),
            "share": gap.share,
            "box": [round(side) for side in box],
            "missed_db": gap.missed_db,
            "step_px": gap.step_px,
            "more": gap.more,
        }


def inspect(
    frames: Sequence[str | Path | api.Pixels] | Stack,
    settings: Settings | None = None,
    *,
    transforms: Sequence[Transform | Place] | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """Look at the frames of a stack, without fusing them; takes what `gpustack.stack` takes.

    Frames are aligned as for a stack, and read once more; a warning tells of profiles that `stack` would
    refuse. Raises what `stack` raises else.
    """
    settings = settings or Settings()
    whole, source, decoder = opened(frames, settings, fuses=settings.convert_profile)
    places = None if transforms is None else [t if isinstance(t, Place) else Place(t) for t in transforms]
    preview = _Preview()
    with held(decoder):
        found = measure_focus(whole, source, settings, places=places, progress=progress, keep=preview.add)
    reference = whole.frames[whole.reference(settings.reference)]
    names = [frame.name for frame in whole]
    judged = judge(names, found.places, reference.size, found.curves, found.report.box)
    finishing = Finishing(reference, replace(settings, linear=False))
    shown = eight_bit(finishing.upright(preview.pixels))
    return replace(
        judged,
        advice=(*_misordered(whole), *judged.advice),
        warnings=(*_profiles(whole, settings), *found.report.warnings),
        views=_views(shown, found.curves, judged.coverage, reference.orientation),
    )


def judge(
    names: Sequence[str],
    places: Sequence[Place],
    size: tuple[int, int],
    curves: Curves,
    box: tuple[int, int, int, int],
) -> Inspection:
    """What the focus curves tell of frames that lie at some places against a reference of `size` (width,
    height), of which the curves show the part `box`: without a map."""
    covers, seen = coverage(curves), curves.seen()
    rows = looks(names, places, size, [0.0] * len(names), _needed(curves, seen, covers))
    return Inspection(rows, covers, () if covers is None else advice(covers, rows), box=box)


def _profiles(stack: Stack, settings: Settings) -> tuple[str, ...]:
    """Why `stack` would refuse the frames for their colour profiles, if it would."""
    if settings.convert_profile:
        return ()
    try:
        Profiles(stack, stack.reference(settings.reference)).refuse()
    except StackError as error:
        return (str(error),)
    return ()


def _misordered(stack: Stack) -> tuple[str, ...]:
    """A hint where frames do not come in the order of their names, forwards or backwards."""
    paths = [frame.path for frame in stack]
    ordered = sorted(paths, key=natural_key)
    if paths in (ordered, ordered[::-1]):
        return ()
    return (
        "The frames do not come in the order of their names, as people count. A shell puts frame10 before "
        "frame2; name the folder, or the pattern in quotes, if that is not meant.",
    )


def inspect_again(
    path: Path,
    *,
    folder: Path | None = None,
    machine: Settings | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """Look at the frames of a sidecar, where they lay in that run. `folder`: where the inputs lie now;
    `machine`: backend, memory, threads, devices and what develops RAW files are those of these settings.

    Raises InputError for a sidecar that cannot be read, and for inputs that are missing or have changed.
    """
    recorded = read_sidecar(path)
    inputs = Inputs(recorded, path, folder)
    inputs.refuse_changed()
    here = machine or Settings()
    settings = inputs.settings(here.backend, here)
    return inspect(
        inputs.stack(settings.raw_developer), settings, transforms=recorded.places, progress=progress
    )


def inspect_record(recorded: Sidecar) -> Inspection:
    """What a sidecar tells of its frames, without a look at them."""
    reference = recorded.inputs[recorded.reference]
    names = [Path(one.file).name for one in recorded.inputs]
    shares = [float(row["share"]) for row in recorded.report["frames"]]
    size = reference.width, reference.height
    found = looks(names, recorded_places(recorded), size, shares, None)
    return Inspection(found, warnings=tuple(recorded.report["warnings"]))


def recorded_places(recorded: Sidecar) -> tuple[Place, ...]:
    """Where the frames of a sidecar lie, with those that are shaken told."""
    rows = zip(recorded.places, recorded.report["frames"], strict=True)
    return tuple(replace(place, shaken=bool(row["shaken"])) for place, row in rows)


def _needed(curves: Curves, seen: npt.NDArray[np.bool_], covers: Coverage | None) -> Needed:
    places = {} if covers is None else dict(zip(curves.frames, covers.places.tolist(), strict=True))
    steps = {first: places[second] - places[first] for first, second in pairwise(places)}
    share, alone = (
        dict(zip(curves.frames, values.tolist(), strict=True))
        for values in (needed.shares(curves, seen), needed.alone(curves, seen))
    )
    return Needed(share, alone, frozenset(needed.spare(curves, seen)), steps)


def _views(
    preview: npt.NDArray[np.uint8], curves: Curves, covers: Coverage | None, orientation: int
) -> Views:
    """What the map shows, turned as the preview is."""
    best = np.array(curves.frames)[curves.top]
    sides = None if covers is None else np.asarray(oriented(covers.sides, orientation))
    colours = np.repeat(preview, 3, axis=2) if preview.shape[2] == 1 else preview
    return Views(colours, oriented(best, orientation), oriented(curves.seen(), orientation), sides)


class _Preview:
    """A small picture of the stack, each place from the frame that shows it best."""

    def __init__(self) -> None:
        self._best: npt.NDArray[np.float32] | None = None
        self._small: npt.NDArray[Any] = np.zeros((1, 1, 1), np.uint8)

    def add(self, pixels: npt.NDArray[Any], cells: npt.NDArray[np.float32]) -> None:
        """Fold a frame in."""
        height, width = pixels.shape[:2]
        shrink = min(1.0, PREVIEW_SIDE / max(height, width))
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
        energy = np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR), np.float32)
        if self._best is None:
            self._best, self._small = energy, small
            return
        won = energy > self._best
        self._small[won], self._best[won] = small[won], energy[won]

    @property
    def pixels(self) -> npt.NDArray[Any]:
        """(h, w, c) uint8 or uint16; floats as 16 bits."""
        if self._small.dtype == np.float32:
            return np.asarray(np.rint(self._small.clip(0, 1) * 65535), np.uint16)
        return self._small
