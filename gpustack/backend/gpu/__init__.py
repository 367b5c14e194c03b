"""The GPU backend: kernels, memory and streams, written against a small `Device` seam so that it runs
without a GPU too."""
