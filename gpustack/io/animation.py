"""Short animations without end: GIF, WebP and APNG, as the name ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

from gpustack.errors import WriteError

ANIMATION_ENDINGS = (".gif", ".webp", ".apng")
_QUALITY = 90


def write_animation(
    file: BinaryIO, views: Sequence[npt.NDArray[np.uint8]], seconds: float, ending: str
) -> None:
    """Write views (h, w, 3) RGB of one size that together take `seconds`; `ending` is one of
    ANIMATION_ENDINGS."""
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(view, cv2.COLOR_RGB2BGRA) for view in views]
    animation.durations = [round(1000 * seconds / len(views))] * len(views)
    options: list[Any] = [cv2.IMWRITE_WEBP_QUALITY, _QUALITY] if ending == ".webp" else []
    done, data = cv2.imencodeanimation(ending.replace("apng", "png"), animation, options)
    if not done:
        raise WriteError(f"The animation cannot be written as {ending}.", "Give it another ending.")
    file.write(data.tobytes())
