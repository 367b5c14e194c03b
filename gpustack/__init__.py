"""Focus stacking: many photographs, each focused at another distance, become one that is sharp everywhere.

import gpustack
result = gpustack.stack(["a.jpg", "b.jpg", "c.jpg"])
result.save("sharp.jpg")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gpustack.version import __version__

if TYPE_CHECKING:
    from gpustack.api import locate, stack
    from gpustack.comparing import Comparison, compare
    from gpustack.depth.relief import Scale
    from gpustack.engine.checkpoint import Checkpoint
    from gpustack.errors import GpustackError
    from gpustack.exporting import DepthMap, open_depth
    from gpustack.inspecting import Inspection, inspect
    from gpustack.layering import LayerFile
    from gpustack.model.place import Place
    from gpustack.model.tone import Tone
    from gpustack.model.transform import Transform
    from gpustack.records.replaying import Replay, replay
    from gpustack.reporting.writing import write_report
    from gpustack.result import Result
    from gpustack.settings import (
        BadFrame,
        Brightness,
        Crop,
        Deghost,
        Interpolation,
        Method,
        Model,
        Prefer,
        Settings,
    )
    from gpustack.sources import open_stack

__all__ = [
    "BadFrame",
    "Brightness",
    "Checkpoint",
    "Comparison",
    "Crop",
    "Deghost",
    "DepthMap",
    "GpustackError",
    "Inspection",
    "Interpolation",
    "LayerFile",
    "Method",
    "Model",
    "Place",
    "Prefer",
    "Replay",
    "Result",
    "Scale",
    "Settings",
    "Tone",
    "Transform",
    "__version__",
    "compare",
    "inspect",
    "locate",
    "open_depth",
    "open_stack",
    "replay",
    "stack",
    "write_report",
]

_HOMES = {
    "BadFrame": "gpustack.settings",
    "Brightness": "gpustack.settings",
    "Checkpoint": "gpustack.engine.checkpoint",
    "Comparison": "gpustack.comparing",
    "Crop": "gpustack.settings",
    "Deghost": "gpustack.settings",
    "DepthMap": "gpustack.exporting",
    "GpustackError": "gpustack.errors",
    "Inspection": "gpustack.inspecting",
    "Interpolation": "gpustack.settings",
    "LayerFile": "gpustack.layering",
    "Method": "gpustack.settings",
    "Model": "gpustack.settings",
    "Place": "gpustack.model.place",
    "Prefer": "gpustack.settings",
    "Replay": "gpustack.records.replaying",
    "Result": "gpustack.result",
    "Scale": "gpustack.depth.relief",
    "Settings": "gpustack.settings",
    "Tone": "gpustack.model.tone",
    "Transform": "gpustack.model.transform",
    "compare": "gpustack.comparing",
    "inspect": "gpustack.inspecting",
    "locate": "gpustack.api",
    "open_depth": "gpustack.exporting",
    "open_stack": "gpustack.sources",
    "replay": "gpustack.records.replaying",
    "stack": "gpustack.api",
    "write_report": "gpustack.reporting.writing",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import gpustack` alone loads neither NumPy nor OpenCV."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gpustack' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
