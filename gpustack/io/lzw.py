"""Whether LZW data can be given to a decoder that trusts them.

Source: TIFF 6.0, section 13. The decoder of imagecodecs does not look at the first code after the table was
cleared: where that is no plain byte, it follows an entry of the table that is not there, and takes the
process along. All else that may be wrong it notices.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_CLEAR, _END = 256, 257
_FIRST_FREE = 258
_WIDER_AT = ((511, 9), (1023, 10), (2047, 11))
"""Entries of the table below which codes have so many bits; then they have 12."""

_MOST_ENTRIES = 5120
"""Entries at which decoding ends with an error at the latest."""


def _widths() -> npt.NDArray[np.int64]:
    """Bits of the codes after one that clears the table; the second of them adds the first entry."""
    sizes = [_FIRST_FREE, *range(_FIRST_FREE, _MOST_ENTRIES)]
    return np.array([next((bits for below, bits in _WIDER_AT if size < below), 12) for size in sizes])


_WIDTHS = _widths()
_STOPS = np.cumsum(_WIDTHS)
_MASKS = ((1 << _WIDTHS) - 1).astype(np.uint32)
# For each of the eight bits at which the run may begin within a byte: where the word of 24 bits begins that
# holds a code, and by how many bits the code lies above the word's end.
_BYTES = [(begin + _STOPS - _WIDTHS) >> 3 for begin in range(8)]
_SHIFTS = [(24 - _WIDTHS - (begin + _STOPS - _WIDTHS) % 8).astype(np.uint32) for begin in range(8)]

_SPAN = int(_STOPS[-1]) // 8 + 5
"""Bytes of a whole run, and of the word that holds its last code."""


def is_sound(data: bytes) -> bool:
    """Whether LZW data begin as TIFF's do, and each code that follows a clearing one is a plain byte, another
    clearing one, or the end.

    The old kind, whose bits lie the other way round, does not count as sound. On one core 14 MB of data take
    51 ms, where decoding them takes 113.
    """
    if len(data) < 2 or data[0] != 0x80 or data[1] & 0x80:
        return False
    padded, bits, at = data + bytes(4), 8 * len(data), 9
    while True:
        codes = _run(padded, bits, at)
        if len(codes) and codes[0] > _END:
            return False
        marks = np.flatnonzero((codes >> 1) == _CLEAR >> 1)
        if not len(marks) or codes[marks[0]] == _END:
            return True
        at += int(_STOPS[marks[0]])


def _run(padded: bytes, bits: int, at: int) -> npt.NDArray[np.uint32]:
    """The codes from bit `at` on, as if none of them cleared the table."""
    whole = at + int(_STOPS[-1]) <= bits
    count = len(_STOPS) if whole else int(np.searchsorted(_STOPS, bits - at, "right"))
    first, begin = at >> 3, at & 7
    data = np.frombuffer(padded, np.uint8)[first : first + _SPAN].astype(np.uint32)
    words = data[:-2] << 16
    words |= data[1:-1] << 8
    words |= data[2:]
    codes = words.take(_BYTES[begin][:count])
    codes >>= _SHIFTS[begin][:count]
    codes &= _MASKS[:count]
    return np.asarray(codes, np.uint32)
