"""The figures of a run that are known only at its end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gpustack.backend.memory import peak_bytes
from gpustack.engine.job import Job
from gpustack.engine.path import Fused
from gpustack.engine.report import FrameReport
from gpustack.model.place import Place
from gpustack.model.rect import Rows


def complete(job: Job, places: Sequence[Place], fused: Fused) -> None:
    """Fill in what is known only at the end."""
    assert job.canvas is not None
    report = job.report
    won = _shares(fused.winners, job.canvas.bands, len(job.stack))
    report.frames = [
        FrameReport(frame.name, place, float(share))
        for frame, place, share in zip(job.stack, places, won, strict=False)
    ]
    report.peak_bytes = peak_bytes()
    report.device_bytes = max(backend.peak_bytes for backend in job.backends)
    report.work_seconds = _worked(job)


def _worked(job: Job) -> dict[str, float]:
    """Seconds that each stage of the backend was at work, the mean over several backends.

    Where the host does the pixels' work, it is what was not spent waiting for a frame.
    """
    spent: dict[str, float] = {}
    for backend in job.backends:
        for stage, seconds in backend.busy_seconds.items():
            spent[stage] = spent.get(stage, 0.0) + seconds / len(job.backends)
    return spent or {"compute": sum(job.report.seconds.values()) - job.report.waiting_seconds}


def _shares(winners: npt.NDArray[np.uint16], bands: Sequence[Rows], frames: int) -> npt.NDArray[np.float64]:
    """Share of the pixels that each frame won; band by band, as counting needs eight bytes a pixel.

    Pixels that no frame covers count for none.
    """
    counts = [np.bincount(winners[rows.slice].ravel(), minlength=frames)[:frames] for rows in bands]
    return np.asarray(np.sum(counts, axis=0) / winners.size)
