"""One channel of a layer, compressed as Photoshop does: 8 bits by runs, 16 bits by deflate after
prediction.

Planes are worked on in strips of rows, several at a time, and written in order: no copy of a plane is made.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import Any, BinaryIO, TypeVar

import imagecodecs
import numpy as np
import numpy.typing as npt

from gpustack.io.psd.form import Form, patch

T = TypeVar("T")
Plane = npt.NDArray[Any]

RAW, RUNS, PREDICTED = 0, 1, 3
"""The ways of compression by number, as the specification has them."""

STRIP_PIXELS = 1 << 20
"""Pixels of a strip: some ten milliseconds of work, and a few megabytes for each at work."""

LEVEL = 1
"""Of deflate: after prediction of photographs, higher levels take several times as long for 2 % less."""

MOST_GROWTH = 1.02
"""Compressed noise is larger than it was, by less than this."""


class Packer:
    """Compresses planes (h, w) into a file, on the threads of a pool; samples have `depth` bits, 8 or 16."""

    def __init__(self, file: BinaryIO, form: Form, depth: int, pool: Executor, threads: int) -> None:
        self._file, self._form, self._depth = file, form, depth
        self._pool, self._ahead = pool, threads + 1

    def write(self, plane: Plane) -> int:
        """One channel of a layer; returns its bytes, the mark of the compression included."""
        start = self._file.tell()
        if self._depth == 8:
            self._file.write(self._form.pack("H", RUNS))
            self._runs([plane])
        else:
            self._file.write(self._form.pack("H", PREDICTED))
            self._predicted(plane)
        return self._file.tell() - start

    def write_merged(self, planes: list[Plane]) -> None:
        """The picture without layers, at the end of a PSD file: 16 bits as they are, as few readers take
        deflate there."""
        if self._depth == 8:
            self._file.write(self._form.pack("H", RUNS))
            self._runs(planes)
            return
        self._file.write(self._form.pack("H", RAW))
        for plane in planes:
            for rows in _strips(plane):
                self._file.write(self._samples(plane[rows]).astype(">u2").tobytes())

    def _runs(self, planes: list[Plane]) -> None:
        """The lengths of all rows of all planes, then the rows (PackBits, one by one)."""
        code = "I" if self._form.wide else "H"
        table, rows = self._file.tell(), sum(len(plane) for plane in planes)
        self._file.write(bytes(rows * (4 if self._form.wide else 2)))
        lengths: list[int] = []
        for plane in planes:
            for packed in self._in_order(_packbits, [self._samples(plane[part]) for part in _strips(plane)]):
                lengths += [len(row) for row in packed]
                self._file.writelines(packed)
        patch(self._file, table, self._form.pack(f"{rows}{code}", *lengths))

    def _predicted(self, plane: Plane) -> None:
        """One zlib stream of the differences to the left, in pieces that end on a byte."""

        def work(part: Plane) -> tuple[bytes, bytes]:
            differences = self._differences(self._samples(part))
            packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
            return differences, packer.compress(differences) + packer.flush(zlib.Z_FULL_FLUSH)

        check = 1
        self._file.write(b"\x78\x01")
        for differences, piece in self._in_order(work, [plane[part] for part in _strips(plane)]):
            check = zlib.adler32(differences, check)
            self._file.write(piece)
        self._file.write(b"\x03\x00" + check.to_bytes(4, "big"))  # an empty last piece

    def _differences(self, samples: Plane) -> bytes:
        out = samples.copy()
        out[:, 1:] -= samples[:, :-1]
        return out.astype(">u2").tobytes()

    def _samples(self, part: Plane) -> Plane:
        """Masks are 8 bits: 255 is all in any depth."""
        if self._depth == 16 and part.dtype == np.uint8:
            return part.astype(np.uint16) * np.uint16(257)
        return part

    def _in_order(self, work: Callable[[Plane], T], items: list[Plane]) -> Iterator[T]:
        """What work makes of items, a few of them ahead."""
        coming: deque[Future[T]] = deque()
        for item in items:
            coming.append(self._pool.submit(work, item))
            if len(coming) > self._ahead:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _packbits(part: Plane) -> list[bytes]:
    return [bytes(imagecodecs.packbits_encode(row)) for row in np.ascontiguousarray(part)]


def _strips(plane: Plane) -> Iterator[slice]:
    rows = max(1, STRIP_PIXELS // plane.shape[1])
    return (slice(first, first + rows) for first in range(0, len(plane), rows))
