"""Loops over rows of pixels: blur, the expansion of a coarser plane, luma, curvature.

Rows are (w,) float32, contiguous. What blurs along a column keeps the rows that it still needs in a ring, (n,
w) with n a power of two: a band then streams through the cache, whatever its height.
"""

from __future__ import annotations

from typing import Any

from gpustack.backend.fast.arrays import Array, Planes
from gpustack.backend.fast.compiled import F, compiled

_RED, _GREEN, _BLUE = F(0.299), F(0.587), F(0.114)
_FOUR, _SIX, _SIXTY_FOURTH, _SIXTEENTH = F(4), F(6), F(1 / 64), F(1 / 16)


@compiled
def plane_row(planes: Planes, c: int, y: int) -> Array:
    """Row `y` of plane `c`."""
    start = c * planes.step + y * planes.width
    return planes.flat[start : start + planes.width]


@compiled
def reflect(at: int, count: int) -> int:
    """A place beyond the ends, mirrored without repeating them."""
    while at < 0 or at >= count:
        if count == 1:
            return 0
        at = -at if at < 0 else 2 * count - 2 - at
    return at


@compiled
def mirror(row: Array, count: int, reach: int) -> None:
    """Fill the `reach` places before and behind the `count` values of a row."""
    for k in range(1, reach + 1):
        row[reach - k] = row[reach + reflect(-k, count)]
        row[reach + count - 1 + k] = row[reach + reflect(count - 1 + k, count)]


@compiled
def three_more(out: Array, pairs: tuple[Array, ...], taps: Array) -> None:
    """Add three pairs of rows to `out`, each times its tap."""
    a, b, c, d, e, f = pairs
    first, second, third = taps[0], taps[1], taps[2]
    for x in range(out.size):
        out[x] = ((out[x] + (a[x] + b[x]) * first) + (c[x] + d[x]) * second) + (e[x] + f[x]) * third


@compiled
def one_more(out: Array, before: Array, behind: Array, tap: Any) -> None:
    """Add a pair of rows to `out`, times its tap."""
    for x in range(out.size):
        out[x] += (before[x] + behind[x]) * tap


@compiled
def across(row: Array, taps: Array, out: Array) -> None:
    """Blur along a row that `mirror` has filled; `taps` (reach + 1,) from the middle on."""
    n, reach = out.size, taps.size - 1
    middle = row[reach : reach + n]
    for x in range(n):
        out[x] = middle[x] * taps[0]
    k = 1
    while k + 2 <= reach:
        pairs = (
            row[reach - k : reach - k + n],
            row[reach + k : reach + k + n],
            row[reach - k - 1 : reach - k - 1 + n],
            row[reach + k + 1 : reach + k + 1 + n],
            row[reach - k - 2 : reach - k - 2 + n],
            row[reach + k + 2 : reach + k + 2 + n],
        )
        three_more(out, pairs, taps[k : k + 3])
        k += 3
    while k <= reach:
        one_more(out, row[reach - k : reach - k + n], row[reach + k : reach + k + n], taps[k])
        k += 1


@compiled
def down(ring: Array, y: int, height: int, taps: Array, out: Array) -> None:
    """Blur along the columns: row `y` of a plane of `height` rows, which lie in the ring."""
    reach, last = taps.size - 1, len(ring) - 1
    middle = ring[y & last]
    for x in range(out.size):
        out[x] = middle[x] * taps[0]
    k = 1
    while k + 2 <= reach:
        pairs = (
            ring[reflect(y - k, height) & last],
            ring[reflect(y + k, height) & last],
            ring[reflect(y - k - 1, height) & last],
            ring[reflect(y + k + 1, height) & last],
            ring[reflect(y - k - 2, height) & last],
            ring[reflect(y + k + 2, height) & last],
        )
        three_more(out, pairs, taps[k : k + 3])
        k += 3
    while k <= reach:
        one_more(out, ring[reflect(y - k, height) & last], ring[reflect(y + k, height) & last], taps[k])
        k += 1


@compiled
def expanded(coarse: Planes, c: int, y: int, line: Array, out: Array) -> None:
    """Row `y` of plane `c` at twice its size, as `filters.expand`; `line` is room for a coarse row and 2."""
    n = coarse.width
    rows = (coarse.flat.size - (coarse.channels - 1) * coarse.step) // n
    here, below = plane_row(coarse, c, y // 2), plane_row(coarse, c, min(y // 2 + 1, rows - 1))
    inner = line[1 : n + 1]
    if y % 2:
        for x in range(n):
            inner[x] = (here[x] + below[x]) * _SIXTEENTH
    else:
        above = plane_row(coarse, c, y // 2 - 1 if y else min(1, rows - 1))
        for x in range(n):
            inner[x] = ((above[x] + below[x]) + here[x] * _SIX) * _SIXTY_FOURTH
    line[0], line[n + 1] = inner[min(1, n - 1)], inner[n - 1]
    left, right = line[:n], line[2 : n + 2]
    for x in range(out.size // 2):
        out[2 * x] = (left[x] + right[x]) + inner[x] * _SIX
        out[2 * x + 1] = (inner[x] + right[x]) * _FOUR
    if out.size % 2:
        out[-1] = (left[n - 1] + right[n - 1]) + inner[n - 1] * _SIX


@compiled
def luma(red: Array, green: Array, blue: Array, out: Array) -> None:
    """Luma of three rows, as `filters.luma`."""
    for x in range(out.size):
        out[x] = (red[x] * _RED + green[x] * _GREEN) + blue[x] * _BLUE


@compiled
def curvature(plane: Array, y: int, scale: Any, out: Array) -> None:
    """Row `y` of a plane's squared Laplacian, which is scaled before it is squared."""
    rows, n = plane.shape
    above, here, below = plane[reflect(y - 1, rows)], plane[y], plane[reflect(y + 1, rows)]
    left, right = here[: n - 2], here[2:]
    for x in range(n - 2):
        sides = (above[x + 1] + below[x + 1]) + (left[x] + right[x])
        curved = (sides - _FOUR * here[x + 1]) * scale
        out[x + 1] = curved * curved
    for x in (0, n - 1):
        sides = (above[x] + below[x]) + (here[reflect(x - 1, n)] + here[reflect(x + 1, n)])
        curved = (sides - _FOUR * here[x]) * scale
        out[x] = curved * curved
