"""The camera: how a stack is shot, and the frames it gives, with their truth."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, radians, sin

import numpy as np
import numpy.typing as npt

from gpustack.errors import UsageError
from gpustack.model.frame import PixelType
from gpustack.model.tone import Tone
from gpustack.model.transform import Matrix, Transform, corners
from gpustack.scenes.layer import Canvas, Layer
from gpustack.scenes.lens import SUPPORT, View, expose, reach, top_depth
from gpustack.scenes.textures import Plane

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

SHOT_SHARE = 0.9
"""Share of the noise variance at mid-gray that is photon noise; the rest is read noise."""
SHIFT_STEP = 1.0 / 32.0
"""Shifts are multiples of this many pixels: the grid on which OpenCV's resampling is exact."""
_SMALLEST = 16
_MOVEMENT, _NOISE = 1, 2


@dataclass(frozen=True, slots=True)
class Shoot:
    """How the camera took the stack. Frame 0 is focused nearest, the last one farthest, in even steps.

    The reference is the middle frame, `(frames - 1) // 2`: the camera's movement and flicker are counted
    from it. Raises UsageError for values that no camera has.
    """

    frames: int = 16
    """Number of frames."""
    width: int = 960
    """Pixels in a row."""
    height: int = 640
    """Rows."""
    max_blur_px: float = 8.0
    """Radius in pixels of the blur disk one whole depth range away from the focus; linear in depth."""
    breathing: float = 0.0
    """Relative change of scale from the first frame to the last, about the picture's centre; 0.03 is 3 %."""
    drift_px: float = 0.0
    """Even movement from the first frame to the last, in pixels, in a direction drawn from the seed."""
    jitter_px: float = 0.0
    """Standard deviation of each frame's own movement, in pixels, on each axis."""
    rotation_deg: float = 0.0
    """Even turn from the first frame to the last, in degrees."""
    flicker: float = 0.0
    """Relative standard deviation of each frame's brightness, as coded values; 0.02 is 2 %."""
    flicker_rgb: float = 0.0
    """The same of each colour by itself, beside it."""
    offset_rgb: float = 0.0
    """Standard deviation of what is added to each colour of a frame, in steps of 1/255."""
    noise: float = 0.0
    """Standard deviation at mid-gray (coded 0.5), in steps of 1/255 whatever the pixel type."""
    pixel_type: PixelType = PixelType.UINT8
    """Sample type of the frames, uint8 or uint16."""
    seed: int = 0
    """Of the scene's textures, the movement and the noise."""

    def __post_init__(self) -> None:
        if self.frames < 1 or min(self.width, self.height) < _SMALLEST:
            raise UsageError(
                f"A scene of {self.frames} frames of {self.width}x{self.height} pixels cannot be rendered.",
                f"Ask for at least 1 frame and {_SMALLEST}x{_SMALLEST} pixels.",
            )
        if self.pixel_type is PixelType.FLOAT32:
            raise UsageError("A camera gives whole numbers, not float32.", "Ask for uint8 or uint16.")
        lengths = (self.max_blur_px, self.jitter_px, self.flicker, self.flicker_rgb, self.offset_rgb)
        if not all(np.isfinite(value) and value >= 0 for value in (*lengths, self.noise, self.seed)):
            raise UsageError(
                "Blur, jitter, flicker, noise and seed cannot be negative.", "Give 0 or more for each."
            )
        if not abs(self.breathing) < 1:
            raise UsageError("Breathing must lie between -1 and 1.", "Give it as a fraction: 0.03 is 3 %.")

    @property
    def reference(self) -> int:
        """Index of the frame that the others are measured against."""
        return (self.frames - 1) // 2

    def focus(self, index: int) -> float:
        """Depth in focus in a frame, 0 nearest to 1 farthest."""
        return index / max(1, self.frames - 1)

    def transforms(self) -> tuple[Transform, ...]:
        """Reference pixels to frame pixels, and the tone that undoes the flicker, for every frame."""
        rng = np.random.default_rng((self.seed, _MOVEMENT))
        course = rng.uniform(0.0, 2.0 * np.pi)
        heading = self.drift_px * np.array([cos(course), sin(course)])
        own = self.jitter_px * rng.standard_normal((self.frames, 2))
        brightness = np.exp(self.flicker * rng.standard_normal(self.frames))
        own -= own[self.reference]
        tones = self._tones(brightness, rng)
        return tuple(
            Transform(self._matrix(self._progress(i), self._progress(i) * heading + own[i]), tones[i])
            for i in range(self.frames)
        )

    def _tones(self, brightness: Matrix, rng: np.random.Generator) -> list[Tone]:
        """What brings each frame to the reference's brightness; `brightness` is theirs, (n,)."""
        if not self.flicker_rgb and not self.offset_rgb:
            gains = brightness[self.reference] / brightness
            return [Tone((float(gain),)) for gain in gains]
        gain, offset = rng.standard_normal((2, self.frames, 3))
        gain = brightness[:, None] * np.exp(self.flicker_rgb * gain)
        made = [
            Tone(tuple(times), tuple(more))
            for times, more in zip(gain.tolist(), (offset * self.offset_rgb / 255.0).tolist(), strict=True)
        ]
        return [made[self.reference].after(tone.inverse()) for tone in made]

    def _progress(self, index: int) -> float:
        """How far a frame is from the reference, as a share of the stack."""
        return (index - self.reference) / max(1, self.frames - 1)

    def _matrix(self, progress: float, shift: Matrix) -> Matrix:
        """Scale and turn about the picture's centre, then shift: 3x3."""
        centre = np.array([(self.width - 1) / 2.0, (self.height - 1) / 2.0])
        angle = radians(self.rotation_deg * progress)
        turn = np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
        matrix = np.eye(3)
        matrix[:2, :2] = (1.0 + self.breathing * progress) * turn
        matrix[:2, 2] = centre - matrix[:2, :2] @ centre + np.rint(shift / SHIFT_STEP) * SHIFT_STEP
        return matrix

    def canvas(self) -> Canvas:
        """The area that some frame sees, blur and resampling included.

        The margin comes in steps of a sixteenth of the width, so that a little more movement leaves the
        scene as it is.
        """
        blur = reach(self.max_blur_px) + SUPPORT
        seen = corners(self.width + 2 * blur, self.height + 2 * blur) - blur
        there = np.concatenate([transform.inverse().apply(seen) for transform in self.transforms()])
        over = max(-there.min(), (there - (self.width - 1, self.height - 1)).max()) + 1.0
        step = max(8, round(self.width / 16))
        return Canvas(self.width, self.height, step * ceil(over / step))


@dataclass(frozen=True, eq=False)
class Rendered:
    """A stack with its truth; frames are rendered when they are asked for.

    `truth` (h, w, 3) float32 0..1 is sRGB-coded, free of noise and sharp everywhere; `depth` (h, w) float32
    is in frame units, 0 where frame 0 is in focus: that of the frontmost layer that covers half of a pixel or
    more, so behind a veil that of what is seen through it. What is `afar` of the range is in the truth as the
    nearest frame shows it, and has that frame's depth. Both are in the reference's geometry. `transforms` map
    reference pixels to frame pixels; their `tone` brings a frame's values to the reference's
    brightness.
    """

    truth: Plane
    depth: Plane
    transforms: tuple[Transform, ...]
    shoot: Shoot
    layers: tuple[Layer, ...]

    def __len__(self) -> int:
        return len(self.transforms)

    def frame(self, index: int) -> Pixels:
        """One frame of the stack, (h, w, 3) uint8 or uint16 RGB; the same pixels whenever asked for.

        Raises UsageError for an index outside the stack.
        """
        if not 0 <= index < len(self):
            raise UsageError(f"There is no frame {index}.", f"Use an index from 0 to {len(self) - 1}.")
        return self.developed(self.light(index), index)

    def light(self, index: int) -> Plane:
        """The light that falls on the sensor for one frame: (h, w, 3) float32, linear, free of noise."""
        return expose(self.layers, _view(self.shoot, self.transforms[index].matrix, self.shoot.focus(index)))

    def developed(self, light: Plane, index: int) -> Pixels:
        """The frame that the camera makes of `light`: with noise and flicker, in its pixel type."""
        rng = np.random.default_rng((self.shoot.seed, _NOISE, index))
        coded = encode(with_noise(light, self.shoot.noise, rng))
        white = self.shoot.pixel_type.white
        gain, offset = np.array(self.transforms[index].tone.of_channels(3), np.float32)
        values = np.rint(np.clip((coded - offset) / gain, 0.0, 1.0) * np.float32(white))
        if self.shoot.pixel_type is PixelType.UINT8:
            return np.asarray(values, np.uint8)
        return np.asarray(values, np.uint16)


def photograph(layers: tuple[Layer, ...], shoot: Shoot) -> Rendered:
    """Shoot a stack of layers, given back to front; depth 0 is in focus in frame 0, 1 in the last."""
    here = _view(shoot, np.eye(3), None)
    truth = encode(expose(layers, here))
    depth = np.clip(top_depth(layers, here), 0.0, 1.0) * np.float32(shoot.frames - 1)
    return Rendered(truth, depth, shoot.transforms(), shoot, layers)


def _view(shoot: Shoot, matrix: Matrix, focus: float | None) -> View:
    """How one frame of the shoot sees the scene."""
    return View(matrix, focus, shoot.max_blur_px, shoot.width, shoot.height)


def with_noise(light: Plane, sigma: float, rng: np.random.Generator) -> Plane:
    """Add photon and read noise to linear light, (h, w, 3) float32; `sigma` as in `Shoot.noise`.

    The variance is a * light + b (Foi et al., Practical Poissonian-Gaussian noise modeling, 2008), drawn
    from a normal distribution, which at the thousands of photons of a macro shot is what a Poisson
    distribution looks like.
    """
    if sigma == 0:
        return light
    variance = (sigma / 255.0 / _SLOPE) ** 2
    photon, read = SHOT_SHARE * variance / _MID_GRAY, (1.0 - SHOT_SHARE) * variance
    deviation = np.sqrt(np.float32(photon) * light + np.float32(read))
    return np.asarray(light + deviation * rng.standard_normal(light.shape, np.float32), np.float32)


def encode(light: Plane) -> Plane:
    """Linear light to sRGB-coded values, both 0..1 float32, clipped (IEC 61966-2-1)."""
    clipped = np.clip(light, 0.0, 1.0)
    bright = np.float32(1.055) * clipped ** np.float32(1.0 / 2.4) - np.float32(0.055)
    return np.where(clipped <= 0.0031308, np.float32(12.92) * clipped, bright).astype(np.float32)


_MID_GRAY = ((0.5 + 0.055) / 1.055) ** 2.4
_SLOPE = 1.055 / 2.4 * _MID_GRAY ** (1.0 / 2.4 - 1.0)
