"""Looking behind nearer things (`Backend.steps`, `Backend.look_behind`): the CPU's code, on the host.

It is a small part of a run, done once for a few strips, and has no kernels yet.
"""

from __future__ import annotations

from gpustack.backend import behind
from gpustack.backend.gpu.core import Core
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.values import Beside, Host, Looked, Mix, Optics, Steps


class Looking(Core):
    """What lies beside depth steps."""

    def steps(self, depth: Tensor, energy: Tensor, floor: float, inner: slice, /) -> Steps[Tensor]:
        found = behind.steps(self.download(depth), self.download(energy), floor, inner)
        return Steps(*(self.upload(plane) for plane in (found.near, found.far, found.side)))

    def look_behind(self, beside: Beside[Tensor], optics: Optics, inner: slice, /) -> Looked[Tensor]:
        steps = beside.steps
        sides = Steps(*(self.download(plane) for plane in (steps.near, steps.far, steps.side)))
        fetched = Beside(
            self.download(beside.picture), self._fetched(beside.near), self._fetched(beside.far), sides
        )
        looked = behind.look_behind(fetched, optics, inner)
        return Looked(*(self.upload(plane) for plane in (looked.picture, looked.bare, looked.fits)))

    def _fetched(self, mix: Mix[Tensor]) -> Mix[Host]:
        return Mix(self.download(mix.mean), self.download(mix.total))
