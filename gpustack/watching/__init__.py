"""Stacking while shooting: frames are taken as their files come."""
