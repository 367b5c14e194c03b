"""XMP: what is carried over, what is left behind, and what the result says of itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpustack
from gpustack.io.decode import probe
from gpustack.io.metadata import Metadata, read_metadata, without_gps
from gpustack.io.write import write_picture
from gpustack.io.xmp import PACKET_LIMIT, RDF, renewed

PACKET = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="uuid:1" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"
 xmp:CreatorTool="Camera 1.0"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6" tiff:Make="Olympus"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="48,8.2N" exif:PixelXDimension="4000"
 xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:Exposure2012="+1.50"
 xmlns:lab="http://example.org/lab/" xmlns:dc="http://purl.org/dc/elements/1.1/">
 <dc:format>image/x-olympus-orf</dc:format>
 <dc:subject><rdf:Bag><rdf:li>beetle &amp; leaf</rdf:li></rdf:Bag></dc:subject>
 <crs:ToneCurve><rdf:Seq><rdf:li>0, 0</rdf:li></rdf:Seq></crs:ToneCurve><lab:drawer>17 b</lab:drawer>
 <xmpMM:History xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/">
 <rdf:Seq><rdf:li>old</rdf:li></rdf:Seq></xmpMM:History>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
HISTORY = "24 frames fused by method auto"
PICTURE = np.arange(16 * 20 * 3, dtype=np.uint8).reshape(16, 20, 3)

ENDINGS = pytest.mark.parametrize("ending", [".jpg", ".png", ".tif"])


def told(packet: bytes | None) -> str:
    assert packet is not None
    ET.fromstring(packet)
    return packet.decode()


def test_what_describes_the_picture_stays() -> None:
    text = told(renewed(PACKET, "gpustack 1", HISTORY))
    for kept in (
        'xmp:Rating="4"',
        'tiff:Make="Olympus"',
        "beetle &amp; leaf",
        "<lab:drawer>17 b<",
        "48,8.2N",
    ):
        assert kept in text


def test_what_describes_the_old_file_goes() -> None:
    text = told(renewed(PACKET, "gpustack 1", HISTORY))
    for gone in (
        "Orientation",
        "PixelXDimension",
        "crs:",
        "Exposure2012",
        "Camera 1.0",
        ">old<",
        "x-olympus",
    ):
        assert gone not in text


def test_the_result_says_how_it_was_made() -> None:
    for before in (None, PACKET):
        text = told(renewed(before, "gpustack 1", HISTORY))
        assert 'xmp:CreatorTool="gpustack 1"' in text
        assert f"<stEvt:parameters>{HISTORY}<" in text
    found = ET.fromstring(told(renewed(PACKET, "gpustack 1", HISTORY)))
    assert {one.get(f"{{{RDF}}}about") for one in found.iter(f"{{{RDF}}}Description")} == {"uuid:1"}


def test_a_packet_of_a_packet_is_the_same_again() -> None:
    once = renewed(PACKET, "gpustack 1", HISTORY)
    assert renewed(once, "gpustack 1", HISTORY) == once


def test_nothing_to_say() -> None:
    assert renewed(None, "gpustack 1", None) is None


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\0" * 40,
        b"<x",
        b"no xml",
        b"<a/>",
        PACKET[:300],
        PACKET.replace(b"<x:xmp", b'<!DOCTYPE a [<!ENTITY b "c">]><x:xmp'),
        PACKET.decode().encode("utf-16"),
        b'<?xml version="1.0" encoding="nonsense"?>' + PACKET,
    ],
)
def test_a_broken_or_hostile_packet_is_left_out(packet: bytes) -> None:
    assert renewed(packet, "gpustack 1", None) is None
    assert renewed(packet, "gpustack 1", HISTORY) == renewed(None, "gpustack 1", HISTORY)


def test_what_is_too_long_for_a_jpeg_loses_what_the_frame_said() -> None:
    long = PACKET.replace(b"17 b", b"17 b" * (PACKET_LIMIT // 4))
    text = told(renewed(long, "gpustack 1", HISTORY))
    assert len(text) < 2000
    assert HISTORY in text


@ENDINGS
def test_every_format_carries_it(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out{ending}"
    write_picture(
        path, PICTURE, Metadata(xmp=PACKET, history=HISTORY), overwrite=False, software="gpustack 1"
    )
    assert read_metadata(probe(path)[0]).xmp == renewed(PACKET, "gpustack 1", HISTORY)


@ENDINGS
@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_reads_it(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"out{ending}"
    write_picture(
        path, PICTURE, Metadata(xmp=PACKET, history=HISTORY), overwrite=False, software="gpustack 1"
    )
    found = exiftool(path)
    assert found["XMP:CreatorTool"] == "gpustack 1"
    assert found["XMP:HistoryParameters"] == HISTORY
    assert found["XMP:Subject"] == "beetle & leaf"
    assert found["XMP:Rating"] == 4
    assert "ExifTool:Warning" not in found


def exiftool(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        ["exiftool", "-G", "-j", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def test_the_place_is_left_out_on_demand(tmp_path: Path) -> None:
    found = without_gps(Metadata(xmp=PACKET))
    assert b"GPS" not in (found.xmp or b"GPS")
    assert b"beetle" in (found.xmp or b"")
    frame = tmp_path / "frame.jpg"
    write_picture(frame, PICTURE, Metadata(xmp=PACKET), overwrite=False, software="test")
    for strip in (False, True):
        settings = gpustack.Settings(align=gpustack.Model.NONE, strip_gps=strip)
        result = gpustack.stack([frame, frame], settings)
        result.save(tmp_path / "out.tif", overwrite=True)
        packet = read_metadata(probe(tmp_path / "out.tif")[0]).xmp or b""
        assert (b"GPS" in packet) is not strip
        assert b"2 frames fused by method auto, align none" in packet
