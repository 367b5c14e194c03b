"""Every stage on the CPU, beside the floor of what it has to move: `python bench/stages.py --json FILE`.

CPU milliseconds of one core for a megapixel of RGB, the least of some runs, with compiled loops where numba
is installed and without; see README.md.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
import tifffile
from dng import write_dng
from machine import heading, write_result
from measure import positive

from gpustack.backend.choose import has_loops
from gpustack.backend.cpu import Cpu
from gpustack.backend.debias import blurred, ladder, shares
from gpustack.backend.fast.backend import FastCpu
from gpustack.backend.values import BLUR_LADDER
from gpustack.engine.path import Recipe, picture_fold, sharpest_fold
from gpustack.fuse.auto import Auto
from gpustack.fuse.fold import Fold
from gpustack.io.decode import Decoder, probe
from gpustack.io.encode import encode_jpeg, encode_png, encode_tiff
from gpustack.io.metadata import Metadata
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import cut
from gpustack.model.transform import Transform
from gpustack.settings import JPEG_QUALITY, Demosaic, Interpolation, Method, Settings

HEIGHT, WIDTH, ROWS, NOISE = 768, 4000, 64, 0.004
RADIUS_PX, SQUARE_PX = 1.0, 12
MEGAPIXELS = HEIGHT * WIDTH / 1e6
COPY_BYTES = 256 << 20
MOVED = Transform(np.array([[0.998, -0.003, 8.3], [0.003, 0.998, 3.6], [0, 0, 1.0]]))
STILL = Transform.identity()

Picture = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Stage:
    """What a stage takes: CPU ms a megapixel, and the bytes a pixel that it has to read and write, once each;
    `floor_ms`: what these take at the speed of copying memory; `times` it takes as long."""

    name: str
    ms: float
    bytes_px: float
    floor_ms: float = 0.0
    times: float = 0.0


class Watch:
    """Takes the times."""

    def __init__(self, runs: int) -> None:
        self._runs = runs

    def ms(self, work: Callable[[], object], runs: int | None = None) -> float:
        """Least CPU milliseconds a megapixel of a call, after one that meets memory never used; `runs`: of so
        many, not of as many as usual."""
        work()
        taken = []
        for _ in range(runs or self._runs):
            started = time.process_time()
            work()
            taken.append(time.process_time() - started)
        return round(min(taken) * 1e3 / MEGAPIXELS, 2)


def copied_s(runs: int) -> float:
    """Bytes that a core reads and writes in a second of its own time, copying memory."""
    source, target = np.ones(COPY_BYTES, np.uint8), np.zeros(COPY_BYTES, np.uint8)
    taken = Watch(runs).ms(lambda: np.copyto(target, source)) * MEGAPIXELS / 1e3
    return 2 * COPY_BYTES / taken


def picture() -> Picture:
    """Detail at several scales, as photographs have it, and noise; (HEIGHT, WIDTH, 3) uint8."""
    rng = np.random.default_rng(0)
    out = np.full((HEIGHT, WIDTH, 3), 128.0, np.float32)
    for octave in range(7):
        nodes = rng.standard_normal((HEIGHT >> octave, WIDTH >> octave, 3)).astype(np.float32)
        out += 4 * 1.25**octave * cv2.resize(nodes, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.convertScaleAbs(cv2.max(out, 0)))


def in_16_bits(seen: Picture) -> Picture:
    """The picture with noise in all of its bits, as cameras have it."""
    noise = np.random.default_rng(1).normal(0, NOISE * 65535, seen.shape).astype(np.float32)
    return np.asarray((seen * np.float32(257) + noise).clip(0, 65535), np.uint16)


def swept(seen: Picture, count: int = 5) -> list[Picture]:
    """Frames of it as a surface that rises from left to right, focused from its one end to the other: each
    frame further away blurs by a disk of RADIUS_PX more. Squares lie on it, whose edges tell by how much."""
    rows, columns = np.indices(seen.shape[:2]) // SQUARE_PX
    squares = cv2.GaussianBlur(((rows + columns) % 2 * 80).astype(np.float32), (0, 0), 0.7)
    sharp = [plane * np.float32(0.6) + squares for plane in cv2.split(seen)]
    across = np.linspace(0, count - 1, seen.shape[1], dtype=np.float32)
    found = []
    for number in range(count):
        variance = np.broadcast_to((across - number) ** 2 * np.float32(RADIUS_PX**2 / 4), seen.shape[:2])
        between = shares(np.minimum(variance, BLUR_LADDER[-1]))
        planes = [blurred(ladder(plane), between) for plane in sharp]
        noise = np.random.default_rng(number).normal(0, NOISE * 255, seen.shape)
        found.append(np.clip(np.rint(np.dstack(planes) + noise), 0, 255).astype(np.uint8))
    return found


def files(folder: Path, seen: Picture) -> dict[str, Path]:
    """The picture in each format."""
    wide = in_16_bits(seen)
    (folder / "a.jpg").write_bytes(simplejpeg.encode_jpeg(seen, 92, "RGB", "420"))
    cv2.imwrite(str(folder / "a.png"), seen[..., ::-1])
    tifffile.imwrite(folder / "a.tif", wide, photometric="rgb", rowsperstrip=64)
    packed = {"compression": "zlib", "predictor": True, "rowsperstrip": 64}
    tifffile.imwrite(folder / "packed.tif", wide, photometric="rgb", **packed)
    write_dng(folder / "a.dng", seen)
    names = {
        "JPEG": "a.jpg",
        "PNG": "a.png",
        "TIFF, 16 bits": "a.tif",
        "TIFF, 16 bits, packed": "packed.tif",
        "RAW": "a.dng",
    }
    return {name: folder / file for name, file in names.items()}


def decoding(watch: Watch, paths: dict[str, Path]) -> Iterator[Stage]:
    """Every format; RAW by its parts: read and unpacked, and developed in both ways."""
    for name, path in paths.items():
        (frame,) = probe(path)
        out = np.empty((HEIGHT, WIDTH, 3), frame.pixel_type.value)
        read = path.stat().st_size / (HEIGHT * WIDTH)
        if name != "RAW":
            decoder = Decoder(frame)
            ms = watch.ms(lambda decoder=decoder, frame=frame, out=out: decoder(frame, out))
            yield Stage(f"decode {name}", ms, read + 3 * frame.pixel_type.itemsize)
            continue
        for demosaic in (Demosaic.RCD, Demosaic.MALVAR):
            decoder = Decoder(frame, demosaic=demosaic)
            unpacked = watch.ms(lambda decoder=decoder, frame=frame, out=out: decoder.unpack(frame, out))
            if demosaic is Demosaic.RCD:
                yield Stage("unpack RAW", unpacked, read + 2)
            whole = watch.ms(lambda decoder=decoder, frame=frame: decoder(frame))
            yield Stage(f"develop RAW, {demosaic.value}", round(whole - unpacked, 2), 2 + 6)


def loading(watch: Watch, backend: Cpu, seen: Picture) -> Iterator[Stage]:
    """A frame onto the canvas, in bands."""
    ways = {
        "as it lies": (STILL, Interpolation.BICUBIC),
        "moved, bicubic": (MOVED, Interpolation.BICUBIC),
        "moved, Lanczos": (MOVED, Interpolation.LANCZOS),
    }
    for name, (place, kind) in ways.items():

        def load(place: Transform = place, kind: Interpolation = kind) -> None:
            for rows in cut(HEIGHT, ROWS):
                backend.load(seen, place, PixelType.UINT8, WIDTH, rows, interpolation=kind)

        yield Stage(f"load, {name}", watch.ms(load), 3 + 12)


def folds() -> dict[str, Fold[Any]]:
    """What a pass over the frames does."""
    found = {method.value: Recipe.of(Settings(method=method), NOISE) for method in Method}
    measure = {"measure of depthmap": sharpest_fold(found.pop(Method.DEPTHMAP.value))}
    return measure | {name: picture_fold(recipe) for name, recipe in found.items()}


def folding(watch: Watch, backend: Cpu, seen: Picture) -> Iterator[Stage]:
    """A frame that lies as it should, loaded and folded in, and the end of it; what of a state has to be read
    and written is all of it."""
    canvas = Canvas(0, 0, WIDTH, HEIGHT, 3, PixelType.UINT8, cut(HEIGHT, ROWS), covered=True)

    frames, numbers = swept(seen), count()

    def add(fold: Fold[Any], state: Any) -> None:
        index = next(numbers)
        frame = frames[index % len(frames)]
        fold.add(backend, state, index, lambda rows: backend.load(frame, STILL, PixelType.UINT8, WIDTH, rows))

    for name, fold in folds().items():
        state, held = fold.start(backend, canvas), fold.footprint(3, 1)
        kept = held.near + held.afar
        ms = watch.ms(lambda fold=fold, state=state: add(fold, state))
        yield Stage(f"fold, {name}", ms, 3 + 2 * kept)
        if hasattr(fold, "finish"):
            yield Stage(f"end, {name}", ending(watch, backend, fold, state), kept + 3)


def ending(watch: Watch, backend: Cpu, fold: Any, state: Any) -> float:
    """CPU ms a megapixel of the end of a fold, which spoils its state; of `auto` where it undoes blur."""
    if isinstance(fold, Auto) and fold.finished(backend, deepcopy(state))[1] == 0:
        raise SystemExit("There was no blur to undo: the end of auto is not measured.")
    states = [deepcopy(state) for _ in range(3)]
    return watch.ms(lambda: fold.finish(backend, states.pop()), runs=2)


def writing(watch: Watch, seen: Picture) -> Iterator[Stage]:
    """A picture into memory, as files have it."""
    wide, about = in_16_bits(seen), Metadata()
    ways: dict[str, Callable[[io.BytesIO], None]] = {
        "JPEG": lambda file: encode_jpeg(file, seen, about, "bench", JPEG_QUALITY),
        "PNG": lambda file: encode_png(file, seen, about, "bench"),
        "TIFF, 16 bits": lambda file: encode_tiff(file, wide, about, "bench"),
        "TIFF, 8 bits": lambda file: encode_tiff(file, seen, about, "bench"),
    }
    for name, write in ways.items():
        file = io.BytesIO()
        write(file)
        taken = 6 if "16" in name else 3
        size = len(file.getvalue()) / (HEIGHT * WIDTH)
        yield Stage(f"write {name}", watch.ms(lambda write=write: write(io.BytesIO())), taken + size)


def measured(runs: int, bandwidth: float) -> list[Stage]:
    """All stages, each beside its floor."""
    watch, seen = Watch(runs), picture()
    with tempfile.TemporaryDirectory() as folder:
        found = list(decoding(watch, files(Path(folder), seen)))
    ways: dict[str, Cpu] = {"": Cpu(1)} | ({", loops": FastCpu(1)} if has_loops() else {})
    for suffix, backend in ways.items():
        parts = [*loading(watch, backend, seen), *folding(watch, backend, seen)]
        changed = [stage for stage in parts if not suffix or "bicubic" not in stage.name]
        found += [replace(stage, name=stage.name + suffix) for stage in changed]
    found += writing(watch, seen)
    return [with_floor(stage, bandwidth) for stage in found]


def with_floor(stage: Stage, bandwidth: float) -> Stage:
    """The same, beside what its bytes take at so many a second."""
    floor = stage.bytes_px * 1e9 / bandwidth
    return replace(
        stage,
        bytes_px=round(stage.bytes_px, 1),
        floor_ms=round(floor, 2),
        times=round(stage.ms / floor, 1),
    )


def main() -> None:
    """Measure everything and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--runs", type=positive, default=5)
    given = options.parse_args()
    cv2.setNumThreads(1)
    head = heading("stages")
    bandwidth = copied_s(given.runs)
    stages = measured(given.runs, bandwidth)
    for stage in stages:
        print(f"{stage.name:40s}{stage.ms:9.2f} ms{stage.floor_ms:8.2f} floor{stage.times:8.1f} times")
    rows = [asdict(stage) for stage in stages]
    write_result({**head, "copy_gb_s": round(bandwidth / 1e9, 2), "stages": rows}, given.json)


if __name__ == "__main__":
    main()
