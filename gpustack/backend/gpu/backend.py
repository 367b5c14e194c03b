"""The GPU backend: every operation of the Protocol on one device."""

from __future__ import annotations

from gpustack.backend.gpu.debiasing import Debiasing
from gpustack.backend.gpu.decoding import Decoding
from gpustack.backend.gpu.developing import Developing
from gpustack.backend.gpu.folding import Folding
from gpustack.backend.gpu.loading import Loading
from gpustack.backend.gpu.looking import Looking
from gpustack.backend.gpu.matching import Matching
from gpustack.backend.gpu.surfacing import Surfacing
from gpustack.backend.gpu.tensor import Tensor
from gpustack.backend.protocol import Backend


class Gpu(Decoding, Developing, Loading, Folding, Debiasing, Surfacing, Looking, Matching):
    """All parts on one pool, one ring and two lanes; arrays are `Tensor`."""


GPU: type[Backend[Tensor]] = Gpu  # the type checker compares it with the Protocol here
