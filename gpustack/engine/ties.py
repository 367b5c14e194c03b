"""What is told of the links between frames."""

from __future__ import annotations

import numpy as np

from gpustack.align.solve import Edge, Solution, around_px
from gpustack.model.place import Tie


def ties(solution: Solution, index: int, size: tuple[int, int], factor: int) -> tuple[Tie, ...]:
    """The links of a frame to those before it; `size` is that of the planes, (width, height), which are
    `factor` times smaller than the frame."""
    by = {(edge.here, edge.there): edge for edge in solution.edges}
    return tuple(_tie(edge, by, size, factor) for edge in solution.edges if edge.there == index)


def _tie(edge: Edge, by: dict[tuple[int, int], Edge], size: tuple[int, int], factor: int) -> Tie:
    half = (edge.here + edge.there) // 2
    way = [by.get((edge.here, half)), by.get((half, edge.there))]
    trusted = [part for part in (*way, edge) if part is not None and part.link.trusted]
    loop = around_px(*trusted, size=size) * factor if len(trusted) == 3 else None
    residual = edge.residual_px * factor if edge.link.trusted and np.isfinite(edge.residual_px) else None
    return Tie(edge.here, edge.link.confidence, edge.link.trusted, residual, loop)
