"""Focus stacking: many photographs, each focused at another distance, become one that is sharp everywhere."""

__version__ = "0.1.0"
