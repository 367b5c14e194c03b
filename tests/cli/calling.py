"""Calling the command line in this process or in one of its own, and pictures to call it with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image
from typer.testing import CliRunner, Result

import gpustack
from gpustack.cli.app import app
from gpustack.io.decode import Decoder, probe

Pixels = npt.NDArray[Any]

HEIGHT, WIDTH = 96, 144
DESCRIPTION, MAKE, ORIENTATION, SOFTWARE = 270, 271, 274, 305


def call(*arguments: object, stdin: str | None = None) -> Result:
    """Run `gpustack ARGUMENTS` in this process; whatever it raises but its own exit is a failure."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def surroundings() -> dict[str, str]:
    """The environment of a process that runs this very package, whatever else is installed."""
    here = str(Path(gpustack.__file__).parents[1])
    others = os.environ.get("PYTHONPATH", "")
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (here, others)))}


def spawn(*arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m gpustack ARGUMENTS` in a process of its own."""
    command = [sys.executable, "-m", "gpustack", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env=surroundings()
    )


def assert_refused(result: Result, code: int, *said: str) -> None:
    """One sentence with a remedy on stderr, nothing on stdout, and the exit code."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = [line for line in result.stderr.splitlines() if not line.startswith("left out")]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("gpustack: ")
    assert lines[0].endswith(".")
    for words in said:
        assert words in lines[0]
    assert "Traceback" not in result.stderr


@cache
def _scene() -> Pixels:
    """Detail of every size, as photographs have it: blurred frames still have much in common."""
    random = np.random.default_rng(11)
    light = np.zeros((HEIGHT, WIDTH, 3))
    for grain in (2, 6, 18):
        coarse = random.normal(0.0, 34.0, (HEIGHT // grain + 1, WIDTH // grain + 1, 3))
        light += cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + light, 5, 250).astype(np.uint8)


def shots(count: int = 3, step: float = 0.0) -> list[Pixels]:
    """RGB uint8 frames, each sharp in its own columns; they drift by `step` pixels a frame."""
    blurred = cv2.GaussianBlur(_scene(), (0, 0), 2.0)
    frames = []
    for index, columns in enumerate(np.array_split(np.arange(WIDTH), count)):
        frame = blurred.copy()
        frame[:, columns] = _scene()[:, columns]
        move = np.float32([[1, 0, step * index], [0, 1, step * index / 2]])
        frames.append(cv2.warpAffine(frame, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT_101))
    return frames


def write_tiffs(folder: Path, frames: Sequence[Pixels], name: str = "f{}.tif") -> list[Path]:
    """Frames as TIFF files in the dtype they have."""
    paths = [folder / name.format(index) for index in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        colour = frame.ndim == 3 and frame.shape[2] > 2
        planes = "contig" if frame.ndim == 3 else None
        tifffile.imwrite(path, frame, photometric="rgb" if colour else "minisblack", planarconfig=planes)
    return paths


def write_tagged(path: Path, frame: Pixels, *, icc: bytes | None = None, **tags: Any) -> Path:
    """A frame as PIL writes it, with a profile and EXIF: `make`, `description`, `orientation`."""
    exif = Image.Exif()
    for tag, value in ((MAKE, "make"), (DESCRIPTION, "description"), (ORIENTATION, "orientation")):
        if value in tags:
            exif[tag] = tags[value]
    more: dict[str, Any] = {"quality": 97, "subsampling": 0} if path.suffix == ".jpg" else {}
    Image.fromarray(frame).save(path, exif=exif, icc_profile=icc, **more)
    return path


def pixels(path: Path) -> Pixels:
    """The pixels of the only frame of a file, (h, w, c)."""
    (frame,) = probe(path)
    return Decoder(frame)(frame)
