"""The version of gpustack, and how files name what made them."""

__version__ = "0.1.0"

SOFTWARE = f"gpustack {__version__}"
