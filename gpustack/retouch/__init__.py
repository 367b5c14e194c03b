"""Retouching a result: strokes that paint frames into it, kept as a list and replayed at full resolution."""
