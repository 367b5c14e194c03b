"""Videos as stacks: order, forward reading, colours, and what is refused."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import gpustack
from gpustack.errors import DecodeError
from gpustack.io import clip
from gpustack.io.decode import Decoder, probe
from gpustack.io.metadata import read_metadata
from gpustack.settings import Model, Settings

av = pytest.importorskip("av", reason="PyAV is not installed")

HEIGHT, WIDTH, COUNT = 48, 64, 40
EXACT = 4 | 0x2000 | 0x4000 | 0x40000  # bicubic, full chroma in and out, accurate rounding


def picture(index: int) -> npt.NDArray[np.uint8]:
    """A frame that says which one it is: its gray is 5 times its index."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.repeat((5 * index + x // 8 + y // 8).astype(np.uint8)[..., None], 3, -1)


def film(
    path: Path,
    codec: str = "libx264",
    layout: str = "yuv444p",
    *,
    frames: int = COUNT,
    make: Any = picture,
    notes: dict[str, str] | None = None,
    tags: tuple[int, int, int, int] = (1, 1, 1, 1),
    **options: str,
) -> Path:
    """A file of `frames`; `tags`: range, matrix, primaries and curve that it states."""
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"} if notes else {}) as container:
        container.metadata.update(notes or {})
        stream = container.add_stream(codec, rate=Fraction(25), options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, layout
        coding = stream.codec_context
        coding.color_range, coding.colorspace, coding.color_primaries, coding.color_trc = tags
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(make(index), "rgb24")
            frame = frame.reformat(
                format=layout, dst_colorspace=tags[1], dst_color_range=tags[0], interpolation=EXACT
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Frames out of order in the file, key frames each 12; only key frames; times missing."""
    folder = tmp_path_factory.mktemp("films")
    groups = {"g": "12", "bf": "3", "qp": "8", "preset": "veryfast"}
    return {
        "mp4": film(folder / "a.mp4", **groups),
        "mkv": film(folder / "a.mkv", **groups),
        "avi": film(folder / "a.avi", "mpeg4", "yuv420p", g="12", bf="2", qmin="2", qmax="2"),
        "mjpeg": film(folder / "m.avi", "mjpeg", "yuvj444p", tags=(2, 5, 2, 2), qmin="2", qmax="2"),
        "ts": film(folder / "a.ts", **groups),
    }


NAMES = ("mp4", "mkv", "avi", "mjpeg", "ts")
every_film = pytest.mark.parametrize("name", NAMES)


@every_film
def test_frames_come_in_the_order_in_which_they_are_shown(name: str, films: dict[str, Path]) -> None:
    frames = probe(films[name])
    assert [(frame.page, frame.pages, frame.size) for frame in frames] == [
        (index, COUNT, (WIDTH, HEIGHT)) for index in range(COUNT)
    ]
    decode = Decoder(frames[0])
    for frame in frames:
        pixels = decode(frame)
        assert (pixels.dtype, pixels.shape) == (np.uint8, (HEIGHT, WIDTH, 3))
        assert np.abs(pixels.astype(int) - picture(frame.page)).max() <= 6
        assert pixels.mean() == pytest.approx(picture(frame.page).mean(), abs=1.5)


@every_film
def test_any_order_gives_the_same_frames(name: str, films: dict[str, Path]) -> None:
    frames = probe(films[name])
    decode = Decoder(frames[0])
    wanted = [decode(frame) for frame in frames]
    orders = ([*range(COUNT)][::-1], [*range(0, COUNT, 7)], [30, 2, 31, 3, 39, 0, 13, 12, 11])
    for order in orders:
        other = Decoder(frames[0])
        for index in order:
            np.testing.assert_array_equal(other(frames[index]), wanted[index])


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The indices of frames in the order in which they are decoded."""
    seen: list[int] = []
    put_aside = clip.Clip._put_aside

    def noted(self: clip.Clip, index: int, frame: Any) -> None:
        seen.append(index)
        put_aside(self, index, frame)

    monkeypatch.setattr(clip.Clip, "_put_aside", noted)
    return seen


@pytest.mark.parametrize("readers", [1, 4])
@every_film
def test_no_frame_is_decoded_twice_in_a_pass(
    name: str, readers: int, films: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = probe(films[name])
    decode = Decoder(frames[0])
    seen = counted(monkeypatch)
    pixels = in_turn(decode, frames, readers)
    assert seen == list(range(COUNT))
    assert [round(p.mean() - q.mean()) for p, q in zip(pixels, map(picture, range(COUNT)), strict=True)] == [
        0
    ] * COUNT


def in_turn(decode: Decoder, frames: Any, readers: int) -> list[Any]:
    """Read by several threads that ask in order, as those of the engine do, and decode as they like."""
    asked = threading.Semaphore(1)

    def read(frame: Any) -> Any:
        asked.acquire()
        threading.Timer(0.02, asked.release).start()
        return decode(frame)

    with ThreadPoolExecutor(readers) as pool:
        return list(pool.map(read, frames))


def test_a_thread_that_was_overtaken_still_gets_its_frame(
    films: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = probe(films["mp4"])
    decode = Decoder(frames[0])
    seen = counted(monkeypatch)
    order = [1, 0, 3, 2, 6, 5, 4, 9, 8, 7]
    assert [round(decode(frames[i]).mean() / 5) for i in order] == [
        round(picture(i).mean() / 5) for i in order
    ]
    assert seen == list(range(10))


def test_far_frames_are_reached_by_a_jump(films: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    frames = probe(films["mp4"])
    decode = Decoder(frames[0])
    seen = counted(monkeypatch)
    decode(frames[0])
    decode(frames[38])
    assert len(seen) < 1 + 12 + 2
    assert seen[-1] == 38


def test_what_is_held_does_not_grow_with_the_video(films: dict[str, Path]) -> None:
    reader = clip.Clip(films["mp4"], "a.mp4")
    for index in range(COUNT):
        reader.frame(index)
        assert len(reader._aside) <= clip.ASIDE + 1


@pytest.mark.parametrize(("matrix", "red_luma"), [(1, 0.2126), (5, 0.299), (9, 0.2627), (2, 0.299)])
@pytest.mark.parametrize("full", [False, True])
def test_matrix_and_range_are_those_that_the_file_states(
    matrix: int, red_luma: float, full: bool, tmp_path: Path
) -> None:
    """A red whose YCbCr is worked out here; where the file names no matrix, that of BT.601 is taken."""
    blue_luma = {1: 0.0722, 5: 0.114, 9: 0.0593, 2: 0.114}[matrix]
    red = np.array([200, 30, 60]) / 255
    luma = red @ [red_luma, 1 - red_luma - blue_luma, blue_luma]
    chroma = (red[2] - luma) / (2 - 2 * blue_luma), (red[0] - luma) / (2 - 2 * red_luma)
    scale = (255, 255, 0) if full else (219, 224, 16)
    levels = [round(luma * scale[0] + scale[2]), *(round(c * scale[1] + 128) for c in chroma)]
    path = tmp_path / "red.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(25))
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv444p"
        stream.codec_context.color_range, stream.codec_context.colorspace = 2 if full else 1, matrix
        planes = np.broadcast_to(np.array(levels, np.uint8)[:, None, None], (3, HEIGHT, WIDTH))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(planes), "yuv444p")
        frame.color_range, frame.colorspace = 2 if full else 1, matrix
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (one,) = probe(path)
    np.testing.assert_allclose(Decoder(one)(one)[20, 20], [200, 30, 60], atol=2)


def test_gray_video_is_gray_and_of_full_range(tmp_path: Path) -> None:
    path = film(tmp_path / "g.mkv", "ffv1", "gray", frames=2, tags=(1, 2, 2, 2))
    frame = probe(path)[1]
    pixels = Decoder(frame)(frame)
    assert pixels.shape == (HEIGHT, WIDTH, 1)
    np.testing.assert_allclose(pixels[..., 0], picture(1)[..., 0], atol=1.1)


def test_what_a_phone_notes_becomes_exif(tmp_path: Path) -> None:
    apple = "com.apple.quicktime."
    notes = {
        f"{apple}make": "Maker",
        f"{apple}model": "Model",
        f"{apple}creationdate": "2026-03-04T05:06:07+0200",
        f"{apple}location.ISO6709": "+48.5000-011.2500+520.000/",
    }
    found = read_metadata(probe(film(tmp_path / "n.mov", frames=1, notes=notes))[0])
    assert found.exif is not None
    tags = {e.tag: e for part in (found.exif.main, found.exif.photo) for e in part}
    assert (tags[271].data, tags[272].data) == (b"Maker\0", b"Model\0")
    assert (tags[36867].data, tags[36881].data) == (b"2026:03:04 05:06:07\0", b"+02:00\0")
    place = {e.tag: e for e in found.exif.gps}
    assert (place[1].data, place[3].data) == (b"N\0", b"W\0")
    assert place[2].numbers == (48, 1, 30, 1, 0, 1)
    assert place[4].numbers == (11, 1, 15, 1, 0, 1)
    assert place[6].numbers == (520, 1)
    assert found.icc is not None


def test_a_video_is_stacked(films: dict[str, Path], tmp_path: Path) -> None:
    frames = gpustack.open_stack([films["mp4"]], every=9)
    assert [frame.page for frame in frames] == [0, 9, 18, 27, 36]
    result = gpustack.stack(frames, Settings(align=Model.NONE, threads=2))
    result.save(tmp_path / "o.png")
    assert result.image.shape == (HEIGHT, WIDTH, 3)


def test_interlaced_and_oblong_videos_are_refused(tmp_path: Path) -> None:
    oblong = tmp_path / "o.mp4"
    with av.open(str(oblong), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), "rgb24")))
        container.mux(stream.encode())
    with pytest.raises(DecodeError, match=r"not square, but 4:3\. Scale it first"):
        probe(oblong)
    laced = film(tmp_path / "i.mkv", "mpeg2video", "yuv420p", frames=3, flags="+ildct+ilme")
    with pytest.raises(DecodeError, match=r"it is interlaced\. Deinterlace it"):
        probe(laced)


def test_a_cut_video_is_one_sentence(films: dict[str, Path], tmp_path: Path, capfd: Any) -> None:
    path = tmp_path / "cut.mp4"
    data = films["mp4"].read_bytes()
    with (
        av.open(str(films["mp4"])) as source,
        av.open(str(path), "w", options={"movflags": "faststart"}) as sink,
    ):
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                sink.mux(packet)
    path.write_bytes(path.read_bytes()[: len(data) * 2 // 3])
    with pytest.raises(DecodeError, match=r"damaged: it ends after \d+ of 40 frames"):
        probe(path)
    for size in (100, 1000):  # without its index there is nothing to be read
        path.write_bytes(data[:size])
        with pytest.raises(DecodeError):
            probe(path)
    assert capfd.readouterr().err == ""


def test_damaged_frames_are_told(films: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(films["mp4"].read_bytes())
    start = data.index(b"mdat") + 4
    for at in range(start + (len(data) - start) // 3, start + (len(data) - start) // 2, 7):
        data[at] ^= 0xFF
    path = tmp_path / "b.mp4"
    path.write_bytes(data)
    frames = probe(path)
    decode = Decoder(frames[0])
    with pytest.raises(DecodeError, match=r"b\.mp4"):
        [decode(frame) for frame in frames]


def test_sound_alone_is_no_stack(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(DecodeError, match="there is no video in it"):
        probe(path)


@pytest.mark.parametrize(
    ("module", "name", "extra", "data"),
    [
        ("av", "a.mp4", "video", b"\0\0\0\x18ftypisom"),
        ("OpenEXR", "a.exr", "exr", b"v/1\1"),
    ],
)
def test_a_missing_library_is_one_sentence(
    module: str, name: str, extra: str, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DecodeError, match="need a library that is not installed") as told:
        probe(tmp_path / name)
    assert f"pip install 'gpustack-focus[{extra}]'" in told.value.remedy
