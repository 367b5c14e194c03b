"""Loops over rows of pixels: blur, the expansion of a coarser plane, luma, curvature.

Rows are (w,) float32, contiguous. What blurs along a column keeps the rows that it still needs in a ring of a
power of two of them, one behind the other: a band then streams through the cache, whatever its height.
"""

from __future__ import annotations

from typing import Any

from gpustack.backend.fast.arrays import Array, Planes, Ring
from gpustack.backend.fast.compiled import F, compiled

_RED, _GREEN, _BLUE = F(0.299), F(0.587), F(0.114)
_FOUR, _SIX, _SIXTY_FOURTH, _SIXTEENTH = F(4), F(6), F(1 / 64), F(1 / 16)


@compiled
def line_of(flat: Array, y: int, n: int) -> Array:
    """Row `y` of a plane whose rows of `n` lie one behind the other."""
    return flat[y * n : y * n + n]


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
def line_near(flat: Array, n: int, ring: Ring, k: int) -> Array:
    """The row `k` places from the one that is blurred: lower down in a ring, or further on in the row."""
    start = (reflect(ring.y + k, ring.height) & ring.last) * n if ring.height else ring.y + k
    return flat[start : start + n]


@compiled
def times(middle: Array, tap: Any, out: Array) -> None:
    """A row times its tap."""
    for x in range(out.size):
        out[x] = middle[x] * tap


@compiled
def one_more(out: Array, before: Array, behind: Array, tap: Any) -> None:
    """Add a pair of rows to `out`, times its tap."""
    for x in range(out.size):
        out[x] += (before[x] + behind[x]) * tap


@compiled
def first_three(middle: Array, pairs: tuple[Array, ...], taps: Array, out: Array) -> None:
    """A row and three pairs of rows around it, each times its tap."""
    a, b, c, d, e, f = pairs
    own, first, second, third = taps[0], taps[1], taps[2], taps[3]
    for x in range(out.size):
        level = middle[x] * own + (a[x] + b[x]) * first
        out[x] = (level + (c[x] + d[x]) * second) + (e[x] + f[x]) * third


@compiled
def first_five(middle: Array, pairs: tuple[Array, ...], taps: Array, out: Array) -> None:
    """The same with five pairs."""
    a, b, c, d, e, f, g, h, i, j = pairs
    own, first, second, third, fourth, fifth = taps[0], taps[1], taps[2], taps[3], taps[4], taps[5]
    for x in range(out.size):
        level = middle[x] * own + (a[x] + b[x]) * first
        level = (level + (c[x] + d[x]) * second) + (e[x] + f[x]) * third
        out[x] = (level + (g[x] + h[x]) * fourth) + (i[x] + j[x]) * fifth


@compiled
def blurred(flat: Array, n: int, ring: Ring, taps: Array, out: Array) -> None:
    """A row and those around it, each times its tap; `taps` (reach + 1,) from the middle on."""
    reach, done = taps.size - 1, 0
    middle = line_near(flat, n, ring, 0)
    three = reach >= 3
    pairs = (
        line_near(flat, n, ring, -1),
        line_near(flat, n, ring, 1),
        line_near(flat, n, ring, -2 if three else 0),
        line_near(flat, n, ring, 2 if three else 0),
        line_near(flat, n, ring, -3 if three else 0),
        line_near(flat, n, ring, 3 if three else 0),
    )
    if reach >= 5:
        more = (
            line_near(flat, n, ring, -4),
            line_near(flat, n, ring, 4),
            line_near(flat, n, ring, -5),
            line_near(flat, n, ring, 5),
        )
        first_five(middle, pairs + more, taps, out)
        done = 5
    elif three:
        first_three(middle, pairs, taps, out)
        done = 3
    else:
        times(middle, taps[0], out)
    for k in range(done + 1, reach + 1):
        one_more(out, line_near(flat, n, ring, -k), line_near(flat, n, ring, k), taps[k])


@compiled
def across(row: Array, taps: Array, out: Array) -> None:
    """Blur along a row that `mirror` has filled."""
    blurred(row, out.size, Ring(taps.size - 1, 0, 0), taps, out)


@compiled
def down(ring: Array, y: int, height: int, last: int, taps: Array, out: Array) -> None:
    """Blur along the columns: row `y` of a plane of `height` rows, which lie in a ring of `last` + 1."""
    blurred(ring, out.size, Ring(y, height, last), taps, out)


@compiled
def expanded(coarse: Planes, c: int, y: int, line: Array, out: Array) -> None:
    """Row `y` of plane `c` at twice its size, as `filters.expand`; `line` is room for a coarse row and 2."""
    n, rows = coarse.width, coarse.height
    here, below = plane_row(coarse, c, y // 2), plane_row(coarse, c, min(y // 2 + 1, rows - 1))
    if y % 2:
        half_way(here, below, line)
    else:
        above = plane_row(coarse, c, y // 2 - 1 if y else min(1, rows - 1))
        at_a_row(above, here, below, line)
    line[0], line[n + 1] = line[min(2, n)], line[n]
    twice(line, n, out)


@compiled
def half_way(here: Array, below: Array, line: Array) -> None:
    """A coarse row half way between two, in `line` from its second place on."""
    for x in range(here.size):
        line[x + 1] = (here[x] + below[x]) * _SIXTEENTH


@compiled
def at_a_row(above: Array, here: Array, below: Array, line: Array) -> None:
    """The same at one of them."""
    for x in range(here.size):
        line[x + 1] = ((above[x] + below[x]) + here[x] * _SIX) * _SIXTY_FOURTH


@compiled
def twice(line: Array, n: int, out: Array) -> None:
    """A row of `n` values between two more, at twice its size."""
    for x in range(out.size // 2):
        left, here, right = line[x], line[x + 1], line[x + 2]
        out[2 * x] = (left + right) + here * _SIX
        out[2 * x + 1] = (here + right) * _FOUR
    if out.size % 2:
        out[out.size - 1] = (line[n - 1] + line[n + 1]) + line[n] * _SIX


@compiled
def luma(red: Array, green: Array, blue: Array, out: Array) -> None:
    """Luma of three rows, as `filters.luma`."""
    for x in range(out.size):
        out[x] = (red[x] * _RED + green[x] * _GREEN) + blue[x] * _BLUE


@compiled
def copied(row: Array, out: Array) -> None:
    """A row as it is."""
    for x in range(out.size):
        out[x] = row[x]


@compiled
def lit(image: Planes, y: int, out: Array) -> None:
    """The luma of row `y` of an image."""
    if image.channels < 3:
        copied(plane_row(image, 0, y), out)
    else:
        luma(plane_row(image, 0, y), plane_row(image, 1, y), plane_row(image, 2, y), out)


@compiled
def curvature(plane: Array, height: int, y: int, scale: Any, out: Array) -> None:
    """Row `y` of a plane's squared Laplacian, which is scaled before it is squared."""
    n = out.size
    above, below = line_of(plane, reflect(y - 1, height), n), line_of(plane, reflect(y + 1, height), n)
    here = line_of(plane, y, n)
    curved_within(above, here, below, scale, out)
    for x in (0, n - 1):
        sides = (above[x] + below[x]) + (here[reflect(x - 1, n)] + here[reflect(x + 1, n)])
        curved = (sides - _FOUR * here[x]) * scale
        out[x] = curved * curved


@compiled
def curved_within(above: Array, here: Array, below: Array, scale: Any, out: Array) -> None:
    """The same of all but the ends of a row."""
    for x in range(1, out.size - 1):
        sides = (above[x] + below[x]) + (here[x - 1] + here[x + 1])
        curved = (sides - _FOUR * here[x]) * scale
        out[x] = curved * curved
