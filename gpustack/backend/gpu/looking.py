"""Looking behind nearer things (`Backend.steps`, `Backend.look_behind`): the CPU's code, on the host.

It is a small part of a run, done once for a few strips, and has no kernels yet.
"""

from __future__ import annotations

from gpustack.backend import behind
from gpustack.backend.gpu.core import Core
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.values import Host, Mix, Steps


class Looking(Core):
    """What lies beside depth steps."""

    def steps(self, depth: Tensor, energy: Tensor, floor: float, inner: slice, /) -> Steps[Tensor]:
        found = behind.steps(self.download(depth), self.download(energy), floor, inner)
        return Steps(*(self.upload(plane) for plane in (found.near, found.far, found.side)))

    def look_behind(
        self,
        picture: Tensor,
        near: Mix[Tensor],
        far: Mix[Tensor],
        steps: Steps[Tensor],
        radius: float,
        noise: float,
        coded: bool,
        inner: slice,
        /,
    ) -> tuple[Tensor, Tensor]:
        sides = Steps(*(self.download(plane) for plane in (steps.near, steps.far, steps.side)))
        mixes = self._fetched(near), self._fetched(far)
        before = self.download(picture)
        better, seen = behind.look_behind(before, *mixes, sides, radius, noise, coded, inner)
        return self.upload(better), self.upload(seen)

    def _fetched(self, mix: Mix[Tensor]) -> Mix[Host]:
        return Mix(self.download(mix.mean), self.download(mix.total))
