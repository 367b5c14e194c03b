"""`python -m gpustack`."""

from gpustack.cli.app import main

main()
