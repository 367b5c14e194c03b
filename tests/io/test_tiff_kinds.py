import struct

import numpy as np
import pytest
import tifffile

from gpustack.errors import DecodeError
from gpustack.io.decode import probe


def picture(channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (37, 53, channels), np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "picture.bin"


def refused_kinds():
    plane = picture(1)[..., 0]
    four = picture(4)
    yield "palette", plane, {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}, "palette"
    yield "bilevel", plane > 99, {}, "one bit a pixel"
    yield "cmyk", four, {"photometric": "separated"}, "CMYK"
    yield "lab", four[..., :3], {"photometric": "cielab"}, "Lab"
    yield "int8", plane.astype(np.int8), {}, "signed 8-bit"
    yield "int16", plane.astype(np.int16), {}, "signed 16-bit"
    yield "float16", plane.astype(np.float16), {}, "16-bit floating"
    yield "float64", plane.astype(np.float64), {}, "64-bit floating"
    yield "uint32", plane.astype(np.uint32), {}, "32 bits"
    yield "complex", plane.astype(np.complex64), {}, "complex"
    yield "jpeg 2000", four[..., :3], {"photometric": "rgb", "compression": "jpeg2000"}, "compression"
    yield "five channels", picture(5), {"photometric": "rgb", "extrasamples": [0, 0]}, "5 channels"
    yield "volume", np.stack([plane] * 16), {"tile": (16, 16, 16), "volumetric": True}, "volume"


@pytest.mark.parametrize(
    ("pixels", "options", "says"), [pytest.param(*rest, id=name) for name, *rest in refused_kinds()]
)
def test_other_kinds_have_a_sentence_of_their_own(path, pixels, options, says):
    tifffile.imwrite(path, pixels, metadata=None, **{"photometric": "minisblack", **options})
    with pytest.raises(DecodeError, match=says) as caught:
        probe(path)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("tag", "value", "says"),
    [
        (259, 6, "old, ambiguous JPEG"),
        (262, 6, "YCbCr"),
        (262, 32844, "colour model .number 32844."),
        (258, 12, "12 bits"),
    ],
)
def test_other_codings_have_a_sentence_of_their_own(path, tag, value, says):
    tifffile.imwrite(path, picture(1)[..., 0], photometric="minisblack", metadata=None)
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, data.index(struct.pack("<HHI", tag, 3, 1)) + 8, value)
    path.write_bytes(data)
    with pytest.raises(DecodeError, match=says):
        probe(path)
