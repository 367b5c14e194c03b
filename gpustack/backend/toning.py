"""A tone, as the samples of a frame are worked on: times a scale, and an offset after they are resampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gpustack.model.tone import Tone

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Toning:
    """`scale` and `offset`, (c,) float32: of each channel, from samples to values 0..1.

    No offset is -0, which is the neutral element of floating point addition: +0 would turn -0 into +0, and a
    frame that is only copied must keep its bits.
    """

    scale: Array
    offset: Array

    @staticmethod
    def of(tone: Tone, white: float, channels: int) -> Toning:
        """For frames whose white is a sample of `white`."""
        gain, offset = tone.of_channels(channels)
        return Toning(
            (np.array(gain) / white).astype(np.float32), np.array([add or -0.0 for add in offset], np.float32)
        )

    def scaled(self, part: Array) -> Array:
        """Samples (h, w, c) of any dtype -> float32 times the scale."""
        alike = (self.scale == self.scale[0]).all()
        # A line of scales as long as the frame's lines: NumPy is slow where the last axis is short.
        scale = self.scale[0] if alike else np.tile(self.scale, (part.shape[1], 1))
        return np.asarray(np.multiply(part, scale, dtype=np.float32))

    def lift(self, image: Array) -> Array:
        """The image (c, h, w), with the offset added in place."""
        for plane, offset in zip(image, self.offset, strict=True):
            if offset:
                plane += offset
        return image
