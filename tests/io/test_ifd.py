"""TIFF directories: what is laid out is read back, and no damage costs more than the damaged entry."""

from __future__ import annotations

import struct
import tracemalloc
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpustack.io.ifd import READ_BUDGET, Entry, Header, lay_out, read_directory, read_header

WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 129: 1}


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    kind = draw(st.sampled_from(sorted(WIDTHS)))
    count = draw(st.integers(1, 9))
    size = count * WIDTHS[kind]
    return Entry(draw(st.integers(0, 65535)), kind, draw(st.binary(min_size=size, max_size=size)))


@given(st.lists(entries(), max_size=20, unique_by=lambda e: e.tag), st.booleans(), st.integers(4, 50))
def test_what_is_laid_out_is_read_back(tags: list[Entry], big: bool, half_offset: int) -> None:
    offset = 2 * half_offset
    data = bytes(offset) + lay_out(tags, offset, big=big)
    found, following = read_directory(BytesIO(data), Header("<", big, offset, len(data)), offset)
    assert list(found.values()) == sorted(tags, key=lambda e: e.tag)
    assert following == 0
    assert len(data) % 2 == 0


def big_endian(rows: list[tuple[int, int, int, bytes]], tail: bytes = b"", following: int = 0) -> bytes:
    table = b"".join(struct.pack(">HHI", *row[:3]) + row[3].ljust(4, b"\0") for row in rows)
    return b"MM\0\x2a" + struct.pack(">IH", 8, len(rows)) + table + struct.pack(">I", following) + tail


def read(data: bytes, budget: int = READ_BUDGET) -> tuple[dict[int, Entry], int]:
    header = read_header(BytesIO(data))
    assert header is not None
    return read_directory(BytesIO(data), header, header.first, budget)


def test_big_endian_values_become_little_endian() -> None:
    rows = [
        (256, 3, 2, struct.pack(">HH", 1, 2)),
        (282, 5, 1, struct.pack(">I", 8 + 2 + 3 * 12 + 4)),
        (315, 2, 3, b"ab\0"),
    ]
    found, following = read(big_endian(rows, struct.pack(">II", 300, 7), following=77))
    assert found[256] == Entry(256, 3, struct.pack("<HH", 1, 2))
    assert found[282].numbers == (300, 7)
    assert found[282].count == 1
    assert found[315].data == b"ab\0"
    assert following == 77


def test_only_the_broken_entry_is_left_out() -> None:
    sound = (271, 2, 4, b"abc\0")
    broken = [
        (300, 99, 1, b""),  # no such type
        (301, 2, 0, b""),  # no value
        (302, 2, 5, struct.pack(">I", 1 << 20)),  # beyond the end
        (303, 12, 0xFFFFFFFF, struct.pack(">I", 8)),  # more than the budget
        (271, 2, 4, b"xyz\0"),  # the same tag again
    ]
    found, _ = read(big_endian([sound, *broken, (315, 3, 1, b"\0\7")]))
    assert sorted(found) == [271, 315]
    assert found[271].data == b"abc\0"


def test_a_table_that_is_cut_short_gives_its_whole_rows() -> None:
    data = big_endian([(271, 2, 4, b"abc\0"), (272, 2, 4, b"def\0")])
    found, following = read(data[: 8 + 2 + 12 + 5])
    assert list(found) == [271]
    assert following == 0


def test_values_that_overlap_are_paid_one_by_one() -> None:
    rows = [(tag, 1, 60_000, struct.pack(">I", 8)) for tag in range(1000)]
    data = big_endian(rows, bytes(60_000))
    tracemalloc.start()
    found, _ = read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == READ_BUDGET // 60_000
    assert peak < 2 * READ_BUDGET


@pytest.mark.parametrize(
    "data", [b"", b"II", b"II\x2a\0", b"XX\x2a\0\0\0\0\0", b"II\x2b\0\0\0\0\0", b"MM\x2a\0aaaa"]
)
def test_no_header(data: bytes) -> None:
    assert read_header(BytesIO(data)) is None


def test_a_directory_beyond_the_end_is_empty() -> None:
    header = Header("<", True, 2**63 + 5, 16)
    assert read_directory(BytesIO(bytes(16)), header, header.first) == ({}, 0)
