"""Focus stacks rendered from built-in scenes: sharp picture, depth and camera movement are known."""

from gpustack.scenes.camera import Rendered, Shoot
from gpustack.scenes.catalogue import names, render

__all__ = ["Rendered", "Shoot", "names", "render"]
