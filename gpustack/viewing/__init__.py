"""The page of `gpustack view`: a result, its frames and maps as tiles, served on this machine."""
