"""Where each frame lies against the reference: pairs of neighbours are matched, then chained."""
