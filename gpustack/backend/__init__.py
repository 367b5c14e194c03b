"""The only place that knows NumPy and OpenCV, or CuPy: one Protocol, one implementation a device."""
