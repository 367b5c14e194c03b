"""What things are: frames, stacks, transforms, rectangles. No pixels are touched here."""
