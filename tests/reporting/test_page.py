"""The page of a report: whole, true to the run, safe with any name, small, and without a need of anything."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from gpustack.engine.report import GhostReport, LayersReport
from gpustack.errors import UsageError, WriteError
from gpustack.io.metadata import Metadata
from gpustack.model.slab import Slab
from gpustack.reporting.command import Written
from gpustack.reporting.writing import write_report
from gpustack.settings import Settings
from tests.reporting.pages import Node, everything, made, parsed, rows

HOSTILE = (
    "<script>alert(1)<!-- .jpg",
    "a\"b'c & d <b>.jpg",
    "]]><img src=x onerror=alert(2)> <svg onload=alert(4)>.jpg",
    "\u202egpj.elif \u05d0\u05d1\u05d2.jpg",
    "z\u00fcrich \U0001f41d \u4e2d\u6587.jpg",
    "bad \udcff byte \x1b[31m\n.jpg",
    "javascript:alert(3).jpg",
)


def written(
    path: Path, names: list[str], size: tuple[int, int] = (96, 64), settings: Settings | None = None
) -> tuple[Node, str]:
    stack, result = made(names, size)
    files = Written(
        {"output": Path("/home/jo doe/out/sharp.tif")}, Path("/home/jo doe/out/sharp.tif.gpustack.json")
    )
    write_report(path, stack, settings or Settings(depth=True), result, written=files)
    content = path.read_text("utf-8")
    return parsed(content), content


def test_the_page_is_whole_and_tells_what_was_done(tmp_path: Path) -> None:
    page, _ = written(tmp_path / "r.html", ["a.jpg", "b.jpg", "c.jpg"])
    assert page.one("h1").text == "sharp.tif"
    assert page.attributes["lang"] == "en"
    titles = [node.text for node in page.all("h2")]
    assert titles == [
        *("Warnings", "Result", "Depth and contribution", "Alignment", "Frames", "Gaps", "Settings"),
        *("Time and memory", "Versions and machine", "Make it again"),
    ]
    targets = {link.attributes["href"] for link in page.all("a")}
    assert targets == {f"#{node.attributes['id']}" for node in page.all("h2")}
    assert "96 x 64 pixels from 3 frames by method auto, in 5.0 s on cpu" in page.one("header").text


def test_every_picture_and_drawing_says_what_it_shows(tmp_path: Path) -> None:
    page, _ = written(tmp_path / "r.html", ["a.jpg", "b.jpg", "c.jpg"], (1900, 1500))
    pictures = page.all("img")
    assert len(pictures) == 3 + 4
    for picture in pictures:
        assert picture.attributes["alt"]
        kind, _, data = str(picture.attributes["src"]).partition(",")
        assert kind == "data:image/jpeg;base64"
        height, width, _, _ = simplejpeg.decode_jpeg_header(base64.b64decode(data))
        assert (str(width), str(height)) == (picture.attributes["width"], picture.attributes["height"])
    drawings = page.all("svg", role="img")
    assert len(drawings) == 6
    names = {node.attributes.get("id"): node for node in everything(page)}
    for drawing in drawings:
        title, told = (names[name] for name in str(drawing.attributes["aria-labelledby"]).split())
        assert title.text
        assert "frame" in told.text or "everywhere" in told.text
    for table in page.all("table"):
        assert table.one("caption").text
        assert all(cell.attributes["scope"] in ("col", "row") for cell in table.all("th"))


def test_nothing_is_fetched_and_nothing_is_run(tmp_path: Path) -> None:
    page, content = written(tmp_path / "r.html", [*HOSTILE, "b.jpg"])
    names = {node.name for node in everything(page)}
    assert not names & {"script", "link", "iframe", "object", "embed", "form", "base", "foreignobject", "use"}
    policy = page.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
    assert str(policy).startswith("default-src 'none'; img-src data:;")
    for node in everything(page):
        assert not [name for name in node.attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert re.match(r"#|data:image/jpeg;base64,", str(node.attributes.get(name, "#")))
    assert "url(" not in page.one("style").text
    assert "@import" not in content


def test_names_are_text_whatever_they_hold(tmp_path: Path) -> None:
    page, content = written(tmp_path / "r.html", list(HOSTILE))
    shown = [node.text for node in page.one("section", aria_labelledby="frames").all("bdi")]
    assert shown[:5] == list(HOSTILE[:5])
    assert shown[5] == "bad \ufffd byte \ufffd[31m\n.jpg"
    assert shown[6] == HOSTILE[6]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", content)
    assert [node.text for node in page.all("title")[:1]] == ["sharp.tif - gpustack report"]


def test_no_folder_of_the_machine_is_told(tmp_path: Path) -> None:
    stack, result = made(["a.jpg", "b.jpg"])
    result.report.warnings += [
        "No more checkpoints are kept in /home/jo doe/out/sharp.tif.checkpoint (no room); the run goes on.",
        "/var/cache/deep/thing.bin cannot be read, nor 'C:\\Users\\Jo\\x.dll'.",
        "a.jpg differs/varies in 1/3 of it.",
    ]
    backend = "libcuda is damaged: /usr/lib/jo/libcuda.so.1 has no symbols. The CPU works instead."
    object.__setattr__(result, "report", replace(result.report, backend_reason=backend))
    settings = Settings(
        flat="/home/jo doe/flats/flat.tif", raw_developer="/opt/secret/dt --key=hush {input} {output}"
    )
    files = Written({"output": Path("/home/jo doe/out/sharp.tif"), "depth": Path("/mnt/x/d.tif")})
    write_report(tmp_path / "r.html", stack, settings, result, written=files)
    content = (tmp_path / "r.html").read_text("utf-8")
    page = parsed(content)
    assert [node.text for node in page.one("ul", class_="warnings").all("li")] == [
        "No more checkpoints are kept in sharp.tif.checkpoint (no room); the run goes on.",
        "thing.bin cannot be read, nor 'x.dll'.",
        "a.jpg differs/varies in 1/3 of it.",
    ]
    assert "libcuda is damaged: libcuda.so.1 has no symbols." in page.text
    for word in ("jo doe", "/home", "/opt", "/mnt", "/usr", "hush", "Users", "secret"):
        assert word not in content
    assert "flat.tif" in page.one("section", aria_labelledby="settings").text
    assert "dt ..." in page.one("section", aria_labelledby="settings").text


def test_the_table_has_what_is_known_of_each_frame(tmp_path: Path) -> None:
    stack, result = made(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    shaken = replace(result.places[2], used=False, shaken=True)
    lost = replace(result.places[3], used=False)
    result = replace(result, places=(*result.places[:2], shaken, lost))
    write_report(tmp_path / "r.html", stack, Settings(), result)
    page = parsed((tmp_path / "r.html").read_text("utf-8"))
    told = rows(page.one("section", aria_labelledby="frames").one("table"))
    row = result.report.frames[1]
    assert told[1][:3] == ["1", "b.jpg", f"{100 * row.share:.2f}"]
    assert told[1][5:9] == ["1.00010", "+0.010", "1.001", f"{row.place.residual_px:.2f}"]
    assert told[2] == ["2", "c.jpg", "left out: blurred all over, as if the camera had shaken"]
    assert told[3] == ["3", "d.jpg", "left out: could not be aligned"]
    assert "from 2 of 4 frames" in page.one("header").text
    for drawing in page.all("svg", role="img"):
        assert len(drawing.all("path", class_="cross")) == 2


def test_what_moved_is_told(tmp_path: Path) -> None:
    stack, result = made(["a.jpg", "b.jpg"])
    result.report.ghosts.append(GhostReport((3, 4, 20, 10), "b.jpg"))
    write_report(tmp_path / "r.html", stack, Settings(), result)
    page = parsed((tmp_path / "r.html").read_text("utf-8"))
    (item,) = page.one("ul", class_="warnings").all("li")
    assert "3, 4 (20 x 10 pixels" in item.text
    assert "b.jpg" in item.text


def test_what_the_picture_is_made_of_is_told(tmp_path: Path) -> None:
    stack, result = made(["a.jpg", "b.jpg", "c.jpg"])
    plain = replace(result.report, box=(3, 5, 90, 50))
    slabs = [Slab(1, range(2)), Slab(2, range(1, 3))]
    full = replace(plain, slabs=slabs, layers=LayersReport(("a.jpg", "c.jpg"), ("b.jpg",)))
    kept = "Kept are 90 x 50 pixels of the reference as stored, from 3, 5."
    more = "It was fused from the pictures of 2 slabs. 2 frames have a layer; 1 own nothing of the picture"
    for report, said in ((plain, kept), (full, f"{kept} {more}")):
        path = tmp_path / f"{len(said)}.html"
        write_report(path, stack, Settings(), replace(result, report=report))
        told = parsed(path.read_text("utf-8")).one("section", aria_labelledby="result").all("p")[0].text
        assert told.startswith(said)
        assert told == said or report is full


def test_settings_that_differ_come_first(tmp_path: Path) -> None:
    page, _ = written(tmp_path / "r.html", ["a.jpg"], settings=Settings(radius=2.5, strip_gps=True))
    told = page.one("section", aria_labelledby="settings").one("details")
    assert "open" not in told.attributes
    assert told.one("summary").text.startswith("2 of ")
    first, second, *others = rows(told.one("table"))
    assert [first, second] == [["strip-gps", "on", "off"], ["radius", "2.5", "1.5"]]
    assert all(value == usual for _, value, usual in others)


def test_a_thousand_frames_and_noise_can_be_mailed(tmp_path: Path) -> None:
    names = [f"DSC_{index:05d}_long_name_of_a_frame.jpg" for index in range(1000)]
    page, content = written(tmp_path / "r.html", names, (1800, 1400))
    assert len(rows(page.one("section", aria_labelledby="frames").one("table"))) == 1000
    shares = page.one("section", aria_labelledby="maps").one("svg", role="img")
    assert len(shares.all("rect")) == 1000
    pictures = sum(len(str(node.attributes["src"])) for node in page.all("img"))
    assert pictures < 1_290_000
    assert len(content) - pictures < 420_000


def test_a_report_is_not_overwritten_unasked(tmp_path: Path) -> None:
    stack, result = made(["a.jpg"])
    path = tmp_path / "r.html"
    path.write_text("mine")
    with pytest.raises(WriteError, match="exists already"):
        write_report(path, stack, None, result)
    assert path.read_text() == "mine"
    write_report(path, stack, None, result, overwrite=True)
    assert parsed(path.read_text("utf-8")).one("h1").text == "a stack of 1 frames"
    with pytest.raises(UsageError, match=r"\.html"):
        write_report(tmp_path / "r.pdf", stack, None, result)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["r.html"]


def test_arrays_have_a_report_too(tmp_path: Path) -> None:
    _, result = made(["a.jpg", "b.jpg"])
    arrays = [np.zeros((64, 96, 3), np.uint8)] * 2
    write_report(
        tmp_path / "r.html", arrays, None, replace(result, depth=None, confidence=None, metadata=Metadata())
    )
    page = parsed((tmp_path / "r.html").read_text("utf-8"))
    assert "The depth was not made." in page.one("section", aria_labelledby="maps").text
    assert not page.all("pre")[1:]  # no command but that of inspect
