"""Focus stacking: many photographs, each focused at another distance, become one that is sharp everywhere.

import gpustack
result = gpustack.stack(["a.jpg", "b.jpg", "c.jpg"])
result.save("sharp.jpg")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gpustack.api import Result, locate, open_stack, stack
    from gpustack.errors import GpustackError
    from gpustack.model.place import Place
    from gpustack.model.transform import Transform
    from gpustack.settings import BadFrame, Crop, Interpolation, Method, Model, Settings

__all__ = [
    "BadFrame",
    "Crop",
    "GpustackError",
    "Interpolation",
    "Method",
    "Model",
    "Place",
    "Result",
    "Settings",
    "Transform",
    "__version__",
    "locate",
    "open_stack",
    "stack",
]

_HOMES = {
    "BadFrame": "gpustack.settings",
    "Crop": "gpustack.settings",
    "GpustackError": "gpustack.errors",
    "Interpolation": "gpustack.settings",
    "Method": "gpustack.settings",
    "Model": "gpustack.settings",
    "Place": "gpustack.model.place",
    "Result": "gpustack.api",
    "Settings": "gpustack.settings",
    "Transform": "gpustack.model.transform",
    "locate": "gpustack.api",
    "open_stack": "gpustack.api",
    "stack": "gpustack.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import gpustack` alone loads neither NumPy nor OpenCV."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gpustack' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
