"""Where a frame lies against the reference, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

from gpustack.model.transform import Transform


@dataclass(frozen=True, slots=True)
class Tie:
    """How a frame was matched with one before it, `to`, and how well that agrees with the others.

    `used` is False where the match is not trusted. `residual_px` is its disagreement with the transforms of
    the whole stack, None where one of the frames is out of reach; `loop_px` that with the way by the frame
    halfway between, None where there is none. Root mean squares over the corners, in pixels of the frame.
    """

    to: int
    confidence: float
    used: bool
    residual_px: float | None = None
    loop_px: float | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A frame's transform (reference pixels to frame pixels), and what is known of it.

    `used` is False for a frame that takes no part in the picture: one that could not be aligned, or that is
    `shaken`, blurred all over by a movement of the camera; `confidence` is
    the best correlation of its links to other frames, 1 for the reference; `residual_px` is the largest
    disagreement of its trusted links with the transforms of the whole stack, in pixels of the frame.
    `in_series` is False for a frame that is not used and that the focus did not move on with: the frames
    beside it are neighbours. `links` are those to frames before it.
    """

    transform: Transform
    used: bool = True
    confidence: float = 1.0
    residual_px: float = 0.0
    shaken: bool = False
    in_series: bool = True
    links: tuple[Tie, ...] = ()
