"""What goes wrong with files: bits, bytes and numbers that are others, more, fewer, or gone."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Mutation = Callable[[bytearray], None]
_NUMBERS = (0, 1, 2, 3, 7, 8, 255, 256, 4096, 65_500, 65_535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def mutations() -> st.SearchStrategy[list[Mutation]]:
    """A few things that go wrong with a file, most of them near its beginning, where the headers are."""
    where = st.tuples(st.sampled_from([64, 256, 1024, 1 << 30]), st.integers(0, 1 << 20))
    return st.lists(
        st.one_of(
            st.builds(_flipped, where, st.integers(0, 7)),
            st.builds(_written, where, st.binary(min_size=1, max_size=8)),
            st.builds(
                _numbered, where, st.sampled_from(_NUMBERS), st.sampled_from([2, 4, 8]),
                st.sampled_from(["little", "big"]),
            ),
            st.builds(_inserted, where, st.binary(min_size=1, max_size=16)),
            st.builds(_removed, where, st.integers(1, 64)),
            st.builds(_repeated, where, st.integers(1, 200), st.integers(1, 40)),
            st.builds(_cut, where),
        ),
        min_size=1, max_size=6,
    )  # fmt: skip


Where = tuple[int, int]


def _at(data: bytearray, where: Where) -> int:
    return where[1] % max(1, min(where[0], len(data)))


def _flipped(where: Where, bit: int) -> Mutation:
    def change(data: bytearray) -> None:
        if data:
            data[_at(data, where)] ^= 1 << bit

    return change


def _written(where: Where, content: bytes) -> Mutation:
    def change(data: bytearray) -> None:
        at = _at(data, where)
        data[at : at + len(content)] = content

    return change


def _numbered(where: Where, number: int, width: int, order: Any) -> Mutation:
    return _written(where, (number % 2 ** (8 * width)).to_bytes(width, order))


def _inserted(where: Where, content: bytes) -> Mutation:
    def change(data: bytearray) -> None:
        at = _at(data, where)
        data[at:at] = content

    return change


def _removed(where: Where, count: int) -> Mutation:
    def change(data: bytearray) -> None:
        at = _at(data, where)
        del data[at : at + count]

    return change


def _repeated(where: Where, count: int, times: int) -> Mutation:
    def change(data: bytearray) -> None:
        at = _at(data, where)
        data[at:at] = data[at : at + count] * times

    return change


def _cut(where: Where) -> Mutation:
    def change(data: bytearray) -> None:
        del data[_at(data, where) :]

    return change


def summed(data: bytes) -> bytes:
    """A PNG file with the checksums that its chunks should have, so that damage is not seen by them."""
    done, at = bytearray(data[:8]), 8
    while at + 8 <= len(data):
        stop = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if stop > len(data):
            break
        done += data[at:stop] + zlib.crc32(data[at + 4 : stop]).to_bytes(4, "big")
        at = stop + 4
    return bytes(done) + data[at:]
