"""The commands of a report are those that make the picture again."""

from __future__ import annotations

import importlib
import os
import shlex
import subprocess
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import typer.main

from gpustack.cli.app import app
from gpustack.cli.given import settings_of
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.stack import Stack
from gpustack.reporting.command import Written, replay_command, stack_command
from gpustack.settings import (
    BackendName,
    BadFrame,
    Brightness,
    Crop,
    DecoderName,
    Deghost,
    Demosaic,
    Interpolation,
    Method,
    Model,
    Prefer,
    Settings,
    WhiteBalance,
)

FRAME = Frame(Path("/in/a.jpg"), 64, 48, 3, PixelType.UINT8, Kind.JPEG)
OUT = Written({"output": Path("/out/sharp.tif"), "depth": Path("/out/d.tif"), "report": Path("/r/r.html")})
OTHER: dict[str, Any] = {
    "method": Method.PYRAMID,
    "align": Model.HOMOGRAPHY,
    "reference": "first",
    "crop": Crop.NONE,
    "interpolation": Interpolation.LANCZOS,
    "brightness": Brightness.CHANNELS,
    "flat": "flat field.tif",
    "on_bad_frame": BadFrame.FAIL,
    "deghost": Deghost.OFF,
    "backend": BackendName.CPU,
    "decoder": DecoderName.CPU,
    "ram_bytes": 3 << 29,
    "vram_bytes": 1000,
    "devices": (1,),
    "threads": 3,
    "strip_gps": True,
    "radius": 2.25,
    "smoothing": 0.0,
    "slab": (10, 3),
    "prefer": Prefer.FAR,
    "wb": (2.1, 1.0, 1.55),
    "exposure": -0.5,
    "demosaic": Demosaic.AHD,
    "convert_profile": True,
}
IMPLIED = {"depth", "linear", "layers"}


def stack_of(*names: str, every: int = 1) -> Stack:
    return Stack(tuple(replace(FRAME, path=Path("/in") / name) for name in names), every)


def given(words: list[str]) -> dict[str, Any]:
    """What `gpustack stack WORDS` takes the words for."""
    importlib.import_module("gpustack.cli.stack")
    group: Any = typer.main.get_command(app)
    found: dict[str, Any] = group.commands["stack"].make_context("stack", words).params
    return found


def test_every_setting_comes_back() -> None:
    assert set(OTHER) == {field.name for field in fields(Settings)} - IMPLIED - {"raw_developer"}
    wanted = replace(Settings(**OTHER), depth=True)
    command = stack_command(stack_of("a.jpg", "b.jpg"), wanted, OUT)
    assert command is not None
    words = shlex.split(command)
    assert words[:2] == ["gpustack", "stack"]
    found = given(words[2:])
    assert settings_of(found | {"layers": False}, depth=True) == wanted
    assert found["inputs"] == ["a.jpg", "b.jpg"]
    assert [str(found[name]) for name in ("output", "depth", "report")] == ["sharp.tif", "d.tif", "r.html"]


@pytest.mark.parametrize("balance", [WhiteBalance.DAYLIGHT, WhiteBalance.AUTO_FIRST])
def test_words_come_back(balance: WhiteBalance) -> None:
    command = stack_command(stack_of("a.nef"), Settings(wb=balance), OUT)
    assert settings_of(given(shlex.split(str(command))[2:])).wb is balance


def test_what_is_usual_is_not_said() -> None:
    command = stack_command(stack_of("a.jpg"), Settings(depth=True, layers=True), OUT)
    assert command == "gpustack stack a.jpg --output sharp.tif --depth d.tif --report r.html"


def test_a_developer_keeps_its_secrets() -> None:
    settings = Settings(raw_developer="/opt/jo/dt --key hush {input} {output}")
    command = str(stack_command(stack_of("a.nef"), settings, OUT))
    assert "hush" not in command
    assert "/opt" not in command
    assert "dt ... {input} ... {output}" in command


NAMES = (
    "a b.jpg",
    "-x.jpg",
    "@y.jpg",
    "it's $(rm).jpg",
    "\u202egpj.jpg",
    "new\nline.jpg",
    "\\'.jpg",
    "\udcff.jpg",
)


def test_names_reach_a_command_as_they_are(tmp_path: Path) -> None:
    command = str(stack_command(stack_of(*NAMES), Settings(), OUT)).split(" --output")[0]
    assert command.isprintable()
    script = command.replace("gpustack stack", "printf '%s\\0'", 1)
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, cwd=tmp_path)
    found = [os.fsdecode(name) for name in done.stdout.split(b"\0")[:-1]]
    assert [os.path.normpath(name) for name in found] == list(NAMES)
    assert not [name for name in found if name.startswith(("-", "@"))]


def test_pages_and_parts_of_a_file() -> None:
    pages = tuple(replace(FRAME, path=Path("/in/z.tif"), page=page, pages=9) for page in range(0, 9, 3))
    assert "stack z.tif --every 3 " in str(stack_command(Stack(pages, 3), Settings(), OUT))
    assert "--every" not in str(stack_command(stack_of("a.jpg", "c.jpg", every=2), Settings(), OUT))
    mixed = Stack((*pages, replace(FRAME, path=Path("/in/y.tif"), page=2, pages=3)), 3)
    assert stack_command(mixed, Settings(), OUT) is None


def test_what_names_alone_cannot_tell() -> None:
    apart = Stack((FRAME, replace(FRAME, path=Path("/other/b.jpg"))))
    assert stack_command(apart, Settings(), OUT) is None
    assert stack_command(Stack((replace(FRAME, kind=Kind.ARRAY),)), Settings(), OUT) is None
    assert stack_command(Stack((FRAME,)), Settings(), Written()) is None
    assert replay_command("a b.tif.gpustack.json") == "gpustack replay 'a b.tif.gpustack.json'"
