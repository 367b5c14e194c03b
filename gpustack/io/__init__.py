"""Files: finding frames, reading pictures and metadata, writing results."""
