"""The command in processes of its own: exit codes, streams, and an interruption in the middle of a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from gpustack import __version__
from tests.cli.calling import pixels, spawn, surroundings
from tests.patience import LONG_S, until

FRAMES = 24
AT_ONCE = ("--align", "none", "--brightness", "none", "--deghost", "off")


def test_version() -> None:
    done = spawn("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"gpustack {__version__}\n", "")


def test_a_run_that_works(frames: list[Path], tmp_path: Path) -> None:
    done = spawn("stack", "frames", "-o", "o.jpg", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outputs"] == ["o.jpg"]
    assert done.stderr == ""
    assert pixels(tmp_path / "o.jpg").ndim == 3
    assert len(frames) == 3


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["stack", "frames", "-o", "taken.jpg"], 1),
        (["stack", "frames"], 2),
        (["stack", "nowhere", "-o", "o.jpg"], 3),
        (["stack", "frames", "-o", "o.jpg", "--ram", "1M"], 5),
    ],
)
def test_exit_codes(frames: list[Path], tmp_path: Path, arguments: list[str], code: int) -> None:
    (tmp_path / "taken.jpg").write_bytes(b"mine")
    done = spawn(*arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o.jpg").exists()
    assert len(frames) == 3


@pytest.fixture
def long_stack(tmp_path: Path) -> Path:
    """Frames that take many seconds to stack: all are the same file."""
    folder = tmp_path / "long"
    folder.mkdir()
    grain = np.random.default_rng(0).integers(0, 256, (375, 500, 3)).astype(np.uint8)
    scene = cv2.resize(grain, (2000, 1500), interpolation=cv2.INTER_CUBIC)
    assert cv2.imwrite(str(folder / "0.jpg"), scene)
    for number in range(1, FRAMES):
        os.link(folder / "0.jpg", folder / f"{number}.jpg")
    return folder


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start the command so that it hears SIGINT, even where this process was told to ignore it."""
    command = [sys.executable, "-m", "gpustack", *map(str, arguments)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings()
        )
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_with_130_and_leaves_no_partial_file(long_stack: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    out = folder / "out.png"
    out.write_bytes(b"the result of yesterday")
    steps = folder / "steps"
    process = start("stack", long_stack, "-o", out, "--overwrite", "--save-steps", steps, *AT_ONCE)
    until(lambda: (steps / "aligned" / "0001_1.tif").exists() or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    told, said = process.communicate(timeout=LONG_S)
    assert process.returncode == 130
    assert told == ""
    assert said == "gpustack: interrupted; no half-written file was left behind.\n"
    assert out.read_bytes() == b"the result of yesterday"
    assert sorted(path.name for path in folder.iterdir()) == ["out.png", "steps"]
    kept = sorted((steps / "aligned").iterdir())
    assert 2 <= len(kept) < FRAMES
    assert not [path for path in kept if path.name.startswith(".")]
    assert {pixels(path).shape for path in kept} == {(1500, 2000, 3)}
