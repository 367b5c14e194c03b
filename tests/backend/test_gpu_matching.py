"""The GPU backend's alignment on the CPU, against the CPU backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gpustack.align.estimate import match
from gpustack.align.sight import Sight, see
from gpustack.backend.cpu import Cpu
from gpustack.backend.gpu.backend import Gpu
from gpustack.backend.gpu.device import Lane
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.values import Samples
from gpustack.model.frame import PixelType
from gpustack.settings import Model
from tests.align.textures import Texture, about_the_centre, corner_error, turned
from tests.cuda_on_cpu import sanitized
from tests.cuda_on_cpu.device import CpuDevice
from tests.cuda_on_cpu.module import problem

pytestmark = pytest.mark.skipif(problem() is not None, reason=str(problem()))

Array = npt.NDArray[Any]
CPU = Cpu(1)
LIMIT = 1 << 28
TILTED = np.array([[1.01, 0.02, 0.3], [-0.015, 0.99, 0.7], [1e-4, -5e-5, 1.0]])
SHAPES = [(1, 1), (1, 50), (77, 1), (3, 5), (5, 5), (31, 33), (97, 131)]
FIELDS = ("x", "y", "value", "jacobian")


def made(order: int = 0, *, eager: bool = True) -> Gpu:
    return Gpu(CpuDevice(order=order, eager=eager), LIMIT)


@pytest.fixture(scope="module")
def gpu() -> Gpu:
    return made()


def noise(*shape: int, seed: int = 3) -> Array:
    return np.random.default_rng(seed).random(shape, np.float32)


def frame(kind: PixelType, *shape: int) -> Array:
    values = noise(*shape)
    return values if kind is PixelType.FLOAT32 else np.rint(values * kind.white).astype(kind.value)


def fetched(gpu: Gpu, samples: Samples[Tensor]) -> dict[str, Array]:
    return {name: gpu.download(getattr(samples, name)) for name in FIELDS}


def sent(gpu: Gpu, samples: Samples[Array]) -> Samples[Tensor]:
    return Samples(*(gpu.upload(getattr(samples, name)) for name in FIELDS))


def assert_close(found: Any, wanted: Any) -> None:
    """Sums within 1e-5 of the CPU's, relative to the largest of their kind."""
    for name in ("hessian", "gradient"):
        a, b = getattr(found, name), getattr(wanted, name)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())
    assert found.spread == pytest.approx(wanted.spread, rel=1e-5, abs=1e-7)
    assert found.correlation == pytest.approx(wanted.correlation, abs=1e-5)
    assert found.share == wanted.share


@pytest.mark.parametrize("kind", list(PixelType))
@pytest.mark.parametrize(
    ("shape", "factor"),
    [((33, 65, 1), 1), ((64, 90, 3), 2), ((97, 131, 4), 3), ((5, 7, 2), 8), ((1, 1, 3), 4), ((1, 40, 3), 2)],
)
def test_a_frames_luma_is_that_of_the_cpu(
    gpu: Gpu, kind: PixelType, shape: tuple[int, ...], factor: int
) -> None:
    pixels = frame(kind, *shape)
    wanted = CPU.survey_luma(pixels, kind, factor)
    found = gpu.download(gpu.survey_luma(gpu.upload(pixels), kind, factor))
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert found.shape == wanted.shape


@pytest.mark.parametrize("kind", list(PixelType))
@pytest.mark.parametrize("shape", [(1, 1, 1), (64, 70, 3), (1300, 20, 1), (50, 33, 2), (40, 1, 4)])
def test_a_frames_noise_is_that_of_the_cpu(gpu: Gpu, kind: PixelType, shape: tuple[int, ...]) -> None:
    pixels = frame(kind, *shape)
    found = gpu.noise_level(gpu.upload(pixels), kind)
    assert found == pytest.approx(CPU.noise_level(pixels, kind), rel=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("longest", [200, 30, 7, 1])
def test_a_thumbnail_is_that_of_the_cpu(gpu: Gpu, shape: tuple[int, int], longest: int) -> None:
    plane = noise(*shape)
    wanted = CPU.thumbnail(plane, longest)
    found = gpu.thumbnail(gpu.upload(plane), longest)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_plane_as_light_is_that_of_the_cpu(gpu: Gpu, shape: tuple[int, int]) -> None:
    plane = noise(*shape)
    np.testing.assert_array_equal(gpu.download(gpu.to_light(gpu.upload(plane))), CPU.to_light(plane))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", [4.0, 1.5])
def test_a_band_pass_is_that_of_the_cpu(gpu: Gpu, shape: tuple[int, int], sigma: float) -> None:
    plane = noise(*shape)
    held = gpu.upload(plane)
    found = gpu.download(gpu.band_pass(held, gpu.reduce(held), sigma))
    np.testing.assert_allclose(found, CPU.band_pass(plane, CPU.reduce(plane), sigma), atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", [8.0, 4.0])
def test_contrast_is_evened_out_as_by_the_cpu(gpu: Gpu, shape: tuple[int, int], sigma: float) -> None:
    plane = (noise(*shape) - 0.5) * np.linspace(0.1, 2, shape[1], dtype=np.float32)
    found = gpu.download(gpu.even_out(gpu.upload(plane), sigma))
    np.testing.assert_allclose(found, CPU.even_out(plane.copy(), sigma), atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 40, 3000])
def test_samples_are_those_of_the_cpu_to_the_bit(gpu: Gpu, shape: tuple[int, int], count: int) -> None:
    plane = noise(*shape)
    wanted = CPU.samples(plane, count)
    for name, values in fetched(gpu, gpu.samples(gpu.upload(plane), count)).items():
        np.testing.assert_array_equal(values, getattr(wanted, name), strict=True)


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_where_all_gradients_tie_samples_are_thinned_alike(gpu: Gpu, level: float) -> None:
    plane = np.full((60, 50), level, np.float32) + level * np.arange(50, dtype=np.float32)
    wanted = CPU.samples(plane, 100)
    found = fetched(gpu, gpu.samples(gpu.upload(plane), 100))
    assert 50 < len(found["x"]) < 200
    for name in FIELDS:
        np.testing.assert_array_equal(found[name], getattr(wanted, name))


def scattered(differences: Array) -> Samples[Array]:
    """Samples on a plane of zeros that differ from it by just so much."""
    n = len(differences)
    place = np.linspace(1, 30, n, dtype=np.float32)
    return Samples(place, place, differences.astype(np.float32), noise(n, 8))


DIFFERENCES = {
    "odd": noise(1001) - 0.5,
    "even": noise(998) - 0.5,
    "the two in the middle are far apart": np.repeat([1e-6, 50.0], 20),
    "the two in the middle are neighbours": np.repeat(np.float32([1, 1 + 2**-23]), 20),
    "all equal": np.full(40, 0.3),
    "all zero": np.zeros(20),
    "of any size": np.exp(np.linspace(-30, 30, 300)),
    "many": noise(70_000) - 0.5,
}


@pytest.mark.parametrize("differences", DIFFERENCES.values(), ids=list(DIFFERENCES))
def test_the_median_is_exact(gpu: Gpu, differences: Array) -> None:
    samples = scattered(differences)
    zeros = gpu.upload(np.zeros((32, 32), np.float32))
    found = gpu.alignment_sums(sent(gpu, samples), zeros, np.eye(3), 1.0)
    assert found.spread == float(np.median(np.abs(samples.value))) * 1.4826 + 1e-9


@pytest.mark.parametrize("shape", [(9, 12), (97, 131)])
@pytest.mark.parametrize("contrast", [1.0, 0.8])
@pytest.mark.parametrize(
    "matrix",
    [np.eye(3), TILTED, np.array([[1, 0, 40.5], [0, 1, -3.25], [0, 0, 1.0]])],
    ids=["still", "tilted", "half outside"],
)
def test_sums_are_those_of_the_cpu(gpu: Gpu, shape: tuple[int, int], contrast: float, matrix: Array) -> None:
    here, there = noise(*shape), noise(*shape, seed=4)
    there += here
    samples = CPU.samples(here, 3000)
    wanted = CPU.alignment_sums(samples, there, matrix, contrast)
    assert_close(gpu.alignment_sums(sent(gpu, samples), gpu.upload(there), matrix, contrast), wanted)


def test_values_far_from_zero_correlate_as_well(gpu: Gpu) -> None:
    here = noise(60, 70) + np.float32(300)
    samples = CPU.samples(here, 500)
    there = here + noise(60, 70, seed=5)
    wanted = CPU.alignment_sums(samples, there, np.eye(3), 1.0).correlation
    found = gpu.alignment_sums(sent(gpu, samples), gpu.upload(there), np.eye(3), 1.0).correlation
    assert 0.5 < wanted < 0.9
    assert found == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.3, 1 / 3])
def test_a_constant_plane_correlates_with_nothing(gpu: Gpu, level: float) -> None:
    samples = sent(gpu, CPU.samples(noise(60, 70), 500))
    flat = gpu.full((60, 70), level, "float32")
    assert gpu.alignment_sums(samples, flat, TILTED, 1.0).correlation == 0.0


@pytest.mark.parametrize(
    "matrix",
    [
        np.array([[1, 0, 500.0], [0, 1, 0], [0, 0, 1]]),
        np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0.0]]),
        np.array([[1e300, 0, 0], [0, 1e300, 0], [1e-300, 0, 1e-300]]),
    ],
    ids=["away", "at infinity", "beyond every number"],
)
def test_no_sample_inside_is_no_motion_and_spoils_nothing(gpu: Gpu, matrix: Array) -> None:
    plane = noise(60, 70)
    samples, held = sent(gpu, CPU.samples(plane, 500)), gpu.upload(plane)
    before = gpu.alignment_sums(samples, held, TILTED, 1.0)
    lost = gpu.alignment_sums(samples, held, matrix, 1.0)
    assert (lost.share, lost.correlation, lost.spread) == (0.0, 0.0, 0.0)
    assert not lost.gradient.any()
    after = gpu.alignment_sums(samples, held, TILTED, 1.0)
    np.testing.assert_array_equal(after.hessian, before.hessian)
    assert after.spread == before.spread


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("kind", list(PixelType))
@pytest.mark.parametrize(
    ("shape", "factor"), [((64, 90, 3), 7), ((97, 331, 4), 40), ((5, 7, 2), 8), ((1, 40, 1), 1)]
)
def test_a_frames_light_is_that_of_the_cpu(
    gpu: Gpu, kind: PixelType, shape: tuple[int, ...], factor: int, linear: bool
) -> None:
    pixels = frame(kind, *shape)
    wanted = CPU.light(pixels, kind, factor, linear)
    found = gpu.light(gpu.upload(pixels), kind, factor, linear)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=2e-6)


def everything(device: CpuDevice) -> list[Array]:
    """What every operation makes of one frame and its shifted self."""
    gpu = Gpu(device, LIMIT)
    pixels = gpu.upload(frame(PixelType.UINT8, 101, 133, 3))
    plane = gpu.survey_luma(pixels, PixelType.UINT8, 2)
    light = gpu.to_light(plane)
    passed = gpu.even_out(gpu.band_pass(light, gpu.reduce(light), 4.0), 8.0)
    samples = gpu.samples(passed, 600)
    few = gpu.thinned(samples, 3)
    sums = gpu.alignment_sums(samples, passed, TILTED, 0.9)
    shift = np.array(gpu.best_shift(passed, passed))
    scalars = np.array([sums.spread, sums.correlation, sums.share, gpu.noise_level(pixels, PixelType.UINT8)])
    small = [gpu.thumbnail(plane, 20), gpu.light(pixels, PixelType.UINT8, 9, False)]
    planes = [gpu.download(plane), gpu.download(passed), *small]
    samples_of = [*fetched(gpu, samples).values(), *fetched(gpu, few).values()]
    return [*planes, *samples_of, sums.hessian, sums.gradient, shift, scalars]


@pytest.mark.parametrize(("order", "eager"), [(1, True), (5, True), (9, False)])
def test_results_do_not_depend_on_the_order_of_threads(order: int, eager: bool) -> None:
    for found, wanted in zip(
        everything(CpuDevice(order=order, eager=eager)), everything(CpuDevice()), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.skipif(sanitized.sanitizer_problem() is not None, reason=str(sanitized.sanitizer_problem()))
@pytest.mark.slow
def test_no_kernel_leaves_its_arrays() -> None:
    done = sanitized.run("tests.backend.test_gpu_matching:everything")
    assert (done.returncode, done.stderr) == (0, "")


def test_one_call_of_the_sums_is_three_launches_and_one_copy() -> None:
    device = CpuDevice()
    gpu = Gpu(device, LIMIT)
    plane = gpu.upload(noise(60, 70))
    samples = gpu.samples(plane, 500)
    begun = len(device.log)
    gpu.alignment_sums(samples, plane, TILTED, 1.0)
    work = [what.split(" ")[0] for lane, what in device.log[begun:] if lane is Lane.WORK]
    assert work == ["look_up", "narrow", "add_up", "copy_out", "record"]


def test_after_the_first_frame_nothing_is_allocated() -> None:
    device = CpuDevice()
    gpu = Gpu(device, LIMIT)
    for seed in range(3):
        plane = gpu.upload(noise(60, 70, seed=seed))
        passed = gpu.even_out(gpu.band_pass(plane, gpu.reduce(plane), 4.0), 8.0)
        samples = gpu.samples(passed, 500)
        gpu.alignment_sums(gpu.thinned(samples, 4), passed, TILTED, 1.0)
        gpu.thumbnail(plane, 20)
        gpu.light(gpu.upload(frame(PixelType.UINT8, 60, 70, 3)), PixelType.UINT8, 9, False)
        del plane, passed, samples
        device.freeze()


def test_a_match_is_that_of_the_cpu(gpu: Gpu) -> None:
    width, height = 128, 96
    true = about_the_centre(width, height, turned(1.5, 1.01), (3.2, -1.7))
    pictures = [Texture(21).seen(width, height, matrix) for matrix in (np.eye(3), true)]

    def sights(backend: Any) -> list[Sight]:
        return [see(backend, backend.upload(picture), (width, height), linear=True) for picture in pictures]

    wanted = match(CPU, *sights(CPU), Model.SIMILARITY)
    backend: Any = gpu
    found = match(backend, *sights(backend), Model.SIMILARITY)
    assert found.trusted
    assert found.confidence == pytest.approx(wanted.confidence, abs=1e-4)
    assert corner_error(found.matrix, wanted.matrix, width, height) < 1e-3
    assert corner_error(found.matrix, true, width, height) < 0.05
