"""Damage of every kind: a file is read or refused in one sentence; nothing dies, hangs, or takes much memory.

Files are decoded in processes of their own, since what is looked for are crashes of native libraries, too.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if sys.platform == "win32":
    pytest.skip("processes are looked into in another way there", allow_module_level=True)

from gpustack.batching.ledger import Ledger
from gpustack.batching.shelf import Folder
from gpustack.engine.price import PROGRESSIVE_FACTOR
from gpustack.errors import GpustackError
from gpustack.io.journal import Journal
from gpustack.io.manifest import SETTINGS, Entry, read_manifest, write_manifest
from gpustack.io.parts import DamagedError
from gpustack.io.sidecar import read_sidecar
from gpustack.io.transforms import load_transforms, save_transforms
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.place import Place
from gpustack.model.stack import Stack
from gpustack.model.transform import Transform
from tests.io import fuzzing, seeds
from tests.io.bombs import BOMBS
from tests.io.fuzzing import MIB, MOST_CPU_S, Fate, Reader
from tests.io.mutations import Mutation, mutations, summed
from tests.io.test_sidecar import made as sidecar

MOST_GROWN = 128 * MIB
"""What reading a small file may take. A byte stands for 1,400 bytes of a picture at most, and decoding may
hold it three times; the files here have 25 KB at most."""

SEEDS: dict[str, Callable[[Path], Sequence[bytes]]] = {
    "jpeg": lambda _: seeds.jpegs(),
    "png": lambda _: seeds.pngs(),
    "tiff": lambda _: seeds.tiffs(),
    "dng": seeds.dngs,
    "others": seeds.others,
}
CASES = {"jpeg": 600, "png": 600, "tiff": 700, "dng": 300, "others": 500}
USUAL = 40
"""Examples of other tests, as tests/conftest.py has it."""

TEXTS = 250
"""Cases of each format of text."""


def thorough(count: int) -> settings:
    """So many cases, always the same ones; where EX asks for others, so many times as many as it is more than
    the usual ones, other ones each time."""
    more = int(os.environ.get("EX", "0")) // USUAL
    return settings(max_examples=count * max(1, more), database=None)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with fuzzing.reader(tmp_path_factory.mktemp("cases")) as made:
        yield made


def assert_survived(fate: Fate) -> None:
    assert not fate.broken, fate.broken
    assert fate.seconds < MOST_CPU_S
    assert fate.grown < MOST_GROWN


@pytest.mark.slow
@pytest.mark.parametrize("kind", SEEDS)
def test_damaged_pictures_are_read_or_refused(kind: str, reader: Reader, tmp_path: Path) -> None:
    sound = SEEDS[kind](tmp_path)
    fates = [reader.read(each) for each in sound]
    assert not any(fate.said or fate.broken for fate in fates), fates

    @thorough(CASES[kind])
    @given(seed=st.sampled_from(range(len(sound))), changes=mutations(), mended=st.booleans())
    def damage(seed: int, changes: list[Mutation], mended: bool) -> None:
        data = bytearray(sound[seed])
        for change in changes:
            change(data)
        content = summed(bytes(data)) if mended and kind == "png" else bytes(data)
        fates.append(reader.read(content))
        assert_survived(fates[-1])

    damage()
    assert sum(not fate.said for fate in fates[len(sound) :]) > 10, "nothing but headers was damaged"
    assert sum(bool(fate.said) for fate in fates) > len(fates) / 4, "hardly anything was damaged"


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.__name__)
def test_what_claims_too_much_is_refused_before_memory_is_taken(
    bomb: Callable[[], bytes], reader: Reader
) -> None:
    fate = reader.read(bomb())
    assert not fate.broken, fate.broken
    assert fate.seconds < 1
    assert fate.grown < 32 * MIB
    assert fate.said or bomb.__name__ in ("deep_xmp", "profile_bomb"), "the pixels of these two are sound"


@pytest.mark.slow
def test_files_that_broke_others_are_read_or_refused(data: Path, reader: Reader) -> None:
    for path in sorted((data / "hostile").iterdir()):
        fate = reader.read(path.read_bytes())
        assert not fate.broken, f"{path.name}: {fate.broken}"
        assert fate.seconds < MOST_CPU_S
        assert fate.grown < MOST_GROWN


def _manifest(folder: Path) -> bytes:
    entries = [
        Entry("beetle", ("b_*.jpg", "@list.txt"), {"align": "none", "radius": 2.5, "strip-gps": True}),
        Entry("leaf", ("/far/leaf",)),
    ]
    write_manifest(folder / "seed.toml", entries, overwrite=True)
    return (folder / "seed.toml").read_bytes()


STACK = Stack(
    tuple(Frame(Path(f"{n}.png"), 40, 30, 3, PixelType.UINT8, Kind.PNG, orientation=1) for n in range(3))
)


def _transforms(folder: Path) -> bytes:
    places = [Place(Transform.identity()) for _ in STACK]
    save_transforms(folder / "seed.json", STACK, 1, places, overwrite=True)
    return (folder / "seed.json").read_bytes()


def _sidecar(_: Path) -> bytes:
    return json.dumps(sidecar().as_dict()).encode()


def _journal(_: Path) -> bytes:
    parts = {
        "survey": {"file": "survey-1.part.npz", "number": 1},
        "auto": {"file": "a.part.npz", "number": 2},
    }
    return json.dumps({"format": 1, "run": {"inputs": ["a.jpg"]}, "parts": parts}).encode()


def _ledger(_: Path) -> bytes:
    row = {"name": "a", "key": "k", "output": "a.tif", "size": 3, "mtime_ns": 7, "error": None}
    return b"".join(json.dumps(row | {"name": name}).encode() + b"\n" for name in "abc")


def _read_manifest(path: Path) -> None:
    for entry in read_manifest(path):
        assert Path(entry.name).name == entry.name
        assert entry.name not in ("", ".", "..")
        assert set(entry.settings) <= SETTINGS
        assert not any(word.startswith("-") for word in entry.options if not word.startswith("--"))


def _read_transforms(path: Path) -> None:
    assert len(load_transforms(path, STACK)) == 3


def _read_ledger(path: Path) -> None:
    path.replace(path.with_name("gpustack-ledger.jsonl"))
    shelf = Folder(path.parent)
    ledger = Ledger(shelf)
    for name in "abc":
        line = ledger.last(name)
        assert line is None or line.made(shelf) in (True, False)


def _read_sidecar(path: Path) -> None:
    assert read_sidecar(path).outputs["picture"].file


def _read_journal(path: Path) -> None:
    folder = path.with_name("a.checkpoint")
    folder.mkdir(exist_ok=True)
    path.replace(folder / "journal.json")
    journal = Journal(folder)
    for name in journal.parts:
        with suppress(DamagedError), journal.read(name):
            pytest.fail("no part is there")
    journal.remove()


TEXT: dict[str, tuple[Callable[[Path], bytes], Callable[[Path], None]]] = {
    "manifest": (_manifest, _read_manifest),
    "transforms": (_transforms, _read_transforms),
    "sidecar": (_sidecar, _read_sidecar),
    "journal": (_journal, _read_journal),
    "ledger": (_ledger, _read_ledger),
}


@pytest.mark.parametrize("kind", TEXT)
def test_damaged_text_is_read_or_refused(kind: str, tmp_path: Path) -> None:
    write, read = TEXT[kind]
    seed, path, refused = write(tmp_path), tmp_path / "case", []

    @thorough(TEXTS)
    @given(changes=mutations(), words=st.lists(_swaps, max_size=2))
    def damage(changes: list[Mutation], words: list[tuple[str, str]]) -> None:
        data = bytearray(seed)
        for old, new in words:
            data = data.replace(old.encode(), new.encode())
        for change in changes if len(words) < 2 else ():
            change(data)
        path.write_bytes(data)
        try:
            read(path)
        except GpustackError as error:
            refused.append(error.message)

    damage()
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in refused)
    assert refused or kind == "ledger", "a ledger has what is sound of it, and never refuses"


_swaps = st.tuples(
    st.sampled_from(["beetle", "2.5", "1.0", "0.0", "true", "null", "[", '"a"', "b_*.jpg", "width", "3"]),
    st.sampled_from(
        [
            "../x",
            "/etc/x",
            "a/b",
            "NaN",
            "1e999",
            "-1",
            "[]",
            "{}",
            '""',
            "null",
            "1" * 5000,
            "[" * 5000,
            "\0",
        ]
    ),
)


def test_a_progressive_picture_takes_what_the_plan_reckons_with(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (1500, 2000, 3), np.uint8)
    wishes = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_QUALITY, 75]
    wishes += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    data = cv2.imencode(".jpg", pixels, wishes)[1].tobytes()
    with fuzzing.reader(tmp_path) as fresh:  # one that has not yet memory of its own to give
        fresh.read(seeds.jpegs()[0])
        fate = fresh.read(data)
    assert (fate.said, fate.broken) == ("", "")
    assert 2 < fate.grown / pixels.nbytes - 1 < PROGRESSIVE_FACTOR, "besides the result"
