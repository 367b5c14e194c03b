"""JPEG files decoded on a GPU by nvImageCodec: the only module that imports it, and only when it is wanted.

It is written against version 0.9.0, and has not run on a GPU yet.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gpustack.backend.cuda import CudaDevice
from gpustack.backend.gpu.device import Host, Lane
from gpustack.errors import BackendError, DecodeError
from gpustack.model.jpeg import Jpeg

KINDS = ("HYBRID_CPU_GPU",)
"""nvJPEG's CUDA decoder, which also does the Huffman decoding of large files on the GPU. Not the hardware
engines (HW_GPU_ONLY): that they interpolate colour as libjpeg does is nowhere promised."""

OPTIONS = ":fancy_upsampling=1"
"""Interpolate subsampled colour as libjpeg does. Without it, samples differ by up to 66 levels of 255 (a
textured picture in 4:2:0, both ways on the CPU)."""

THREADS = 1
"""Of its own, on the host: one file is decoded at a time, and the other processors read."""

TAKE_CPU = "Take --decoder cpu."


class NvJpeg:
    """`gpustack.backend.gpu.device.JpegDecoder` for one NVIDIA GPU. Raises BackendError where it does not
    start.

    nvImageCodec takes device memory of its own, which it keeps from one file to the next.
    """

    def __init__(self, device: CudaDevice, kinds: Sequence[str] = KINDS) -> None:
        self._device, self._codec = device, nvimgcodec()
        codec = self._codec
        try:
            with device.current():
                self._decoder = codec.Decoder(
                    device_id=device.number,
                    max_num_cpu_threads=THREADS,
                    backends=[codec.Backend(getattr(codec.BackendKind, kind)) for kind in kinds],
                    options=OPTIONS,
                )
        except RuntimeError as error:
            raise BackendError(f"nvImageCodec does not start ({_line(error)}).", TAKE_CPU) from error
        self._params = {
            1: self._wanted(codec.ColorSpec.GRAY, codec.SampleFormat.I_Y),
            3: self._wanted(codec.ColorSpec.SRGB, codec.SampleFormat.I_RGB),
        }

    def decode(self, data: Host, target: int, jpeg: Jpeg, lane: Lane, /) -> None:
        """See `JpegDecoder`."""
        codec, stream, params = self._codec, self._device.stream(lane), self._params[jpeg.channels]
        try:
            with self._device.current():
                room = codec.as_image(
                    _Memory(target, jpeg.shape, stream), stream, sample_format=params.sample_format
                )
                found = self._decoder.decode(
                    codec.CodeStream(data), image=room, params=params, cuda_stream=stream
                )
        except (RuntimeError, ValueError) as error:
            raise _failed(jpeg, _line(error)) from error
        if found is None:
            raise _failed(jpeg, "it gives no reason")
        if tuple(found.shape) != jpeg.shape:
            raise _failed(jpeg, f"it finds a picture {tuple(found.shape)} where {jpeg.shape} was told")

    def _wanted(self, colours: Any, layout: Any) -> Any:
        return self._codec.DecodeParams(
            apply_exif_orientation=False, color_spec=colours, allow_any_depth=False, sample_format=layout
        )


class _Memory:
    """Device memory of a picture, as the CUDA array interface describes it."""

    def __init__(self, address: int, shape: tuple[int, ...], stream: int) -> None:
        self.__cuda_array_interface__ = {
            "data": (address, False),
            "shape": shape,
            "typestr": "|u1",
            "strides": None,
            "stream": stream,
            "version": 3,
        }


def nvimgcodec() -> Any:
    """nvImageCodec itself. Raises BackendError where it cannot be imported."""
    os.environ.setdefault("PYNVIMGCODEC_VERBOSITY", "0")  # what goes wrong is told by us
    try:
        with _hushed():
            from nvidia import nvimgcodec as module
    except ImportError as error:
        raise BackendError(
            f"nvImageCodec cannot be imported ({_line(error)}).",
            "Install it again: pip install --force-reinstall 'gpustack-focus[nvjpeg13]', or [nvjpeg12].",
        ) from error
    return module


@contextmanager
def _hushed() -> Iterator[None]:
    """Drop what goes to standard error: on import, complaints about codecs that nobody asked for."""
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with suppress(AttributeError):  # nor here, in Python's view
        sys.stderr.flush()
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _failed(jpeg: Jpeg, reason: str) -> DecodeError:
    return DecodeError(
        jpeg.name,
        f"nvImageCodec cannot decode it ({reason}).",
        "Take --decoder cpu; if that fails too, the file is damaged.",
    )


def _line(error: Exception) -> str:
    """The first line of an error, without its full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
