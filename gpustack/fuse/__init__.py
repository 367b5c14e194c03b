"""From aligned frames to one picture: each method is a fold over the frames (start, add, merge, finish)."""
