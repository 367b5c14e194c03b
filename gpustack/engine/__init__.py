"""Order and memory: what is read when, and what is kept. No pixel formula is known here."""
