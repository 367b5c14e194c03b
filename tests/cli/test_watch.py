"""`gpustack watch`: a writer that drips bytes, and how a watch ends."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import Result

from gpustack.cli.watch import seconds_of
from gpustack.errors import UsageError
from gpustack.watching import arrivals, following
from tests.cli.calling import assert_refused, call, pixels, shots, surroundings, write_tiffs
from tests.patience import LONG_S, until

CPU = ("--backend", "cpu", "--threads", "2")
FRAMES = 12
ONLY_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals are of other kinds there")


@pytest.fixture(autouse=True)
def quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything five times as fast, but for the patience with a writer that has to wait itself."""
    for name in ("SETTLE_S", "GONE_S"):
        monkeypatch.setattr(arrivals, name, getattr(arrivals, name) / 5)
    monkeypatch.setattr(following, "POLL_S", following.POLL_S / 5)


@pytest.fixture
def whole(tmp_path: Path) -> list[bytes]:
    """Twelve frames as files, that are nowhere yet."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    paths = [folder / f"{index}.jpg" for index in range(FRAMES)]
    for path, frame in zip(paths, shots(FRAMES, 0.4), strict=True):
        assert cv2.imwrite(str(path), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 97])
    return [path.read_bytes() for path in paths]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    return made


class Camera(threading.Thread):
    """Writes frames into a folder, byte by byte or so, while something else looks at it; in the end Ctrl-C is
    pressed, unless that was done meanwhile."""

    def __init__(
        self,
        folder: Path,
        frames: Sequence[bytes],
        write: Callable[[Path, bytes, int], None],
        *,
        ends: bool = True,
    ) -> None:
        super().__init__()
        self._folder, self._frames, self._write, self._ends = folder, frames, write, ends

    def run(self) -> None:
        for index, data in enumerate(self._frames):
            self._write(self._folder / f"IMG_{index + 95}.jpg", data, index)
        if self._ends:
            press()


def drip(path: Path, data: bytes, index: int) -> None:
    """In pieces; some under a temporary name, one with a pause longer than a file takes to settle, one with
    its full size first."""
    forms = ("{0}.jpg", "{0}.jpg.part", ".{0}.jpg.x9", "~{0}.jpg", "{0}.tmp.jpg")
    passing = path.with_name(forms[index % len(forms)].format(path.stem))
    with passing.open("wb", buffering=0) as file:
        if index == 5:
            file.truncate(len(data))
        for piece in range(8):
            file.write(data[piece * len(data) // 8 : (piece + 1) * len(data) // 8])
            time.sleep(0.5 if index in (5, 10) and piece == 4 else 0.01)
    (path.parent / f"._{path.name}").write_bytes(b"a macOS companion")
    passing.rename(path)


def listening() -> bool:
    """Whether the first Ctrl-C would be heard: the folder has been looked at, and frames are waited for."""
    return getattr(signal.getsignal(signal.SIGINT), "__module__", "") == "gpustack.cli.watch"


def press() -> None:
    """Ctrl-C, once it is heard."""
    until(listening)
    os.kill(os.getpid(), signal.SIGINT)


def watched(folder: Path, *more: object) -> Result:
    """Until Ctrl-C."""
    return call("watch", folder, "-o", folder.parent / "out.png", *CPU, *more)


def left_alone(folder: Path, *more: object) -> Result:
    """Of what is there when it begins."""
    return watched(folder, "--until-idle", "900ms", *more)


@ONLY_POSIX
def test_a_writer_that_drips_bytes_gives_the_same_pixels_as_one_run(folder: Path, whole: list[bytes]) -> None:
    camera = Camera(folder, whole, drip)
    camera.start()
    done = watched(folder, "--json", "--depth", folder.parent / "depth.tif")
    camera.join()
    assert done.exit_code == 0, done.stderr
    assert "looked at once more" not in done.stderr
    report = json.loads(done.stdout)
    assert [row["file"] for row in report["frames"]] == [f"IMG_{95 + index}.jpg" for index in range(FRAMES)]
    once = folder.parent / "once.png"
    assert call("stack", folder, "-o", once, "--depth", folder.parent / "d.tif", *CPU).exit_code == 0
    np.testing.assert_array_equal(pixels(folder.parent / "out.png"), pixels(once))
    np.testing.assert_array_equal(pixels(folder.parent / "depth.tif"), pixels(folder.parent / "d.tif"))
    assert once.read_bytes() == (folder.parent / "out.png").read_bytes()
    assert sorted(path.name for path in folder.parent.glob("*.*")) == [
        "d.tif",
        "depth.tif",
        "once.png",
        "once.png.gpustack.json",
        "out.png",
        "out.png.gpustack.json",
    ]
    assert call("replay", folder.parent / "out.png", "-q").exit_code == 0


@ONLY_POSIX
def test_frames_at_rest(folder: Path, whole: list[bytes]) -> None:
    camera = Camera(folder, whole, drip)
    camera.start()
    still = ("--align", "none", "--reference", "first", "--method", "pyramid")
    done = watched(folder, *still, "--quiet")
    camera.join()
    assert (done.exit_code, done.stderr) == (0, "")
    assert call("stack", folder, "-o", folder.parent / "once.png", *still, *CPU).exit_code == 0
    assert (folder.parent / "once.png").read_bytes() == (folder.parent / "out.png").read_bytes()


def test_what_is_told_of_frames_and_of_broken_ones(
    folder: Path, whole: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "PATIENCE_S", 1.0)
    for index, data in enumerate(whole[:3]):
        (folder / f"{index}.jpg").write_bytes(data if index != 1 else data[:-200])
    done = left_alone(folder)
    assert done.exit_code == 0, done.stderr
    told = done.stderr.splitlines()
    assert "Ctrl-C finishes the picture" in told[0]
    assert told[1].startswith("0.jpg: frame 1, in ")
    broken = "1.jpg: the file is damaged: it ends before its picture does."
    assert f"gpustack: {broken} It is left out unless it changes." in told
    assert told[-1].startswith(f"{folder.parent / 'out.png'}: ")
    assert "from 2 frames" in told[-1]


@ONLY_POSIX
def test_the_preview_is_there_while_frames_come_and_gone_afterwards(folder: Path, whole: list[bytes]) -> None:
    preview = folder.parent / "out.preview.jpg"
    seen: list[tuple[int, ...]] = []

    def shoot(path: Path, data: bytes, index: int) -> None:
        path.write_bytes(data)
        if index == 3:
            until(preview.exists)
            seen.append(pixels(preview).shape)

    camera = Camera(folder, whole[:4], shoot)
    camera.start()
    assert watched(folder).exit_code == 0
    camera.join()
    assert seen == [(96, 144, 3)]
    assert not preview.exists()


@ONLY_POSIX
def test_only_new_frames_that_fit(folder: Path, whole: list[bytes]) -> None:
    (folder / "old.jpg").write_bytes(whole[0])

    def shoot(path: Path, data: bytes, index: int) -> None:
        if index == 0:
            until(listening)
        path.with_suffix(".JPG" if index % 2 else ".jpeg").write_bytes(data)

    camera = Camera(folder, whole[:4], shoot)
    camera.start()
    done = watched(folder, "--new", "--match", "*.jpg", "--json")
    camera.join()
    assert [row["file"] for row in json.loads(done.stdout)["frames"]] == ["IMG_96.JPG", "IMG_98.JPG"]


def test_results_in_the_folder_itself_are_no_frames(folder: Path, whole: list[bytes]) -> None:
    for index, data in enumerate(whole[:2]):
        (folder / f"{index}.jpg").write_bytes(data)
    words = ("--until-idle", "900ms", *CPU, "--json", "--overwrite", "--slab", "2,0", "--method", "average")
    for _ in range(2):
        done = call("watch", folder, "-o", folder / "out.jpg", *words)
        assert done.exit_code == 0, done.stderr
        assert len(json.loads(done.stdout)["frames"]) == 2
    results = ["out.jpg", "out.jpg.gpustack.json", "out_slab_001.jpg"]
    assert sorted(path.name for path in folder.iterdir()) == ["0.jpg", "1.jpg", *results]


@ONLY_POSIX
def test_ctrl_c_finishes_the_picture(folder: Path, whole: list[bytes]) -> None:
    """Pressed when the second frame has come, while the third is being written."""
    before = signal.getsignal(signal.SIGINT)

    def shoot(path: Path, data: bytes, index: int) -> None:
        with path.open("wb", buffering=0) as file:
            file.write(data[:1000])
            if index == 2:
                press()
                time.sleep(0.2)  # it is waited for
            file.write(data[1000:])

    camera = Camera(folder, whole[:3], shoot, ends=False)
    camera.start()
    done = watched(folder, "--json")
    camera.join()
    assert done.exit_code == 0, done.stderr
    assert len(json.loads(done.stdout)["frames"]) == 3
    assert (folder.parent / "out.png").exists()
    assert signal.getsignal(signal.SIGINT) is before


@ONLY_POSIX
def test_ctrl_c_before_any_frame(folder: Path) -> None:
    threading.Thread(target=press).start()
    assert_refused(watched(folder, "--quiet"), 3, "No frame has come.")


@ONLY_POSIX
@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once(folder: Path, tmp_path: Path) -> None:
    grain = np.random.default_rng(0).integers(0, 256, (375, 500, 3)).astype(np.uint8)
    scene = cv2.resize(grain, (2000, 1500), interpolation=cv2.INTER_CUBIC)
    assert cv2.imwrite(str(folder / "0.jpg"), scene)
    for index in range(1, 8):
        os.link(folder / "0.jpg", folder / f"{index}.jpg")
    steps = tmp_path / "steps"
    words = [
        "watch",
        str(folder),
        "-o",
        str(tmp_path / "out.tif"),
        "--align",
        "none",
        "--save-steps",
        str(steps),
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "gpustack", *words, *CPU],
        env=surroundings(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "7.jpg: frame 8" in line:
            break
    process.send_signal(signal.SIGINT)
    until(lambda: (steps / "aligned" / "0000_0.tif").exists() or process.poll() is not None)  # it finishes
    process.send_signal(signal.SIGINT)
    told, said = process.communicate(timeout=LONG_S)
    assert (process.returncode, told) == (130, "")
    assert said.endswith("gpustack: interrupted; no half-written file was left behind.\n")
    assert len(list((steps / "aligned").iterdir())) < 8
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tif" or path.name[0] == "."] == []


def test_a_folder_that_goes(folder: Path, whole: list[bytes]) -> None:
    (folder / "0.jpg").write_bytes(whole[0])
    preview = folder.parent / "out.preview.jpg"

    def pull() -> None:
        until(preview.exists)
        folder.rename(folder.parent / "away")

    puller = threading.Thread(target=pull)
    puller.start()
    done = watched(folder, "--quiet")
    puller.join()
    assert_refused(done, 3, "in has gone", "gpustack stack")


@ONLY_POSIX
def test_a_card_whose_frames_have_gone(folder: Path, whole: list[bytes]) -> None:
    for index, data in enumerate(whole[:2]):
        (folder / f"{index}.jpg").write_bytes(data)

    def pull() -> None:
        until((folder.parent / "out.preview.jpg").exists)
        for path in folder.iterdir():
            path.unlink()
        press()

    puller = threading.Thread(target=pull)
    puller.start()
    done = watched(folder, "--quiet")
    puller.join()
    assert_refused(done, 3, "All frames have gone.")


def test_a_full_disk(folder: Path, whole: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "0.jpg").write_bytes(whole[0])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    done = left_alone(folder)
    assert done.exit_code == 1
    said = [line for line in done.stderr.splitlines() if "is full" in line]
    assert len(said) == 2
    assert said[0].startswith("gpustack: There is no preview now. The disk at ")
    assert said[1].endswith("so out.png cannot be written. Free some space, or write to another disk.")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["elsewhere", "in"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere", "-o", "o.png"], 3, "There is no folder nowhere."),
        (["in", "-o", "none/o.png"], 1, "folder none does not exist"),
        (["in", "-o", "o.psd"], 2, "format of o.psd"),
        (["in", "-o", "taken.png"], 1, "taken.png exists already"),
        (["in", "-o", "o.png", "--preview", "taken.png"], 1, "taken.png exists already"),
        (["in", "-o", "o.png", "--preview", "o.png"], 2, "name of an output"),
        (["in", "-o", "o.png", "--until-idle", "soon"], 2, "no time to wait"),
        (["in", "-o", "o.png", "--slab", "4,4"], 2, "--slab"),
    ],
)
def test_wrong_usage_is_refused_before_any_frame(
    words: list[str], code: int, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    (folder.parent / "taken.png").write_bytes(b"mine")
    assert_refused(call("watch", *words), code, said)
    assert (folder.parent / "taken.png").read_bytes() == b"mine"


def test_frames_that_the_output_cannot_hold(folder: Path) -> None:
    write_tiffs(folder, [(frame / 255).astype(np.float32) for frame in shots(2)])
    assert_refused(left_alone(folder, "--quiet"), 2, "cannot hold floating point")


@pytest.mark.parametrize(
    ("text", "seconds"), [("20s", 20), ("20", 20), ("2m", 120), ("500ms", 0.5), ("1h", 3600), ("0.5 m", 30)]
)
def test_times(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "0", "-1s", "2 weeks", "nan", "inf", "1sm", "1e99h"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="no time to wait"):
        seconds_of(text)
