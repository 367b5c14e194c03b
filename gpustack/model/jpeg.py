"""The bytes of a JPEG file, for a device that decodes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Jpeg:
    """What `nbytes` bytes become: a picture (height, width, channels) uint8; `name` is the file's, for
    errors."""

    name: str
    height: int
    width: int
    channels: int
    nbytes: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    def room(self, picture: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Where the bytes lie in the memory of the picture that they become; a view."""
        return picture.reshape(-1).view(np.uint8)[: self.nbytes]
