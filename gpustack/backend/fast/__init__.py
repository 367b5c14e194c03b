"""The CPU backend with its busiest operations as compiled loops: the extra `fast`."""
