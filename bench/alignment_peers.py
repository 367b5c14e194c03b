"""The alignment of other programs, case by case: `python bench/alignment_peers.py --json FILE`.

The usual stacks of moving.py and one of every other case, aligned by ours, by align_image_stack, by OpenFocus
(its ecc) and by FocusWeave, each with its defaults. FocusWeave and OpenFocus are asked for their matrices;
align_image_stack writes aligned frames, and where their pixels lie is measured (see `measured_places`);
ours is taken both ways, and the difference is the error of the measure. Every program has a reference and a
canvas of its own: what all frames share is taken out, by the mean over the frames of where a corner lies, so
nobody's reference counts as an error. Root mean squares over frames and corners, in pixels of the reference,
and the worst frame. What the peers did is kept in the cache folder, by version; ours is measured anew.
"""

from __future__ import annotations

import argparse
import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import machine
import moving
import numpy as np
import peers
import tifffile
from frames import default_cache
from measure import BenchError, measure

import gpustack
from gpustack.align.estimate import match
from gpustack.align.sight import Sight, see
from gpustack.backend.cpu import Cpu
from gpustack.backend.resample import resample
from gpustack.model.frame import PixelType
from gpustack.model.rect import Rows
from gpustack.model.transform import Transform, corners, shared_box
from gpustack.settings import BackendName, Crop, Interpolation, Model

DRIVER = Path(__file__).with_name("drive_transforms.py")
SETTINGS = gpustack.Settings(backend=BackendName.CPU, crop=Crop.NONE)
BY_MEASURE = "gpustack, by the measure"
RIM_PX = 32
"""Left out around what all frames cover: programs fill differently what they do not cover."""

Places = list[Any]
"""Where the corners of the reference lie in each aligned frame, (4, 2); None where that is not known."""

Failure = dict[str, str]
"""Why there are none."""


def main() -> None:
    """Measure every program on every stack and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path, required=True)
    options.add_argument("--cache", type=Path, default=default_cache(), help="folder of frames and peers")
    options.add_argument("--only", default="", help="only cases whose names begin so")
    options.add_argument(
        "--by-transforms", action="store_true", help="what FILE has of ours by the measure stays as it is"
    )
    given = options.parse_args()
    stacks = [stack for stack in moving.one_a_case() if stack.case.startswith(given.only)]
    moving.rendered(stacks, given.cache)
    before = measured_before(given.json) if given.by_transforms else {}
    found = {stack: measured(stack, given.cache, before.get(key(stack))) for stack in stacks}
    rows = [row(case, found) for case in dict.fromkeys(stack.case for stack in stacks)]
    head = machine.heading("alignment of peers") | {"competitors": versions(given.cache)}
    machine.write_result(head | {"rows": rows}, given.json)


@functools.cache
def versions(cache: Path) -> dict[str, str | None]:
    """What is compared."""
    ais = peers.output(["align_image_stack", "--help"]) or ""
    return {
        "gpustack": gpustack.__version__,
        "align_image_stack": ais.split("version", 1)[-1].split()[0] if ais else None,
        "openfocus ecc": peers.OPENFOCUS.version(cache),
        "focusweave": peers.FOCUSWEAVE.version(cache),
    }


def key(stack: moving.Moving) -> tuple[str, str, int]:
    """What tells a stack from others in a file."""
    return stack.case, stack.scene, stack.shoot.seed


def measured_before(path: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    """Of every stack of a file, ours by the measure."""
    rows = json.loads(path.read_text())["rows"]
    return {(row["case"], one["scene"], one["seed"]): one[BY_MEASURE] for row in rows for one in row["each"]}


def measured(
    stack: moving.Moving, cache: Path, before: dict[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """Each program on one stack: its errors, or why there are none; `before`: ours by the measure, if that is
    known."""
    folder, truth = stack.home(cache), stack.transforms()
    programs: dict[str, Callable[[Path], Places]] = {
        "gpustack": functools.partial(ours, stack, cache),
        BY_MEASURE: functools.partial(ours_measured, stack, cache),
        "align_image_stack": functools.partial(hugin, stack, cache),
        "openfocus ecc": functools.partial(
            asked, peers.OPENFOCUS.program(cache, "python"), "ecc", folder, truth
        ),
        "focusweave": functools.partial(
            asked, peers.FOCUSWEAVE.program(cache, "python"), "focusweave", folder, truth
        ),
    }
    rows = {}
    for name, run in programs.items():
        if name == BY_MEASURE and before is not None:
            rows[name] = before
            continue
        found = tried(run) if name.startswith("gpustack") else kept(stack, name, run, cache)
        rows[name] = errors(found) if isinstance(found, list) else found
        print(f"{stack.case:<30} {stack.scene:<8} {name:<26} {rows[name]}", flush=True)
    return rows


def kept(stack: moving.Moving, name: str, run: Callable[[Path], Places], cache: Path) -> Places | Failure:
    """What a peer did before, or does now."""
    home = stack.home(cache)
    at = home.parent / "aligned" / f"{home.name} {name} {versions(cache)[name]}.json"
    if not at.exists():
        at.parent.mkdir(exist_ok=True)
        at.write_text(json.dumps(tried(run), default=np.ndarray.tolist))
    places = json.loads(at.read_text())
    return [place and np.array(place) for place in places] if isinstance(places, list) else places


def tried(run: Callable[[Path], Places]) -> Places | Failure:
    """Places, or why there are none."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            return run(Path(scratch))
        except BenchError as error:
            return {"failed": str(error).splitlines()[0]}


def errors(places: Places) -> dict[str, Any]:
    """How far the frames of a stack are from their mean."""
    known = [at for at in places if at is not None]
    if len(known) < 2:
        return {"failed": "no frame can be measured"}
    rms, worst = moving.corner_errors(np.array(known) - np.mean(known, axis=0))
    found = {"rms_px": round(rms, 3), "max_px": round(worst, 3)}
    return found if len(known) == len(places) else found | {"not_measured": len(places) - len(known)}


def ours(stack: moving.Moving, cache: Path, scratch: Path) -> Places:
    """By the transforms that the package gives."""
    del scratch
    found = gpustack.locate(stack.frames(cache), SETTINGS)
    return relative([place.transform if place.used else None for place in found], stack.transforms())


def ours_measured(stack: moving.Moving, cache: Path, scratch: Path) -> Places:
    """By the aligned frames, as the others'."""
    kept: dict[str, Any] = {}

    def keep(frame: Any, pixels: Any) -> None:
        kept[frame.path.name] = pixels

    del scratch
    gpustack.locate(stack.frames(cache), SETTINGS, keep_aligned=keep)
    return measured_places(stack, cache, [kept.get(path.name) for path in stack.frames(cache)])


def hugin(stack: moving.Moving, cache: Path, scratch: Path) -> Places:
    """align_image_stack for frames of changing magnification, in the order given."""
    return measured_places(stack, cache, remapped(stack.frames(cache), scratch))


def remapped(frames: Sequence[Path], scratch: Path) -> list[Any]:
    """The frames (h, w, 3 or 4) that align_image_stack writes; None where it wrote none."""
    if shutil.which("align_image_stack") is None:
        raise BenchError("not installed")
    prefix = scratch / "aligned_"
    command = ["align_image_stack", "-m", "--use-given-order", "-a", str(prefix)]
    measure([[*command, *map(str, frames)]], scratch / "log", timeout_s=600)
    aligned = [scratch / f"aligned_{index:04d}.tif" for index in range(len(frames))]
    if not any(path.exists() for path in aligned):
        raise BenchError("it wrote no frame")
    return [tifffile.imread(at) if at.exists() else None for at in aligned]


def asked(python: str, peer: str, folder: Path, truth: Sequence[Transform], scratch: Path) -> Places:
    """Where a peer that keeps its matrices to itself shows the corners."""
    found = matrices(python, peer, folder, scratch)
    return relative([Transform(matrix).inverse() for matrix in found], truth)


def matrices(python: str, peer: str, folder: Path, scratch: Path) -> list[Any]:
    """The matrices of a peer, frame pixels to canvas pixels."""
    if not Path(python).exists():
        raise BenchError("not installed")
    out = scratch / "matrices.json"
    measure([[python, str(DRIVER), peer, str(folder), str(out)]], scratch / "log", timeout_s=600)
    return [np.array(matrix) for matrix in json.loads(out.read_text())]


def relative(found: Sequence[Transform | None], truth: Sequence[Transform]) -> Places:
    """Where transforms (canvas to frame) show the corners, in the pixels of the true reference."""
    width, height = moving.USUAL.width, moving.USUAL.height
    points = corners(width, height)
    pairs = zip(found, truth, strict=True)
    return [None if at is None else true.inverse().apply(at.apply(points)) for at, true in pairs]


def measured_places(stack: moving.Moving, cache: Path, aligned: Sequence[Any]) -> Places:
    """Where the corners of the reference lie in aligned frames (h, w, 3 or 4), None for those without one.

    The source frame is resampled by its true transform, and the part that all frames cover is matched with
    what the program made of the same frame, as a homography: both are blurred alike and hold the same noise.
    """
    shoot, truth = stack.shoot, stack.transforms()
    left, top, right, bottom = shared_box(truth, shoot.width, shoot.height)
    left, top, right, bottom = left + RIM_PX, top + RIM_PX, right - RIM_PX, bottom - RIM_PX
    points = corners(shoot.width, shoot.height) - (left, top)
    backend, white = Cpu(1), float(shoot.pixel_type.white)
    found: Places = []
    for path, true, picture in zip(stack.frames(cache), truth, aligned, strict=True):
        if picture is None:
            found.append(None)
            continue
        place = Transform(true.matrix)
        band = resample(
            tifffile.imread(path), place, white, shoot.width, Rows(0, shoot.height), Interpolation.LANCZOS
        )
        here = _sight(backend, band.image[:, top:bottom, left:right])
        there = _sight(backend, np.moveaxis(picture[..., :3] / np.iinfo(picture.dtype).max, -1, 0), here)
        link = match(backend, here, there, Model.HOMOGRAPHY)
        found.append(Transform(link.matrix).apply(points) if link.trusted and link.coarser == 0 else None)
    return found


def _sight(backend: Cpu, picture: Any, like: Sight | None = None) -> Sight:
    """A picture (3, h, w) 0..1 as alignment sees it, with as many levels as another one."""
    pixels = np.ascontiguousarray(np.moveaxis(picture, 0, -1), np.float32)
    luma = backend.survey_luma(pixels, PixelType.FLOAT32, 1)
    return see(backend, luma, (pixels.shape[1], pixels.shape[0]), len(like.sizes) if like else None)


def row(case: str, found: dict[moving.Moving, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """A case: for each program the mean square over the stacks that it could do; and those stacks."""
    own = [(stack, found[stack]) for stack in found if stack.case == case]
    result: dict[str, Any] = {"case": case, "label": "hard" if own[0][0].hard else "common"}
    for name in own[0][1]:
        done = [rows[name] for _, rows in own if "failed" not in rows[name]]
        rms = float(np.sqrt(np.mean([each["rms_px"] ** 2 for each in done]))) if done else None
        worst = max((each["max_px"] for each in done), default=None)
        result[name] = {
            "rms_px": rms and round(rms, 3),
            "max_px": worst,
            "stacks": len(done),
            "failed": len(own) - len(done),
        }
    others = [result[name]["rms_px"] for name in ("align_image_stack", "openfocus ecc", "focusweave")]
    mine = result["gpustack"]["rms_px"]
    result["ours_ahead"] = all(other is None or mine < other for other in others)
    result["each"] = [{"scene": stack.scene, "seed": stack.shoot.seed} | rows for stack, rows in own]
    return result


if __name__ == "__main__":
    main()
