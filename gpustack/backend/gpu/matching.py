"""Alignment on the device: what is read off a frame, which pixels to look at, and the sums over them."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from gpustack.backend import filters, matching, sampling
from gpustack.backend.gpu.core import Core
from gpustack.backend.gpu.launch import BLOCK, LINE
from gpustack.backend.gpu.records import Record, record, taps
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.values import Host, Samples, Sums
from gpustack.model.frame import PixelType
from gpustack.model.transform import Matrix

_CHUNK = 2048  # CHUNK of samples.cu
_BLUR_ROWS, _BLUR_REACH = 32, 8  # TILE and REACH of blur.cu
_WHOLE = 16  # side of the thumbnail whose mean is a plane's: some blocks' work, and a kilobyte to copy
_SEARCH_WORDS = 2048 + 5  # `Search` of common.cuh, in words of 4 bytes
_SUMS = 64  # SUMS of sums.cu
_MOST_BLOCKS = 128  # of a pass over a list: enough to fill a device, few enough to add up in one block
_MOTION = np.dtype([("m", "f8", 9)])
_SAMPLED = np.dtype(
    [
        ("x", "u8"),
        ("y", "u8"),
        ("value", "u8"),
        ("jacobian", "u8"),
        ("centre_x", "f8"),
        ("centre_y", "f8"),
        ("unit", "f8"),
    ]
)


class Matching(Core):
    """What a survey asks for, from a frame's luma to the sums of its matches."""

    @cached_property
    def _search(self) -> Tensor:
        """The one `Search`: searches follow each other on the work lane, and each leaves it all 0."""
        return self.full((_SEARCH_WORDS,), 0.0, "float32")

    def survey_luma(self, frame: Tensor, kind: PixelType, factor: int, /) -> Tensor:
        frame_height, frame_width, channels = frame.shape
        high, wide = min(factor, frame_height), min(factor, frame_width)
        out = self.new((frame_height // high, frame_width // wide))
        size = (out.height, out.width)
        values = (frame, frame_width, channels, 1 / kind.white, high, wide, out, *size)
        self._launch.picture("survey", "survey_luma", size, values, pixel=kind.value)
        return out

    def noise_level(self, frame: Tensor, kind: PixelType, /) -> float:
        height, width, channels = frame.shape
        strips, wide = matching.noise_strips(height), min(matching.NOISE_ROWS, width)
        means = self.new((len(strips), width // wide))
        values = (frame, height, width, channels, 1 / kind.white, strips.step, wide, means)
        size = (means.height, means.width * BLOCK[0])  # a block each
        self._launch.picture("survey", "noise", size, values, pixel=kind.value, rows=1)
        return matching.noise_of(self.download(means), kind)

    def thumbnail(self, plane: Tensor, longest: int, /) -> Host:
        height, width = matching.thumbnail_size(plane.shape, longest)
        out = self.new((height, width))
        scales = (np.float64(plane.height / height), np.float64(plane.width / width))
        size = (
            height,
            -(-width // BLOCK[1]) * BLOCK[0],
        )  # a block for as many pixels as it has rows of threads
        values = (plane, plane.height, plane.width, *scales, out, width)
        self._launch.picture("survey", "thumbnail", size, values, rows=1)
        return self.download(out)

    def to_light(self, plane: Tensor, /) -> Tensor:
        out, size = self.new(plane.shape), (plane.height, plane.width)
        self._launch.picture("survey", "to_light", size, (plane, out, *size))
        return out

    def light(self, frame: Tensor, kind: PixelType, factor: int, linear: bool, /) -> Host:
        frame_height, frame_width, channels = frame.shape
        high, wide, colours = min(factor, frame_height), min(factor, frame_width), matching.colours(channels)
        rows, columns = frame_height // high, frame_width // wide
        out = self.new((colours, rows, columns))
        size = rows, -(-columns // BLOCK[1]) * BLOCK[0]  # as for a thumbnail
        counts = (linear, matching.BURNT, high, wide, out, rows, columns)
        values = (frame, frame_width, channels, 1 / kind.white, *counts)
        self._launch.picture("survey", "light", size, values, channels=colours, pixel=kind.value, rows=1)
        return self.download(out)

    def band_pass(self, plane: Tensor, coarse: Tensor, sigma: float, /) -> Tensor:
        blurred, out = self.new(coarse.shape), self.new(plane.shape)
        size = (coarse.height, coarse.width)
        narrow = taps(filters.coarse_sigma(sigma), _BLUR_REACH)
        self._launch.picture("blur", "blur", size, (coarse, blurred, *size, narrow), rows=_BLUR_ROWS)
        fine = (plane.height, plane.width)
        self._launch.picture("blur", "band_pass", fine, (plane, blurred, *size, out, *fine))
        return out

    def even_out(self, plane: Tensor, sigma: float, /) -> Tensor:
        cell = filters.cell_of(plane.shape)
        energy = self.new((plane.height // cell[0], plane.width // cell[1]))
        blurred, size = self.new(energy.shape), (energy.height, energy.width)
        self._launch.picture("even", "energies", size, (plane, plane.width, *cell, energy, *size))
        narrow = taps(sigma / filters.CELL, _BLUR_REACH)
        self._launch.picture("blur", "blur", size, (energy, blurred, *size, narrow), rows=_BLUR_ROWS)
        whole = float(self.thumbnail(energy, _WHOLE).mean(dtype=np.float64)) + float(filters.NO_ENERGY)
        self._launch.picture("even", "gains", size, (blurred, whole, *size))
        fine = (plane.height, plane.width)
        self._launch.picture("even", "even_out", fine, (plane, blurred, *size, *cell, *fine))
        return plane

    def samples(self, plane: Tensor, count: int, every: int = 1, /) -> Samples[Tensor]:
        found = self._strongest(plane, count)
        return found if every == 1 else self.thinned(found, every)

    def _strongest(self, plane: Tensor, count: int) -> Samples[Tensor]:
        apart = sampling.rows_apart(plane.shape, count)
        strength = self._strength(plane, apart, count)
        pixels = strength.height * strength.width
        blocks = -(-pixels // _CHUNK)
        offsets = self.new((blocks + 1, 1), "uint32")
        self._launch.line("samples", "count_strong", blocks, (strength, pixels, offsets, self._search))
        picked = int(self.download(offsets.rows(slice(blocks, None)))[0, 0])
        thinning = sampling.thinning(picked, count)
        found = self._room_for_samples(-(-picked // thinning), 2 * count)
        values = (plane, strength, pixels, plane.width, apart, thinning, offsets, self._search)
        self._launch.line("samples", "take", blocks, (*values, _sampled(found, plane)))
        return found

    def thinned(self, samples: Samples[Tensor], every: int, /) -> Samples[Tensor]:
        """Every so-manieth of the samples, from the first on."""
        count, most = samples.x.shape[0], samples.x.owner.nbytes // samples.x.dtype.itemsize
        found = self._room_for_samples(-(-count // every), -(-most // every))
        values = (samples.x, samples.y, samples.value, samples.jacobian, count, every)
        self._launch.line(
            "samples",
            "thin",
            _blocks_over(found.x.shape[0]),
            (*values, found.x, found.y, found.value, found.jacobian),
        )
        return found

    def _strength(self, plane: Tensor, apart: int, count: int) -> Tensor:
        """The squared gradient of every so-manieth row of a plane; the threshold for about `count` samples is
        left in the search."""
        size = (-(-plane.height // apart), plane.width)
        strength = self.new(size)
        keys = self.new((-(-size[0] * size[1] // sampling.EVERY),), "uint32")
        values = (plane, plane.height, apart, strength, keys, sampling.EVERY, *size)
        self._launch.picture("samples", "strength", size, values)
        length = keys.shape[0]
        self._launch.line("select", "tally", _blocks_over(length), (keys, length, self._search))
        self._narrow(keys, sampling.threshold_rank(length, count))
        return strength

    def _narrow(self, keys: Tensor, rank: int) -> None:
        """End the search for the key of this rank; below 0: for the two in the middle."""
        length = keys.shape[0]
        values = (keys, length, rank, self._beside(keys, "uint32"), self._search)
        self._launch.line("select", "narrow", _blocks_over(length), values)

    def _room_for_samples(self, count: int, most: int) -> Samples[Tensor]:
        x, y, value = (self._list(count, most) for _ in range(3))
        jacobian = self.new((most, 8)).rows(slice(0, count))
        return Samples(x, y, value, jacobian)

    def _list(self, count: int, most: int) -> Tensor:
        """`count` floats in memory for `most`: the number of samples differs a little between frames."""
        room = self.new((most,))
        return Tensor.of(room.owner, room.address, (count,), "float32")

    def _beside(self, array: Tensor, dtype: str) -> Tensor:
        """As many elements of 4 bytes as another list has, in memory of the same size."""
        room = self._pool.take(array.owner.nbytes)
        return Tensor.of(room, room.address, array.shape, dtype)

    def alignment_sums(
        self, samples: Samples[Tensor], plane: Tensor, matrix: Matrix, contrast: float, /
    ) -> Sums:
        count = samples.x.shape[0]
        if not count:
            return matching.no_sums(0.0)
        found, keys = self._beside(samples.x, "float32"), self._beside(samples.x, "uint32")
        motion = record(_MOTION, m=matrix.ravel())
        there = (plane, plane.height, plane.width, motion, float(contrast), found, keys, self._search)
        blocks = _blocks_over(count)
        self._launch.line("sums", "look_up", blocks, (samples.x, samples.y, samples.value, count, *there))
        self._narrow(keys, -1)
        partial, out = self.new((_MOST_BLOCKS, _SUMS), "float64"), self.new((_SUMS + 2,), "float64")
        values = (samples.value, samples.jacobian, found, keys, count, float(contrast))
        huber = (np.float64(matching.MAD_TO_SIGMA), np.float64(matching.HUBER))
        self._launch.line("sums", "add_up", blocks, (*values, *huber, self._search, partial, out))
        return _unpacked(self.download(out), count)

    def strip_sums(
        self, samples: Samples[Tensor], plane: Tensor, matrix: Matrix, contrast: float, strips: int, /
    ) -> list[Sums]:
        runs = matching.runs(samples.x.shape[0], strips)
        return [self.alignment_sums(_part(samples, run), plane, matrix, contrast) for run in runs]

    def best_shift(self, here: Tensor, there: Tensor, /) -> tuple[float, float]:
        """On the host: the planes are those of the coarsest level, a few kilobytes."""
        return matching.best_shift(self.download(here), self.download(there))


def _blocks_over(count: int) -> int:
    """Blocks for a pass over a list."""
    return min(-(-count // LINE), _MOST_BLOCKS)


def _part(samples: Samples[Tensor], run: slice) -> Samples[Tensor]:
    """A view of a run of the samples."""
    x, y, value = (_run(axis, run) for axis in (samples.x, samples.y, samples.value))
    return Samples(x, y, value, samples.jacobian.rows(run))


def _run(values: Tensor, run: slice) -> Tensor:
    """A view of a run of a list."""
    address = values.address + run.start * values.dtype.itemsize
    return Tensor.of(values.owner, address, (run.stop - run.start,), values.dtype)


def _sampled(samples: Samples[Tensor], plane: Tensor) -> Record:
    """`Sampled` of samples.cu."""
    return record(
        _SAMPLED,
        x=samples.x,
        y=samples.y,
        value=samples.value,
        jacobian=samples.jacobian,
        centre_x=(plane.width - 1) / 2,
        centre_y=(plane.height - 1) / 2,
        unit=sampling.half_diagonal(plane.shape),
    )


def _unpacked(sums: Host, count: int) -> Sums:
    """What `add_up` wrote, as `Sums`; `count` is the number of samples inside the plane or not."""
    spread, inside = float(sums[_SUMS]), float(sums[_SUMS + 1])
    if inside < matching.LEAST_INSIDE:
        return matching.no_sums(inside / count)
    hessian, (pairs, gradient, rest) = np.zeros((9, 9)), np.split(sums[:_SUMS], (45, 54))
    rows, columns = np.triu_indices(9)
    hessian[rows, columns] = hessian[columns, rows] = pairs
    return Sums(
        hessian, gradient, spread, _correlation(rest.reshape(5, 2).sum(axis=1) / inside), inside / count
    )


def _correlation(means: Host) -> float:
    """From the means of a, b, a^2, b^2 and ab; 0 where one is constant, so that its variance is rounding."""
    mean, square = means[:2], means[2:4]
    variance = square - mean**2
    if (variance <= 1e-12 * square).any():
        return 0.0
    return float((means[4] - mean[0] * mean[1]) / np.sqrt(variance[0] * variance[1]))
