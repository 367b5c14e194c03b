"""Many stacks, one process each: what is done is noted, so that a rerun does what is missing."""
