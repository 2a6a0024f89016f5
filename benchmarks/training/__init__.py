"""The speed of a step of training, and that it trains the same."""
