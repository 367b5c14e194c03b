"""Stacks of files for `stream.py`, each fused in a process of its own, with its figures."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import devices
import numpy as np
from measure import measure
from sweep import Sweep, repeated, to_and_fro, write_files

from gpustack.engine.plan import make_plan
from gpustack.engine.planned import Budget, Plan
from gpustack.errors import PlanError
from gpustack.model.frame import Frame, Kind, PixelType
from gpustack.model.stack import Stack
from gpustack.model.transform import corners
from gpustack.settings import Method, Model, Settings

SINGLE = Path(__file__).with_name("single.py")
KINDS = ("jpeg", "tiff", "deflate")
CODECS = ("imagecodecs", "simplejpeg")
TIFF_STEP = 4
"""Every so-manieth frame is written as a TIFF file: they are large."""

COUNTS = {"jpeg": 120, "tiff": 48, "deflate": 48, "raw": 48, "whole": 200, "plans": 16, "agreement": 8}
TOY_COUNTS = {"jpeg": 6, "tiff": 4, "deflate": 4, "raw": 4, "whole": 4, "plans": 3, "agreement": 4}
TIMEOUT_S = 90
AGREEING, TOY_AGREEING = (1376, 2064), (120, 96)
"""Rows and columns of the frames whose picture is compared with the CPU's."""

DISAGREEMENT = 1e-4
"""Share of the samples that may differ from the CPU's by more than one level: what docs/gpu.md promises."""

CONTRACT = 2 << 30
"""Bytes of device memory in which frames of 45 megapixels must fit."""

Row = dict[str, Any]


def missing_codecs() -> list[str]:
    """What reading files needs and is not installed."""
    return [name for name in CODECS if find_spec(name) is None]


class Stacks:
    """Files of a sweep under `scratch`, and runs over them on a device."""

    def __init__(self, device: str, sweep: Sweep, scratch: Path) -> None:
        self._device, self._sweep, self._scratch = device, sweep, scratch
        toy = device == devices.CPU
        self._counts = TOY_COUNTS if toy else COUNTS
        # Small frames take more memory to be aligned, and to be looked at beside steps, than to be fused.
        self._planned = Settings(Method.PYRAMID, align=Model.NONE) if toy else Settings()
        self._jpegs: list[Path] = []

    @property
    def jpegs(self) -> list[Path]:
        """The sweep as JPEG files."""
        if not self._jpegs:
            self._jpegs = write_files(self._sweep, "jpeg", self._scratch / "jpeg")
        return self._jpegs

    def of_kind(self, kind: str) -> Row:
        """Frames a second from files of a kind, not aligned, all processors decoding."""
        if kind == "jpeg":
            return self._read("jpeg", self.jpegs)
        folder = self._scratch / kind
        found = self._read(kind, write_files(self._sweep, kind, folder, TIFF_STEP))
        shutil.rmtree(folder)
        return found

    def of_raw(self, path: Path) -> Row:
        """The same of one RAW file many times."""
        copied = self._scratch / path.name
        shutil.copyfile(path, copied)
        return self._read("raw", [copied])

    def _read(self, kind: str, files: Sequence[Path]) -> Row:
        links = repeated(files, self._counts[kind], self._scratch / "links" / kind)
        row = self._fused(kind, links, align=Model.NONE)
        row.pop("matrices")
        size = sum(file.stat().st_size for file in files) / len(files)
        return row | {"file_mib": round(size / 2**20, 1), "fps": round(len(links) / row["passes_s"], 2)}

    def whole(self) -> Row:
        """A long stack, aligned, fused and written; and how far the transforms are from the true ones."""
        links = self._links("whole")
        row = self._fused("whole", links, out=self._scratch / "whole.jpg")
        row["corner_px"] = self._errors(row.pop("matrices"), len(links))
        return row | {"fps": round(len(links) / row["wall_s"], 2)}

    def _errors(self, matrices: Sequence[Any], count: int) -> Row:
        """Largest corner error in pixels: of the frame in the middle of all, and of the worst."""
        order = to_and_fro(count, self._sweep.count)
        origin = np.linalg.inv(self._sweep.motion(order[(count - 1) // 2]))
        errors = []
        for index, matrix in zip(order, matrices, strict=True):
            there = [_moved(m, self._sweep) for m in (np.array(matrix), self._sweep.motion(index) @ origin)]
            errors.append(float(np.hypot(*(there[0] - there[1]).T).max()))
        return {"median": round(float(np.median(errors)), 4), "worst": round(max(errors), 4)}

    def plans(self) -> list[Row]:
        """The same stack under ever less device memory."""
        links = self._links("plans")
        rows = []
        for name, vram in self._limits(len(links)):
            way = {"method": self._planned.method, "align": self._planned.align}
            row = self._fused(f"plans-{name}", links, vram=vram, **way) | {"plan": name}
            row.pop("matrices")
            rows.append(row | {"fps": round(len(links) / row["passes_s"], 2)})
        return rows

    def _limits(self, count: int) -> Iterator[tuple[str, int]]:
        """Whole frames; 2 GiB where frames are large; the smallest bands; state in host memory."""
        plans = list(self._possible(count))
        resident, spilled = ([plan for plan in plans if plan.spill is s] for s in (False, True))
        yield "whole frames", resident[0].device_bytes
        if resident[0].device_bytes > CONTRACT:
            yield "2 GiB", CONTRACT
        yield "smallest bands", resident[-1].device_bytes
        if spilled:
            yield "state on the host", spilled[-1].device_bytes

    def _possible(self, count: int) -> Iterator[Plan]:
        """Every plan that there is for the stack, from the one that takes most device memory."""
        size = self._sweep.width, self._sweep.height
        stack = Stack((Frame(Path("frame"), *size, 3, PixelType.UINT8, Kind.JPEG),) * count)
        vram = 1 << 50
        while True:
            try:
                plan = make_plan(stack, self._planned, Budget(1 << 50, os.cpu_count() or 1, vram, 1))
            except PlanError:
                return
            yield plan
            vram = plan.device_bytes - 1

    def agreement(self) -> dict[str, float]:
        """By method, the share of samples that differ from the CPU backend's by more than one level."""
        size = TOY_AGREEING if self._device == devices.CPU else AGREEING
        small = Sweep(size, self._counts["agreement"])
        files = write_files(small, "jpeg", self._scratch / "small")
        found = {}
        for method in Method:
            pictures = []
            for device in (self._device, "host"):
                path = self._scratch / f"{method}-{device.partition(':')[0]}.npy"
                self._fused(path.stem, files, method=method, device=device, pixels=path)
                pictures.append(np.load(path).astype(np.int16))
            same = pictures[0].shape == pictures[1].shape
            found[str(method)] = float(np.mean(np.abs(pictures[0] - pictures[1]) > 1)) if same else 1.0
        return found

    def _links(self, name: str) -> list[Path]:
        return repeated(self.jpegs, self._counts[name], self._scratch / "links" / name)

    def _fused(self, name: str, files: Sequence[Path], **options: Any) -> Row:
        """Fuse files with these options of `single.py`; its figures."""
        stem = self._scratch / name.replace(" ", "-")
        names, report = stem.with_suffix(".list"), stem.with_suffix(".json")
        names.write_text("\n".join(map(str, files)))
        given = {"device": self._device, "list": names, "report": report} | options
        command = [sys.executable, str(SINGLE)]
        for option, value in given.items():
            command += [f"--{option}", str(value)]
        figures = measure([command], stem.with_suffix(".log"), TIMEOUT_S)
        return _row(json.loads(report.read_text()), len(files)) | {
            "wall_s": round(figures.wall_s, 3),
            "cpu_s": round(figures.cpu_s, 3),
            "peak_mib": round(figures.peak_bytes / 2**20, 1),
        }


def _row(found: Row, frames: int) -> Row:
    report, plan = found["report"], found["report"]["plan"]
    passes = sum(report["seconds"].get(name, 0.0) for name in plan["passes"])
    working = (
        report["busy"]["kernels"] * sum(report["seconds"].values()) if "kernels" in report["busy"] else 0.0
    )
    return {
        "frames": frames,
        "used": sum(found["used"]),
        "method": report["method"],
        "seconds": report["seconds"],
        "passes_s": round(passes, 3),
        "gpu_waits": round(max(0.0, 1 - working / max(1e-9, passes)), 3),
        "waiting_share": round(report["waiting_seconds"] / max(1e-9, passes), 3),
        "busy": report["busy"],
        "limit": report["limit"],
        "band_rows": plan["band_rows"],
        "spill": plan["spill"],
        "readers": plan["readers"],
        "plan_mib": round(plan["total_bytes"] / 2**20, 1),
        "device_mib": round(report["device_bytes"] / 2**20, 1),
        "plan_device_mib": round(plan["device_bytes"] / 2**20, 1),
        "digest": found["digest"],
        "matrices": found["matrices"],
    }


def _moved(matrix: Any, sweep: Sweep) -> Any:
    points = np.column_stack([corners(sweep.width, sweep.height), np.ones(4)]) @ matrix.T
    return points[:, :2] / points[:, 2:]


def judged(found: Row, *, toy: bool) -> dict[str, bool]:
    """What must hold of runs over files; of host memory only where device memory is not host memory."""
    plans: list[Row] = found.get("plans", [])
    checks = {"every plan gives the same picture": len({row["digest"] for row in plans}) == 1}
    rows = [found[name] for name in found if name.startswith("files ")] + plans
    rows += [found["whole"]] if "whole" in found else []
    checks["device memory stays within the plan"] = all(
        0 < row["device_mib"] <= row["plan_device_mib"] for row in rows
    )
    if not toy:
        checks["host memory stays within the plan"] = all(row["peak_mib"] <= row["plan_mib"] for row in rows)
    return checks
