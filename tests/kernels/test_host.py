"""What the host's code around the kernels promises: state in host memory, late devices, and refusals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gpustack.backend.gpu.backend import Gpu
from gpustack.engine.path import Fused
from gpustack.model.canvas import Canvas
from gpustack.model.frame import PixelType
from gpustack.model.rect import cut
from gpustack.model.tone import Tone
from gpustack.model.transform import Transform
from gpustack.settings import Method
from tests.backend.parts import empty_extent, empty_part, level_band
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.module import problem
from tests.fuse.fusing import fuse
from tests.strategies import Case, quantised

pytestmark = pytest.mark.skipif(problem() is not None, reason=str(problem()))

HEIGHT, WIDTH = 52, 38
LIMIT = 1 << 24


def moved_frames(kind: PixelType) -> Case:
    """Four frames, the last two moved so that they do not cover the canvas, in bands."""
    frames = [quantised(np.random.default_rng(n).random((HEIGHT, WIDTH, 3)), kind) for n in range(4)]
    turned = Transform(np.array([[1.01, -0.02, 1.3], [0.02, 1.01, -2.7], [1e-5, -1e-5, 1.0]]), Tone((1.03,)))
    shifted = Transform(np.array([[1.0, 0, -2], [0, 1.0, 3], [0, 0, 1.0]]))
    canvas = Canvas(0, 0, WIDTH, HEIGHT, 3, kind, cut(HEIGHT, 16), covered=False)
    return Case(frames, [Transform.identity(), Transform.identity(), turned, shifted], canvas, 0.01)


def parts_of(fused: Fused) -> list[bytes]:
    assert fused.surface is not None
    return [
        array.tobytes()
        for array in (fused.picture, fused.winners, fused.surface.depth, fused.surface.confidence)
    ]


DEVICES: dict[str, Callable[[], Gpu]] = {
    "spilled": lambda: Gpu(CpuDevice(), LIMIT, spill=True),
    "spilled and late": lambda: Gpu(CpuDevice(eager=False), LIMIT, spill=True),
    "late": lambda: Gpu(CpuDevice(eager=False), LIMIT),
    "shuffled": lambda: Gpu(CpuDevice(order=3), LIMIT),
}
"""State in page-locked memory; work done as late as the rules allow; threads in another order."""


@pytest.mark.parametrize("kind", [PixelType.UINT8, PixelType.FLOAT32])
@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("device", DEVICES.values(), ids=list(DEVICES))
def test_where_the_state_lives_and_when_work_is_done_change_no_bit(
    device: Callable[[], Gpu], method: Method, kind: PixelType
) -> None:
    case = moved_frames(kind)
    wanted = fuse(Gpu(CpuDevice(), LIMIT), method, case, (0, 2), (1, 3), depth=True)
    assert parts_of(fuse(device(), method, case, (0, 2), (1, 3), depth=True)) == parts_of(wanted)


def test_spilled_state_takes_none_of_the_devices_memory() -> None:
    gpu = Gpu(CpuDevice(), LIMIT, spill=True)
    part = empty_part(gpu, 3, HEIGHT, WIDTH, afar=True)
    assert gpu.peak_bytes == 0
    image, energy = np.ones((3, HEIGHT, WIDTH), np.float32), np.ones((HEIGHT, WIDTH), np.float32)
    gpu.fold_in(part, 0, gpu.upload(image), gpu.upload(energy), None)
    assert part.kept is not None
    assert (gpu.download(part.kept) == 1).all()
    assert 0 < gpu.peak_bytes < 2 * image.nbytes


@pytest.fixture
def gpu() -> Gpu:
    return Gpu(CpuDevice(), LIMIT)


WIDEST = {"smooth_by": 3.0, "band_pass": 5.51}
"""The widest blur for which each kernel has shared memory, in pixels."""


def blurred(gpu: Gpu, name: str, sigma: float) -> None:
    """Call the operation of a name with a blur."""
    plane = gpu.full((9, 9), 1.0, "float32")
    calls: dict[str, Callable[[], object]] = {
        "smooth_by": lambda: gpu.smooth_by(plane, plane, sigma),
        "band_pass": lambda: gpu.band_pass(plane, gpu.reduce(plane), sigma),
    }
    calls[name]()


@pytest.mark.parametrize(("name", "sigma"), WIDEST.items())
def test_a_blur_wider_than_the_kernels_memory_is_refused(gpu: Gpu, name: str, sigma: float) -> None:
    blurred(gpu, name, sigma)
    with pytest.raises(AssertionError, match="reaches"):
        blurred(gpu, name, sigma + 0.01)


def test_a_level_of_more_channels_than_the_kernels_memory_is_refused(gpu: Gpu) -> None:
    image = np.ones((5, 9, 9), np.float32)
    with pytest.raises(AssertionError):
        gpu.fold_level(empty_part(gpu, 5, 9, 9), 0, level_band(gpu, image), 1.0, None)


def test_ranges_are_merged_as_wholes_only(gpu: Gpu) -> None:
    """The kernel counts on channels that follow each other."""
    whole = empty_extent(gpu, 2, 8, 8, PixelType.UINT8)
    whole.low, whole.high = whole.low.rows(slice(2, 5)), whole.high.rows(slice(2, 5))
    other = empty_extent(gpu, 2, 3, 8, PixelType.UINT8)
    with pytest.raises(AssertionError):
        gpu.merge_extent(whole, other)
