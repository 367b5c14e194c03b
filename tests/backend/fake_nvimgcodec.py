"""The part of nvImageCodec 0.9 that `NvJpeg` uses: libjpeg, which writes where a picture's memory lies."""

from __future__ import annotations

import ctypes
import sys
from enum import Enum
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import simplejpeg

BackendKind = Enum("BackendKind", "GPU_ONLY HYBRID_CPU_GPU HW_GPU_ONLY CPU_ONLY")
ColorSpec = Enum("ColorSpec", "SRGB GRAY")
SampleFormat = Enum("SampleFormat", "I_RGB I_Y")


class FakeNvImageCodec:
    """`made` holds what decoders were asked for, `decoded` (stream, options) of every picture; `failing` what
    a call raises instead, `spoil` is added to every sample, `smaller` rows are missing in what is found."""

    __version__ = "0.9.0"
    BackendKind, ColorSpec, SampleFormat = BackendKind, ColorSpec, SampleFormat

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[dict[str, Any]] = []
        self.decoded: list[tuple[int, dict[str, Any]]] = []
        self.failing: dict[str, Exception] = {}
        self.spoil, self.smaller = 0, 0
        monkeypatch.setitem(sys.modules, "nvidia", SimpleNamespace(nvimgcodec=self))
        monkeypatch.setitem(sys.modules, "nvidia.nvimgcodec", self)
        monkeypatch.setenv("PYNVIMGCODEC_VERBOSITY", "0")

    def Backend(self, kind: Any) -> Any:
        return kind

    def Decoder(self, **options: Any) -> Any:
        if "Decoder" in self.failing:
            raise self.failing["Decoder"]
        self.made.append(options)
        return SimpleNamespace(decode=self._decode)

    def DecodeParams(self, **options: Any) -> Any:
        return SimpleNamespace(**options)

    def CodeStream(self, data: Any) -> bytes:
        return bytes(data)

    def as_image(self, source: Any, cuda_stream: int = 0, *, sample_format: Any) -> Any:
        described = source.__cuda_array_interface__
        assert described["stream"] == cuda_stream
        assert described["typestr"] == "|u1"
        assert described["shape"][2] == (1 if sample_format is SampleFormat.I_Y else 3)
        return described

    def _decode(self, data: bytes, *, image: Any, params: Any, cuda_stream: int) -> Any:
        if "decode" in self.failing:
            raise self.failing["decode"]
        self.decoded.append((cuda_stream, vars(params)))
        space = "GRAY" if params.color_spec is ColorSpec.GRAY else "RGB"
        try:
            pixels = simplejpeg.decode_jpeg(data, colorspace=space) + np.uint8(self.spoil)
        except ValueError:
            return None
        pixels = pixels[self.smaller :]
        if pixels.nbytes > np.prod(image["shape"]):
            raise ValueError("Existing buffer is too small to fit new image")
        ctypes.memmove(image["data"][0], pixels.ctypes.data, pixels.nbytes)
        return SimpleNamespace(shape=pixels.shape)
