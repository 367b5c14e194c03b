"""Sidecars: what is written is read again, and what is not as it must be is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpustack.errors import InputError
from gpustack.io.sidecar import (
    ENDING,
    LARGEST_FILE,
    Input,
    Output,
    Sidecar,
    beside,
    read_sidecar,
    sidecar_of,
    write_sidecar,
)
from gpustack.model.place import Place
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from gpustack.settings import BackendName, Method, Settings, WhiteBalance

HASH = "0123456789abcdef" * 4


def made(chosen: Settings | None = None) -> Sidecar:
    """A sidecar of two frames, one of them left out."""
    turn = np.array([[1.01, 0.1, 1 / 3], [-0.1, 1.01, -7.25], [1e-9, 0.0, 1.0]])
    places = (
        Place(Transform.identity()),
        Place(Transform(turn, Tone.of([1.0, 1.1, 0.9], [0.0, 0.01, -0.01])), used=False, in_series=False),
    )
    rows = [{"file": f"{index}.jpg", "share": 0.5, "shaken": index == 1} for index in range(2)]
    report = {
        "backend": "cpu",
        "backend_reason": "The CPU was asked for.",
        "method": "auto",
        "model": "similarity",
        "seconds": {"survey": 0.5},
        "warnings": ["Something."],
        "frames": rows,
    }
    return Sidecar(
        "2026-01-02T03:04:05+00:00",
        {"gpustack": "0.1.0", "numpy": "2.4"},
        "Linux x86_64",
        chosen or Settings(),
        tuple(Input(f"../frames/{index}.jpg", 0, 40, 30, 1234, HASH, 6) for index in range(2)),
        0,
        places,
        False,
        {"picture": Output("sharp.tif", (30, 40, 3), "uint8", HASH)},
        report,
        Input("flat.jpg", 0, 1, 1, 99, HASH),
        (Output("sharp_slab_001.tif", (30, 40, 3), "uint8", HASH),),
    )


def written(path: Path, change: Callable[[dict[str, Any]], Any] | None = None) -> Path:
    """The sidecar in a file, its content changed."""
    content = made().as_dict()
    if change is not None:
        change(content)
    path.write_text(json.dumps(content))
    return path


CHOSEN = [
    Settings(),
    Settings(
        method=Method.DEPTHMAP,
        backend=BackendName.CPU,
        ram_bytes=1 << 33,
        threads=3,
        wb=(2.1, 1.0, 1.6),
        exposure=-0.5,
        flat="flat.jpg",
        devices=(1, 0),
        radius=2.25,
        linear=True,
        depth=True,
    ),
    Settings(slab=(10, 3), wb=WhiteBalance.DAYLIGHT),
]


@pytest.mark.parametrize("chosen", CHOSEN)
def test_what_is_written_is_read(chosen: Settings, tmp_path: Path) -> None:
    path, given = tmp_path / f"a.tif{ENDING}", made(chosen)
    write_sidecar(path, given, overwrite=False)
    found = read_sidecar(path)
    assert found.settings == chosen
    assert found.as_dict() == given.as_dict()
    for one, other in zip(found.places, given.places, strict=True):
        assert np.array_equal(one.transform.matrix, other.transform.matrix)  # to the last bit
        assert replace(one, transform=other.transform) == other


def test_where_it_lies(tmp_path: Path) -> None:
    picture = tmp_path / "sharp.tif"
    assert sidecar_of(picture) == tmp_path / "sharp.tif.gpustack.json"
    assert beside(picture) == beside(sidecar_of(picture)) == sidecar_of(picture)


def test_settings_of_an_earlier_version_have_their_defaults(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", lambda content: content["settings"].pop("prefer"))
    assert read_sidecar(path).settings == Settings()


def put(*names: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    """Sets a value deep inside the content."""

    def change(content: Any) -> None:
        for name in names[:-1]:
            content = content[name]
        content[names[-1]] = value

    return change


REFUSED = [
    (put("gpustack_sidecar", value=2), "version 2"),
    (put("gpustack_sidecar", value="1"), "no sidecar"),
    (put("inputs", value=[]), "no inputs"),
    (put("inputs", value={}), "inputs is no list"),
    (put("inputs", 0, "sha256", value="zz"), "inputs[0].sha256"),
    (put("inputs", 1, "file", value="a\nb"), "inputs[1].file"),
    (put("inputs", 1, "file", value="a" * 5000), "inputs[1].file"),
    (put("inputs", 0, "bytes", value=-1), "inputs[0].bytes"),
    (put("inputs", 0, "bytes", value=True), "inputs[0].bytes"),
    (put("inputs", 0, "width", value=1 << 40), "inputs[0].width"),
    (put("settings", "method", value="magic"), "magic"),
    (put("settings", "radius", value=1e9), "--radius"),
    (put("settings", "devices", value=[-1]), "devices"),
    (put("settings", "threads", value=0), "threads"),
    (put("settings", "wb", value=[1, 2]), "wb"),
    (put("settings", "new", value=1), "settings.new is not known"),
    (put("alignment", "reference", value=2), "reference"),
    (put("alignment", "frames", 0, "matrix", value=[[0] * 3] * 3), "alignment.frames[0]"),
    (put("alignment", "frames", 0, "matrix", value=[["1e999"] * 3] * 3), "alignment.frames[0]"),
    (put("alignment", "frames", 0, "gain", value=[1, 2]), "alignment.frames[0]"),
    (put("alignment", "given", value=1), "alignment.given"),
    (put("outputs", value={}), "picture"),
    (put("outputs", "picture", "shape", value=[1, 2, 3, 4]), "shape"),
    (put("report", "frames", value=[]), "another number of frames"),
    (put("report", "frames", 0, "share", value=2), "share"),
    (put("report", "seconds", value={"survey": "long"}), "seconds"),
    (lambda content: content.pop("report"), "no 'report'"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED)
def test_what_is_not_as_it_must_be_is_named(
    change: Callable[[dict[str, Any]], None], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        read_sidecar(written(tmp_path / "a.json", change))
    assert said in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"gpustack_sidecar": NaN}', b"\xff\xfe", b"1" * 5000],
)
def test_what_is_no_json_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_sidecar(path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json")
    with path.open("ab") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(InputError, match="too large"):
        read_sidecar(path)


TEXT = json.dumps(made().as_dict()).encode()


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, len(TEXT) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, len(TEXT)),
)
def test_mutated_bytes_give_a_sidecar_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], end: int
) -> None:
    content = bytearray(TEXT)
    for at, value in changes:
        content[at] = value
    path = tmp_path_factory.getbasetemp() / "mutated.json"
    path.write_bytes(content if end % 3 else content[:end])
    said = ""
    with suppress(InputError):  # nothing else may come out
        said = read_sidecar(path).made
    assert len(said) <= 64
