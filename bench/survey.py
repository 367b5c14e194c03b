"""What the alignment costs beside the fusion: `python bench/survey.py --json FILE [--only NAME...]`.

Stacks of eight frames that breathe, drift, turn and sweep the focus, by size and kind of file, on the CPU.
Seconds of the survey and of the passes that fuse, without writing, as wall time and as processor time of all
threads; `ratio` is one over the other, `decoding` the share of the survey's processor time that goes into
decoding. Between the two it is told what moved (`moved`), which is asked for apart from alignment
(`--deghost`): `ratio_moved_cpu` counts it as part of the survey. Medians over runs. NumPy's BLAS has one
thread: on a machine that others use, too, its threads wait for each other, and the few small products of the
survey take longer than all the rest. Each case is measured without and with the compiled `loops` of the extra
`fast`, where that is installed. The file is written anew after each case, and rows of cases that are not
measured stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is loaded

import cv2
import machine
import numpy as np
import numpy.typing as npt
import simplejpeg
import tifffile
from dng import write_dng
from frames import default_cache, rendered
from measure import positive

import gpustack
from gpustack.backend import choose
from gpustack.backend.fast.ready import compiled_before, have_compiled
from gpustack.engine.job import Job
from gpustack.io.decode import Decoder
from gpustack.settings import BackendName, Method

Picture = npt.NDArray[Any]

COUNT = 8
RECIPE = 1
METHODS = (Method.DEPTHMAP, Method.AUTO)
BREATHING, DRIFT, TURN_DEG = 0.028, 0.004, 0.1  # over the whole stack; drift as a share of the width


def as_jpeg(path: Path, picture: Picture) -> Path:
    """Quality 93, colours at half the resolution, as cameras have it."""
    path = path.with_suffix(".jpg")
    path.write_bytes(simplejpeg.encode_jpeg(picture, quality=93, colorsubsampling="420"))
    return path


def as_tiff(path: Path, picture: Picture) -> Path:
    """16 bits, not compressed."""
    path = path.with_suffix(".tif")
    tifffile.imwrite(path, picture.astype(np.uint16) * 257, photometric="rgb", rowsperstrip=64)
    return path


def as_png(path: Path, picture: Picture) -> Path:
    """8 bits."""
    path = path.with_suffix(".png")
    cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])
    return path


def as_raw(path: Path, picture: Picture) -> Path:
    """A DNG file with Bayer's mosaic."""
    return write_dng(path.with_suffix(".dng"), picture)


CASES: dict[str, tuple[tuple[int, int], Callable[[Path, Picture], Path]]] = {
    "JPEG, 0.5 MP": ((816, 612), as_jpeg),
    "JPEG, 3 MP": ((2000, 1500), as_jpeg),
    "JPEG, 12 MP": ((4000, 3000), as_jpeg),
    "JPEG, 24 MP": ((6000, 4000), as_jpeg),
    "JPEG, 48 MP": ((8000, 6000), as_jpeg),
    "PNG, 12 MP": ((4000, 3000), as_png),
    "TIFF of 16 bits, 12 MP": ((4000, 3000), as_tiff),
    "RAW, 12 MP": ((4000, 3000), as_raw),
    "RAW, 24 MP": ((6000, 4000), as_raw),
}


def main() -> None:
    """Measure every case and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--only", nargs="*", default=[""], help="cases to run, by their beginning")
    options.add_argument("--runs", type=positive, default=3)
    options.add_argument("--cache", type=Path, default=default_cache(), help="folder of rendered frames")
    given = options.parse_args()
    head, looped = machine.heading("survey"), choose.has_loops()
    if looped and not compiled_before():
        have_compiled()
    for name in (name for name in CASES if name.startswith(tuple(given.only))):
        load = machine.machine()["load_before"]
        rows = []
        for loops in (False, True) if looped else (False,):
            with patch.object(choose, "has_loops", partial(bool, loops)):
                rows += [
                    {"loops": loops} | row for row in measured(name, made(name, given.cache), given.runs)
                ]
        told = {"commit": head["commit"], "load_before": load, "runs": given.runs}
        rows = [row | told for row in rows] + before(given.json, name)
        rows.sort(key=lambda row: [*CASES].index(row["case"]))
        machine.write_result(head | {"frames": COUNT, "blas_threads": 1, "rows": rows}, given.json)


def before(path: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a file, but those of a case, each with what the file's head says of all."""
    if not path.exists():
        return []
    kept = json.loads(path.read_text())
    head = {"commit": kept["commit"], "load_before": kept["machine"]["load_before"], "runs": kept.get("runs")}
    return [head | row for row in kept["rows"] if row["case"] != name]


def made(name: str, cache: Path) -> list[Path]:
    """The frames of a case, made once."""
    home = cache / "sets" / f"survey-r{RECIPE}-{COUNT}-{name.replace(' ', '-').replace(',', '')}"
    if not home.exists():
        part = home.with_suffix(".part")
        part.mkdir(parents=True, exist_ok=True)
        size, save = CASES[name]
        for index, source in enumerate(rendered(cache, "memory8", COUNT).frames):
            picture = np.asarray(cv2.imread(str(source), cv2.IMREAD_COLOR))[..., ::-1]
            save(part / f"frame_{index}", seen(picture, size, index / (COUNT - 1) - 0.5))
        part.rename(home)
    return sorted(home.iterdir())


def seen(picture: Picture, size: tuple[int, int], at: float) -> Picture:
    """A frame at another size, moved by so much of the stack's motion, with a hand's own unrest."""
    height, width = picture.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    turn = np.deg2rad(TURN_DEG) * (at + 0.3 * np.sin(40 * at))
    grown = scale * (1 + BREATHING * at)
    cos, sin = grown * np.cos(turn), grown * np.sin(turn)
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0]])
    shift = size[0] * DRIFT * np.array([at + 0.2 * np.sin(50 * at), 0.5 * at + 0.2 * np.cos(70 * at)])
    matrix[:, 2] = (np.array(size) - 1) / 2 - matrix[:, :2] @ ((np.array([width, height]) - 1) / 2) + shift
    if scale < 1:  # so that nothing aliases
        picture = cv2.GaussianBlur(picture, (0, 0), 0.5 / scale)
    return np.asarray(
        cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101),
        np.uint8,
    )


@dataclass
class Clock:
    """Takes the time of the survey and of what comes after it; a `Progress`."""

    marks: list[tuple[float, float]] = field(default_factory=list)
    decoding: float = 0.0
    moved: tuple[float, float] = (0.0, 0.0)

    def mark(self) -> None:
        """Now."""
        self.marks.append((time.perf_counter(), time.process_time()))

    def begin(self, name: str, frames: int, megapixels: float) -> None:
        """A pass begins; the first one after the survey ends that."""
        del frames, megapixels
        if name != "survey" and len(self.marks) == 1:
            self.mark()

    def advance(self, waiting_share: float) -> None:
        """Nothing."""

    def warn(self, sentence: str) -> None:
        """Frames that are left out would spoil the figures."""
        raise SystemExit(f"bench: {sentence}")

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add up what decoding takes until the survey ends."""

        def wrapped(plain: Callable[..., Any]) -> Callable[..., Any]:
            def call(*given: Any, **more: Any) -> Any:
                started = time.thread_time()
                result = plain(*given, **more)
                if len(self.marks) < 2:
                    self.decoding += time.thread_time() - started
                return result

            return call

        stage = Job.stage

        @contextmanager
        def staged(job: Job, name: str) -> Iterator[None]:
            started = time.perf_counter(), time.process_time()
            with stage(job, name):
                yield
            if name == "ghosts":
                self.moved = time.perf_counter() - started[0], time.process_time() - started[1]

        with (
            patch.object(Job, "stage", staged),
            patch.object(Decoder, "__call__", wrapped(Decoder.__call__)),
            patch.object(Decoder, "reduced", wrapped(Decoder.reduced)),
        ):
            yield


def measured(name: str, paths: list[Path], runs: int) -> list[dict[str, Any]]:
    """One case with every method."""
    rows = []
    for method in METHODS:
        taken = [once(paths, method) for _ in range(runs + 1)][1:]  # the first warms up
        middle = {key: median(run[key] for run in taken) for key in taken[0]}
        row = {
            "case": name,
            "method": method.value,
            **{key: round(value, 3) for key, value in middle.items()},
            "ratio": round(middle["survey_s"] / middle["render_s"], 3),
            "ratio_cpu": round(middle["survey_cpu_s"] / middle["render_cpu_s"], 3),
            "ratio_moved_cpu": round(
                (middle["survey_cpu_s"] + middle["moved_cpu_s"]) / middle["render_cpu_s"], 3
            ),
        }
        print(row)
        rows.append(row)
    return rows


def once(paths: list[Path], method: Method) -> dict[str, float]:
    """Seconds of one run."""
    clock = Clock()
    settings = gpustack.Settings(method=method, backend=BackendName.CPU)
    with clock.timed():
        clock.mark()
        result = gpustack.stack(paths, settings, progress=clock)
        clock.mark()
    (started, cpu), (between, cpu_between), (ended, cpu_ended) = clock.marks[:3]
    del result
    wall, processor = clock.moved
    survey_cpu = cpu_between - cpu - processor
    return {
        "survey_s": between - started - wall,
        "survey_cpu_s": survey_cpu,
        "moved_s": wall,
        "moved_cpu_s": processor,
        "render_s": ended - between,
        "render_cpu_s": cpu_ended - cpu_between,
        "decoding": clock.decoding / max(1e-9, survey_cpu),
    }


if __name__ == "__main__":
    main()
