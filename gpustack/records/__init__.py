"""What a sidecar tells of a result: noted when it is made, and read to show it or make it again."""
