"""RAW files developed by another program: here a small script, which does what it is told to."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

import gpustack
from gpustack import Crop, Model, Settings
from gpustack.errors import DecodeError, UsageError
from gpustack.io.decode import Decoder, probe
from gpustack.io.developer import Developer
from gpustack.io.metadata import read_metadata
from gpustack.model.frame import Kind, PixelType
from tests.cli.calling import assert_refused, call
from tests.io.dng import mosaic, write_dng

pytest.importorskip("rawpy", reason="rawpy has no build for this platform")

PROGRAM = """
import shutil, sys
from pathlib import Path

source, target, made, wish = map(Path, sys.argv[1:5])
with open(made / "log", "a") as file:
    print(source.name, file=file)
if wish.name == "fail" or source.stem == wish.name:
    print("cannot read this"); print("giving up."); sys.exit(7)
if wish.name == "text":
    target.write_text("no picture")
elif wish.name != "nothing":
    shutil.copy(made / f"{source.stem}-{wish.name}.tif", target)
"""

Command = Callable[..., str]


@pytest.fixture
def raws(tmp_path: Path) -> list[Path]:
    return [write_dng(tmp_path / f"{number}.dng", mosaic(2000 + number)) for number in range(3)]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """The program's command, with a wish of what is to be made, or to go wrong."""
    script, made = tmp_path / "develop it.py", tmp_path / "made"
    script.write_text(PROGRAM)
    made.mkdir()

    def line(wish: str = "well", profile: Path | None = None, names: Sequence[str] = "012") -> str:
        icc = None if profile is None else profile.read_bytes()
        for name in names:
            picture = picture_of(name)
            picture = picture[:40] if wish == "size" and name != "0" else picture
            picture = (picture >> 8).astype(np.uint8) if wish == "bytes" else picture
            tifffile.imwrite(made / f"{name}-{wish}.tif", picture, iccprofile=icc)
        words = [sys.executable, str(script), "{input}", "{output}", str(made), wish]
        return shlex.join(words)

    return line


def runs(folder: Path) -> list[str]:
    return (folder / "made" / "log").read_text().split()


def picture_of(name: str) -> npt.NDArray[np.uint16]:
    return np.random.default_rng(ord(name[0])).integers(0, 60000, (48, 64, 3)).astype(np.uint16)


@pytest.fixture
def developing(scratch: Path) -> Iterator[Callable[[str], Developer]]:
    made: list[Developer] = []

    def make(line: str) -> Developer:
        made.append(Developer(line))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert list(scratch.iterdir()) == []


def test_what_the_program_makes_is_the_frame(
    raws: list[Path], command: Command, developing: Callable[[str], Developer]
) -> None:
    program = developing(command())
    frame = program.probe(raws[0])
    assert (frame.kind, frame.path, frame.size) == (Kind.DEVELOPED, raws[0], (64, 48))
    assert (frame.channels, frame.pixel_type) == (3, PixelType.UINT16)
    np.testing.assert_array_equal(program.decode(frame), picture_of("0"))


@pytest.mark.parametrize(("room", "count"), [(1 << 30, 1), (10_000, 3), (0, 3)])
def test_what_there_is_room_for_is_made_once(
    raws: list[Path],
    command: Command,
    developing: Callable[[str], Developer],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    room: int,
    count: int,
) -> None:
    """A file is 18 kB; what does not fit is made again, and never more than one such lies there."""
    program = developing(command())
    monkeypatch.setattr(program, "_room", room)
    frame = program.probe(raws[1])
    for _ in range(2):
        np.testing.assert_array_equal(program.decode(frame), picture_of("1"))
    assert runs(tmp_path) == ["1.dng"] * count
    assert len(list(program._folder.iterdir())) == (count == 1)


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        ("fail", r"^0\.dng: python\S* failed with 7, and said 'giving up'\. Try by hand what was run: "),
        ("nothing", r"^0\.dng: python\S* made no file\. Try by hand"),
        ("text", r"^0\.dng: python\S* made no TIFF file that can be read"),
        (
            "bytes",
            r"^0\.dng: python\S* made a picture of 8 bits of it\. Have it write one TIFF file of 16 bits",
        ),
    ],
)
def test_what_goes_wrong_is_told(
    raws: list[Path], command: Command, developing: Callable[[str], Developer], wish: str, problem: str
) -> None:
    with pytest.raises(DecodeError, match=problem):
        developing(command(wish)).probe(raws[0])


def test_another_size_is_refused(
    raws: list[Path], command: Command, developing: Callable[[str], Developer]
) -> None:
    program = developing(command("size"))
    frame = program.probe(raws[0])
    with pytest.raises(
        DecodeError, match=r"1\.dng: \S+ made 64x40 pixels .* and 64x48 pixels .* of the first"
    ):
        program.decode(gpustack.open_stack(raws, command("well")).frames[1])
    assert frame.size == (64, 48)


def test_a_program_that_is_not_there_is_named(raws: list[Path], tmp_path: Path) -> None:
    line = "no-such-program {input} {output}"
    with pytest.raises(
        UsageError, match="'no-such-program' of --raw-developer cannot be started: No such file"
    ):
        gpustack.open_stack(raws, line)
    done = call("stack", *raws, "-o", tmp_path / "a.tif", "--raw-developer", line)
    assert_refused(done, 2, "cannot be started")


@pytest.mark.parametrize(
    "line", ["", "darktable-cli", "x {input}", "{input} {output}", "x '{input} {output}"]
)
def test_a_command_without_files_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match="which file is read and which is written"):
        Developer(line)


@pytest.mark.parametrize(
    "settings",
    [{"linear": True}, {"wb": (1, 1, 1)}, {"exposure": 1}, {"demosaic": "ahd"}],
    ids=["dng", "wb", "exposure", "demosaic"],
)
def test_what_the_program_decides_cannot_be_asked_for(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="does not go with --raw-developer"):
        Settings(raw_developer="x {input} {output}", **settings)


def test_developed_frames_are_refused(tmp_path: Path, command: Command) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8, 3), np.uint16))
    with pytest.raises(UsageError, match="takes RAW frames"):
        gpustack.open_stack([tmp_path / "a.tif"], command())


def test_a_stack_of_what_another_program_makes(
    raws: list[Path], scratch: Path, tmp_path: Path, command: Command, data: Path
) -> None:
    """Each frame is made once, and once more the first, to learn its size; profile and EXIF come along."""
    profile = sorted((data / "icc_profiles").glob("*dobe*.icc"))[0]
    line, out = command("well", profile), tmp_path / "out.tif"
    ways = ("--crop", "none", "--method", "depthmap", "--json", "--deghost", "off")
    done = call("stack", *raws, "-o", out, "--raw-developer", line, *ways)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["settings"]["raw_developer"] == line
    assert sorted(runs(tmp_path)) == ["0.dng", "0.dng", "1.dng", "2.dng"]
    assert list(scratch.iterdir()) == []
    found = read_metadata(probe(out)[0])
    assert found.icc == profile.read_bytes()
    assert b"developed by " in (found.xmp or b"")
    assert found.exif is not None


def test_pixels_come_through_unchanged(raws: list[Path], scratch: Path, command: Command) -> None:
    settings = Settings(raw_developer=command(), align=Model.NONE, crop=Crop.NONE, threads=1)
    result = gpustack.stack(raws[:1], settings)
    np.testing.assert_array_equal(result.image, picture_of("0"))
    # A stack that was opened without it is opened again.
    again = gpustack.stack(gpustack.open_stack(raws[:1]), settings)
    np.testing.assert_array_equal(again.image, result.image)
    assert list(scratch.iterdir()) == []


def test_a_frame_that_fails_later_ends_the_run(
    raws: list[Path], scratch: Path, tmp_path: Path, command: Command
) -> None:
    done = call("stack", *raws, "-o", tmp_path / "a.tif", "--raw-developer", command("2"), "--align", "none")
    assert_refused(done, 3, "2.dng: ")
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "a.tif").exists()


def test_files_that_libraw_does_not_know_can_be_had(data: Path, command: Command, scratch: Path) -> None:
    (path,) = (data / "hostile").glob("raw_unsupported__nikon_z_9*.dng")
    (frame,) = probe(path)
    with pytest.raises(DecodeError, match="name a program that knows it with --raw-developer"):
        Decoder(frame)(frame)
    stack = gpustack.open_stack([path], command(names=[path.stem]))
    assert stack.frames[0].size == (64, 48)
    assert list(scratch.iterdir()) == []
