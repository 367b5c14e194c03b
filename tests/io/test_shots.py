"""What frames were taken with, and the sentence where that differs."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

import gpustack
from gpustack.engine.progress import Silent
from gpustack.io.decode import Decoder, probe
from gpustack.io.exif import Exif
from gpustack.io.ifd import Entry
from gpustack.io.metadata import Metadata
from gpustack.io.shots import Shot, differences
from gpustack.io.write import write_picture
from gpustack.model.frame import Frame
from tests.io.dng import mosaic, write_dng

TEXTURE = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)


def picture(path: Path, *, iso: int = 100, shutter: tuple[int, int] = (1, 60), white: int = 0) -> Frame:
    """A developed file with EXIF; a value of 0 is not told."""
    photo = [Entry(33434, 5, struct.pack("<2I", *shutter)), Entry(41987, 3, struct.pack("<H", white))]
    photo += [Entry(34855, 3, struct.pack("<H", iso))] if iso else []
    write_picture(path, TEXTURE, Metadata(exif=Exif(photo=tuple(photo))), overwrite=False, software="")
    return probe(path)[0]


def told(frames: list[Frame]) -> str | None:
    decoder = Decoder(frames[0])
    return differences([frame.name for frame in frames], [decoder.shot(frame) for frame in frames], 0)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif"])
def test_developed_files(ending: str, tmp_path: Path) -> None:
    frame = picture(tmp_path / f"a{ending}", iso=400, shutter=(2, 5), white=1)
    found = Decoder(frame).shot(frame)
    assert found == Shot(iso=(400,), shutter=(0.4,), balance=(2,))


def test_raw_files(tmp_path: Path) -> None:
    pytest.importorskip("rawpy", reason="rawpy has no build for this platform")
    (frame,) = probe(write_dng(tmp_path / "a.dng", mosaic(), iso=200, neutral=(0.5, 1, 0.8)))
    decoder = Decoder(frame)
    assert decoder.shot(frame) == Shot()
    decoder(frame)
    found = decoder.shot(frame)
    assert (found.iso, found.shutter, found.aperture) == ((200,), (), ())
    np.testing.assert_allclose(found.balance, (2, 1, 1.25), rtol=1e-5)


def test_frames_alike_are_not_mentioned(tmp_path: Path) -> None:
    frames = [picture(tmp_path / "a.jpg"), picture(tmp_path / "b.jpg", shutter=(10, 601))]
    frames.append(picture(tmp_path / "c.jpg", iso=0))  # not told is not other
    assert told(frames) is None


def test_one_sentence_names_them(tmp_path: Path) -> None:
    frames = [picture(tmp_path / f"{number}.jpg", iso=100 + 100 * (number > 1)) for number in range(8)]
    frames.append(picture(tmp_path / "last.jpg", shutter=(1, 50), white=1))
    assert told(frames) == (
        "Frames were taken otherwise than the reference 0.jpg: ISO speed (2.jpg, 3.jpg, 4.jpg, 5.jpg, 6.jpg "
        "and 1 more); shutter speed (last.jpg); white balance (last.jpg)."
    )


def test_a_file_that_has_gone_is_not_told_of_here(tmp_path: Path) -> None:
    frame = picture(tmp_path / "a.jpg")
    frame.path.unlink()
    assert Decoder(frame).shot(frame) == Shot()


def test_the_report_and_the_terminal_are_told(tmp_path: Path) -> None:
    paths = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    for path, iso in zip(paths, (100, 200), strict=True):
        picture(path, iso=iso)
    heard: list[str] = []

    class Listener(Silent):
        def warn(self, sentence: str) -> None:
            heard.append(sentence)

    report = gpustack.stack(paths, progress=Listener()).report
    assert report.warnings[-1] == "Frames were taken otherwise than the reference a.jpg: ISO speed (b.jpg)."
    assert heard == report.warnings
