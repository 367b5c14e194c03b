"""What a run says of itself, for people and for `--json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from gpustack.model.place import Place
from gpustack.model.slab import Slab


@dataclass(slots=True)
class FrameReport:
    """One frame: its file, where it lies, and the share of pixels that it won, 0..1."""

    file: str
    place: Place
    share: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "file": self.file,
            "matrix": self.place.transform.matrix.tolist(),
            **self.place.transform.tone.as_dict(),
            "used": self.place.used,
            "shaken": self.place.shaken,
            "confidence": self.place.confidence,
            "residual_px": self.place.residual_px,
            "links": [asdict(link) for link in self.place.links],
            "share": self.share,
        }


@dataclass(frozen=True, slots=True)
class GhostReport:
    """Things that moved together: the box around them (left, top, width, height; pixels of the reference, as
    stored), and the file whose view of them is kept."""

    box: tuple[int, ...]
    file: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"box": list(self.box), "file": self.file}


@dataclass(frozen=True, slots=True)
class LayersReport:
    """Which frames, by name, have a layer, and which own nothing of the picture and have none."""

    frames: tuple[str, ...]
    left_out: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"frames": list(self.frames), "left_out": list(self.left_out)}


@dataclass(slots=True)
class CheckpointReport:
    """The folder of checkpoints; what was taken from an earlier run; how many parts were written, the seconds
    that took, and the bytes of the largest."""

    folder: str
    resumed: list[str] = field(default_factory=list)
    written: int = 0
    seconds: float = 0.0
    largest_bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"seconds": round(self.seconds, 3)}


@dataclass(slots=True)
class Report:
    """Outputs, settings, backend and why, seconds by stage, bytes, and one row a frame.

    `seconds` holds wall seconds by stage; `decode_seconds` is the time of all reading threads together,
    which runs beside the stages; `waiting_seconds` is how long the stages waited for it; `work_seconds` is
    how long the pixels were worked on: `compute` on the host, `upload` and `kernels` on a device. `model` is
    what the frames were taken to do against the reference, `box` the part of the reference that was kept:
    left, top, width, height, before any rotation. `device_bytes`: most device memory held, on any one device.
    `slabs`: those that were fused first, and `layers`: whose there are, if that was asked for; `checkpoint`:
    what was kept for a later run, and taken from an earlier one, likewise.
    """

    method: str
    backend: str
    backend_reason: str
    plan: dict[str, Any]
    model: str = "none"
    noise: float = 0.0
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    seconds: dict[str, float] = field(default_factory=dict)
    decode_seconds: float = 0.0
    waiting_seconds: float = 0.0
    peak_bytes: int = 0
    device_bytes: int = 0
    work_seconds: dict[str, float] = field(default_factory=dict)
    frames: list[FrameReport] = field(default_factory=list)
    slabs: list[Slab] = field(default_factory=list)
    ghosts: list[GhostReport] = field(default_factory=list)
    layers: LayersReport | None = None
    warnings: list[str] = field(default_factory=list)
    checkpoint: CheckpointReport | None = None

    @property
    def busy(self) -> dict[str, float]:
        """Share 0..1 of the whole time that decoding, the work on pixels and writing went on."""
        spent = {"decode": self.decode_seconds / self.plan.get("readers", 1), **self.work_seconds}
        spent["write"] = self.seconds.get("write", 0.0)
        wall = max(1e-9, sum(self.seconds.values()))
        return {stage: max(0.0, min(1.0, seconds / wall)) for stage, seconds in spent.items()}

    @property
    def limit(self) -> str:
        """The busiest of these: what a faster run would need first."""
        busy = self.busy
        return max(busy, key=lambda stage: busy[stage])

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "method": self.method,
            "backend": self.backend,
            "backend_reason": self.backend_reason,
            "plan": self.plan,
            "model": self.model,
            "noise": self.noise,
            "box": list(self.box),
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
            "decode_seconds": round(self.decode_seconds, 3),
            "waiting_seconds": round(self.waiting_seconds, 3),
            "limit": self.limit,
            "busy": {stage: round(share, 3) for stage, share in self.busy.items()},
            "peak_bytes": self.peak_bytes,
            "device_bytes": self.device_bytes,
            "frames": [frame.as_dict() for frame in self.frames],
            "slabs": [
                {"number": slab.number, "first": slab.frames.start, "last": slab.frames.stop - 1}
                for slab in self.slabs
            ],
            "ghosts": [ghost.as_dict() for ghost in self.ghosts],
            "layers": None if self.layers is None else self.layers.as_dict(),
            "warnings": self.warnings,
            "checkpoint": None if self.checkpoint is None else self.checkpoint.as_dict(),
        }
