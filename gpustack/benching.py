"""How fast this machine does the work of a stack: `bench(...) -> Bench`.

Each part alone (decode, resample, fuse, copy memory), then whole runs by every method. All of it is the
engine's own work on real files: nothing that is timed here is written twice.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from gpustack import api
from gpustack.backend.choose import choose
from gpustack.engine.gauge import Rate, Watch, copying, decoding, loading
from gpustack.engine.opening import budget, with_loops
from gpustack.engine.plan import make_plan
from gpustack.engine.report import Report
from gpustack.io.decode import Decoder
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform
from gpustack.scenes.swatch import swatches
from gpustack.settings import Method, Model, Settings
from gpustack.sources import open_stack
from gpustack.version import __version__

SIZE, QUALITY = (4000, 3000), 92
COPY_BYTES = 256 << 20
"""What is copied at a time, all threads together: several times the largest caches of desktop processors."""

FRAMES = 6
"""Frames of a whole run."""

IN_MEMORY = 3
"""Of these, so many are held decoded, and fused FUSED times in turn."""

FUSED = 5

PLACES = {
    "still": Transform.identity(),
    "moved": Transform(np.array([[1.0, -0.002, 4.3], [0.002, 1.0, -2.6], [0.0, 0.0, 1.0]])),
}
"""Frames that are loaded: one as it is, and one turned a little, so that few pixels lie on whole
positions."""

SHARED = 0.75
"""Threads that fuse wait for memory where they gain less than this share of what they gain in decoding, which
happens in the caches."""

ALONE = Method.PYRAMID
"""The method that is also measured with one thread: its end takes least."""

BUSY = 0.25
"""Share of the cores that other programs may want before the figures are too low."""


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run by one method, aligned, from files.

    `mp_s`: survey and passes; a frame counts once, however often it is read. `end_seconds` come once a stack
    on top: the end of the method, and writing. `shares` of the time of survey and passes by part, on a GPU of
    the whole time, in which parts go on side by side; `limit` is the largest.
    """

    mp_s: float
    shares: dict[str, float]
    limit: str
    end_seconds: float


@dataclass(frozen=True, slots=True)
class Bench:
    """What was found.

    `copy`: GB/s read and written, by the number of threads; `decode`: MP/s in the same way; `load`: MP/s of
    bringing a frame onto the canvas, `still` or `moved` by a rotation; `fuse`: MP/s by method, of frames that
    lie decoded in memory and need no resampling; `fuse_alone`: by `pyramid` with one thread; `kernels`: the
    same as `fuse` of a GPU's own clock; `runs` by method. `load_before`: how many other processes wanted a
    core before it began; 0 where the system does not tell.
    """

    backend: str
    reason: str
    threads: int
    load_before: float
    frames: str
    megapixels: float
    copy: dict[int, Rate]
    decode: dict[int, Rate]
    load: dict[str, Rate]
    fuse: dict[str, Rate]
    fuse_alone: Rate
    kernels: dict[str, Rate]
    runs: dict[str, Run]
    seconds: float

    @property
    def busy(self) -> bool:
        """Whether other programs had so much to do that the figures are too low."""
        return self.load_before > BUSY * self.threads

    @property
    def waits_for_memory(self) -> bool:
        """Whether more threads help fusing much less than decoding, as where they share the way to memory."""
        one, *others = self.decode.values()
        if not others or self.kernels:
            return False
        gained = self.fuse[ALONE].median / self.fuse_alone.median
        return gained < SHARED * others[0].median / one.median

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"gpustack": __version__} | asdict(self)


def bench(
    settings: Settings,
    frames: Stack | None = None,
    *,
    size: tuple[int, int] = SIZE,
    tell: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Measure this machine, with frames of a stack, or with rendered JPEG files of `size` (width, height).

    Of `settings` only backend, devices, decoder, threads and memory matter. `tell` is told what is done next.
    Raises what `stack` raises.
    """
    load, started = _load(), time.perf_counter()
    with _some(frames, size, tell) as some:
        found = _Meter(some, settings, tell).measured()
    return replace(found, load_before=load, seconds=round(time.perf_counter() - started, 1))


@contextmanager
def _some(frames: Stack | None, size: tuple[int, int], tell: Callable[[str], None]) -> Iterator[Stack]:
    """FRAMES frames: the first of those given, again and again if they are fewer, or rendered ones."""
    if frames is not None:
        yield Stack(tuple(islice(cycle(frames.frames), FRAMES)))
        return
    tell("rendering frames")
    with tempfile.TemporaryDirectory(prefix="gpustack-bench-") as folder:
        paths = [Path(folder) / f"{number}.jpg" for number in range(FRAMES)]
        for path, picture in zip(paths, swatches(*size, FRAMES), strict=True):
            path.write_bytes(simplejpeg.encode_jpeg(picture, QUALITY, "RGB", "420"))
        yield open_stack(paths)


def _load() -> float:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0


class _Meter:
    """The measurements, one after the other."""

    def __init__(self, frames: Stack, settings: Settings, tell: Callable[[str], None]) -> None:
        self._frames, self._settings, self._tell = frames, settings, tell
        self._choice = choose(settings.backend, settings.devices, settings.decoder)
        allowed = with_loops(budget(settings, self._choice), frames, tell)
        self._plan = make_plan(frames, settings, allowed)
        self._megapixels = frames.frames[0].megapixels
        self._read = Decoder(frames.frames[0])
        self._pixels = [self._read(frame) for frame in frames.frames[:IN_MEMORY]]

    def measured(self) -> Bench:
        """Everything."""
        threads, frame = self._plan.threads, self._frames.frames[0]
        self._tell("copying memory")
        copied = {count: _copied(count) for count in _counts(threads)}
        self._tell("decoding and resampling")
        decoded = {count: self._decoded(count) for count in _counts(self._plan.readers)}
        loaded = {name: self._loaded(place) for name, place in PLACES.items()}
        fused = {method.value: self._fused(method, threads) for method in Method}
        return Bench(
            backend="cuda" if self._choice.devices else "cpu",
            reason=self._choice.reason,
            threads=threads,
            load_before=0.0,
            frames=f"{frame.kind.value}, {frame.width}x{frame.height}, {frame.channels} x {frame.pixel_type}",
            megapixels=round(self._megapixels, 2),
            copy=copied,
            decode=decoded,
            load=loaded,
            fuse={name: self._rate(seconds) for name, (seconds, _) in fused.items()},
            fuse_alone=self._rate(self._fused(ALONE, 1)[0]),
            kernels={name: self._rate([each]) for name, (_, each) in fused.items() if each},
            runs={method.value: self._run(method, decoded, loaded) for method in Method},
            seconds=0.0,
        )

    def _rate(self, seconds: Sequence[float]) -> Rate:
        return Rate.of(self._megapixels, seconds)

    def _decoded(self, threads: int) -> Rate:
        return Rate.of(threads * self._megapixels, decoding(self._read, self._frames.frames, threads))

    def _loaded(self, place: Transform) -> Rate:
        return self._rate(loading(self._choice, self._plan, self._pixels[0], place))

    def _fused(self, method: Method, threads: int) -> tuple[list[float], float]:
        """Seconds of each frame that lies decoded in memory, and of a GPU's kernels by its own clock."""
        self._tell(f"fusing by {method.value}, threads: {threads}")
        settings = replace(self._settings, method=method, threads=threads, align=Model.NONE)
        arrays, watch = list(islice(cycle(self._pixels), FUSED)), Watch()
        still = [Transform.identity()] * FUSED
        report = api.stack(arrays, settings, transforms=still, progress=watch).report
        return watch.per_frame(), report.work_seconds.get("kernels", 0.0) / FUSED

    def _run(self, method: Method, decoded: dict[int, Rate], loaded: dict[str, Rate]) -> Run:
        """A whole run, and what its time goes to."""
        self._tell(f"a whole run by {method.value}")
        report = self._stacked(replace(self._settings, method=method))
        # A pass that turned out not to be needed has no seconds.
        survey = report.seconds["survey"]
        passes = (set(report.plan["passes"]) - {"survey"}) & set(report.seconds)
        spent = survey + sum(report.seconds[name] for name in passes)
        shares = report.busy
        if report.backend == "cpu":
            each = FRAMES * self._megapixels * len(passes) / spent
            warped = 1 / loaded["moved"].median - 1 / loaded["still"].median
            shares = {"survey": survey / spent, "decode": each / decoded[max(decoded)].median}
            shares["resample"] = each * max(0.0, warped)
            shares["fuse"] = max(0.0, 1 - sum(shares.values()))
            shares = {name: share / sum(shares.values()) for name, share in shares.items()}
        return Run(
            mp_s=round(FRAMES * self._megapixels / spent, 2),
            shares={name: round(share, 3) for name, share in shares.items()},
            limit=max(shares, key=lambda name: shares[name]),
            end_seconds=round(sum(report.seconds.values()) - spent, 3),
        )

    def _stacked(self, settings: Settings) -> Report:
        """Align, fuse and write the frames."""
        result = api.stack(self._frames, settings)
        started = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="gpustack-bench-") as folder:
            result.save(Path(folder) / ("out.tif" if self._pixels[0].dtype == "float32" else "out.jpg"))
        result.report.seconds["write"] = time.perf_counter() - started
        return result.report


def _copied(threads: int) -> Rate:
    return Rate.of(2 * COPY_BYTES / 1e9, copying(threads, COPY_BYTES))


def _counts(threads: int) -> list[int]:
    """One, and all of them."""
    return sorted({1, threads})
