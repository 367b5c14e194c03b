"""What a stack covers: which frames it needs, and where focus lies between them, before or behind them."""
