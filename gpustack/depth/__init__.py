"""From the sharpest frame of each pixel to a depth map and how far it can be trusted."""
