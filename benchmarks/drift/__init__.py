"""How well few rows follow a stream of clicks that drifts."""
