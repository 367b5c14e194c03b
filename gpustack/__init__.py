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
    from gpustack.api import Result, open_stack, stack
    from gpustack.errors import GpustackError
    from gpustack.model.transform import Transform
    from gpustack.settings import Crop, Method, Model, Settings

__all__ = [
    "Crop",
    "GpustackError",
    "Method",
    "Model",
    "Result",
    "Settings",
    "Transform",
    "__version__",
    "open_stack",
    "stack",
]

_HOMES = {
    "Crop": "gpustack.settings",
    "GpustackError": "gpustack.errors",
    "Method": "gpustack.settings",
    "Model": "gpustack.settings",
    "Result": "gpustack.api",
    "Settings": "gpustack.settings",
    "Transform": "gpustack.model.transform",
    "open_stack": "gpustack.api",
    "stack": "gpustack.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import gpustack` alone loads neither NumPy nor OpenCV."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gpustack' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
