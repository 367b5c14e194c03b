"""Where each frame lies against the reference: pairs of frames are matched, then solved for together."""
