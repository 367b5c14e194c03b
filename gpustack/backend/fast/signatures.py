"""What the compiled loops are called, and what they are given; knows no numba.

A letter an argument: F, D, H, B and L are pointers to float32, float64, uint16, uint8 and int64, i is a size
or a place, f a float32.
What stands behind the point is the kind of samples that the function of that name is compiled for.
"""

from __future__ import annotations

_IMAGE = "Fiiii"  # step, channels, height, width
_MASK = "Bi"  # rows
_INNER = "ii"
_TAPS = "Fi"

_SAMPLES = {"uint8": "B", "uint16": "H", "float32": "F"}
_BLEND = _IMAGE + _MASK + "FiFFfF"
_LEVEL = _IMAGE + _MASK + _INNER + "Fiii" + "Fi" + _TAPS + "FHFFiifiFF"
_SHARPNESS = _IMAGE + _MASK + _INNER + "FFii" + _TAPS + "f" + "FHFi" + "Fii" + "FFFi" + "ifiiF"

_KERNELS = "Fiiiii"

SIGNATURES = {
    **{f"separated.{kind}": f"{of}iiFFiii" for kind, of in _SAMPLES.items()},
    **{
        f"widen.{kind}": f"{_SAMPLES[kind]}i" * 2 + _IMAGE + _MASK + _INNER + "f"
        for kind in ("uint8", "uint16")
    },
    "blend_in": _BLEND,
    "luma_rows": _IMAGE + "F",
    "smoothed_curvature": "Fii" + _TAPS + "fFF",
    "fold_level": _LEVEL,
    "fold_sharpness": _SHARPNESS,
    "unblurred": _IMAGE + "FiFii" + _KERNELS + "iiFFF",
    "misfits": "FFFHFffi" + _IMAGE + _KERNELS + "FiiDiF",
    "sampled": "FiiiiiiFFFiiiLF",
}
