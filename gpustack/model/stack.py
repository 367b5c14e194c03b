"""A stack: the frames that are fused together, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gpustack.errors import StackError, UsageError
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.settings import DEMOSAIC, Settings, WhiteBalance


@dataclass(frozen=True, slots=True)
class Stack:
    """Frames of one channel count and sample type, in stack order (index 0 first).

    Their sizes may differ where they are aligned. `every`: of the frames of its files, every so many-th is in
    it.
    """

    frames: tuple[Frame, ...]
    every: int = 1

    def __post_init__(self) -> None:
        if not self.frames:
            raise StackError(
                "There is no frame to stack.", "Name picture files, or a folder that holds some."
            )
        for what, value, remedy in _TRAITS:
            _refuse_odd(self.frames, what, value, remedy)

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.frames)

    @property
    def width(self) -> int:
        """Pixels in a row of the widest frame, as stored."""
        return max(frame.width for frame in self.frames)

    @property
    def height(self) -> int:
        """Rows of the highest frame, as stored."""
        return max(frame.height for frame in self.frames)

    @property
    def largest(self) -> Frame:
        """The frame with the most pixels; the first of several."""
        return max(self.frames, key=lambda frame: frame.width * frame.height)

    @property
    def channels(self) -> int:
        """Samples of one pixel, alpha included."""
        return self.frames[0].channels

    @property
    def pixel_type(self) -> PixelType:
        """Sample type of every frame."""
        return self.frames[0].pixel_type

    @property
    def kind(self) -> Kind:
        """How the first frame is stored."""
        return self.frames[0].kind

    def refuse_sizes(self) -> None:
        """Raise StackError if frames differ in pixel size: without alignment they do not fit together."""
        _refuse_odd(self.frames, "pixel size", lambda f: f"{f.width}x{f.height}", _SIZES)

    def refuse_raw_options(self, settings: Settings) -> None:
        """Raise UsageError for settings that are for RAW frames, if the frames are none."""
        asked = {
            "A DNG file": settings.linear,
            "--wb": settings.wb is not WhiteBalance.CAMERA,
            "--exposure": settings.exposure != 0,
            "--demosaic": settings.demosaic is not DEMOSAIC,
        }
        for what in (what for what, wanted in asked.items() if wanted and self.kind is not Kind.RAW):
            raise UsageError(
                f"{what} takes RAW frames, and these are developed.",
                "Write to .tif." if settings.linear else "Leave it out.",
            )

    def reference(self, wish: str) -> int:
        """Index of the reference frame for `first`, `middle`, `last` or a number counted from 0."""
        known = {"first": 0, "middle": (len(self) - 1) // 2, "last": len(self) - 1}
        known |= {str(index): index for index in range(len(self))}
        if wish not in known:
            raise StackError(
                f"The reference frame '{wish}' does not exist.",
                f"Use first, middle, last, or a number from 0 to {len(self) - 1}.",
            )
        return known[wish]


_SIZES = "Align the frames, leave it out, or give frames of one pixel size."
_TYPES = "Convert the frames to one kind, or leave the odd one out."
_TRAITS: Sequence[tuple[str, Callable[[Frame], str], str]] = (
    ("number of channels", lambda f: str(f.channels), _TYPES),
    ("sample type", lambda f: f.pixel_type.value, _TYPES),
    ("way of coding (RAW or developed)", lambda f: "RAW" if f.kind is Kind.RAW else "developed", _TYPES),
)


def _refuse_odd(frames: Sequence[Frame], what: str, value: Callable[[Frame], str], remedy: str) -> None:
    """Raise for the first frame whose trait differs from that of most frames (of the first, on a tie)."""
    counts = Counter(value(frame) for frame in frames)
    if len(counts) == 1:
        return
    usual = counts.most_common(1)[0][0]
    odd = next(frame for frame in frames if value(frame) != usual)
    others = len(counts) > 2 or len(frames) - counts[usual] > 1
    raise StackError(
        f"{odd.name} differs in {what}: {value(odd)}, where most frames have {usual}"
        + (f" ({len(frames) - counts[usual]} frames differ)." if others else "."),
        remedy,
    )
