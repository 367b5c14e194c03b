"""Bayer mosaics, developed on the host."""
